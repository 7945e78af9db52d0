package parquet

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Name is the format's name in tarn.table.formats and its folder's name.
const Name = "parquet"

// Defaults of Config.
const (
	// DefaultSnapshotEvery bounds what opening a table reads: one snapshot
	// entry and fewer than this many others.
	DefaultSnapshotEvery = 100
	// DefaultTrimGrace is how long entries below the newest snapshot stay for
	// readers that listed the log before it was written.
	DefaultTrimGrace = 10 * time.Minute
)

// Config of the format. Zero values are the defaults.
type Config struct {
	// SnapshotEvery is how many entries of the manifest log lie between two
	// that list all live files.
	SnapshotEvery int
	// TrimGrace is how old log entries are, at least, that are removed.
	TrimGrace time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

type format struct {
	store  blob.Store
	config Config
}

// New returns the plain Parquet format over store.
func New(store blob.Store, c Config) tables.Format {
	c.SnapshotEvery = cmp.Or(c.SnapshotEvery, DefaultSnapshotEvery)
	c.TrimGrace = cmp.Or(c.TrimGrace, DefaultTrimGrace)
	if c.Now == nil {
		c.Now = time.Now
	}
	return &format{store, c}
}

// Name implements tables.Format.
func (f *format) Name() string { return Name }

// Open implements tables.Format. It finishes what a crash left between the
// commit and the glob. Staged files stay for Sweep, which is told what is pending.
func (f *format) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t := &table{store: f.store, config: f.config, base: base(s.Namespace, s.Name)}
	t.log = log{store: f.store, prefix: t.base + logFolder}
	st, err := t.log.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("open parquet table %s.%s: %w", s.Namespace, s.Name, err)
	}
	if st == nil {
		if st, err = t.create(ctx, s); err != nil {
			return nil, fmt.Errorf("create parquet table %s.%s: %w", s.Namespace, s.Name, err)
		}
	}
	t.state, t.unlinked = st, true
	if err := t.finish(ctx); err != nil {
		return nil, fmt.Errorf("open parquet table %s.%s: %w", s.Namespace, s.Name, err)
	}
	return t, nil
}

// Drop implements tables.Format. Data files go first and the log last: a table
// made again after a crash in here must not find rows of the old one.
func (f *format) Drop(ctx context.Context, namespace, name string) error {
	folder := base(namespace, name)
	for _, last := range []bool{false, true} {
		for info, err := range f.store.List(ctx, folder) {
			if err != nil {
				return fmt.Errorf("drop parquet table %s.%s: %w", namespace, name, err)
			}
			_, isEntry := entryNumber(info.Key, folder+logFolder)
			if isEntry != last {
				continue
			}
			if err := f.store.Delete(ctx, info.Key); err != nil {
				return fmt.Errorf("drop parquet table %s.%s: %w", namespace, name, err)
			}
		}
	}
	return nil
}

func base(namespace, name string) string { return namespace + "/" + name + "/" + Name + "/" }

// create writes entry 0. Of several creators one wins, all get its table.
func (t *table) create(ctx context.Context, s tables.Spec) (*state, error) {
	for info, err := range t.store.List(ctx, t.base) {
		if err != nil {
			return nil, err
		}
		if t.liveName(info.Key) != "" {
			return nil, fmt.Errorf("%s lies where the table would: %w", info.Key, tables.ErrNotOurs)
		}
	}
	if s.Schema == nil {
		return nil, fmt.Errorf("no schema for a new table: %w", tables.ErrSchema)
	}
	first := entry{
		Format: entryFormat, Version: entryVersion, TimeMs: t.config.Now().UnixMilli(),
		Schema: s.Schema, Comment: s.Comment, Snapshot: &snapshot{Files: []liveFile{}},
	}
	if err := t.log.put(ctx, &first); err != nil && !isExists(err) {
		return nil, err
	}
	st, err := t.log.load(ctx)
	if err == nil && st == nil {
		err = fmt.Errorf("table was dropped while it was made: %w", tables.ErrConflict)
	}
	return st, err
}

// Physical implements tables.Table: timestamps are µs, which every reader has.
func (t *table) Physical(s *tables.Schema) (*tables.Schema, error) {
	return s.MapLeaves(func(f arrow.Field) arrow.Field {
		if ts, ok := f.Type.(*arrow.TimestampType); ok && ts.Unit == arrow.Nanosecond {
			f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: ts.TimeZone}
		}
		return f
	}), nil
}

// liveName returns the file's name if the key matches the glob, else "".
func (t *table) liveName(key string) string {
	name, ok := strings.CutPrefix(key, t.base)
	if !ok || strings.Contains(name, "/") || !strings.HasSuffix(name, suffix) {
		return ""
	}
	return name
}
