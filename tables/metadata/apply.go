package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// Properties that decide about a table's files.
const (
	PreviousVersionsMax = "write.metadata.previous-versions-max"
	DeleteAfterCommit   = "write.metadata.delete-after-commit.enabled"
	Compression         = "write.metadata.compression-codec"
	// MetadataPath is where metadata files lie, if not below the table.
	MetadataPath = "write.metadata.path"
	// GCEnabled keeps files of dropped snapshots and tables if it is false.
	GCEnabled = "gc.enabled"
	// FormatVersionKey is no property: who makes a table says the version by it.
	FormatVersionKey = "format-version"
)

// defaultPreviousVersions is how many earlier metadata files a table remembers
// unless its properties say otherwise.
const defaultPreviousVersions = 100

// last stands for the schema, spec or sort order that was added last, in the
// updates that set one of them.
const last = -1

// applier is how an action changes a table; nil for one that is not known.
func applier(action string) func(*change, Update) error {
	switch action {
	case AssignUUID:
		return (*change).assignUUID
	case UpgradeFormatVersion:
		return (*change).upgrade
	case AddSchema:
		return (*change).addSchema
	case SetCurrentSchema:
		return (*change).setCurrentSchema
	case AddSpec:
		return (*change).addSpec
	case SetDefaultSpec:
		return (*change).setDefaultSpec
	case AddSortOrder:
		return (*change).addSortOrder
	case SetDefaultSortOrder:
		return (*change).setDefaultSortOrder
	case AddSnapshot:
		return (*change).addSnapshot
	case SetSnapshotRef:
		return (*change).setRef
	case RemoveSnapshots:
		return (*change).removeSnapshots
	case RemoveSnapshotRef:
		return (*change).removeRef
	case SetLocation:
		return (*change).setLocation
	case SetProperties:
		return (*change).setProperties
	case RemoveProperties:
		return (*change).removeProperties
	case SetStatistics, SetPartitionStatistics:
		return (*change).setStatistics
	case RemoveStatistics, RemovePartitionStatistics:
		return (*change).dropStatistics
	case RemoveSpecs:
		return (*change).removeSpecs
	case RemoveSchemas:
		return (*change).removeSchemas
	case AddEncryptionKey:
		return (*change).addKey
	case RemoveEncryptionKey:
		return (*change).removeKey
	case EnableRowLineage:
		return (*change).enableLineage
	}
	return nil
}

// change is a table on its way from one state to the next.
type change struct {
	next    *Table
	changed bool
	stamped bool // LastUpdatedMs is that of a snapshot or a moved branch

	added      map[int64]bool // snapshots added by this change
	passed     map[int64]bool // those of them that main was set to
	removed    bool           // snapshots were removed
	lastSchema *int           // added last by this change
	lastSpec   *int
	lastOrder  *int
}

// Apply returns the table after the updates; file is where the metadata of base
// lies, for the log of earlier files. If the updates change nothing, base itself
// is returned. Where base is nil a table is made: the updates must give it all
// that a table has. Errors name the update that cannot be.
func Apply(base *Table, file string, updates []Update) (*Table, error) {
	c := &change{added: map[int64]bool{}, passed: map[int64]bool{}}
	if base == nil {
		c.next = empty(updates)
	} else {
		c.next = base.copied()
	}
	for _, u := range updates {
		apply := applier(u.Action)
		if apply == nil {
			return nil, fmt.Errorf("%w: unknown update action: %s", iceberg.ErrInvalidArgument, u.Action)
		}
		if err := apply(c, u); err != nil {
			return nil, fmt.Errorf("%s: %w", u.Action, err)
		}
	}
	if base != nil && !c.changed {
		return base, nil
	}
	if base == nil {
		c.settle()
	}
	if err := c.trimLog(); err != nil {
		return nil, err
	}
	t := c.next
	if !c.stamped {
		t.LastUpdatedMs = max(t.LastUpdatedMs, time.Now().UnixMilli())
	}
	if base != nil {
		t.MetadataLog = append(t.MetadataLog, FileEntry{file, base.LastUpdatedMs})
		if over := len(t.MetadataLog) - max(1, number(t.Properties, PreviousVersionsMax, defaultPreviousVersions)); over > 0 {
			t.MetadataLog = t.MetadataLog[over:]
		}
	}
	if t.Location == "" {
		return nil, fmt.Errorf("%w: no location", ErrInvalid)
	}
	return t, t.check()
}

// empty is what a new table starts from. Its version is settled first, because
// it decides which schemas and specs may be added.
func empty(updates []Update) *Table {
	t := &Table{
		Version: DefaultVersion, UUID: uuid.New(), LastPartitionID: noPartitionID,
		CurrentSchemaID: last, DefaultSpecID: last, DefaultSortOrderID: last,
		Properties: iceberg.Properties{}, Refs: map[string]Ref{},
	}
	for _, u := range updates {
		if u.Action == UpgradeFormatVersion && u.FormatVersion != nil {
			t.Version = min(max(1, *u.FormatVersion), maxVersion)
		}
	}
	return t
}

// settle gives a new table what its maker need not say: no partitions, no order.
func (c *change) settle() {
	if c.next.DefaultSpecID == last && len(c.next.Specs) == 0 {
		c.next.Specs, c.next.DefaultSpecID = []Spec{{PartitionSpec: *iceberg.UnpartitionedSpec}}, 0
	}
	if c.next.DefaultSortOrderID == last && len(c.next.SortOrders) == 0 {
		c.next.SortOrders, c.next.DefaultSortOrderID = []SortOrder{{}}, 0
	}
}

// copied is a table whose lists and maps can be changed; what they hold is
// shared.
func (t *Table) copied() *Table {
	n := *t
	n.Schemas, n.Specs, n.SortOrders = slices.Clone(t.Schemas), slices.Clone(t.Specs), slices.Clone(t.SortOrders)
	n.Snapshots, n.SnapshotLog, n.MetadataLog = slices.Clone(t.Snapshots), slices.Clone(t.SnapshotLog), slices.Clone(t.MetadataLog)
	n.Statistics, n.PartitionStatistics = slices.Clone(t.Statistics), slices.Clone(t.PartitionStatistics)
	n.EncryptionKeys = slices.Clone(t.EncryptionKeys)
	n.Properties, n.Refs = maps.Clone(t.Properties), maps.Clone(t.Refs)
	if n.Properties == nil {
		n.Properties = iceberg.Properties{}
	}
	return &n
}

// number is a property that is a number.
func number(p iceberg.Properties, key string, def int) int {
	if n, err := strconv.Atoi(p[key]); err == nil {
		return n
	}
	return def
}

func (c *change) assignUUID(u Update) error {
	id, err := uuid.Parse(u.UUID)
	if err != nil || id == uuid.Nil {
		return fmt.Errorf("uuid %q", u.UUID)
	}
	if c.next.UUID != id {
		c.next.UUID, c.changed = id, true
	}
	return nil
}

func (c *change) upgrade(u Update) error {
	switch v := u.FormatVersion; {
	case v == nil:
		return errors.New("no format-version")
	case *v > maxVersion:
		return fmt.Errorf("cannot upgrade table to unsupported format version: v%d (supported: v%d)", *v, maxVersion)
	case *v < c.next.Version:
		return fmt.Errorf("cannot downgrade v%d table to v%d", c.next.Version, *v)
	case *v > c.next.Version:
		// A version 1 table need not have a UUID, a version 2 one must.
		if c.next.UUID == uuid.Nil {
			c.next.UUID = uuid.New()
		}
		// Version 1 has no sequence numbers, but some writers state them.
		for _, s := range c.next.Snapshots {
			c.next.LastSequence = max(c.next.LastSequence, s.SequenceNumber)
		}
		c.next.Version, c.changed = *v, true
	}
	return nil
}

func (c *change) enableLineage(Update) error {
	if c.next.Version < 3 {
		return fmt.Errorf("row lineage requires v3, the table is v%d", c.next.Version)
	}
	return nil
}

func (c *change) setLocation(u Update) error {
	if u.Location == "" {
		return errors.New("no location")
	}
	if u.Location != c.next.Location {
		c.next.Location, c.changed = u.Location, true
	}
	return nil
}

func (c *change) setProperties(u Update) error {
	for k, v := range u.Updates {
		if have, ok := c.next.Properties[k]; !ok || have != v {
			c.next.Properties[k], c.changed = v, true
		}
	}
	return nil
}

func (c *change) removeProperties(u Update) error {
	for _, k := range u.Removals {
		if _, ok := c.next.Properties[k]; ok {
			delete(c.next.Properties, k)
			c.changed = true
		}
	}
	return nil
}

// statistics is the list that an action is about.
func (c *change) statistics(action string) *[]Statistics {
	if action == SetStatistics || action == RemoveStatistics {
		return &c.next.Statistics
	}
	return &c.next.PartitionStatistics
}

// setStatistics replaces those of the same snapshot.
func (c *change) setStatistics(u Update) error {
	list, s := c.statistics(u.Action), u.Statistics
	if u.Action == SetPartitionStatistics {
		s = u.PartitionStatistics
	}
	if s == nil {
		return errors.New("no statistics")
	}
	c.changed = true
	for i := range *list {
		if (*list)[i].SnapshotID == s.SnapshotID {
			(*list)[i] = *s
			return nil
		}
	}
	*list = append(*list, *s)
	return nil
}

func (c *change) dropStatistics(u Update) error {
	if u.SnapshotID == nil {
		return errors.New("no snapshot-id")
	}
	list := c.statistics(u.Action)
	before := len(*list)
	*list = slices.DeleteFunc(*list, func(s Statistics) bool { return s.SnapshotID == *u.SnapshotID })
	c.changed = c.changed || len(*list) != before
	return nil
}

func (c *change) addKey(u Update) error {
	if u.Key == nil {
		return errors.New("no encryption-key")
	}
	if c.next.Version < 3 {
		return fmt.Errorf("encryption keys require v3, the table is v%d", c.next.Version)
	}
	for _, k := range c.next.EncryptionKeys {
		if k.ID == u.Key.ID {
			return nil
		}
	}
	c.next.EncryptionKeys, c.changed = append(c.next.EncryptionKeys, *u.Key), true
	return nil
}

func (c *change) removeKey(u Update) error {
	before := len(c.next.EncryptionKeys)
	c.next.EncryptionKeys = slices.DeleteFunc(c.next.EncryptionKeys, func(k EncryptionKey) bool { return k.ID == u.KeyID })
	c.changed = c.changed || len(c.next.EncryptionKeys) != before
	return nil
}
