// Package metadata is the table metadata of Iceberg: what a metadata file says
// (format versions 1 to 3), the updates that a commit makes to it and the
// requirements that it states, as Iceberg's table specification and its REST
// catalog description define them. It does no I/O.
//
// Nothing is lost on the way through: fields of a metadata file that this
// package does not know are written back as they were read, at the top and
// inside schemas, specs, sort orders, snapshots, references, statistics and
// encryption keys.
//
// Types, schemas and partition specs are those of iceberg-go's root package.
// Its table package says the same as this one, but whoever links it parses
// 33 MB worth of function lists at each start.
package metadata

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
)

// MainBranch is the branch that a table's current snapshot is on.
const MainBranch = "main"

// Kinds of Ref.
const (
	Branch = "branch"
	Tag    = "tag"
)

// Operations of a snapshot: rows added, files changed but not rows, rows
// removed and added, rows removed.
const (
	Append    = "append"
	Replace   = "replace"
	Overwrite = "overwrite"
	Delete    = "delete"
)

// Versions of the format.
const (
	// DefaultVersion is that of tables whose maker names none.
	DefaultVersion = 2
	maxVersion     = 3
)

// noPartitionID is the last partition field id of a table that never had a
// partition field: the first one gets 1000.
const noPartitionID = iceberg.PartitionDataIDStart - 1

// Table is one state of a table, as a metadata file holds it. It is shared by
// all who read it and never changed: Apply returns another one.
type Table struct {
	Version         int // of the format: 1 to 3
	UUID            uuid.UUID
	Location        string
	LastSequence    int64 // highest sequence number given to a snapshot
	LastUpdatedMs   int64
	LastColumnID    int // highest field id ever given
	Schemas         []Schema
	CurrentSchemaID int
	Specs           []Spec
	DefaultSpecID   int
	LastPartitionID int // highest partition field id ever given; 999 if none
	Properties      iceberg.Properties
	// CurrentID is the current snapshot, nil if there is none. It is the one
	// that the main branch points at.
	CurrentID           *int64
	Snapshots           []*Snapshot
	SnapshotLog         []LogEntry  // what was current, oldest first
	MetadataLog         []FileEntry // earlier metadata files, oldest first
	SortOrders          []SortOrder
	DefaultSortOrderID  int
	Refs                map[string]Ref
	Statistics          []Statistics
	PartitionStatistics []Statistics
	EncryptionKeys      []EncryptionKey
	NextRowID           int64 // version 3: the row id that the next row gets

	// extra are the fields that are not known here.
	extra map[string]json.RawMessage
}

// Schema is a schema with what its JSON said beyond it.
type Schema struct {
	*iceberg.Schema
	raw json.RawMessage
}

// Spec is a partition spec with what its JSON said beyond it.
type Spec struct {
	iceberg.PartitionSpec
	raw json.RawMessage
}

// LogEntry says since when a snapshot was the current one.
type LogEntry struct {
	SnapshotID  int64 `json:"snapshot-id"`
	TimestampMs int64 `json:"timestamp-ms"`
}

// FileEntry is an earlier metadata file and when it was written.
type FileEntry struct {
	File        string `json:"metadata-file"`
	TimestampMs int64  `json:"timestamp-ms"`
}

// Statistics is a file with statistics of a snapshot, of whichever kind.
type Statistics struct {
	SnapshotID int64
	raw        json.RawMessage
}

// EncryptionKey is an encrypted key of version 3.
type EncryptionKey struct {
	ID  string
	raw json.RawMessage
}

// Schema is the current schema.
func (t *Table) Schema() *iceberg.Schema {
	for _, s := range t.Schemas {
		if s.ID == t.CurrentSchemaID {
			return s.Schema
		}
	}
	return nil
}

// Spec returns a partition spec, nil if there is none of that id.
func (t *Table) Spec(id int) *iceberg.PartitionSpec {
	for i := range t.Specs {
		if t.Specs[i].ID() == id {
			return &t.Specs[i].PartitionSpec
		}
	}
	return nil
}

// Snapshot returns a snapshot, nil if there is none of that id.
func (t *Table) Snapshot(id int64) *Snapshot {
	// The newest are asked for most.
	for _, s := range slices.Backward(t.Snapshots) {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Current is the current snapshot, nil if there is none.
func (t *Table) Current() *Snapshot {
	if t.CurrentID == nil {
		return nil
	}
	return t.Snapshot(*t.CurrentID)
}

// MetadataDir is the URL of the directory that metadata files and manifests lie
// in.
func (t *Table) MetadataDir() string {
	return strings.TrimRight(t.Properties.Get(MetadataPath, strings.TrimRight(t.Location, "/")+"/metadata"), "/")
}
