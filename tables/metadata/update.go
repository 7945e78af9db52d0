package metadata

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/apache/iceberg-go"
)

// Actions of Update, as the REST catalog description names them.
const (
	AssignUUID                = "assign-uuid"
	UpgradeFormatVersion      = "upgrade-format-version"
	AddSchema                 = "add-schema"
	SetCurrentSchema          = "set-current-schema"
	AddSpec                   = "add-spec"
	SetDefaultSpec            = "set-default-spec"
	AddSortOrder              = "add-sort-order"
	SetDefaultSortOrder       = "set-default-sort-order"
	AddSnapshot               = "add-snapshot"
	SetSnapshotRef            = "set-snapshot-ref"
	RemoveSnapshots           = "remove-snapshots"
	RemoveSnapshotRef         = "remove-snapshot-ref"
	SetLocation               = "set-location"
	SetProperties             = "set-properties"
	RemoveProperties          = "remove-properties"
	SetStatistics             = "set-statistics"
	RemoveStatistics          = "remove-statistics"
	SetPartitionStatistics    = "set-partition-statistics"
	RemovePartitionStatistics = "remove-partition-statistics"
	RemoveSpecs               = "remove-partition-specs"
	RemoveSchemas             = "remove-schemas"
	AddEncryptionKey          = "add-encryption-key"
	RemoveEncryptionKey       = "remove-encryption-key"
	// EnableRowLineage was an action of drafts of version 3, in which lineage
	// is not optional; some clients still send it.
	EnableRowLineage = "enable-row-lineage"
)

// Update is one change of a table. Which fields belong to it depends on its
// Action; Apply refuses one that lacks what it needs.
type Update struct {
	Action              string                        `json:"action"`
	UUID                string                        `json:"uuid,omitempty"`
	FormatVersion       *int                          `json:"format-version,omitempty"`
	Schema              *Schema                       `json:"schema,omitempty"`
	SchemaID            *int                          `json:"schema-id,omitempty"`
	Spec                *iceberg.UnboundPartitionSpec `json:"spec,omitempty"`
	SpecID              *int                          `json:"spec-id,omitempty"`
	SortOrder           *SortOrder                    `json:"sort-order,omitempty"`
	SortOrderID         *int                          `json:"sort-order-id,omitempty"`
	Snapshot            *Snapshot                     `json:"snapshot,omitempty"`
	RefName             string                        `json:"ref-name,omitempty"`
	SnapshotID          *int64                        `json:"snapshot-id,omitempty"`
	SnapshotIDs         []int64                       `json:"snapshot-ids,omitempty"`
	Location            string                        `json:"location,omitempty"`
	Updates             iceberg.Properties            `json:"updates,omitempty"`
	Removals            []string                      `json:"removals,omitempty"`
	Statistics          *Statistics                   `json:"statistics,omitempty"`
	PartitionStatistics *Statistics                   `json:"partition-statistics,omitempty"`
	SpecIDs             []int                         `json:"spec-ids,omitempty"`
	SchemaIDs           []int                         `json:"schema-ids,omitempty"`
	Key                 *EncryptionKey                `json:"encryption-key,omitempty"`
	KeyID               string                        `json:"key-id,omitempty"`
	// Ref is what set-snapshot-ref sets; on the wire its fields lie between the
	// others.
	Ref *Ref `json:"-"`
}

// UnmarshalJSON reads an update; one of an unknown action is refused.
func (u *Update) UnmarshalJSON(data []byte) error {
	type plain Update
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*u = Update(p)
	if applier(u.Action) == nil {
		return fmt.Errorf("%w: unknown update action: %s", iceberg.ErrInvalidArgument, u.Action)
	}
	if u.Action != SetSnapshotRef {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	maps.DeleteFunc(fields, func(key string, _ json.RawMessage) bool { return key == "action" || key == "ref-name" })
	rest, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	u.Ref = new(Ref)
	return u.Ref.UnmarshalJSON(rest)
}

// Requirement is what must hold for a commit to be taken. Which fields belong
// to it depends on its Type.
type Requirement struct {
	Type string `json:"type"`
	UUID string `json:"uuid"`
	Ref  string `json:"ref"`
	// SnapshotID is where Ref must be; nil if there must be no such reference.
	SnapshotID  *int64 `json:"snapshot-id"`
	FieldID     *int   `json:"last-assigned-field-id"`
	SchemaID    *int   `json:"current-schema-id"`
	PartitionID *int   `json:"last-assigned-partition-id"`
	SpecID      *int   `json:"default-spec-id"`
	SortOrderID *int   `json:"default-sort-order-id"`
	// Holds, if set, is asked instead; t is nil if there is no table. Only
	// callers in this process can bring it along.
	Holds func(t *Table) error `json:"-"`
}

// Types of Requirement.
const (
	AssertCreate                  = "assert-create"
	AssertTableUUID               = "assert-table-uuid"
	AssertRefSnapshotID           = "assert-ref-snapshot-id"
	AssertLastAssignedFieldID     = "assert-last-assigned-field-id"
	AssertCurrentSchemaID         = "assert-current-schema-id"
	AssertLastAssignedPartitionID = "assert-last-assigned-partition-id"
	AssertDefaultSpecID           = "assert-default-spec-id"
	AssertDefaultSortOrderID      = "assert-default-sort-order-id"
)

// UnmarshalJSON reads a requirement; one of an unknown type, or without what
// its type needs, is refused.
func (r *Requirement) UnmarshalJSON(data []byte) error {
	type plain Requirement
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	*r = Requirement(p)
	missing := false
	switch r.Type {
	case AssertCreate:
	case AssertTableUUID:
		missing = r.UUID == ""
	case AssertRefSnapshotID:
		missing = r.Ref == ""
	case AssertLastAssignedFieldID:
		missing = r.FieldID == nil
	case AssertCurrentSchemaID:
		missing = r.SchemaID == nil
	case AssertLastAssignedPartitionID:
		missing = r.PartitionID == nil
	case AssertDefaultSpecID:
		missing = r.SpecID == nil
	case AssertDefaultSortOrderID:
		missing = r.SortOrderID == nil
	default:
		return fmt.Errorf("%w: unknown requirement type: %s", iceberg.ErrInvalidArgument, r.Type)
	}
	if missing {
		return fmt.Errorf("%w: requirement %s without its value", iceberg.ErrInvalidArgument, r.Type)
	}
	return nil
}

// ErrCommitFailed is refused: a requirement does not hold, or another writer
// won. Load the table and try again.
var ErrCommitFailed = errors.New("commit failed, refresh and try again")

// Refusal is a requirement that does not hold. It is ErrCommitFailed, said in the words of Iceberg's
// Java implementation (UpdateRequirement): clients look for them.
type Refusal string

// Error says which requirement failed.
func (r Refusal) Error() string { return "Requirement failed: " + string(r) }

// Is makes a refusal an ErrCommitFailed.
func (r Refusal) Is(err error) bool { return err == ErrCommitFailed }

func refuse(format string, args ...any) error { return Refusal(fmt.Sprintf(format, args...)) }

// Check returns a Refusal if r does not hold for the table, nil if there is
// none; or the error of Holds.
func (r Requirement) Check(t *Table) error {
	switch {
	case r.Holds != nil:
		return r.Holds(t)
	case r.Type == AssertCreate && t != nil:
		return refuse("table already exists")
	case r.Type == AssertCreate:
		return nil
	case t == nil:
		return refuse("current table metadata is missing")
	}
	switch r.Type {
	case AssertTableUUID:
		if have := t.UUID.String(); !strings.EqualFold(have, r.UUID) {
			return refuse("UUID does not match: expected %s != %s", have, r.UUID)
		}
	case AssertRefSnapshotID:
		return checkRef(t, r.Ref, r.SnapshotID)
	case AssertLastAssignedFieldID:
		return same("last assigned field id changed", r.FieldID, t.LastColumnID)
	case AssertCurrentSchemaID:
		return same("current schema changed", r.SchemaID, t.CurrentSchemaID)
	case AssertLastAssignedPartitionID:
		return same("last assigned partition id changed", r.PartitionID, t.LastPartitionID)
	case AssertDefaultSpecID:
		return same("default partition spec changed", r.SpecID, t.DefaultSpecID)
	case AssertDefaultSortOrderID:
		return same("default sort order changed", r.SortOrderID, t.DefaultSortOrderID)
	}
	return nil
}

func same(what string, want *int, have int) error {
	if want == nil {
		return refuse("%s: no id expected", what)
	}
	if *want != have {
		return refuse("%s: expected id %d != %d", what, *want, have)
	}
	return nil
}

// checkRef checks that a branch or tag is at a snapshot, or absent if nil.
func checkRef(t *Table, name string, want *int64) error {
	ref, ok := t.Refs[name]
	switch {
	case ok && want == nil:
		return refuse("%s %s was created concurrently", ref.Kind, name)
	case ok && *want != ref.SnapshotID:
		return refuse("%s %s has changed: expected id %d != %d", ref.Kind, name, *want, ref.SnapshotID)
	case !ok && want != nil:
		return refuse("branch or tag %s is missing, expected %d", name, *want)
	}
	return nil
}
