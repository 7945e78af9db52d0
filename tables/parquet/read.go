package parquet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// Columns that say where a row comes from; every table has them.
const (
	PartitionColumn = "kafka_partition" // int32
	OffsetColumn    = "kafka_offset"    // int64
)

// readRows is how many rows a read holds at a time.
const readRows = 64 << 10

// ReadRowIDs yields where each row of a data file comes from, in the file's
// order, and reads nothing but those two columns. A file that is no Parquet
// file, or lacks them, ends it with tables.ErrBroken.
func ReadRowIDs(ctx context.Context, f blob.File) iter.Seq2[tables.RowID, error] {
	return func(yield func(tables.RowID, error) bool) {
		for batch, err := range ReadRows(ctx, f, []string{PartitionColumn, OffsetColumn}) {
			if err != nil {
				yield(tables.RowID{}, err)
				return
			}
			partitions, okP := column(batch, PartitionColumn).(*array.Int32)
			offsets, okO := column(batch, OffsetColumn).(*array.Int64)
			if !okP || !okO || partitions.NullN()+offsets.NullN() > 0 {
				yield(tables.RowID{}, fmt.Errorf("%s and %s are not filled int32 and int64 columns: %w", PartitionColumn, OffsetColumn, tables.ErrBroken))
				return
			}
			for i := range int(batch.NumRows()) {
				if !yield(tables.RowID{Partition: partitions.Value(i), Offset: offsets.Value(i)}, nil) {
					return
				}
			}
		}
	}
}

func column(b arrow.RecordBatch, name string) arrow.Array {
	if at := b.Schema().FieldIndices(name); len(at) == 1 {
		return b.Column(at[0])
	}
	return nil
}

// ReadRows yields a file's rows in batches, with the named top-level columns,
// all of them for nil. A batch is valid until the next one is asked for, unless
// retained. Errors are tables.ErrBroken where the file is damaged, else those
// of reading f or of ctx.
func ReadRows(ctx context.Context, f blob.File, columns []string) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		src := &source{ctx: ctx, file: f}
		r, err := openRows(src, columns, 0)
		if err != nil {
			yield(nil, err)
			return
		}
		readAll(src, r, yield)
	}
}

// ReadWhole yields all columns of a file in batches of about maxBytes, as far
// as the file's own figures tell how large its rows are. Otherwise it is
// ReadRows.
func ReadWhole(ctx context.Context, f blob.File, maxBytes int64) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		src := &source{ctx: ctx, file: f}
		r, err := openRows(src, nil, maxBytes)
		if err != nil {
			yield(nil, err)
			return
		}
		readAll(src, r, yield)
	}
}

func readAll(src *source, r pqarrow.RecordReader, yield func(arrow.RecordBatch, error) bool) {
	defer r.Release()
	for {
		more, err := next(src, r)
		if err != nil {
			yield(nil, err)
			return
		}
		if !more {
			return
		}
		if !yield(r.RecordBatch(), nil) {
			return
		}
	}
}

// source reads the file and remembers what went wrong in reading, so that a
// failed read is not taken for a damaged file.
type source struct {
	ctx  context.Context
	file blob.File

	mu  sync.Mutex
	err error // guarded by mu
}

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, pos int64) (int, error) {
	err := s.ctx.Err()
	n := 0
	if err == nil {
		n, err = s.file.ReadAt(p, pos)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

// explain tells a failed read from a damaged file. The Parquet library panics
// on some damaged files; here that is what it means.
func (s *source) explain(doing string, panicked any, err error) error {
	s.mu.Lock()
	failed := s.err
	s.mu.Unlock()
	switch {
	case failed != nil:
		return fmt.Errorf("%s: %w", doing, failed)
	case panicked != nil:
		return fmt.Errorf("%s: %v: %w", doing, panicked, tables.ErrBroken)
	case err == nil || errors.Is(err, tables.ErrBroken):
		return err
	case s.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, s.ctx.Err())
	}
	return fmt.Errorf("%s: %w: %w", doing, tables.ErrBroken, err)
}

// openRows opens a file for reading in batches of readRows, or fewer where
// maxBytes, if it is not 0, is less than they take.
func openRows(src *source, columns []string, maxBytes int64) (r pqarrow.RecordReader, err error) {
	defer func() { err = src.explain("open parquet file", recover(), err) }()
	pf, err := file.NewParquetReader(io.NewSectionReader(src, 0, src.file.Size()))
	if err != nil {
		return nil, err
	}
	batch := int64(readRows)
	if maxBytes > 0 {
		batch = max(1, min(batch, maxBytes/rowSize(pf)))
	}
	fr, err := arrowReader(pf, batch)
	if err != nil {
		return nil, err
	}
	var at []int
	if columns != nil {
		if at, err = leafIndices(fr, columns); err != nil {
			return nil, err
		}
	}
	return fr.GetRecordReader(src.ctx, at, nil)
}

// arrowReader reads a file as Arrow, whose types are those of Parquet's schema
// alone. Writers such as pyarrow also say which Arrow types they had
// (ARROW:schema): large texts, dictionaries, zones, as which arrow-go would hand
// over columns that are the same in the table.
func arrowReader(pf *file.Reader, batch int64) (*pqarrow.FileReader, error) {
	pf.MetaData().FileMetaData.KeyValueMetadata = nil
	return pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: batch}, memory.DefaultAllocator)
}

// CodecOf says how a file's first column is compressed; Zstd for a codec that
// Options has no word for. It reads the footer. Errors are those of ReadRows.
func CodecOf(ctx context.Context, f blob.File) (c Codec, err error) {
	src := &source{ctx: ctx, file: f}
	defer func() { err = src.explain("open parquet file", recover(), err) }()
	pf, err := file.NewParquetReader(io.NewSectionReader(src, 0, f.Size()))
	if err != nil {
		return "", err
	}
	if pf.NumRowGroups() == 0 {
		return Zstd, nil
	}
	chunk, err := pf.MetaData().RowGroup(0).ColumnChunk(0)
	if err != nil {
		return "", err
	}
	for _, word := range []Codec{Snappy, Gzip, LZ4, Uncompressed} {
		if have, _ := (Options{Codec: word}).compression(); have == chunk.Compression() {
			return word, nil
		}
	}
	return Zstd, nil
}

// rowSize is the mean size of a row in bytes, before compression; 1 at least.
func rowSize(r *file.Reader) int64 {
	total := int64(0)
	for i := range r.NumRowGroups() {
		total += r.MetaData().RowGroup(i).TotalByteSize()
	}
	return max(1, total/max(1, r.NumRows()))
}

func leafIndices(fr *pqarrow.FileReader, columns []string) ([]int, error) {
	s := fr.ParquetReader().MetaData().Schema
	var at []int
	for _, name := range columns {
		found := false
		for i := range s.NumColumns() {
			if s.ColumnRoot(i).Name() == name {
				at, found = append(at, i), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no column %s: %w", name, tables.ErrBroken)
		}
	}
	return at, nil
}

// Columns returns which of the names are top-level columns of a file. Errors are
// those of ReadRows.
func Columns(ctx context.Context, f blob.File, names []string) (have []string, err error) {
	src := &source{ctx: ctx, file: f}
	defer func() { err = src.explain("open parquet file", recover(), err) }()
	pf, err := file.NewParquetReader(io.NewSectionReader(src, 0, f.Size()))
	if err != nil {
		return nil, err
	}
	s := pf.MetaData().Schema
	for _, name := range names {
		for i := range s.NumColumns() {
			if s.ColumnRoot(i).Name() == name {
				have = append(have, name)
				break
			}
		}
	}
	return have, nil
}

func next(src *source, r pqarrow.RecordReader) (more bool, err error) {
	defer func() { err = src.explain("read parquet rows", recover(), err) }()
	if r.Next() {
		return true, nil
	}
	if err := r.Err(); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return false, nil
}

// TimestampColumn is when a row's record was made, µs UTC; every table has it.
const TimestampColumn = "kafka_timestamp"

// NewestRow is the greatest record timestamp of a data file, in Unix ms; ok is
// false if it cannot be told.
func NewestRow(ctx context.Context, f blob.File) (ms int64, ok bool, err error) {
	for batch, err := range ReadRows(ctx, f, []string{TimestampColumn}) {
		if err != nil {
			return 0, false, err
		}
		col, is := column(batch, TimestampColumn).(*array.Timestamp)
		if !is || col.NullN() > 0 || col.DataType().(*arrow.TimestampType).Unit != arrow.Microsecond {
			return 0, false, nil
		}
		for _, v := range col.Values() {
			if at := floorDiv(int64(v), 1000); !ok || at > ms {
				ms, ok = at, true
			}
		}
	}
	return ms, ok, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
