package parquet

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// bounds gathers the least and greatest value of a column. Slots outside valid
// (nil: none) are skipped. result gives Iceberg's single-value serialization
// (spec, appendix D), nil where there is no value.
type bounds interface {
	add(a arrow.Array, valid []byte)
	result() (least, most []byte, nans int64)
}

func newBounds(t arrow.DataType) bounds {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return &boolBounds{}
	case *arrow.Int32Type, *arrow.Date32Type:
		return &numberBounds[int32]{
			values: func(a arrow.Array) []int32 { return arrow.Int32Traits.CastFromBytes(fixedBytes(a, 4)) },
			encode: func(v int32, _ bool) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) },
		}
	case *arrow.Int64Type, *arrow.Time64Type, *arrow.TimestampType:
		return &numberBounds[int64]{
			values: func(a arrow.Array) []int64 { return arrow.Int64Traits.CastFromBytes(fixedBytes(a, 8)) },
			encode: func(v int64, _ bool) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) },
		}
	case *arrow.Float32Type:
		return &numberBounds[float32]{
			values: func(a arrow.Array) []float32 { return arrow.Float32Traits.CastFromBytes(fixedBytes(a, 4)) },
			encode: func(v float32, lower bool) []byte {
				return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(signZero(float64(v), lower))))
			},
		}
	case *arrow.Float64Type:
		return &numberBounds[float64]{
			values: func(a arrow.Array) []float64 { return arrow.Float64Traits.CastFromBytes(fixedBytes(a, 8)) },
			encode: func(v float64, lower bool) []byte {
				return binary.LittleEndian.AppendUint64(nil, math.Float64bits(signZero(v, lower)))
			},
		}
	case *arrow.Decimal128Type:
		return &decimalBounds{}
	case *arrow.StringType:
		return &byteBounds{limit: maxStringBound}
	case *arrow.BinaryType:
		return &byteBounds{limit: maxBinaryBound}
	case *arrow.FixedSizeBinaryType:
		return &byteBounds{limit: maxBinaryBound, width: t.ByteWidth}
	}
	return nil
}

// fixedBytes returns an array's values as bytes, its offset applied.
func fixedBytes(a arrow.Array, width int) []byte {
	d := a.Data()
	if d.Len() == 0 || d.Buffers()[1] == nil {
		return nil
	}
	return d.Buffers()[1].Bytes()[d.Offset()*width : (d.Offset()+d.Len())*width]
}

type numberBounds[T int32 | int64 | float32 | float64] struct {
	values      func(arrow.Array) []T
	encode      func(v T, lower bool) []byte
	least, most T
	some        bool
	nans        int64
}

func (b *numberBounds[T]) add(a arrow.Array, valid []byte) {
	for i, v := range b.values(a) {
		if valid != nil && !bitutil.BitIsSet(valid, i) {
			continue
		}
		switch {
		case v != v: // only NaN differs from itself
			b.nans++
		case !b.some:
			b.least, b.most, b.some = v, v, true
		case v < b.least:
			b.least = v
		case v > b.most:
			b.most = v
		}
	}
}

func (b *numberBounds[T]) result() (least, most []byte, nans int64) {
	if !b.some {
		return nil, nil, b.nans
	}
	return b.encode(b.least, true), b.encode(b.most, false), b.nans
}

// signZero gives zeros the sign that makes them bounds of both: -0 and +0
// compare equal, so either may have been met first (Parquet, ColumnOrder).
func signZero(v float64, lower bool) float64 {
	switch {
	case v != 0:
		return v
	case lower:
		return math.Copysign(0, -1)
	}
	return 0
}

type boolBounds struct{ no, yes bool }

func (b *boolBounds) add(a arrow.Array, valid []byte) {
	flags := a.(*array.Boolean)
	for i := range flags.Len() {
		if valid != nil && !bitutil.BitIsSet(valid, i) {
			continue
		}
		if flags.Value(i) {
			b.yes = true
		} else {
			b.no = true
		}
	}
}

func (b *boolBounds) result() (least, most []byte, nans int64) {
	switch {
	case b.no && b.yes:
		return []byte{0}, []byte{1}, 0
	case b.no:
		return []byte{0}, []byte{0}, 0
	case b.yes:
		return []byte{1}, []byte{1}, 0
	}
	return nil, nil, 0
}

type byteBounds struct {
	limit       int
	width       int // above 0: fixed
	least, most []byte
	some        bool
}

func (b *byteBounds) add(a arrow.Array, valid []byte) {
	d := a.Data()
	if d.Len() == 0 {
		return
	}
	if b.width > 0 {
		values := fixedBytes(a, b.width)
		for i := range d.Len() {
			if valid == nil || bitutil.BitIsSet(valid, i) {
				b.take(values[i*b.width : (i+1)*b.width])
			}
		}
		return
	}
	offsets := arrow.Int32Traits.CastFromBytes(d.Buffers()[1].Bytes())[d.Offset():]
	var values []byte
	if d.Buffers()[2] != nil {
		values = d.Buffers()[2].Bytes()
	}
	for i := range d.Len() {
		if valid == nil || bitutil.BitIsSet(valid, i) {
			b.take(values[offsets[i]:offsets[i+1]])
		}
	}
}

// take looks at one value.
func (b *byteBounds) take(v []byte) {
	switch {
	case !b.some:
		b.least, b.most, b.some = v, v, true
	case bytes.Compare(v, b.least) < 0:
		b.least = v
	case bytes.Compare(v, b.most) > 0:
		b.most = v
	}
}

// result copies: the values lie in the batches' memory.
func (b *byteBounds) result() (least, most []byte, nans int64) {
	if !b.some {
		return nil, nil, 0
	}
	keep := func(v []byte) []byte {
		if len(v) > b.limit {
			return nil
		}
		return append([]byte{}, v...)
	}
	return keep(b.least), keep(b.most), 0
}

type decimalBounds struct {
	least, most decimal128.Num
	some        bool
}

func (b *decimalBounds) add(a arrow.Array, valid []byte) {
	for i, v := range a.(*array.Decimal128).Values() {
		if valid != nil && !bitutil.BitIsSet(valid, i) {
			continue
		}
		switch {
		case !b.some:
			b.least, b.most, b.some = v, v, true
		case v.Less(b.least):
			b.least = v
		case b.most.Less(v):
			b.most = v
		}
	}
}

func (b *decimalBounds) result() (least, most []byte, nans int64) {
	if !b.some {
		return nil, nil, 0
	}
	return decimalBytes(b.least), decimalBytes(b.most), 0
}

// decimalBytes is the unscaled value in two's complement, big-endian, in as few
// bytes as hold it.
func decimalBytes(v decimal128.Num) []byte {
	out := binary.BigEndian.AppendUint64(nil, uint64(v.HighBits()))
	out = binary.BigEndian.AppendUint64(out, v.LowBits())
	for len(out) > 1 {
		sign := out[1] & 0x80
		if out[0] == 0 && sign == 0 || out[0] == 0xff && sign != 0 {
			out = out[1:]
			continue
		}
		break
	}
	return out
}
