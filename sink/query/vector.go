package query

import (
	"math"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// shape is how a vector's values are read.
type shape uint8

const (
	shapeNone   shape = iota // null in all rows
	shapeInts                // whole numbers
	shapeStamps              // texts that stand for whole numbers, in their order
	shapeFloats              // NaN is null
	shapeTexts               // with a zero byte, blobs
	shapeAny                 // whatever reader gives
)

// vector is a column of a chunk in the form in which it is summed, compared and
// grouped: without a value of an interface for each row.
type vector struct {
	shape  shape
	null   func(i int) bool // nil: no row is null
	ints   func(i int) int64
	floats func(i int) float64
	texts  func(i int) string
	any    reader
	of     *span // of stamps
	// decimals are those of a column of them, of one scale; nil of others. Their shape
	// is shapeAny.
	decimals func(i int) decimal128.Num
	scale    int
}

// span is what the numbers behind stamps mean: the texts of those from low to high
// are in their order, and no other numbers are taken.
type span struct {
	kind      arrow.Type
	low, high int64
	text      func(n int64) string
}

// Years of four digits, in days.
const (
	firstDay = -719528 // 0000-01-01
	lastDay  = 2932896 // 9999-12-31
	dayUs    = 24 * 60 * 60 * 1_000_000
)

// The spans that there are. Points in time are in microseconds in all of them.
func dates() *span { return &span{arrow.DATE32, firstDay, lastDay, dateText} }

func stamps() *span {
	return &span{arrow.TIMESTAMP, firstDay * dayUs, (lastDay+1)*dayUs - 1, func(us int64) string { return stampText(time.UnixMicro(us)) }}
}

func clocks() *span { return &span{arrow.TIME64, 0, dayUs - 1, timeText} }

// spanOf is the span of a type by the schema, nil if it has none.
func spanOf(logical arrow.DataType) *span {
	if logical == nil {
		return nil
	}
	switch logical.ID() {
	case arrow.TIMESTAMP:
		return stamps()
	case arrow.DATE32:
		return dates()
	case arrow.TIME64:
		return clocks()
	}
	return nil
}

// vectorOf reads a column of Arrow; logical is as for readerOf. of is the span that
// the column's stamps must have, nil if it has none.
func vectorOf(a arrow.Array, logical arrow.DataType, of *span) *vector {
	v := &vector{any: readerOf(a, logical), shape: shapeAny}
	if a.NullN() > 0 {
		v.null = a.IsNull
	}
	// What a column of another kind holds is shown as it is.
	ints := func(kind arrow.Type, f func(i int) int64) {
		switch {
		case of == nil && kind == arrow.INT64:
			v.shape, v.ints = shapeInts, f
			return
		case of == nil || kind != of.kind:
			return
		}
		for i := range a.Len() {
			if n := f(i); (n < of.low || n > of.high) && a.IsValid(i) {
				return // texts of such are in another order
			}
		}
		v.shape, v.ints, v.of = shapeStamps, f, of
	}
	switch a := a.(type) {
	case *array.Boolean:
		ints(arrow.INT64, func(i int) int64 {
			if a.Value(i) {
				return 1
			}
			return 0
		})
	case *array.Int32:
		values := a.Int32Values()
		ints(arrow.INT64, func(i int) int64 { return int64(values[i]) })
	case *array.Int64:
		values, kind := a.Int64Values(), arrow.INT64
		if logical != nil && logical.ID() == arrow.TIME64 {
			kind = arrow.TIME64
		}
		ints(kind, func(i int) int64 { return values[i] })
	case *array.Date32:
		values := a.Date32Values()
		ints(arrow.DATE32, func(i int) int64 { return int64(values[i]) })
	case *array.Time64:
		values := a.Time64Values()
		ints(arrow.TIME64, func(i int) int64 { return int64(values[i]) })
	case *array.Timestamp:
		values := a.TimestampValues()
		switch a.DataType().(*arrow.TimestampType).Unit {
		case arrow.Microsecond:
			ints(arrow.TIMESTAMP, func(i int) int64 { return int64(values[i]) })
		case arrow.Millisecond:
			ints(arrow.TIMESTAMP, func(i int) int64 { return micros(int64(values[i])) })
		}
	case *array.Float32:
		values := a.Float32Values()
		v.shape, v.floats = shapeFloats, func(i int) float64 { return float64(values[i]) }
	case *array.Float64:
		values := a.Float64Values()
		v.shape, v.floats = shapeFloats, func(i int) float64 { return values[i] }
	case *array.String:
		v.shape, v.texts = shapeTexts, a.Value
	case *array.Decimal128:
		v.decimals, v.scale = a.Value, int(a.DataType().(*arrow.Decimal128Type).Scale)
	}
	return v
}

// isNull reports whether a row has no value in SQL.
func (v *vector) isNull(i int) bool {
	return v.shape == shapeNone || v.null != nil && v.null(i) || v.shape == shapeFloats && math.IsNaN(v.floats(i))
}

// value is a row's value in SQL.
func (v *vector) value(i int) any {
	if v.shape == shapeNone {
		return nil
	}
	return v.any(i)
}

// vectorBy reads values by a reader, which gives nil for null.
func vectorBy(r reader) *vector {
	if r == nil {
		return &vector{}
	}
	return &vector{shape: shapeAny, any: r, null: func(i int) bool { return r(i) == nil }}
}

// scattered is a vector over several: row i is row at[i].row of by[at[i].group], null
// where there is no such group. Groups of different shapes are read one value at a
// time.
func scattered(at []place, by []*vector) *vector {
	out := &vector{
		null: func(i int) bool {
			p := at[i]
			return p.group < 0 || by[p.group].isNull(int(p.row))
		},
		any: func(i int) any {
			if p := at[i]; p.group >= 0 {
				return by[p.group].value(int(p.row))
			}
			return nil
		},
	}
	decimals := true
	for _, v := range by {
		if v.shape != shapeNone {
			decimals = decimals && v.decimals != nil && (out.shape == shapeNone || v.scale == out.scale)
			out.scale = v.scale
		}
		switch {
		case v.shape == shapeNone:
		case out.shape == shapeNone:
			out.shape, out.of = v.shape, v.of
		case out.shape != v.shape:
			out.shape = shapeAny
		}
	}
	if decimals && out.shape == shapeAny {
		out.decimals = func(i int) decimal128.Num { p := at[i]; return by[p.group].decimals(int(p.row)) }
	}
	switch out.shape {
	case shapeInts, shapeStamps:
		out.ints = func(i int) int64 { p := at[i]; return by[p.group].ints(int(p.row)) }
	case shapeFloats:
		out.floats = func(i int) float64 { // asked before null is, for NaN
			if p := at[i]; p.group >= 0 && by[p.group].shape == shapeFloats {
				return by[p.group].floats(int(p.row))
			}
			return math.NaN()
		}
	case shapeTexts:
		out.texts = func(i int) string { p := at[i]; return by[p.group].texts(int(p.row)) }
	}
	return out
}

// rank is the class of a value in SQLite's order: null, numbers, texts, blobs.
func rank(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case int64, float64:
		return 1
	case string:
		return 2
	}
	return 3
}

// order compares values as SQLite does without affinities, in collation BINARY.
func order(a, b any) int {
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra - rb
	}
	switch a := a.(type) {
	case int64:
		if b, ok := b.(float64); ok {
			return orderMixed(a, b)
		}
		return orderInts(a, b.(int64))
	case float64:
		if b, ok := b.(int64); ok {
			return -orderMixed(b, a)
		}
		return compare(a, b.(float64))
	case string:
		return strings.Compare(a, b.(string))
	case []byte:
		return strings.Compare(string(a), string(b.([]byte)))
	}
	return 0
}

func orderInts(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// orderMixed compares a whole number with a float that is not NaN, to the last digit.
func orderMixed(a int64, b float64) int {
	switch {
	case b >= 1<<63:
		return -1
	case b < -1<<63:
		return 1
	}
	whole := math.Trunc(b)
	if c := orderInts(a, int64(whole)); c != 0 {
		return c
	}
	return compare(whole, b)
}
