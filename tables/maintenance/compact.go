package maintenance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
)

// Bounds of the memory that one rewrite takes, beside the file that it makes.
const (
	// groupBytes of decoded columns, or groupRows, become one row group.
	groupBytes = 32 << 20
	groupRows  = 1 << 20
	// readBytes is about how much is decoded at a time.
	readBytes = 8 << 20
)

// Rewritten says what a rewrite has done.
type Rewritten struct {
	Files int   `json:"files"` // before
	Made  int   `json:"made"`  // after
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"` // read
}

// Merge makes one file of a group of live files and puts it in their place. A
// file that the table refuses is removed again; where the outcome is unknown it
// stays, for a sweep if nothing names it. Errors are those of
// tables.Maintainer.Replace (ErrConflict also for a file that is gone), and tables.ErrSchema for files with columns that
// are none of the table's.
func Merge(ctx context.Context, store blob.Store, t tables.Maintainer, group []tables.LiveFile) (Rewritten, error) {
	var out Rewritten
	id := uuid.NewString()
	physical, err := t.Physical(t.Schema())
	if err != nil {
		return out, err
	}
	file, err := encode(ctx, store, physical, group)
	if err != nil {
		return out, err
	}
	r := tables.Replacement{ID: id, Summary: map[string]string{"tarn.maintenance": "compact", "tarn.files": strconv.Itoa(len(group))}}
	ranges := map[int32]tables.Range{}
	for _, f := range group {
		if f.Partition != group[0].Partition {
			return out, fmt.Errorf("%s and %s are of two partitions, which cannot become one: %w", group[0].Key, f.Key, tables.ErrUnsupported)
		}
		r.Remove = append(r.Remove, f.Key)
		out.Rows, out.Bytes = out.Rows+f.Rows, out.Bytes+f.Size
		widen(ranges, f.Ranges)
	}
	if out.Rows != file.Rows {
		return out, fmt.Errorf("%d files hold %d rows, by the table's count %d: %w", len(group), file.Rows, out.Rows, tables.ErrBroken)
	}
	df := file.DataFile(physical.ID)
	df.Path, df.WrittenMs = t.DataPath("compact-"+id+".parquet"), time.Now().UnixMilli()
	df.Like = group[0].Key
	for _, p := range slices.Sorted(maps.Keys(ranges)) {
		df.Ranges = append(df.Ranges, ranges[p])
	}
	r.Add = []tables.DataFile{df}
	if err := store.Put(ctx, df.Path, file.Bytes); err != nil {
		discard(ctx, store, df.Path)
		return out, fmt.Errorf("write merged file: %w", err)
	}
	if err := t.Replace(ctx, r); err != nil {
		if refused(err) {
			discard(ctx, store, df.Path)
			return out, err
		}
		// It may have happened: the table knows.
		if landed, lerr := t.Landed(ctx, id, df.Path); lerr != nil || !landed {
			return out, err
		}
	}
	out.Files, out.Made = len(group), 1
	return out, nil
}

// refused reports whether an error of Replace says that nothing happened.
func refused(err error) bool {
	return errors.Is(err, tables.ErrConflict) || errors.Is(err, tables.ErrFile) || errors.Is(err, tables.ErrUnsupported)
}

// removeTimeout bounds the removal of a file that is not needed.
const removeTimeout = 10 * time.Second

// discard removes a file that no table has. One that stays is swept.
func discard(ctx context.Context, store blob.Store, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_ = store.Delete(ctx, key)
}

// widen takes ranges into those that a merged file covers: what lies between two
// of a partition was covered by others of the table, or is none of it.
func widen(all map[int32]tables.Range, more []tables.Range) {
	for _, r := range more {
		have, ok := all[r.Partition]
		if !ok {
			all[r.Partition] = r
			continue
		}
		have.From, have.To = min(have.From, r.From), max(have.To, r.To)
		all[r.Partition] = have
	}
}

// encode reads the rows of all files and writes them as one. Where a column
// turns out to have NaN it begins again without bounds for it.
func encode(ctx context.Context, store blob.Store, physical *tables.Schema, group []tables.LiveFile) (parquet.File, error) {
	codec, err := codecOf(ctx, store, group[0].Key)
	if err != nil {
		return parquet.File{}, err
	}
	opts := parquet.Options{Codec: codec, NoStats: map[string]bool{}}
	for {
		file, err := encodeOnce(ctx, store, physical, group, opts)
		var nan *parquet.NaNError
		if !errors.As(err, &nan) || opts.NoStats[nan.Path] {
			return file, err
		}
		opts.NoStats[nan.Path] = true
	}
}

// codecOf is how a file is compressed: what is made of it is too.
func codecOf(ctx context.Context, store blob.Store, key string) (parquet.Codec, error) {
	f, err := store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return "", fmt.Errorf("rewrite %s: %w: %w", key, tables.ErrConflict, err) // replaced by others meanwhile
	}
	if err != nil {
		return "", fmt.Errorf("rewrite %s: %w", key, err)
	}
	defer f.Close()
	return parquet.CodecOf(ctx, f)
}

func encodeOnce(ctx context.Context, store blob.Store, physical *tables.Schema, group []tables.LiveFile, opts parquet.Options) (parquet.File, error) {
	size := int64(0)
	for _, f := range group {
		size += f.Size
	}
	e := &encoder{physical: physical, w: parquet.NewWriter(physical, opts, size)}
	defer e.release()
	for _, f := range group {
		if err := e.read(ctx, store, f.Key, nil); err != nil {
			return parquet.File{}, fmt.Errorf("rewrite %s: %w", f.Key, err)
		}
	}
	if err := e.flush(); err != nil {
		return parquet.File{}, err
	}
	return e.w.Close()
}

// encoder gathers rows for row groups.
type encoder struct {
	physical *tables.Schema
	w        *parquet.Writer
	rows     []arrow.RecordBatch
	count    int64
	bytes    int64
}

// read takes in a file's rows but those at the positions of drop, which are
// sorted.
func (e *encoder) read(ctx context.Context, store blob.Store, key string, drop []int64) error {
	f, err := store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", tables.ErrConflict, err) // replaced by others meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	at := int64(0) // position of the batch's first row
	for b, err := range parquet.ReadWhole(ctx, f, readBytes) {
		if err != nil {
			return err
		}
		fit, err := tables.Convert(b, e.physical)
		if err != nil {
			return err
		}
		n := sort.Search(len(drop), func(i int) bool { return drop[i] >= at+b.NumRows() })
		if fit, err = without(ctx, fit, drop[:n], at); err != nil {
			return err
		}
		drop, at = drop[n:], at+b.NumRows()
		if fit.NumRows() == 0 {
			fit.Release()
			continue
		}
		e.rows = append(e.rows, fit)
		e.count, e.bytes = e.count+fit.NumRows(), e.bytes+recordSize(fit)
		if e.count >= groupRows || e.bytes >= groupBytes {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *encoder) flush() error {
	if len(e.rows) == 0 {
		return nil
	}
	err := e.w.Write(e.rows)
	e.release()
	return err
}

func (e *encoder) release() {
	for _, b := range e.rows {
		b.Release()
	}
	e.rows, e.count, e.bytes = nil, 0, 0
}

// recordSize is how many bytes a batch's columns hold.
func recordSize(b arrow.RecordBatch) int64 {
	var n int64
	for _, c := range b.Columns() {
		n += dataSize(c.Data())
	}
	return n
}

func dataSize(d arrow.ArrayData) int64 {
	var n int64
	for _, b := range d.Buffers() {
		if b != nil {
			n += int64(b.Len())
		}
	}
	for _, c := range d.Children() {
		n += dataSize(c)
	}
	return n
}
