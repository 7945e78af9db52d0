package iceberg

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Rows implements tables.Table: it goes from the current snapshot over its
// manifests to the data files, and leaves out the rows that delete files of
// others take away.
func (t *tbl) Rows(ctx context.Context) iter.Seq2[tables.RowID, error] {
	return func(yield func(tables.RowID, error) bool) {
		now, data, deletes, err := t.current(ctx)
		if err != nil {
			yield(tables.RowID{}, err)
			return
		}
		gone, err := t.readDeletes(ctx, now.Metadata, deletes)
		if err != nil {
			yield(tables.RowID{}, err)
			return
		}
		for _, e := range data {
			if !t.fileRows(ctx, e, gone.of(e), yield) {
				return
			}
		}
	}
}

// readTries bounds how often reading the current snapshot begins anew because it
// was expired meanwhile: it was not the current one any more.
const readTries = 20

// current lists the entries of the table's present files.
func (t *tbl) current(ctx context.Context) (now *catalog.Table, data, deletes []iceberg.ManifestEntry, err error) {
	for range readTries {
		if now, err = t.load(ctx); err != nil {
			return nil, nil, nil, err
		}
		if data, deletes, err = t.live(ctx, now.Metadata.Current()); !errors.Is(err, tables.ErrBroken) {
			return now, data, deletes, err
		}
		if _, moved := t.moved(ctx, now.Metadata); !moved {
			break
		}
	}
	return nil, nil, nil, err
}

// moved is the table's metadata now, if it is no longer meta: what meta names
// may have been removed since.
func (t *tbl) moved(ctx context.Context, meta *metadata.Table) (*metadata.Table, bool) {
	now, err := t.load(ctx)
	if err != nil {
		return nil, false
	}
	a, b := now.Metadata.Current(), meta.Current()
	same := len(now.Metadata.Snapshots) == len(meta.Snapshots) && (a == nil) == (b == nil) && (a == nil || a.ID == b.ID)
	return now.Metadata, !same
}

// live lists the entries of a snapshot's data files and of its delete files.
func (t *tbl) live(ctx context.Context, s *metadata.Snapshot) (data, deletes []iceberg.ManifestEntry, err error) {
	list, err := t.manifests(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range list {
		for e, err := range m.Entries(t.files(ctx), true) {
			if err != nil {
				return nil, nil, fmt.Errorf("read manifest %s: %w", m.FilePath(), missing(err))
			}
			if e.DataFile().ContentType() == iceberg.EntryContentData {
				data = append(data, e)
			} else {
				deletes = append(deletes, e)
			}
		}
	}
	return data, deletes, nil
}

// openFile opens a file that the table's metadata names: if it is not there,
// the table is broken.
func (t *tbl) openFile(ctx context.Context, url string) (blob.File, error) {
	key, ok := t.store.Key(url)
	if !ok {
		return nil, fmt.Errorf("data file %s is outside the warehouse: %w", url, tables.ErrBroken)
	}
	f, err := t.store.Open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open data file: %w", missing(err))
	}
	return f, nil
}

// fileRows yields one file's rows but those that drop names; false ends the
// iteration.
func (t *tbl) fileRows(
	ctx context.Context, e iceberg.ManifestEntry, drop dropped, yield func(tables.RowID, error) bool,
) bool {
	url := e.DataFile().FilePath()
	f, err := t.openFile(ctx, url)
	if err != nil {
		yield(tables.RowID{}, err)
		return false
	}
	defer f.Close()
	matches, err := drop.matches(ctx, f)
	if err != nil {
		yield(tables.RowID{}, fmt.Errorf("data file %s: %w", url, err))
		return false
	}
	pos := int64(-1)
	for id, err := range parquet.ReadRowIDs(ctx, f) {
		if err != nil {
			yield(tables.RowID{}, fmt.Errorf("data file %s: %w", url, err))
			return false
		}
		if pos++; drop.at(pos) || matches[pos] {
			continue
		}
		if !yield(id, nil) {
			return false
		}
	}
	return true
}
