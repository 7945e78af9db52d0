package iceberg

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Rows implements tables.Table: it goes from the current snapshot over its
// manifests to the data files. Where others have left delete files, iceberg-go
// applies them.
func (t *tbl) Rows(ctx context.Context) iter.Seq2[tables.RowID, error] {
	return func(yield func(tables.RowID, error) bool) {
		now, err := t.load(ctx)
		if err != nil {
			yield(tables.RowID{}, err)
			return
		}
		files, deletes, err := t.liveFiles(ctx, now)
		if err != nil {
			yield(tables.RowID{}, err)
			return
		}
		if deletes {
			scanRows(ctx, now, yield)
			return
		}
		for _, f := range files {
			if !t.fileRows(ctx, f, yield) {
				return
			}
		}
	}
}

// liveFiles lists the data files of the current snapshot; deletes says that
// some of their rows may be deleted.
func (t *tbl) liveFiles(ctx context.Context, now *table.Table) (files []string, deletes bool, err error) {
	snap := now.CurrentSnapshot()
	if snap == nil {
		return nil, false, nil
	}
	fs := t.files(ctx)
	manifests, err := snap.Manifests(fs)
	if err != nil {
		return nil, false, fmt.Errorf("read manifest list: %w", err)
	}
	for _, m := range manifests {
		if m.ManifestContent() == iceberg.ManifestContentDeletes {
			return nil, true, nil
		}
		for e, err := range m.Entries(fs, true) {
			if err != nil {
				return nil, false, fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			files = append(files, e.DataFile().FilePath())
		}
	}
	return files, false, nil
}

// fileRows yields one file's rows; false ends the iteration.
func (t *tbl) fileRows(ctx context.Context, url string, yield func(tables.RowID, error) bool) bool {
	key, ok := t.store.Key(url)
	if !ok {
		return yield(tables.RowID{}, fmt.Errorf("data file %s is outside the warehouse: %w", url, tables.ErrBroken))
	}
	f, err := t.store.Open(ctx, key)
	if err != nil {
		yield(tables.RowID{}, fmt.Errorf("open data file: %w", err))
		return false
	}
	defer f.Close()
	for id, err := range parquet.ReadRowIDs(ctx, f) {
		if err != nil {
			yield(tables.RowID{}, fmt.Errorf("data file %s: %w", key, err))
			return false
		}
		if !yield(id, nil) {
			return false
		}
	}
	return true
}

// scanRows lets iceberg-go read the two columns, with deletes applied.
func scanRows(ctx context.Context, now *table.Table, yield func(tables.RowID, error) bool) {
	scan := now.Scan(table.WithSelectedFields(parquet.PartitionColumn, parquet.OffsetColumn))
	_, batches, err := scan.ToArrowRecords(ctx)
	if err != nil {
		yield(tables.RowID{}, fmt.Errorf("scan table: %w", err))
		return
	}
	for b, err := range batches {
		if err != nil {
			yield(tables.RowID{}, fmt.Errorf("scan table: %w", err))
			return
		}
		more := batchRows(b, yield)
		b.Release()
		if !more {
			return
		}
	}
}

func batchRows(b arrow.RecordBatch, yield func(tables.RowID, error) bool) bool {
	if b.NumCols() != 2 {
		yield(tables.RowID{}, fmt.Errorf("scan gave %d columns: %w", b.NumCols(), tables.ErrBroken))
		return false
	}
	partitions, okP := b.Column(0).(*array.Int32)
	offsets, okO := b.Column(1).(*array.Int64)
	if !okP || !okO {
		yield(tables.RowID{}, errors.Join(errors.New("kafka_partition and kafka_offset have other types"), tables.ErrBroken))
		return false
	}
	for i := range int(b.NumRows()) {
		if partitions.IsNull(i) || offsets.IsNull(i) {
			yield(tables.RowID{}, fmt.Errorf("row without offset: %w", tables.ErrBroken))
			return false
		}
		if !yield(tables.RowID{Partition: partitions.Value(i), Offset: offsets.Value(i)}, nil) {
			return false
		}
	}
	return true
}
