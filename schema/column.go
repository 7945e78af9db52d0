package schema

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// A Column is a plain Go slice per buffer of its Arrow array, appended to in
// place and handed to Arrow without a copy:
//
//	kind                      values        offsets   children
//	bool                      bits (data)
//	int32, date32             i32
//	int64, time64, timestamp  i64
//	float32, float64          f32, f64
//	decimal128                dec
//	fixed_size_binary         data
//	binary, utf8              data          off
//	struct                                            one per field
//	list                                    off       element
//	map                                     off       key, value
//
// and valid, the bitmap of what is not null, which does not exist before the
// first null. An offset says where the next value starts, so every length below
// a column follows from the column's own: Truncate needs no marks, and a row
// that fails costs nothing until it does.

type kind uint8

const (
	kindDropped kind = iota // counts its values and keeps none: NewSomeRows
	kindBool
	kindInt32
	kindInt64
	kindFloat32
	kindFloat64
	kindBytes
	kindFixed
	kindDecimal
	kindStruct
	kindList
	kindMap
)

// firstCap is how many values a column takes at its first growth when no
// earlier batch tells how many to expect: small, since a schema may have
// thousands of columns, and doubled from there.
const firstCap = 64

// Column is where a decoder appends the values of one field. It belongs to its
// Rows and is no safer for concurrent use. Calling a method that does not fit
// the column's type appends nothing and makes the next EndRow fail.
type Column struct {
	rows  *Rows
	field arrow.Field
	kind  kind
	width int // bytes of one value of a fixed_size_binary
	n     int

	valid []byte
	data  []byte
	off   []int32
	i32   []int32
	i64   []int64
	f32   []float32
	f64   []float64
	dec   []decimal128.Num
	kids  []*Column

	// What the last batch held, for the first growth of the next one.
	hintLen, hintData int
}

// Len is the number of values appended, nulls included.
func (c *Column) Len() int { return c.n }

// Field is the column's name, type and nullability.
func (c *Column) Field() arrow.Field { return c.field }

// Child is the column of a struct's i-th field.
func (c *Column) Child(i int) *Column { return c.kids[i] }

// Children is the number of columns right below this one.
func (c *Column) Children() int { return len(c.kids) }

// Elem is the column of a list's elements.
func (c *Column) Elem() *Column { return c.kids[0] }

// Key is the column of a map's keys.
func (c *Column) Key() *Column { return c.kids[0] }

// Value is the column of a map's values.
func (c *Column) Value() *Column { return c.kids[1] }

// Bool appends to a bool column.
func (c *Column) Bool(v bool) {
	if c.kind != kindBool {
		c.misuse(kindBool)
		return
	}
	c.appendBit(&c.data, v)
	c.added()
}

// Int32 appends to an int32 or date32 column.
func (c *Column) Int32(v int32) {
	if c.kind != kindInt32 {
		c.misuse(kindInt32)
		return
	}
	if len(c.i32) == cap(c.i32) {
		c.i32 = grow(c.i32, c.hintLen)
	}
	c.i32 = append(c.i32, v)
	c.added()
}

// Int64 appends to an int64, time64 or timestamp column, in the column's unit.
func (c *Column) Int64(v int64) {
	if c.kind != kindInt64 {
		c.misuse(kindInt64)
		return
	}
	if len(c.i64) == cap(c.i64) {
		c.i64 = grow(c.i64, c.hintLen)
	}
	c.i64 = append(c.i64, v)
	c.added()
}

// Float32 appends to a float32 column.
func (c *Column) Float32(v float32) {
	if c.kind != kindFloat32 {
		c.misuse(kindFloat32)
		return
	}
	if len(c.f32) == cap(c.f32) {
		c.f32 = grow(c.f32, c.hintLen)
	}
	c.f32 = append(c.f32, v)
	c.added()
}

// Float64 appends to a float64 column.
func (c *Column) Float64(v float64) {
	if c.kind != kindFloat64 {
		c.misuse(kindFloat64)
		return
	}
	if len(c.f64) == cap(c.f64) {
		c.f64 = grow(c.f64, c.hintLen)
	}
	c.f64 = append(c.f64, v)
	c.added()
}

// Decimal appends to a decimal128 column: the unscaled value at the column's
// scale. That it is within the precision is the caller's to check.
func (c *Column) Decimal(v decimal128.Num) {
	if c.kind != kindDecimal {
		c.misuse(kindDecimal)
		return
	}
	if len(c.dec) == cap(c.dec) {
		c.dec = grow(c.dec, c.hintLen)
	}
	c.dec = append(c.dec, v)
	c.added()
}

// Bytes appends a copy of v to a binary or utf8 column. That v is UTF-8 where
// it must be is the caller's to check. When the column can hold no more in
// 32-bit offsets, EndRow returns ErrFull.
func (c *Column) Bytes(v []byte) {
	if (c.kind != kindBytes || cap(c.data)-len(c.data) < len(v) || len(c.off) == cap(c.off)) && !c.room(len(v)) {
		return
	}
	n := len(c.data)
	c.data = c.data[:n+len(v)] // in place, see appendBit
	copy(c.data[n:], v)
	c.off = append(c.off, int32(len(c.data)))
	c.added()
}

// String is Bytes for a string.
func (c *Column) String(v string) {
	if (c.kind != kindBytes || cap(c.data)-len(c.data) < len(v) || len(c.off) == cap(c.off)) && !c.room(len(v)) {
		return
	}
	n := len(c.data)
	c.data = c.data[:n+len(v)] // in place, see appendBit
	copy(c.data[n:], v)
	c.off = append(c.off, int32(len(c.data)))
	c.added()
}

// Fixed appends a copy of v to a fixed_size_binary column of its length.
func (c *Column) Fixed(v []byte) {
	if c.kind != kindFixed || len(v) != c.width {
		c.misuse(kindFixed)
		return
	}
	if cap(c.data)-len(c.data) < len(v) {
		c.data = growBytes(c.data, c.hintData, len(v))
	}
	c.data = append(c.data, v...)
	c.added()
}

// Struct appends a struct that is present. It comes last: each child must have
// been appended to exactly once before it, in any order.
func (c *Column) Struct() {
	if c.kind != kindStruct {
		c.misuse(kindStruct)
		return
	}
	for _, k := range c.kids {
		if k.n != c.n+1 {
			c.rows.fail(fmt.Errorf("column %s: field %s holds %d values, its struct %d", c.field.Name, k.field.Name, k.n, c.n+1))
		}
	}
	c.added()
}

// List appends a list of the last n elements appended to Elem: all of those
// appended since the list before it.
func (c *Column) List(n int) {
	if c.kind != kindList {
		c.misuse(kindList)
		return
	}
	c.closeItems(n)
}

// Map appends a map of the last n entries appended to Key and Value: all of
// those appended since the map before it.
func (c *Column) Map(n int) {
	if c.kind != kindMap {
		c.misuse(kindMap)
		return
	}
	c.closeItems(n)
}

// Null appends a null: to a struct also to all its children, to a list or map
// as an empty one.
func (c *Column) Null() {
	if c.valid == nil {
		if c.kind == kindDropped {
			c.n++
			return
		}
		c.startValid()
	}
	switch c.kind {
	case kindBool:
		c.appendBit(&c.data, false)
	case kindInt32:
		if len(c.i32) == cap(c.i32) {
			c.i32 = grow(c.i32, c.hintLen)
		}
		c.i32 = append(c.i32, 0)
	case kindInt64:
		if len(c.i64) == cap(c.i64) {
			c.i64 = grow(c.i64, c.hintLen)
		}
		c.i64 = append(c.i64, 0)
	case kindFloat32:
		if len(c.f32) == cap(c.f32) {
			c.f32 = grow(c.f32, c.hintLen)
		}
		c.f32 = append(c.f32, 0)
	case kindFloat64:
		if len(c.f64) == cap(c.f64) {
			c.f64 = grow(c.f64, c.hintLen)
		}
		c.f64 = append(c.f64, 0)
	case kindDecimal:
		if len(c.dec) == cap(c.dec) {
			c.dec = grow(c.dec, c.hintLen)
		}
		c.dec = append(c.dec, decimal128.Num{})
	case kindFixed:
		if cap(c.data)-len(c.data) < c.width {
			c.data = growBytes(c.data, c.hintData, c.width)
		}
		c.data = append(c.data, c.rows.zeros[:c.width]...)
	case kindBytes, kindList, kindMap:
		if len(c.off) == cap(c.off) {
			c.growOffsets()
		}
		c.off = append(c.off, c.off[len(c.off)-1])
	case kindStruct:
		for _, k := range c.kids {
			k.Null()
		}
	}
	c.appendBit(&c.valid, false)
	c.n++
}

// Truncate drops every value from the n-th on, at all depths below this column
// too, with what was appended there and not closed yet. A decoder that tries
// one reading of a payload after another steps back with it. To make a struct
// column shorter than its parent is the caller's mistake.
func (c *Column) Truncate(n int) {
	n = min(n, c.n)
	c.n = n
	if c.valid != nil {
		c.valid = cutBits(c.valid, n)
	}
	switch c.kind {
	case kindBool:
		c.data = cutBits(c.data, n)
	case kindInt32:
		c.i32 = c.i32[:n]
	case kindInt64:
		c.i64 = c.i64[:n]
	case kindFloat32:
		c.f32 = c.f32[:n]
	case kindFloat64:
		c.f64 = c.f64[:n]
	case kindDecimal:
		c.dec = c.dec[:n]
	case kindFixed:
		c.data = c.data[:n*c.width]
	case kindBytes:
		c.data = c.data[:c.cutOffsets(n)]
	case kindStruct:
		for _, k := range c.kids {
			k.Truncate(n)
		}
	case kindList, kindMap:
		end := c.cutOffsets(n)
		for _, k := range c.kids {
			k.Truncate(end)
		}
	}
}

// added counts a value that is not null.
func (c *Column) added() {
	if c.valid != nil {
		c.appendBit(&c.valid, true)
	}
	c.n++
}

// room readies a binary or utf8 column for a value of so many bytes; false if
// it cannot. The capacity never exceeds the limit, so that only growth has to
// look at it.
func (c *Column) room(more int) bool {
	if c.kind != kindBytes {
		c.misuse(kindBytes)
		return false
	}
	if len(c.data)+more > c.rows.limit {
		c.rows.fail(fmt.Errorf("column %s holds %d bytes: %w", c.field.Name, len(c.data), ErrFull))
		return false
	}
	if cap(c.data)-len(c.data) < more {
		c.data = growBytes(c.data, c.hintData, more)
		c.data = slices.Clip(c.data[:min(cap(c.data), c.rows.limit)])[:len(c.data)]
	}
	if len(c.off) == cap(c.off) {
		c.growOffsets()
	}
	return true
}

// closeItems ends a list or map at the children's length.
func (c *Column) closeItems(n int) {
	if len(c.off) == cap(c.off) {
		c.growOffsets()
	}
	end := int(c.off[len(c.off)-1]) + n
	for _, k := range c.kids {
		if k.n != end {
			c.rows.fail(fmt.Errorf("column %s: %s holds %d values, the column counts %d", c.field.Name, k.field.Name, k.n, end))
			return
		}
	}
	if end > c.rows.limit {
		c.rows.fail(fmt.Errorf("column %s holds %d items: %w", c.field.Name, end, ErrFull))
		return
	}
	c.closeAt(end)
}

// closeAt appends the offset at which the value just written ends.
func (c *Column) closeAt(end int) {
	if len(c.off) == cap(c.off) {
		c.growOffsets()
	}
	c.off = append(c.off, int32(end))
	c.added()
}

// growOffsets makes room for one offset at least; the first is always 0.
func (c *Column) growOffsets() {
	first := len(c.off) == 0
	c.off = grow(c.off, c.hintLen+1)
	if first {
		c.off = append(c.off, 0)
	}
}

// cutOffsets keeps n values and returns where the last of them ends.
func (c *Column) cutOffsets(n int) int {
	if len(c.off) == 0 {
		return 0
	}
	c.off = c.off[:n+1]
	return int(c.off[n])
}

// startValid makes the bitmap at the first null: all before it is valid.
func (c *Column) startValid() {
	size := max(c.hintLen, c.n+firstCap)/8 + 1
	c.valid = make([]byte, (c.n+7)/8, size)
	for i := range c.valid {
		c.valid[i] = 0xff
	}
	c.valid = cutBits(c.valid, c.n)
}

// appendBit appends the bit of value c.n to a bitmap of c.n bits. It appends in
// place, like all appends here: assigning a slice that another function gave
// would cost a write barrier per value while the collector runs.
func (c *Column) appendBit(bits *[]byte, v bool) {
	if c.n&7 == 0 {
		if len(*bits) == cap(*bits) {
			*bits = grow(*bits, c.hintLen/8+1)
		}
		*bits = append(*bits, 0)
	}
	if v {
		(*bits)[c.n>>3] |= 1 << (c.n & 7)
	}
}

// misuse is for values that are not of the column's kind: a column that is not wanted
// counts them, of another it is a decoder's mistake, which EndRow reports.
func (c *Column) misuse(k kind) {
	if c.kind == kindDropped {
		c.n++
		return
	}
	c.rows.fail(fmt.Errorf("column %s: type %s takes no value of kind %d", c.field.Name, c.field.Type, k))
}

// cutBits keeps the first n bits; the rest of the last byte becomes 0, since
// bits are set by or-ing.
func cutBits(b []byte, n int) []byte {
	b = b[:(n+7)/8]
	if n&7 != 0 {
		b[n>>3] &= 1<<(n&7) - 1
	}
	return b
}

// grow returns s with room for one value more: at first as much as the batch
// before needed, then double.
func grow[T any](s []T, hint int) []T {
	if cap(s) == 0 {
		return make([]T, 0, max(hint, firstCap))
	}
	return slices.Grow(s, cap(s))
}

// growBytes is grow for a number of bytes.
func growBytes(s []byte, hint, more int) []byte {
	if cap(s) == 0 {
		return make([]byte, 0, max(hint, more, firstCap))
	}
	return slices.Grow(s, max(cap(s), more))
}
