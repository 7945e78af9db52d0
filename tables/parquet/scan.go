package parquet

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/tables/blob"
)

// Scan says what a scan reads of a data file.
type Scan struct {
	// Columns are top-level columns; those that the file lacks are left out. None
	// counts rows only, from the file's footer.
	Columns []string
	// Want reports whether a row group may hold rows that are looked for; nil takes
	// all.
	Want func(g Group) bool
	// Batch is how many rows come at a time, at most; 0 is 8192.
	Batch int64
}

// Piece are neighbouring rows of a file.
type Piece struct {
	// First is the position of the first of them in the file.
	First int64
	N     int64
	// Rows has the columns that the file has, valid until the next piece is asked
	// for. nil if no column was asked for, or the file has none of them.
	Rows arrow.RecordBatch
}

// Group is a row group, as its statistics tell.
type Group struct {
	meta  *metadata.RowGroupMetaData
	roots []string // by leaf
}

// Bounds are the least and the greatest value of a top-level column that is no
// struct, list or map: int64, float64 or []byte, by the column's physical type. ok
// is false where the file does not say.
func (g Group) Bounds(column string) (least, most any, ok bool) {
	at := slices.Index(g.roots, column)
	if at < 0 || slices.Contains(g.roots[at+1:], column) {
		return nil, nil, false
	}
	chunk, err := g.meta.ColumnChunk(at)
	if err != nil {
		return nil, nil, false
	}
	s, err := chunk.Statistics()
	if err != nil || s == nil || !s.HasMinMax() {
		return nil, nil, false
	}
	switch s := s.(type) {
	case *metadata.Int32Statistics:
		return int64(s.Min()), int64(s.Max()), true
	case *metadata.Int64Statistics:
		return s.Min(), s.Max(), true
	case *metadata.Float32Statistics:
		return float64(s.Min()), float64(s.Max()), true
	case *metadata.Float64Statistics:
		return s.Min(), s.Max(), true
	case *metadata.ByteArrayStatistics:
		return []byte(s.Min()), []byte(s.Max()), true
	}
	return nil, nil, false
}

// defaultBatch is how many rows of a few columns fit a processor's caches.
const defaultBatch = 8 << 10

// ReadSome yields the rows of a data file that a scan wants, in the file's order.
// Errors are those of ReadRows.
func ReadSome(ctx context.Context, f blob.File, s Scan) iter.Seq2[Piece, error] {
	if s.Batch == 0 {
		s.Batch = defaultBatch
	}
	return func(yield func(Piece, error) bool) {
		src := &source{ctx: ctx, file: f}
		fr, err := openScan(src, s.Batch)
		if err != nil {
			yield(Piece{}, err)
			return
		}
		meta := fr.ParquetReader().MetaData()
		var roots []string
		var leaves []int
		for i := range meta.Schema.NumColumns() {
			roots = append(roots, meta.Schema.ColumnRoot(i).Name())
			if slices.Contains(s.Columns, roots[i]) {
				leaves = append(leaves, i)
			}
		}
		first := int64(0)
		for i := range fr.ParquetReader().NumRowGroups() {
			g := meta.RowGroup(i)
			n := g.NumRows()
			if s.Want == nil || s.Want(Group{g, roots}) {
				if len(leaves) == 0 {
					if !yield(Piece{First: first, N: n}, nil) {
						return
					}
				} else if !readGroup(src, fr, leaves, i, first, yield) {
					return
				}
			}
			first += n
		}
	}
}

func openScan(src *source, batch int64) (fr *pqarrow.FileReader, err error) {
	defer func() { err = src.explain("open parquet file", recover(), err) }()
	pf, err := file.NewParquetReader(io.NewSectionReader(src, 0, src.file.Size()))
	if err != nil {
		return nil, err
	}
	return pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: batch}, memory.DefaultAllocator)
}

// readGroup yields the rows of one row group; false ends the scan.
func readGroup(src *source, fr *pqarrow.FileReader, leaves []int, group int, first int64, yield func(Piece, error) bool) bool {
	r, err := openGroup(src, fr, leaves, group)
	if err != nil {
		yield(Piece{}, err)
		return false
	}
	defer r.Release()
	for {
		more, err := next(src, r)
		if err != nil {
			yield(Piece{}, err)
			return false
		}
		if !more {
			return true
		}
		b := r.RecordBatch()
		if !yield(Piece{First: first, N: b.NumRows(), Rows: b}, nil) {
			return false
		}
		first += b.NumRows()
	}
}

func openGroup(src *source, fr *pqarrow.FileReader, leaves []int, group int) (r pqarrow.RecordReader, err error) {
	defer func() { err = src.explain(fmt.Sprintf("open row group %d", group), recover(), err) }()
	return fr.GetRecordReader(src.ctx, leaves, []int{group})
}
