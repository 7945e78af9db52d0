package tables

import (
	"fmt"

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
		data, err := fitField(from, f, n, "")
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

// fitField fits one field's data, nil if there is none, to the field f. Data
// may be longer than n: children of a sliced struct are.
func fitField(from arrow.ArrayData, f arrow.Field, n int, parent string) (arrow.ArrayData, error) {
	path := join(parent, f.Name)
	if from == nil {
		if !f.Nullable && n > 0 {
			return nil, fmt.Errorf("%s: required column is missing: %w", path, ErrSchema)
		}
		return nullData(f.Type, n), nil
	}
	return fitData(from, f.Type, path)
}

// fitData returns the data as type to, retained for the caller. Offsets stay as
// they are: Arrow applies a struct's offset to its children too.
func fitData(from arrow.ArrayData, to arrow.DataType, path string) (arrow.ArrayData, error) {
	have := from.DataType()
	switch t := to.(type) {
	case *arrow.StructType:
		if h, ok := have.(*arrow.StructType); ok {
			return fitStruct(from, h, t, path)
		}
	case *arrow.ListType:
		if _, ok := have.(*arrow.ListType); ok {
			elem, err := fitData(from.Children()[0], t.Elem(), join(path, "element"))
			if err != nil {
				return nil, err
			}
			defer elem.Release()
			return withType(from, t, elem), nil
		}
	case *arrow.MapType:
		if _, ok := have.(*arrow.MapType); ok {
			return fitMap(from, t, path)
		}
	default:
		if arrow.TypeEqual(have, to) {
			return withType(from, to), nil
		}
		if wide := widenData(from, to); wide != nil {
			return wide, nil
		}
	}
	return nil, fmt.Errorf("%s: %s does not fit %s: %w", path, have, to, ErrSchema)
}

func fitStruct(from arrow.ArrayData, have, to *arrow.StructType, path string) (arrow.ArrayData, error) {
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
		fit, err := fitField(child, f, from.Offset()+from.Len(), path)
		if err != nil {
			return nil, err
		}
		children = append(children, fit)
	}
	return withType(from, to, children...), nil
}

func fitMap(from arrow.ArrayData, to *arrow.MapType, path string) (arrow.ArrayData, error) {
	// Entries are a struct by position: builders differ in how they name them.
	entries := from.Children()[0]
	key, err := fitData(entries.Children()[0], to.KeyType(), join(path, "key"))
	if err != nil {
		return nil, err
	}
	defer key.Release()
	value, err := fitData(entries.Children()[1], to.ItemType(), join(path, "value"))
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
	values := memory.NewBufferBytes(out)
	defer values.Release()
	return array.NewData(to, from.Len(), []*memory.Buffer{from.Buffers()[0], values}, nil, from.NullN(), from.Offset())
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
