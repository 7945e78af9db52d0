package schema

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// ErrFull says that a column has reached what 32-bit offsets can say. The row
// was refused, not the payload: Undo, take the Batch, and decode it again.
var ErrFull = errors.New("column is full")

// maxOffset bounds the bytes of a binary column and the items of a list
// column: Arrow's offsets are int32.
const maxOffset = math.MaxInt32

// Rows collects decoded rows in columns until Batch hands them to Arrow.
//
// A decoder appends one value to every top-level column and then calls EndRow;
// on any error it calls Undo. Both are the decoder's to call, inside Decode.
// Warmed up, appending does not allocate. Not safe for concurrent use.
type Rows struct {
	columns *arrow.Schema
	kept    *arrow.Schema // those of columns that Batch has
	top     *Column       // all columns, as the fields of one struct
	cols    []*Column     // top's
	n       int           // rows ended
	err     error         // first mistake or overflow since the last EndRow
	limit   int           // maxOffset; lower in tests
	zeros   []byte        // as long as the widest fixed_size_binary
}

// NewRows makes empty rows of these columns. It refuses Arrow types that the
// type mapping does not use, and more depth or columns than the limits.
func NewRows(s *arrow.Schema) (*Rows, error) {
	return NewSomeRows(s, func(int) bool { return true })
}

// NewSomeRows is NewRows for who wants some of the columns: wanted is asked of each
// column's place in s. A decoder fills such rows as it fills all, and refuses the same
// payloads; of the other columns only the number of values is kept, nothing can be
// read back from them, and Batch has the wanted ones alone, in the order of s.
func NewSomeRows(s *arrow.Schema, wanted func(i int) bool) (*Rows, error) {
	r := &Rows{columns: s, kept: s, limit: maxOffset}
	leaves := 0
	var kept []arrow.Field
	for i, f := range s.Fields() {
		c, err := r.column(f, 0, &leaves)
		if err != nil {
			return nil, err
		}
		if r.cols = append(r.cols, c); wanted(i) {
			kept = append(kept, f)
		} else {
			c.drop()
		}
	}
	if len(kept) < len(r.cols) {
		r.kept = arrow.NewSchema(kept, nil)
	}
	r.top = &Column{rows: r, kind: kindStruct, kids: r.cols}
	return r, nil
}

// column makes the column of a field and those below it.
func (r *Rows) column(f arrow.Field, depth int, leaves *int) (*Column, error) {
	if depth > 2*MaxDepth { // a list in a record counts two levels
		return nil, fmt.Errorf("column %s: nested deeper than %d levels", f.Name, 2*MaxDepth)
	}
	c := &Column{rows: r, field: f}
	var kids []arrow.Field
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		c.kind = kindBool
	case *arrow.Int32Type, *arrow.Date32Type:
		c.kind = kindInt32
	case *arrow.Int64Type, *arrow.Time64Type, *arrow.TimestampType:
		c.kind = kindInt64
	case *arrow.Float32Type:
		c.kind = kindFloat32
	case *arrow.Float64Type:
		c.kind = kindFloat64
	case *arrow.BinaryType, *arrow.StringType:
		c.kind = kindBytes
	case *arrow.FixedSizeBinaryType:
		c.kind, c.width = kindFixed, t.ByteWidth
		if len(r.zeros) < c.width {
			r.zeros = make([]byte, c.width)
		}
	case *arrow.Decimal128Type:
		c.kind = kindDecimal
	case *arrow.StructType:
		c.kind, kids = kindStruct, t.Fields()
	case *arrow.ListType:
		c.kind, kids = kindList, []arrow.Field{t.ElemField()}
	case *arrow.MapType:
		c.kind, kids = kindMap, []arrow.Field{t.KeyField(), t.ItemField()}
	default:
		return nil, fmt.Errorf("column %s: no column of type %s", f.Name, f.Type)
	}
	if len(kids) == 0 {
		if *leaves++; *leaves > MaxFields {
			return nil, fmt.Errorf("more than %d columns", MaxFields)
		}
	}
	for _, k := range kids {
		kid, err := r.column(k, depth+1, leaves)
		if err != nil {
			return nil, err
		}
		c.kids = append(c.kids, kid)
	}
	return c, nil
}

// drop makes a column keep nothing, nor those below it.
func (c *Column) drop() {
	c.kind = kindDropped
	for _, k := range c.kids {
		k.drop()
	}
}

// Columns is the Arrow schema that the rows were made from.
func (r *Rows) Columns() *arrow.Schema { return r.columns }

// Column is the i-th top-level column.
func (r *Rows) Column(i int) *Column { return r.cols[i] }

// Top holds the top-level columns as its children, for decoders that treat a
// record alike at all depths. It takes no values itself: EndRow ends the row.
func (r *Rows) Top() *Column { return r.top }

// Len is the number of rows ended.
func (r *Rows) Len() int { return r.n }

// Bytes is how many bytes the columns hold, at all depths. Their capacity is at
// most about twice that. It walks the columns: ask once per batch, not per row.
func (r *Rows) Bytes() int64 {
	var sum int64
	for _, c := range r.cols {
		sum += c.bytes()
	}
	return sum
}

func (c *Column) bytes() int64 {
	sum := int64(len(c.valid)+len(c.data)) +
		4*int64(len(c.off)+len(c.i32)+len(c.f32)) +
		8*int64(len(c.i64)+len(c.f64)) + 16*int64(len(c.dec))
	for _, k := range c.kids {
		sum += k.bytes()
	}
	return sum
}

// EndRow ends the row: every top-level column must have got exactly one value.
// ErrFull says that a column cannot hold the row; any other error is a mistake
// of the decoder. After an error only Undo is left.
func (r *Rows) EndRow() error {
	if r.err != nil {
		return r.err
	}
	for _, c := range r.cols {
		if c.n != r.n+1 {
			return fmt.Errorf("column %s holds %d values after row %d", c.field.Name, c.n, r.n)
		}
	}
	r.n++
	return nil
}

// Undo drops all that was appended since the last EndRow, at any depth.
func (r *Rows) Undo() {
	for _, c := range r.cols {
		c.Truncate(r.n)
	}
	r.err = nil
}

// DropLast takes back the last row ended, and what was appended after it: for
// callers that fill several Rows in step. Without rows it only does Undo.
func (r *Rows) DropLast() {
	r.n = max(0, r.n-1)
	r.Undo()
}

// fail keeps the first error of a row for EndRow.
func (r *Rows) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Batch hands the ended rows over to Arrow without copying them and leaves r
// empty, to be filled again; what was appended after the last EndRow is gone. It has
// the columns that were wanted.
// The memory is Go's: Release does nothing that matters.
func (r *Rows) Batch() arrow.RecordBatch {
	r.Undo()
	arrays := make([]arrow.Array, 0, r.kept.NumFields())
	for _, c := range r.cols {
		if c.kind == kindDropped {
			c.n = 0
			continue
		}
		arrays = append(arrays, array.MakeFromData(c.take()))
	}
	n := r.n
	r.n = 0
	return array.NewRecordBatch(r.kept, arrays, int64(n))
}

// take hands over the column's slices as Arrow data and empties it, keeping
// only their sizes.
func (c *Column) take() arrow.ArrayData {
	buffers := c.buffers()
	var kids []arrow.ArrayData
	for _, k := range c.kids {
		kids = append(kids, k.take())
	}
	if m, ok := c.field.Type.(*arrow.MapType); ok {
		entries := array.NewData(m.Elem(), kids[0].Len(), []*memory.Buffer{nil}, kids, 0, 0)
		kids = []arrow.ArrayData{entries}
	}
	nulls := 0
	if c.valid != nil {
		nulls = c.n
		for _, b := range c.valid {
			nulls -= bits.OnesCount8(b)
		}
	}
	d := array.NewData(c.field.Type, c.n, buffers, kids, nulls, 0)
	c.hintLen, c.hintData = c.n+c.n/8, len(c.data)+len(c.data)/8
	c.n, c.valid, c.data, c.off = 0, nil, nil, nil
	c.i32, c.i64, c.f32, c.f64, c.dec = nil, nil, nil, nil, nil
	return d
}

// buffers lists the buffers in the order of Arrow's columnar format.
func (c *Column) buffers() []*memory.Buffer {
	var valid *memory.Buffer
	if c.valid != nil {
		valid = memory.NewBufferBytes(c.valid)
	}
	if c.kind >= kindList || c.kind == kindBytes {
		if len(c.off) == 0 {
			c.off = []int32{0}
		}
	}
	off := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.off))
	var values []byte
	switch c.kind {
	case kindStruct:
		return []*memory.Buffer{valid}
	case kindList, kindMap:
		return []*memory.Buffer{valid, off}
	case kindBytes:
		return []*memory.Buffer{valid, off, memory.NewBufferBytes(c.data)}
	case kindBool, kindFixed:
		values = c.data
	case kindInt32:
		values = arrow.Int32Traits.CastToBytes(c.i32)
	case kindInt64:
		values = arrow.Int64Traits.CastToBytes(c.i64)
	case kindFloat32:
		values = arrow.Float32Traits.CastToBytes(c.f32)
	case kindFloat64:
		values = arrow.Float64Traits.CastToBytes(c.f64)
	case kindDecimal:
		values = arrow.Decimal128Traits.CastToBytes(c.dec)
	}
	return []*memory.Buffer{valid, memory.NewBufferBytes(values)}
}
