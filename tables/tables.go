// Package tables is the contract of Tarn's lake tables: a table takes data
// files in atomic commits, and each commit carries how far the table has come,
// so that a crash cannot set log and table apart. It knows neither Kafka nor
// schema languages; Arrow is the word it shares with them.
//
// The formats (parquet, iceberg, delta) are packages beside this one and run
// the suite in tabletest. blob holds the object store they write to.
package tables

import (
	"context"
	"errors"
	"iter"
	"maps"
)

// Errors of the contract.
var (
	// ErrConflict is refused: Commit.Expect is not what the table holds, or
	// another writer came first and the table has moved past Expect. Nothing
	// was written. Reload Progress and compare before trying again.
	ErrConflict = errors.New("table progress is not what the commit expects")
	// ErrForeign is refused: the table at this place belongs to another topic
	// id or incarnation, or is no table of Tarn's.
	ErrForeign = errors.New("table belongs to another log")
	// ErrNotOurs is refused: what is at this place is nothing that Tarn has made. It is
	// an ErrForeign, too.
	ErrNotOurs error = notOurs{}
	// ErrFeature is refused: another writer has brought something into the table that
	// this format's code does not read. Once it is taken out, the table goes on.
	ErrFeature = errors.New("the table has what Tarn does not read")
	// ErrGone is refused: the table was there and is not now, since somebody dropped
	// it or gave it another name. Opened anew it is made anew.
	ErrGone = errors.New("table is no longer there")
	// ErrRolledBack says that somebody set the table back to an earlier state:
	// its rows reach less far than its progress says. The error is a
	// *RolledBack.
	ErrRolledBack = errors.New("table was rolled back")
	// ErrUnsupported is refused: this format cannot express the schema.
	ErrUnsupported = errors.New("not expressible in this table format")
	// ErrFile is refused: a file of the commit is not at its DataPath, has
	// another size than stated, or is in the table already.
	ErrFile = errors.New("data file cannot be committed")
	// ErrMoved is refused: Commit.Remove was worked out on a state that is not
	// the table's present one. Nothing was written. List the files again.
	ErrMoved = errors.New("table's files have changed since they were listed")
	// ErrBroken says that the table's own metadata contradicts itself.
	ErrBroken = errors.New("table metadata is damaged")
)

// RolledBack is ErrRolledBack with how far the rows reach now. A Commit whose
// Expect is Rows resumes from there; no other is taken.
type RolledBack struct {
	Rows Progress
}

// Error names the condition.
func (r *RolledBack) Error() string { return ErrRolledBack.Error() }

// Is makes every RolledBack an ErrRolledBack.
func (r *RolledBack) Is(err error) bool { return err == ErrRolledBack }

// Progress is how far a table has come, stored by the table's own commits.
type Progress struct {
	// TopicID and Incarnation name the log that the offsets belong to. Both
	// are empty before the first commit.
	TopicID     string `json:"topic_id"`
	Incarnation string `json:"incarnation"`
	// Offsets is the next offset to read, by partition: every record below it
	// is in the table, none at or above it.
	Offsets map[int32]int64 `json:"offsets"`
	// Extra are further keys that travel with the commit (redrive, rebuild).
	Extra map[string]string `json:"extra,omitempty"`
}

// Equal reports whether p and q say the same.
func (p Progress) Equal(q Progress) bool {
	return p.TopicID == q.TopicID && p.Incarnation == q.Incarnation &&
		maps.Equal(p.Offsets, q.Offsets) && maps.Equal(p.Extra, q.Extra)
}

// Clone returns a copy that shares no maps with p.
func (p Progress) Clone() Progress {
	p.Offsets, p.Extra = maps.Clone(p.Offsets), maps.Clone(p.Extra)
	return p
}

// Range is a range of one partition's offsets, From inclusive, To exclusive.
type Range struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
}

// DataFile is a Parquet file that is written and durable, and all that a commit
// needs to say of it. It is kept as JSON while the commit is pending.
type DataFile struct {
	// Path is its key in the blob store.
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes
	Rows int64  `json:"rows"`
	// SchemaID is the Schema.ID it was written with.
	SchemaID int `json:"schema_id"`
	// Ranges are the offsets it covers. Offsets in a range may lack rows
	// (control batches, dead letters, compaction).
	Ranges []Range `json:"ranges"`
	// Columns are the statistics of its leaf columns.
	Columns []ColumnStats `json:"columns"`
	// SplitPos are the positions in bytes of its row groups.
	SplitPos []int64 `json:"split_pos"`
	// WrittenMs is when it was written, Unix ms.
	WrittenMs int64 `json:"written_ms"`
	// Partition are the values that all its rows have, one for each field of the
	// partition spec that it was written with; empty for none.
	Partition []PartitionValue `json:"partition,omitempty"`
	// Like, in a change that takes files out, is the key of one of them whose
	// partition the file's rows lie in; then Partition says nothing. It is not
	// stored.
	Like string `json:"-"`
	// Sorted says that its rows are in the order of Sort of the layout that it
	// was written with.
	Sorted bool `json:"sorted,omitempty"`
}

// ColumnStats are a leaf column's statistics. Min and Max are in Iceberg's
// single-value serialization of the column's type, whole and not truncated,
// and nil where there is none (all null, NaN, binary above 64 bytes, nested in
// a list or map).
type ColumnStats struct {
	FieldID int    `json:"id"`
	Size    int64  `json:"size"` // bytes in the file, compressed
	Values  int64  `json:"values"`
	Nulls   int64  `json:"nulls"`
	NaNs    int64  `json:"nans,omitempty"`
	Min     []byte `json:"min,omitzero"`
	Max     []byte `json:"max,omitzero"`
}

// Commit is one atomic change of a table.
type Commit struct {
	// ID names this commit, the same on every try: formats write it down so
	// that an unknown outcome can be recognised.
	ID string
	// Expect is the Progress the table must have, Progress the one it gets.
	Expect, Progress Progress
	// Add are the files it gains. Their Ranges lie between Expect and Progress, or
	// below Expect where rows are made of what was set aside before.
	Add []DataFile
	// Remove, if not nil, takes files out in the same change. The rows of theirs
	// that are to stay are in files of Add. Only a Replacer takes it.
	Remove *Removal
	// Schema is the schema from this commit on; nil leaves it as it is. It
	// must extend the present one (see Schema.Merge).
	Schema *Schema
	// Summary is written into the table's history for people: counts, times.
	Summary map[string]string
}

// Table is one table in one format. One writer uses it at a time; a second one
// running by mistake is fenced by ErrConflict. Reads may run concurrently.
type Table interface {
	// Progress reads the table's present state from its own last commit, not
	// from memory. Errors: ErrForeign, ErrFeature, ErrBroken,
	// *RolledBack, or a failed read.
	Progress(ctx context.Context) (Progress, error)
	// Schema is the schema as of the last Progress, Commit or open.
	Schema() *Schema
	// Physical is the schema as this format's files must be written: the same
	// field ids and names, types replaced where the format lacks them.
	Physical(s *Schema) (*Schema, error)
	// DataPath is the blob key at which a data file called name must be placed
	// before it is committed.
	DataPath(name string) string
	// Commit applies c whole or not at all, durable on return. Errors:
	// ErrConflict, ErrMoved, ErrUnsupported, ErrFile (refused); any other error
	// means that the outcome is unknown: read Progress and compare.
	Commit(ctx context.Context, c Commit) error
	// Landed reports whether commit id has brought the data file at key (its
	// DataPath) into the table: whether the table names it, or a version of the
	// table that can still be read. It reads as Progress does. Asked when the
	// table is past the commit's Expect, false is for good: nothing refers to
	// the file, and nothing will.
	Landed(ctx context.Context, id, key string) (bool, error)
	// Status says what a person wants to know of the table.
	Status(ctx context.Context) (Status, error)
	// Rows yields partition and offset of every live row, file by file, read
	// back from the data files that the table's metadata names: what an
	// outside reader would see. Verification is built on it.
	Rows(ctx context.Context) iter.Seq2[RowID, error]
}

// RowID is where a row came from: its kafka_partition and kafka_offset.
type RowID struct {
	Partition int32
	Offset    int64
}

// Status is a table's state in figures.
type Status struct {
	Format    string `json:"format"`
	Location  string `json:"location"` // URL
	Files     int64  `json:"files"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	Version   string `json:"version"` // snapshot id, Delta version, manifest number
	CommitMs  int64  `json:"commit_ms"`
	SchemaID  int    `json:"schema_id"`
	Snapshots int    `json:"snapshots"`
	// Features are what a reader must know beyond the format's first version, by the
	// names of the format; readers that lack one refuse the table.
	Features []string `json:"features,omitempty"`
	// Foreign is what others have done to the rows; nil: nothing that is known.
	Foreign *Foreign `json:"foreign,omitempty"`
}

// Foreign tells of commits of other writers that have brought rows or taken rows
// away: appends, deletes, a table set back. Maintenance is none of them.
type Foreign struct {
	// Commits is how many there were; in Iceberg, those of snapshots that are
	// still there.
	Commits int64 `json:"commits"`
	// Version and TimeMs are of the last one, Operation and Engine what it says of
	// itself, "" where that is no longer known.
	Version   string `json:"version"`
	TimeMs    int64  `json:"time_ms"`
	Operation string `json:"operation,omitempty"`
	Engine    string `json:"engine,omitempty"`
}

// Spec says which table to open, and how to make it if it is not there.
type Spec struct {
	// Namespace and Name are portable identifiers (a–z, 0–9, _).
	Namespace, Name string
	// Schema is the schema a new table gets; an existing one keeps its own.
	Schema *Schema
	// Comment is stored with a new table.
	Comment string
}

// Format opens tables of one format. Safe for concurrent use.
type Format interface {
	// Name is the format's name in tarn.table.formats.
	Name() string
	// Open opens the table, or makes it with no rows and empty Progress.
	Open(ctx context.Context, s Spec) (Table, error)
	// Drop removes the table's metadata and its data files. A table that is
	// not there is no error.
	Drop(ctx context.Context, namespace, name string) error
}

// Items is the small store that the catalog and the sink need: versioned items
// with a compare-and-set over several keys. main adapts the broker's storage
// engine to it.
type Items interface {
	Get(ctx context.Context, key string) (Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[Item, error]
	// Put writes all items or none, durable on return. Each Item.Version is
	// the version expected (0: must not exist). Errors: ErrItemConflict
	// (refused), else the outcome is unknown.
	Put(ctx context.Context, items ...Item) error
}

// ErrItemConflict is refused: an item had another version than expected.
var ErrItemConflict = errors.New("item was changed by another writer")

// Item is a value with a version; Version 0 means that there is none.
type Item struct {
	Key     string
	Value   []byte
	Version int64
	Delete  bool
}

type notOurs struct{}

// Error implements error.
func (notOurs) Error() string { return "not made by Tarn" }

// Is implements the interface of errors.Is.
func (notOurs) Is(target error) bool { return target == ErrForeign }
