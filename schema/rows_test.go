package schema

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// allKinds is one column of each kind, with a list of structs and a map below.
func allKinds() *arrow.Schema {
	inner := arrow.StructOf(
		arrow.Field{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "l", Type: arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.PrimitiveTypes.Int32, Nullable: true}), Nullable: true},
	)
	return arrow.NewSchema([]arrow.Field{
		{Name: "bool", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "date", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		{Name: "ts", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
		{Name: "f32", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
		{Name: "f64", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "bin", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "fix", Type: &arrow.FixedSizeBinaryType{ByteWidth: 3}, Nullable: true},
		{Name: "dec", Type: &arrow.Decimal128Type{Precision: 38, Scale: 2}, Nullable: true},
		{Name: "items", Type: arrow.ListOfField(arrow.Field{Name: "element", Type: inner, Nullable: true}), Nullable: true},
		{Name: "map", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64), Nullable: true},
	}, nil)
}

// fill appends row i to both our columns and Arrow's builders; every third row
// is all null.
func fill(r *Rows, b *array.RecordBuilder, i int) {
	if i%3 == 2 {
		for k := range b.Fields() {
			r.Column(k).Null()
			b.Field(k).AppendNull()
		}
		return
	}
	r.Column(0).Bool(i%2 == 0)
	b.Field(0).(*array.BooleanBuilder).Append(i%2 == 0)
	r.Column(1).Int32(int32(i))
	b.Field(1).(*array.Date32Builder).Append(arrow.Date32(i))
	r.Column(2).Int64(int64(i))
	b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(i))
	r.Column(3).Float32(float32(i) / 2)
	b.Field(3).(*array.Float32Builder).Append(float32(i) / 2)
	r.Column(4).Float64(float64(i) / 4)
	b.Field(4).(*array.Float64Builder).Append(float64(i) / 4)
	r.Column(5).Bytes([]byte(strings.Repeat("x", i%5)))
	b.Field(5).(*array.BinaryBuilder).Append([]byte(strings.Repeat("x", i%5)))
	r.Column(6).Fixed([]byte{1, 2, byte(i)})
	b.Field(6).(*array.FixedSizeBinaryBuilder).Append([]byte{1, 2, byte(i)})
	r.Column(7).Decimal(decimal128.FromI64(int64(-i)))
	b.Field(7).(*array.Decimal128Builder).Append(decimal128.FromI64(int64(-i)))

	list, lb := r.Column(8), b.Field(8).(*array.ListBuilder)
	st, sb := list.Elem(), lb.ValueBuilder().(*array.StructBuilder)
	lb.Append(true)
	for j := range i % 4 {
		if j == 1 {
			st.Null()
			sb.AppendNull()
			continue
		}
		st.Child(1).Elem().Int32(7)
		st.Child(1).Elem().Null()
		st.Child(1).List(2)
		st.Child(0).String("é")
		st.Struct()
		sb.Append(true)
		sb.FieldBuilder(0).(*array.StringBuilder).Append("é")
		in := sb.FieldBuilder(1).(*array.ListBuilder)
		in.Append(true)
		in.ValueBuilder().(*array.Int32Builder).AppendValues([]int32{7, 0}, []bool{true, false})
	}
	list.List(i % 4)

	m, mb := r.Column(9), b.Field(9).(*array.MapBuilder)
	mb.Append(true)
	for range i % 2 {
		m.Key().String("k")
		m.Value().Int64(9)
		mb.KeyBuilder().(*array.StringBuilder).Append("k")
		mb.ItemBuilder().(*array.Int64Builder).Append(9)
	}
	m.Map(i % 2)
}

// spoil appends half a row: some columns, and list elements that are not closed.
func spoil(r *Rows) {
	r.Column(0).Null()
	r.Column(1).Int32(1)
	r.Column(5).Null()
	r.Column(8).Elem().Child(0).String("left over")
	r.Column(8).Elem().Child(1).Elem().Null()
	r.Column(9).Key().String("left over")
	r.Column(9).Value().Null()
}

func TestRowsEqualArrowBuilders(t *testing.T) {
	s := allKinds()
	r, err := NewRows(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{0, 1, 2, 3, 8, 9, 1000, 500} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s)
		for i := range rows {
			if i%7 == 3 {
				spoil(r)
				r.Undo()
			}
			fill(r, b, i)
			if err := r.EndRow(); err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
		}
		spoil(r)
		if r.Len() != rows {
			t.Errorf("Len() = %d, want %d", r.Len(), rows)
		}
		if rows > 0 && r.Bytes() < int64(rows)*20 {
			t.Errorf("Bytes() = %d for %d rows", r.Bytes(), rows)
		}
		got, want := r.Batch(), b.NewRecordBatch()
		if !array.RecordEqual(got, want) {
			t.Fatalf("%d rows: got %v\nwant %v", rows, got, want)
		}
		for i, c := range got.Columns() {
			if err := array.ValidateFull(c); err != nil {
				t.Errorf("column %s: %v", s.Field(i).Name, err)
			}
		}
		if r.Len() != 0 || r.Bytes() != 0 {
			t.Errorf("after Batch: %d rows, %d bytes", r.Len(), r.Bytes())
		}
	}
}

func TestEndRowRefuses(t *testing.T) {
	tests := []struct {
		name string
		do   func(r *Rows)
		want string
	}{
		{"missing value", func(r *Rows) { r.Column(0).Null() }, "column date holds 0 values"},
		{"two values", func(r *Rows) { fillNull(r); r.Column(0).Null() }, "column bool holds 2 values"},
		{"wrong type", func(r *Rows) { fillNull(r); r.Column(0).Int64(1) }, "column bool: type bool takes no"},
		{"wrong width", func(r *Rows) { fillNull(r); r.Column(6).Fixed([]byte{1}) }, "column fix"},
		{"unclosed items", func(r *Rows) { r.Column(8).Elem().Null(); r.Column(8).List(2) }, "column items: element holds 1 values, the column counts 2"},
		{"struct short of a child", func(r *Rows) { r.Column(8).Elem().Struct() }, "column element: field s holds 0 values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewRows(allKinds())
			if err != nil {
				t.Fatal(err)
			}
			tt.do(r)
			if err := r.EndRow(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("EndRow() = %v, want %q", err, tt.want)
			}
			r.Undo()
			fillNull(r)
			if err := r.EndRow(); err != nil || r.Len() != 1 {
				t.Fatalf("after Undo: EndRow() = %v, %d rows", err, r.Len())
			}
		})
	}
}

func fillNull(r *Rows) {
	for i := range r.Columns().NumFields() {
		r.Column(i).Null()
	}
}

func TestFullColumn(t *testing.T) {
	r, err := NewRows(arrow.NewSchema([]arrow.Field{
		{Name: "s", Type: arrow.BinaryTypes.String},
		{Name: "l", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	r.limit = 10
	row := func(s string, n int) error {
		r.Column(0).String(s)
		for range n {
			r.Column(1).Elem().Int32(1)
		}
		r.Column(1).List(n)
		return r.EndRow()
	}
	if err := row("12345", 5); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{row("123456", 1)} {
		if !errors.Is(err, ErrFull) {
			t.Fatalf("too many bytes: %v, want ErrFull", err)
		}
	}
	r.Undo()
	if err := row("1", 6); !errors.Is(err, ErrFull) {
		t.Fatalf("too many items: %v, want ErrFull", err)
	}
	if b := r.Batch(); b.NumRows() != 1 {
		t.Fatalf("%d rows, want 1", b.NumRows())
	}
	if err := row("123456", 6); err != nil {
		t.Fatalf("after Batch: %v", err)
	}
}

func TestTruncateStepsBack(t *testing.T) {
	r, err := NewRows(allKinds())
	if err != nil {
		t.Fatal(err)
	}
	c := r.Column(8)
	c.Elem().Null()
	mark := c.Elem().Len()
	c.Elem().Child(1).Elem().Int32(1)
	c.Elem().Child(0).String("dropped")
	c.Elem().Truncate(mark)
	c.List(1)
	if c.Len() != 1 || c.Elem().Len() != 1 || c.Elem().Child(1).Elem().Len() != 0 {
		t.Fatalf("lengths %d, %d, %d", c.Len(), c.Elem().Len(), c.Elem().Child(1).Elem().Len())
	}
}

func TestDropLast(t *testing.T) {
	r, err := NewRows(allKinds())
	if err != nil {
		t.Fatal(err)
	}
	r.DropLast()
	for range 2 {
		fillNull(r)
		if err := r.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	spoil(r)
	r.DropLast()
	if r.Len() != 1 || r.Column(8).Elem().Len() != 0 {
		t.Errorf("%d rows, %d items", r.Len(), r.Column(8).Elem().Len())
	}
	fillNull(r)
	if err := r.EndRow(); err != nil || r.Batch().NumRows() != 2 {
		t.Errorf("after it: %v", err)
	}
}

func TestNewRowsRefuses(t *testing.T) {
	deep := arrow.PrimitiveTypes.Int32
	for range 2*MaxDepth + 1 {
		deep = arrow.ListOf(deep)
	}
	wide := make([]arrow.Field, MaxFields+1)
	for i := range wide {
		wide[i] = arrow.Field{Name: "f", Type: arrow.PrimitiveTypes.Int32}
	}
	for _, typ := range []arrow.DataType{arrow.PrimitiveTypes.Int8, arrow.BinaryTypes.LargeString, deep, arrow.StructOf(wide...)} {
		if _, err := NewRows(arrow.NewSchema([]arrow.Field{{Name: "a", Type: typ}}, nil)); err == nil {
			t.Errorf("NewRows took %.60s", typ)
		}
	}
}

func TestRowsAllocateNothingWarm(t *testing.T) {
	r, err := NewRows(allKinds())
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, allKinds())
	row := func(i int) {
		fill(r, b, i)
		if err := r.EndRow(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2000 {
		row(i)
	}
	r.Batch()
	for range 10 {
		for i := range 9 {
			fillWarm(r, i)
		}
	}
	got := testing.AllocsPerRun(100, func() {
		for i := range 9 {
			fillWarm(r, i)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations per 9 rows, want 0", got)
	}
}

// fillWarm appends a row without builders beside it.
func fillWarm(r *Rows, i int) {
	if i%3 == 2 {
		fillNull(r)
	} else {
		r.Column(0).Bool(true)
		r.Column(1).Int32(1)
		r.Column(2).Int64(1)
		r.Column(3).Float32(1)
		r.Column(4).Float64(1)
		r.Column(5).String("xx")
		r.Column(6).Fixed(r.zeros)
		r.Column(7).Decimal(decimal128.Num{})
		r.Column(8).Elem().Null()
		r.Column(8).List(1)
		r.Column(9).Map(0)
	}
	if err := r.EndRow(); err != nil {
		panic(err)
	}
}
