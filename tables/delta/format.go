package delta

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Name is the format's name in tarn.table.formats and its folder's name.
const Name = "delta"

// Defaults of Config.
const (
	// DefaultCheckpointEvery bounds what a reader replays to this many small
	// files, and what commits spend on checkpoints to a few percent.
	DefaultCheckpointEvery = 25
	// DefaultLogRetention is how far back versions can be read. It bounds the
	// log to 60,000 files at a commit every ten seconds.
	DefaultLogRetention = 7 * 24 * time.Hour
	// DefaultMinHistory is how long a state stays readable after the next one
	// came, whatever bounds their number: longer than most queries take.
	DefaultMinHistory = 10 * time.Minute
	// fileRetention is Delta's own default for removed files.
	fileRetention = 7 * 24 * time.Hour
)

// engineInfo says in each commit who made it.
const engineInfo = "Tarn"

// Config of the format. Zero values are the defaults.
type Config struct {
	// CheckpointEvery is how many commits lie between two checkpoints.
	CheckpointEvery int
	// LogRetention is how old log files are, at least, that are removed.
	LogRetention time.Duration
	// MinHistory is how old a state is, at least, that Expire forgets.
	MinHistory time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// NoTypeWidening refuses commits that widen a column. By default such a
	// commit turns on the table feature typeWidening, which some readers lack:
	// they then refuse the table.
	NoTypeWidening bool
}

type format struct {
	store  blob.Store
	config Config
}

// New returns the Delta format over store.
func New(store blob.Store, c Config) tables.Format {
	c.CheckpointEvery = cmp.Or(c.CheckpointEvery, DefaultCheckpointEvery)
	c.LogRetention = cmp.Or(c.LogRetention, DefaultLogRetention)
	c.MinHistory = cmp.Or(c.MinHistory, DefaultMinHistory)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &format{store, c}
}

// Name implements tables.Format.
func (f *format) Name() string { return Name }

// Open implements tables.Format.
func (f *format) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t := &table{store: f.store, config: f.config, base: base(s.Namespace, s.Name)}
	t.log = log{f.store, t.base + logFolder}
	st, err := t.log.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("open delta table %s.%s: %w", s.Namespace, s.Name, err)
	}
	if st == nil {
		if st, err = t.create(ctx, s); err != nil {
			return nil, fmt.Errorf("create delta table %s.%s: %w", s.Namespace, s.Name, err)
		}
	}
	t.state = st
	return t, nil
}

// Drop implements tables.Format. Data files go first and the log last: a table
// made again after a crash in here must not find the old log without its files.
func (f *format) Drop(ctx context.Context, namespace, name string) error {
	folder := base(namespace, name)
	for _, last := range []bool{false, true} {
		for info, err := range f.store.List(ctx, folder) {
			if err != nil {
				return fmt.Errorf("drop delta table %s.%s: %w", namespace, name, err)
			}
			if strings.HasPrefix(info.Key, folder+logFolder) != last {
				continue
			}
			if err := f.store.Delete(ctx, info.Key); err != nil {
				return fmt.Errorf("drop delta table %s.%s: %w", namespace, name, err)
			}
		}
	}
	return nil
}

func base(namespace, name string) string { return namespace + "/" + name + "/" + Name + "/" }

// create writes version 0. Of several creators one wins, all get its table.
func (t *table) create(ctx context.Context, s tables.Spec) (*state, error) {
	if s.Schema == nil {
		return nil, fmt.Errorf("no schema for a new table: %w", tables.ErrSchema)
	}
	physical, err := physical(s.Schema)
	if err != nil {
		return nil, err
	}
	columns, err := partitionColumns(s.Schema)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("make table id: %w", err)
	}
	nowMs := t.config.Now().UnixMilli()
	meta := &metaData{
		ID: id.String(), Name: s.Name, Description: s.Comment,
		Format: formatSpec{"parquet", map[string]string{}}, PartitionColumns: columnNames(columns), CreatedTime: nowMs,
		Configuration: map[string]string{
			"delta.appendOnly":           "true",
			"delta.logRetentionDuration": fmt.Sprintf("interval %d hours", int64(t.config.LogRetention/time.Hour)),
			"delta.checkpointInterval":   fmt.Sprint(t.config.CheckpointEvery),
		},
	}
	if err := setSchema(meta, s.Schema, physical, nil); err != nil {
		return nil, err
	}
	p := protocolFor(physical, false)
	err = t.log.put(ctx, 0, []action{
		{CommitInfo: &commitInfo{
			Timestamp: nowMs, Operation: "CREATE TABLE", IsBlindAppend: true, EngineInfo: engineInfo,
			OperationParameters: map[string]any{"partitionBy": meta.partitionBy(), "isManaged": "false"},
		}},
		{Protocol: &p}, {MetaData: meta},
	})
	if err != nil && !errors.Is(err, blob.ErrExists) {
		return nil, err
	}
	st, err := t.log.load(ctx)
	if err == nil && st == nil {
		err = fmt.Errorf("table was dropped while it was made: %w", tables.ErrConflict)
	}
	return st, err
}

// partitionBy is how commitInfo names the partition columns.
func (m *metaData) partitionBy() string {
	text, err := json.Marshal(m.PartitionColumns)
	if err != nil {
		return "[]"
	}
	return string(text)
}

// setSchema states a schema in the table's metadata: for readers, and whole.
func setSchema(meta *metaData, s, physical *tables.Schema, changes typeChanges) error {
	columns, err := checkColumns(meta, s)
	if err != nil {
		return err
	}
	text, err := schemaString(physical, columns, changes)
	if err != nil {
		return err
	}
	own, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	meta.SchemaString, meta.Configuration[keySchema] = text, string(own)
	return nil
}
