// Package sink copies topics into lake tables, exactly once: log → rows → files
// → table commit. Progress lives in the tables' own commits and nowhere else,
// so a crash cannot set log and table apart; what is kept beside them is only
// which files are written and not yet committed everywhere.
//
// README.md has the crash matrix and the form of a pending entry.
package sink

import (
	"errors"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Limits of one sink.
const (
	// maxPending is how many cuts may wait for a table that does not take its
	// commits; then no more is cut for it, since every cut holds files.
	maxPending = 64
	// maxLeft is how many files of entries that were taken back may wait to be
	// judged, some 500 bytes each: those of 64 entries in three formats with
	// their dead letters, and as many again. Beyond it they stay where they are.
	maxLeft = 1024
	// readBytes is how much is read of one partition at a time, so that all
	// partitions come along in one cut.
	readBytes = 1 << 20
	// maxUnpacked bounds what one batch may unpack to. Batches were checked
	// against a tighter limit when they came in.
	maxUnpacked = 1 << 30
	// maxGroups bounds the pairs of key and value schema in one cut: each has
	// columns of its own.
	maxGroups = 256
	// maxSwell is how many times Topic.CommitBytes the decoded columns of a cut
	// may take: a record of two bytes may have ten thousand columns.
	maxSwell = 4
	// maxCuts bounds the cuts that are read and encoded at a time, by all sinks
	// together: each holds some five times its CommitBytes. More than there are
	// processors would be no faster.
	maxCuts = 4
	// lookRows and lookCells are how many rows, or values, are decoded between
	// two looks at the memory they take.
	lookRows  = 256
	lookCells = 1 << 16
	// maxEntryBytes bounds a pending entry as it is stored: half of what an item
	// may hold. Beyond it, statistics of long values are left out.
	maxEntryBytes = 8 << 20
	// longBound is how many bytes make a value long.
	longBound = 16
	// maxGaps bounds the gaps that a table's progress lists for a partition;
	// then the last two become one.
	maxGaps = 64
	// checkEvery is how often the size of a backlog is looked at while a cut
	// waits for its time.
	checkEvery = 250 * time.Millisecond
	// firstRetry and lastRetry are the pauses after errors, doubling.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 30 * time.Second
	// commitTimeout bounds one commit, and the making of one entry, so that a
	// catalog or store that hangs does not hold up other formats and topics for
	// ever.
	commitTimeout = 5 * time.Minute
	// removeTimeout bounds the removal of files that are not needed, which goes
	// on when the sink is being stopped.
	removeTimeout = 10 * time.Second
	// guessedRecord is the size of a record in bytes before any was seen.
	guessedRecord = 256
)

// Defaults of Topic.
const (
	defaultInterval = 10 * time.Second
	defaultBytes    = 64 << 20
	defaultRows     = 1 << 20
	// defaultCompactBytes is the size of file that readers like and that a
	// rewrite still holds in memory.
	defaultCompactBytes = 64 << 20
	// defaultFileBytes is what Iceberg's and Delta's readers like best.
	defaultFileBytes = 128 << 20
	// defaultHistory and defaultHistoryMax bound what a commit writes: metadata of
	// Iceberg names every snapshot.
	defaultHistory    = 24 * time.Hour
	defaultHistoryMax = 500
	// defaultOrphanAge is far beyond what any commit takes, of foreign writers
	// too.
	defaultOrphanAge = 72 * time.Hour
)

// Values of Topic.Compact.
const (
	CompactAuto = "auto"
	CompactAll  = "all"
	CompactNone = "none"
)

// Values of Topic.KeyAs and Topic.ValueAs beside those of plain.Manner.
const AsSchema = "schema"

// ErrNoTable is refused: the topic has no tables.
var ErrNoTable = errors.New("topic has no tables: set tarn.table.formats")

// ErrStopped is refused: the sink has ended, or ends now.
var ErrStopped = errors.New("the sink has stopped")

// Config is what a Manager stands on. All but Cut, Log and Now are required.
type Config struct {
	Logs     *commitlog.Logs
	Registry *registry.Registry
	// Topics lists the topics that have tables now; the channel is closed when
	// the list may have changed.
	Topics func() ([]Topic, <-chan struct{})
	// Cut is called when the making of files begins, and what it returns when they
	// are made; nil: nothing is. Several may be under way at once.
	Cut func() (done func())
	// Formats opens tables by the name of their format.
	Formats map[string]tables.Format
	// Store is where the formats keep their files.
	Store blob.Store
	// Items keeps pending entries, in the same store as the log.
	Items tables.Items
	// Incarnation names this history of the log.
	Incarnation string
	// Namespace is the tables' namespace.
	Namespace string
	// Fault says what goes wrong with a commit of rows, for tests: it is asked before
	// the commit, which an error keeps from being made, and after one that was made,
	// whose answer an error takes the place of. nil: nothing.
	Fault func(topic, format string, made bool) error
	// Tracer continues traces of producers to the commits of tables; nil: nobody traces.
	Tracer *trace.Tracer
	Log    *slog.Logger
	Now    func() time.Time
	// KeepEvery is how long commits gather before maintenance looks at a table;
	// 0 is 30 s.
	KeepEvery time.Duration

	encode encoder // nil: parquet.Encode; another one in tests of time
}

// encoder makes a data file of rows.
type encoder func(*tables.Schema, []arrow.RecordBatch, parquet.Options) (parquet.File, error)

// Topic is a topic that has tables.
type Topic struct {
	ID         storage.TopicID
	Name       string
	Partitions int32
	Table      string
	Formats    []string
	// CommitInterval, CommitBytes (of records) and CommitRows say when a cut
	// is made, whichever comes first.
	CommitInterval time.Duration
	CommitBytes    int64
	CommitRows     int64
	// Start says where a new table begins; the zero value is the log's start.
	Start Start
	// TrimLog deletes from the log what the tables of all formats have.
	TrimLog bool
	// Compact says which formats' small files are merged by themselves: CompactAuto
	// all but plain Parquet, CompactAll, CompactNone; "" is CompactNone.
	Compact string
	// CompactBytes is about how large files become; those of half of it are left
	// alone.
	CompactBytes int64
	// History is how long earlier states of the tables can be read, HistoryMax how
	// many of them.
	History    time.Duration
	HistoryMax int
	// OrphanAge is how old a file that nothing names is before it is removed.
	OrphanAge time.Duration
	// Retention is how old the records of rows become before their files go; 0
	// keeps them.
	Retention time.Duration
	// Layout is how rows are put into files.
	Layout layout.Want
	// Compression is how data files are compressed, "" as zstd; CompressionLevel is
	// of zstd and gzip, 0 the default.
	Compression      parquet.Codec
	CompressionLevel int
	// FileBytes is about how large data files become at most.
	FileBytes int64
	// Upsert are the columns of the key by which the tables hold the latest row
	// of each; none: they hold a row for every record. RecordKey alone stands for
	// the record's key.
	Upsert []string
	// Unwrap is Debezium where values are change envelopes, whose rows the tables
	// have; "" takes values as they are.
	Unwrap string
	// Generated are columns that are computed of others, as package formula reads
	// them; "" is none.
	Generated string
	// JSONExtra keeps the kafka_extra column of open JSON objects.
	JSONExtra bool
	// KeyAs and ValueAs say how the parts are read without a schema; AsSchema, or
	// "", is by their schemas.
	KeyAs, ValueAs string
	// ValueVersion is the number of the version that Avro values are resolved to,
	// LatestVersion or OwnVersion.
	ValueVersion int
	// Key and Value say which schemas the parts have. A Subject of "" is the one
	// that the registry has the topic's part bound to.
	Key, Value registry.Reading
	// ValueByRecord says that only records know the subjects of values: without a
	// schema of Value's subject, tables are made of the first value that names one.
	ValueByRecord bool
}

func (t Topic) withDefaults() Topic {
	if t.CommitInterval <= 0 {
		t.CommitInterval = defaultInterval
	}
	if t.CommitBytes <= 0 {
		t.CommitBytes = defaultBytes
	}
	if t.CommitRows <= 0 {
		t.CommitRows = defaultRows
	}
	if t.CompactBytes <= 0 {
		t.CompactBytes = defaultCompactBytes
	}
	if t.FileBytes <= 0 {
		t.FileBytes = defaultFileBytes
	}
	if t.History <= 0 {
		t.History = defaultHistory
	}
	if t.HistoryMax <= 0 {
		t.HistoryMax = defaultHistoryMax
	}
	if t.OrphanAge <= 0 {
		t.OrphanAge = defaultOrphanAge
	}
	return t
}
