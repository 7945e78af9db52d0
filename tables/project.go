package tables

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Project fits rows of an older or narrower Arrow schema to a table's schema,
// matching fields by name at every level: missing fields become nulls, int32
// widens to int64, float32 to float64, decimals to more precision, and field
// ids and order become the table's. Unchanged columns share their memory with
// the batch. The caller releases the result.
//
// Errors are ErrSchema: a column that to does not have (rows would be lost), a
// type that does not fit, a null where to requires a value.
func Project(batch arrow.RecordBatch, to *Schema) (arrow.RecordBatch, error) {
	return fitter{}.batch(batch, to)
}

// Convert is Project to a format's physical schema (Table.Physical): it also
// truncates timestamps from ns to µs, and turns time64 into int64 µs and
// fixed_size_binary into binary, where to has them so.
func Convert(batch arrow.RecordBatch, to *Schema) (arrow.RecordBatch, error) {
	return fitter{physical: true}.batch(batch, to)
}

// fitter fits data of one schema to another.
type fitter struct {
	physical bool // leaves may take another representation too
}

func (p fitter) batch(batch arrow.RecordBatch, to *Schema) (arrow.RecordBatch, error) {
	n := int(batch.NumRows())
	have := batch.Schema()
	if err := checkKnown(have.Fields(), to.Arrow.Fields(), ""); err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, 0, to.Arrow.NumFields())
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for _, f := range to.Arrow.Fields() {
		var from arrow.ArrayData
		if at := have.FieldIndices(f.Name); len(at) == 1 {
			from = batch.Column(at[0]).Data()
		}
		data, err := p.field(from, f, n, "")
		if err != nil {
			return nil, err
		}
		if !f.Nullable && data.NullN() != 0 && nulls(data) > 0 {
			data.Release()
			return nil, fmt.Errorf("%s: null in a required column: %w", f.Name, ErrSchema)
		}
		cols = append(cols, array.MakeFromData(data))
		data.Release()
	}
	return array.NewRecordBatch(to.Arrow, cols, int64(n)), nil
}

// field fits one field's data, nil if there is none, to the field f. Data
// may be longer than n: children of a sliced struct are.
func (p fitter) field(from arrow.ArrayData, f arrow.Field, n int, parent string) (arrow.ArrayData, error) {
	path := join(parent, f.Name)
	if from == nil {
		if !f.Nullable && n > 0 {
			return nil, fmt.Errorf("%s: required column is missing: %w", path, ErrSchema)
		}
		return nullData(f.Type, n), nil
	}
	return p.data(from, f.Type, path)
}

// data returns the data as type to, retained for the caller. Offsets stay as
// they are: Arrow applies a struct's offset to its children too.
func (p fitter) data(from arrow.ArrayData, to arrow.DataType, path string) (arrow.ArrayData, error) {
	have := from.DataType()
	switch t := to.(type) {
	case *arrow.StructType:
		if h, ok := have.(*arrow.StructType); ok {
			return p.structs(from, h, t, path)
		}
	case *arrow.ListType:
		if _, ok := have.(*arrow.ListType); ok {
			elem, err := p.data(from.Children()[0], t.Elem(), join(path, "element"))
			if err != nil {
				return nil, err
			}
			defer elem.Release()
			return withType(from, t, elem), nil
		}
	case *arrow.MapType:
		if _, ok := have.(*arrow.MapType); ok {
			return p.maps(from, t, path)
		}
	default:
		if arrow.TypeEqual(have, to) {
			return withType(from, to), nil
		}
		if wide := widenData(from, to); wide != nil {
			return wide, nil
		}
		if p.physical {
			if same := represent(from, to); same != nil {
				return same, nil
			}
		}
	}
	return nil, fmt.Errorf("%s: %s does not fit %s: %w", path, have, to, ErrSchema)
}

func (p fitter) structs(from arrow.ArrayData, have, to *arrow.StructType, path string) (arrow.ArrayData, error) {
	if err := checkKnown(have.Fields(), to.Fields(), path); err != nil {
		return nil, err
	}
	children := make([]arrow.ArrayData, 0, to.NumFields())
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for _, f := range to.Fields() {
		var child arrow.ArrayData
		if i, ok := have.FieldIdx(f.Name); ok {
			child = from.Children()[i]
		}
		fit, err := p.field(child, f, from.Offset()+from.Len(), path)
		if err != nil {
			return nil, err
		}
		children = append(children, fit)
	}
	return withType(from, to, children...), nil
}

func (p fitter) maps(from arrow.ArrayData, to *arrow.MapType, path string) (arrow.ArrayData, error) {
	// Entries are a struct by position: builders differ in how they name them.
	entries := from.Children()[0]
	key, err := p.data(entries.Children()[0], to.KeyType(), join(path, "key"))
	if err != nil {
		return nil, err
	}
	defer key.Release()
	value, err := p.data(entries.Children()[1], to.ItemType(), join(path, "value"))
	if err != nil {
		return nil, err
	}
	defer value.Release()
	pair := withType(entries, to.Elem(), key, value)
	defer pair.Release()
	return withType(from, to, pair), nil
}

// checkKnown refuses fields that the table lacks.
func checkKnown(have, want []arrow.Field, parent string) error {
	known := make(map[string]bool, len(want))
	for _, f := range want {
		known[f.Name] = true
	}
	for _, f := range have {
		if !known[f.Name] {
			return fmt.Errorf("%s: not in the table: %w", join(parent, f.Name), ErrSchema)
		}
	}
	return nil
}

// withType is the same data under another type of the same layout.
func withType(from arrow.ArrayData, to arrow.DataType, children ...arrow.ArrayData) arrow.ArrayData {
	return array.NewData(to, from.Len(), from.Buffers(), children, from.NullN(), from.Offset())
}

// widenData converts fixed-width data to a wider type, nil if it cannot. It
// converts what lies before the offset too, so that the null bitmap can stay.
func widenData(from arrow.ArrayData, to arrow.DataType) arrow.ArrayData {
	end := from.Offset() + from.Len()
	var out []byte
	switch have := from.DataType().(type) {
	case *arrow.Int32Type:
		if to.ID() != arrow.INT64 {
			return nil
		}
		wide := make([]int64, end)
		for i, v := range arrow.Int32Traits.CastFromBytes(valueBytes(from))[:end] {
			wide[i] = int64(v)
		}
		out = arrow.Int64Traits.CastToBytes(wide)
	case *arrow.Float32Type:
		if to.ID() != arrow.FLOAT64 {
			return nil
		}
		wide := make([]float64, end)
		for i, v := range arrow.Float32Traits.CastFromBytes(valueBytes(from))[:end] {
			wide[i] = float64(v)
		}
		out = arrow.Float64Traits.CastToBytes(wide)
	case *arrow.Decimal128Type:
		t, ok := to.(*arrow.Decimal128Type)
		if !ok || t.Scale != have.Scale || t.Precision < have.Precision {
			return nil
		}
		return withType(from, to)
	default:
		return nil
	}
	return withValues(from, to, out)
}

// represent converts a leaf to the type that stands for it in a format without
// its own, nil if none does.
func represent(from arrow.ArrayData, to arrow.DataType) arrow.ArrayData {
	end := from.Offset() + from.Len()
	switch have := from.DataType().(type) {
	case *arrow.Time64Type:
		if to.ID() == arrow.INT64 {
			return withType(from, to)
		}
	case *arrow.TimestampType:
		t, ok := to.(*arrow.TimestampType)
		if !ok || t.TimeZone != have.TimeZone || have.Unit != arrow.Nanosecond || t.Unit != arrow.Microsecond {
			return nil
		}
		micros := make([]int64, end)
		for i, v := range arrow.Int64Traits.CastFromBytes(valueBytes(from))[:end] {
			micros[i] = v / 1000
			if v%1000 < 0 {
				micros[i]-- // down, before 1970 too
			}
		}
		return withValues(from, to, arrow.Int64Traits.CastToBytes(micros))
	case *arrow.FixedSizeBinaryType:
		if to.ID() != arrow.BINARY || end*have.ByteWidth > math.MaxInt32 {
			return nil
		}
		offsets := make([]int32, end+1)
		for i := range offsets {
			offsets[i] = int32(i * have.ByteWidth)
		}
		return withValues(from, to, arrow.Int32Traits.CastToBytes(offsets), from.Buffers()[1])
	}
	return nil
}

// withValues is the same nulls with other values.
func withValues(from arrow.ArrayData, to arrow.DataType, values []byte, more ...*memory.Buffer) arrow.ArrayData {
	b := memory.NewBufferBytes(values)
	defer b.Release()
	buffers := append([]*memory.Buffer{from.Buffers()[0], b}, more...)
	return array.NewData(to, from.Len(), buffers, nil, from.NullN(), from.Offset())
}

func valueBytes(d arrow.ArrayData) []byte {
	if b := d.Buffers()[1]; b != nil {
		return b.Bytes()
	}
	return nil
}

// nullData is n nulls of a type. (arrow-go's own MakeArrayOfNull gives maps
// null entries, which its map arrays then refuse.)
func nullData(t arrow.DataType, n int) arrow.ArrayData {
	zeros := func(size int) *memory.Buffer { return memory.NewBufferBytes(make([]byte, size)) }
	validity := zeros(int(bitutil.BytesForBits(int64(n))))
	buffers := []*memory.Buffer{validity}
	var children []arrow.ArrayData
	switch t := t.(type) {
	case *arrow.StructType:
		for _, f := range t.Fields() {
			children = append(children, nullData(f.Type, n))
		}
	case *arrow.ListType:
		buffers = append(buffers, zeros(4*(n+1)))
		children = append(children, nullData(t.Elem(), 0))
	case *arrow.MapType:
		buffers = append(buffers, zeros(4*(n+1)))
		children = append(children, nullData(t.Elem(), 0))
	case *arrow.BinaryType, *arrow.StringType:
		buffers = append(buffers, zeros(4*(n+1)), zeros(0))
	case arrow.FixedWidthDataType:
		buffers = append(buffers, zeros(int(bitutil.BytesForBits(int64(n)*int64(t.BitWidth())))))
	}
	data := array.NewData(t, n, buffers, children, n, 0)
	for _, c := range children {
		c.Release()
	}
	return data
}

// nulls counts the nulls, for data whose count is not known yet.
func nulls(d arrow.ArrayData) int {
	if d.NullN() >= 0 {
		return d.NullN()
	}
	if len(d.Buffers()) == 0 || d.Buffers()[0] == nil {
		return 0
	}
	return d.Len() - bitutil.CountSetBits(d.Buffers()[0].Bytes(), d.Offset(), d.Len())
}
