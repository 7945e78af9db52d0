package iceberg

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// tbl is one table. All truth is in the catalog; what is kept here says which
// table it is and what its schema was when last seen.
type tbl struct {
	*format
	ident catalog.Identifier

	// commits is held from load to commit, so that the writer and maintenance in
	// this process need not try again because of each other.
	commits sync.Mutex

	mu     sync.Mutex
	id     uuid.UUID      // guarded by mu; set once
	dir    string         // guarded by mu; blob key of the table's location
	schema *tables.Schema // guarded by mu
	keep   tables.Keep    // guarded by mu: of the last Expire
}

// open reads the table and pins which one it is.
func (t *tbl) open(ctx context.Context) error {
	_, err := t.load(ctx)
	return err
}

// load reads the table as it is now, and takes over its schema.
func (t *tbl) load(ctx context.Context) (*catalog.Table, error) {
	now, err := t.cat.LoadTable(ctx, t.ident)
	if errors.Is(err, catalog.ErrNoSuchTable) {
		return nil, fmt.Errorf("%w: %w", tables.ErrGone, err)
	}
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(now.Metadata)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", describe(t.ident), err)
	}
	dir, ok := t.store.Key(now.Metadata.Location)
	if !ok {
		return nil, fmt.Errorf("table location %s is outside the warehouse: %w", now.Metadata.Location, tables.ErrForeign)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.id == uuid.Nil {
		t.id = now.Metadata.UUID
	}
	if t.id != now.Metadata.UUID {
		return nil, fmt.Errorf("table %s was made again: %w", describe(t.ident), tables.ErrForeign)
	}
	t.dir, t.schema = dir, schema
	return now, nil
}

// Progress implements tables.Table.
func (t *tbl) Progress(ctx context.Context) (tables.Progress, error) {
	now, err := t.load(ctx)
	if err != nil {
		return tables.Progress{}, err
	}
	return progressOf(now.Metadata)
}

// Schema implements tables.Table.
func (t *tbl) Schema() *tables.Schema {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.schema
}

// Physical implements tables.Table: format version 2 has no nanoseconds.
func (t *tbl) Physical(s *tables.Schema) (*tables.Schema, error) { return physical(s) }

// DataPath implements tables.Table.
func (t *tbl) DataPath(name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return path.Join(t.dir, "data", name)
}

// Status implements tables.Table.
func (t *tbl) Status(ctx context.Context) (tables.Status, error) {
	now, err := t.load(ctx)
	if err != nil {
		return tables.Status{}, err
	}
	s := tables.Status{
		Format: t.Name(), Location: now.Metadata.Location, SchemaID: t.Schema().ID,
		Snapshots: len(now.Metadata.Snapshots),
	}
	snap := now.Metadata.Current()
	if snap == nil {
		return s, nil
	}
	s.Version, s.CommitMs = strconv.FormatInt(snap.ID, 10), snap.TimestampMs
	s.Files = snap.Total("total-data-files")
	s.Rows = snap.Total("total-records")
	s.Bytes = snap.Total("total-files-size")
	s.Foreign = foreignSnapshots(now.Metadata.Snapshots)
	return s, nil
}

// foreignSnapshots are those of others that change rows: ours say the progress.
func foreignSnapshots(all []*metadata.Snapshot) *tables.Foreign {
	var out *tables.Foreign
	for _, s := range all {
		if s.Operation == metadata.Replace || s.Summary[progressKey] != "" {
			continue
		}
		if out == nil {
			out = &tables.Foreign{}
		}
		out.Commits++
		if s.TimestampMs >= out.TimeMs {
			out.Version, out.TimeMs, out.Operation = strconv.FormatInt(s.ID, 10), s.TimestampMs, s.Operation
			out.Engine = strings.TrimSpace(s.Summary["engine-name"] + " " + s.Summary["engine-version"])
		}
	}
	return out
}

// files is iceberg-go's file system for use within ctx.
func (t *tbl) files(ctx context.Context) catalog.FS { return catalog.FileIO(ctx, t.store) }
