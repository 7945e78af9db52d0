package schema

import "github.com/apache/arrow-go/v18/arrow/decimal128"

// Values that were appended can be read back until the Rows hand over their Batch:
// for decoders that make one row of another. i counts from the first row; reading
// a value of another kind than the column's, or one that is null, gives zero.

// IsNull reports whether the i-th value is null.
func (c *Column) IsNull(i int) bool { return c.valid != nil && c.valid[i>>3]&(1<<(i&7)) == 0 }

// BoolAt is the i-th value of a bool column.
func (c *Column) BoolAt(i int) bool {
	return c.kind == kindBool && c.data[i>>3]&(1<<(i&7)) != 0
}

// IntAt is the i-th value of a column of whole numbers, dates or times, in the
// column's unit.
func (c *Column) IntAt(i int) int64 {
	switch c.kind {
	case kindInt32:
		return int64(c.i32[i])
	case kindInt64:
		return c.i64[i]
	}
	return 0
}

// FloatAt is the i-th value of a floating-point column.
func (c *Column) FloatAt(i int) float64 {
	switch c.kind {
	case kindFloat32:
		return float64(c.f32[i])
	case kindFloat64:
		return c.f64[i]
	}
	return 0
}

// BytesAt is the i-th value of a binary, utf8 or fixed_size_binary column. It is
// the column's own memory, good until the column changes.
func (c *Column) BytesAt(i int) []byte {
	switch c.kind {
	case kindBytes:
		return c.data[c.off[i]:c.off[i+1]]
	case kindFixed:
		return c.data[i*c.width : (i+1)*c.width]
	}
	return nil
}

// DecimalAt is the i-th unscaled value of a decimal128 column.
func (c *Column) DecimalAt(i int) decimal128.Num {
	if c.kind != kindDecimal {
		return decimal128.Num{}
	}
	return c.dec[i]
}

// Copy appends the i-th value of another column, at all depths. The types must be
// alike but for names: where they are not, the next EndRow fails.
func (c *Column) Copy(from *Column, i int) {
	if c.kind != from.kind || len(c.kids) != len(from.kids) {
		c.misuse(from.kind)
		return
	}
	if from.IsNull(i) {
		c.Null()
		return
	}
	switch c.kind {
	case kindBool:
		c.Bool(from.BoolAt(i))
	case kindInt32:
		c.Int32(from.i32[i])
	case kindInt64:
		c.Int64(from.i64[i])
	case kindFloat32:
		c.Float32(from.f32[i])
	case kindFloat64:
		c.Float64(from.f64[i])
	case kindDecimal:
		c.Decimal(from.dec[i])
	case kindBytes:
		c.Bytes(from.BytesAt(i))
	case kindFixed:
		c.Fixed(from.BytesAt(i))
	case kindStruct:
		for k, kid := range c.kids {
			kid.Copy(from.kids[k], i)
		}
		c.Struct()
	case kindList, kindMap:
		at, end := int(from.off[i]), int(from.off[i+1])
		for k, kid := range c.kids {
			for j := at; j < end; j++ {
				kid.Copy(from.kids[k], j)
			}
		}
		c.closeItems(end - at)
	}
}
