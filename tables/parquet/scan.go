package parquet

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	parquet "github.com/apache/arrow-go/v18/parquet/schema"

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
	// schema is the file's.
	schema *parquet.Schema
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

// Rows is how many rows the group has.
func (g Group) Rows() int64 { return g.meta.NumRows() }

// leaf is the chunk of a top-level column that is no struct, list or map; nil without
// one, and there where the file has no column of this name.
func (g Group) leaf(column string) (chunk *metadata.ColumnChunkMetaData, there bool) {
	at := slices.Index(g.roots, column)
	if at < 0 {
		return nil, false
	}
	if slices.Contains(g.roots[at+1:], column) || g.schema.Column(at).MaxRepetitionLevel() > 0 || len(g.schema.Column(at).ColumnPath()) != 1 {
		return nil, true
	}
	chunk, err := g.meta.ColumnChunk(at)
	if err != nil {
		return nil, true
	}
	return chunk, true
}

// Nulls is how many rows have no value in a top-level column; all of them if the file
// lacks it. ok is false where the file does not say.
func (g Group) Nulls(column string) (n int64, ok bool) {
	chunk, there := g.leaf(column)
	if !there {
		return g.Rows(), true
	}
	if chunk == nil {
		return 0, false
	}
	s, err := chunk.Statistics()
	if err != nil || s == nil || !s.HasNullCount() {
		return 0, false
	}
	return s.NullCount(), true
}

// Whole says what a column's whole numbers mean.
type Whole uint8

// What whole numbers mean: a number, days and microseconds since 1970.
const (
	Number Whole = iota
	Days
	Micros
)

// Ends are the least and the greatest value of a column of whole numbers, to the last
// digit: those of texts and floats may be rounded. ok is false of other columns, and
// where the file does not say.
func (g Group) Ends(column string) (least, most int64, means Whole, ok bool) {
	chunk, _ := g.leaf(column)
	if chunk == nil {
		return 0, 0, 0, false
	}
	switch of := g.schema.Column(slices.Index(g.roots, column)).LogicalType().(type) {
	case parquet.NoLogicalType, nil:
	case parquet.IntLogicalType:
		if !of.IsSigned() {
			return 0, 0, 0, false
		}
	case parquet.DateLogicalType:
		means = Days
	case parquet.TimestampLogicalType:
		if of.TimeUnit() != parquet.TimeUnitMicros {
			return 0, 0, 0, false
		}
		means = Micros
	default:
		return 0, 0, 0, false
	}
	from, to, ok := g.Bounds(column)
	least, ok1 := from.(int64)
	most, ok2 := to.(int64)
	return least, most, means, ok && ok1 && ok2
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
			if s.Want == nil || s.Want(Group{g, roots, meta.Schema}) {
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
	return arrowReader(pf, batch)
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
