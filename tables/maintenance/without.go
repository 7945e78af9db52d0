package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/compute"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Without writes the rows of a live file but those at the positions of drop,
// which are sorted and stand once, as a new file at path, in the columns of
// physical. nil without an error says that no row is left. It holds the file and
// some 64 MiB in memory. Errors are those of reading and writing;
// tables.ErrConflict for a file that is gone, tables.ErrSchema for one with
// columns that are none of the table's.
func Without(
	ctx context.Context, store blob.Store, physical *tables.Schema, f tables.LiveFile, drop []int64, path string,
) (*tables.DataFile, error) {
	codec, err := codecOf(ctx, store, f.Key)
	if err != nil {
		return nil, err
	}
	opts := parquet.Options{Codec: codec, NoStats: map[string]bool{}}
	for {
		file, err := withoutOnce(ctx, store, physical, f, drop, opts)
		var nan *parquet.NaNError
		switch {
		case errors.Is(err, parquet.ErrEmpty):
			return nil, nil
		case errors.As(err, &nan) && !opts.NoStats[nan.Path]:
			opts.NoStats[nan.Path] = true
			continue
		case err != nil:
			return nil, fmt.Errorf("rewrite %s: %w", f.Key, err)
		}
		if err := store.Put(ctx, path, file.Bytes); err != nil {
			discard(ctx, store, path)
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
		df := file.DataFile(physical.ID)
		df.Path, df.Ranges, df.WrittenMs, df.Like = path, f.Ranges, time.Now().UnixMilli(), f.Key
		return &df, nil
	}
}

func withoutOnce(
	ctx context.Context, store blob.Store, physical *tables.Schema, f tables.LiveFile, drop []int64, opts parquet.Options,
) (parquet.File, error) {
	e := &encoder{physical: physical, w: parquet.NewWriter(physical, opts, f.Size)}
	defer e.release()
	if err := e.read(ctx, store, f.Key, drop); err != nil {
		return parquet.File{}, err
	}
	if err := e.flush(); err != nil {
		return parquet.File{}, err
	}
	return e.w.Close()
}

// without takes the rows at sorted positions out of a batch whose first row is
// at from, and releases it.
func without(ctx context.Context, b arrow.RecordBatch, drop []int64, from int64) (arrow.RecordBatch, error) {
	if len(drop) == 0 {
		return b, nil
	}
	defer b.Release()
	keep := make([]bool, b.NumRows())
	for i := range keep {
		keep[i] = true
	}
	for _, pos := range drop {
		keep[pos-from] = false
	}
	return Pick(ctx, b, keep)
}

// Pick returns the rows of a batch for which keep is true, in their order, as a
// batch of its own that the caller releases.
func Pick(ctx context.Context, b arrow.RecordBatch, keep []bool) (arrow.RecordBatch, error) {
	mask := array.NewBooleanBuilder(memory.DefaultAllocator)
	defer mask.Release()
	mask.AppendValues(keep, nil)
	picked := mask.NewBooleanArray()
	defer picked.Release()
	out, err := compute.FilterRecordBatch(ctx, b, picked, compute.DefaultFilterOptions())
	if err != nil {
		return nil, fmt.Errorf("pick rows: %w", err)
	}
	return out, nil
}
