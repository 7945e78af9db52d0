package layout

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/tables"
)

// valuer appends the partition value of a row, which is not null, to dst: in
// Iceberg's single-value serialization.
type valuer func(dst []byte, row int) []byte

// transformed is a column's valuer under a transform.
func transformed(t tables.Transform, column arrow.Array) (valuer, error) {
	if _, ok := t.Result(column.DataType()); !ok {
		return nil, fmt.Errorf("%s of %s: %w", t, column.DataType(), tables.ErrSchema)
	}
	switch t.Name {
	case tables.Void:
		return func(dst []byte, _ int) []byte { return dst }, nil
	case tables.Identity:
		return identity(column)
	case tables.Bucket:
		hash, err := hashed(column)
		return func(dst []byte, row int) []byte {
			return appendInt(dst, int32(hash(row)&math.MaxInt32)%int32(t.N))
		}, err
	case tables.Truncate:
		return truncated(int64(t.N), column)
	}
	return dated(t.Name, column)
}

func appendInt(dst []byte, v int32) []byte {
	return binary.LittleEndian.AppendUint32(dst, uint32(v))
}

func appendLong(dst []byte, v int64) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}

// identity is the column's own value.
func identity(column arrow.Array) (valuer, error) {
	switch c := column.(type) {
	case *array.Boolean:
		return func(dst []byte, row int) []byte {
			if c.Value(row) {
				return append(dst, 1)
			}
			return append(dst, 0)
		}, nil
	case *array.Float32:
		return func(dst []byte, row int) []byte {
			v := c.Value(row)
			if v != v { // one of the many that are not a number
				v = float32(math.NaN())
			}
			return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}, nil
	case *array.Float64:
		return func(dst []byte, row int) []byte {
			v := c.Value(row)
			if v != v {
				v = math.NaN()
			}
			return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		}, nil
	case *array.Int32, *array.Date32:
		number := numbers(column)
		return func(dst []byte, row int) []byte { return appendInt(dst, int32(number(row))) }, nil
	case *array.Decimal128:
		return func(dst []byte, row int) []byte { return appendDecimal(dst, c.Value(row)) }, nil
	}
	if number := numbers(column); number != nil {
		return func(dst []byte, row int) []byte { return appendLong(dst, number(row)) }, nil
	}
	if text := texts(column); text != nil {
		return func(dst []byte, row int) []byte { return append(dst, text(row)...) }, nil
	}
	return nil, unknown(column)
}

func unknown(column arrow.Array) error {
	return fmt.Errorf("partition by %s: %w", column.DataType(), tables.ErrSchema)
}

// numbers are the values of a column of whole numbers, dates and times; those in
// nanoseconds become microseconds, downwards, as in the files. nil for others.
func numbers(column arrow.Array) func(row int) int64 {
	switch c := column.(type) {
	case *array.Int32:
		return func(row int) int64 { return int64(c.Value(row)) }
	case *array.Int64:
		return c.Value
	case *array.Date32:
		return func(row int) int64 { return int64(c.Value(row)) }
	case *array.Time64:
		return func(row int) int64 { return int64(c.Value(row)) }
	case *array.Timestamp:
		if c.DataType().(*arrow.TimestampType).Unit == arrow.Nanosecond {
			return func(row int) int64 { return floorDiv(int64(c.Value(row)), 1000) }
		}
		return func(row int) int64 { return int64(c.Value(row)) }
	}
	return nil
}

// texts are the values of a column of bytes, nil for others.
func texts(column arrow.Array) func(row int) []byte {
	switch c := column.(type) {
	case *array.Binary:
		return c.Value
	case *array.FixedSizeBinary:
		return c.Value
	case *array.String:
		ends, all := c.ValueOffsets(), c.ValueBytes()
		return func(row int) []byte { return all[ends[row]-ends[0] : ends[row+1]-ends[0]] }
	}
	return nil
}

// floorDiv divides downwards, before 1970 too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// hashed is the hash of a column's values (table specification, appendix B).
func hashed(column arrow.Array) (func(row int) uint32, error) {
	if number := numbers(column); number != nil {
		return func(row int) uint32 { return murmurLong(number(row)) }, nil
	}
	if text := texts(column); text != nil {
		return func(row int) uint32 { return murmur(text(row)) }, nil
	}
	if c, ok := column.(*array.Decimal128); ok {
		var buf [16]byte
		return func(row int) uint32 { return murmur(appendDecimal(buf[:0], c.Value(row))) }, nil
	}
	return nil, unknown(column)
}

// truncated shortens text and binary, and takes numbers down to a multiple.
func truncated(width int64, column arrow.Array) (valuer, error) {
	switch c := column.(type) {
	case *array.Int32:
		// The width is at most an int's, but what lies below the least int wraps
		// around, as it does in Java.
		return func(dst []byte, row int) []byte {
			v := int64(c.Value(row))
			return appendInt(dst, int32(v-mod(v, width)))
		}, nil
	case *array.Int64:
		return func(dst []byte, row int) []byte {
			v := c.Value(row)
			return appendLong(dst, v-mod(v, width))
		}, nil
	case *array.Decimal128:
		wide := big.NewInt(width)
		return func(dst []byte, row int) []byte {
			v := c.Value(row).BigInt()
			// Mod of big.Int is never negative.
			v.Sub(v, new(big.Int).Mod(v, wide))
			return appendDecimal(dst, decimal128.FromBigInt(v))
		}, nil
	case *array.String:
		return func(dst []byte, row int) []byte { return append(dst, firstRunes(c.Value(row), width)...) }, nil
	case *array.Binary:
		return func(dst []byte, row int) []byte {
			v := c.Value(row)
			return append(dst, v[:min(int64(len(v)), width)]...)
		}, nil
	}
	return nil, unknown(column)
}

// mod is never negative.
func mod(v, by int64) int64 {
	m := v % by
	if m < 0 {
		m += by
	}
	return m
}

// firstRunes are the first characters of a text.
func firstRunes(s string, n int64) string {
	if int64(len(s)) <= n {
		return s
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at]
}

// appendDecimal appends the unscaled value in two's complement, big-endian, in as
// few bytes as hold it.
func appendDecimal(dst []byte, v decimal128.Num) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(v.HighBits()))
	binary.BigEndian.PutUint64(b[8:], v.LowBits())
	i := 0
	for i < 15 && (b[i] == 0 && b[i+1] < 0x80 || b[i] == 0xff && b[i+1] >= 0x80) {
		i++
	}
	return append(dst, b[i:]...)
}

// Parts of a day and an hour in microseconds.
const (
	hourMicros = int64(time.Hour / time.Microsecond)
	dayMicros  = 24 * hourMicros
)

// dated counts years, months, days or hours from 1970 on, in UTC, downwards.
func dated(name string, column arrow.Array) (valuer, error) {
	number := numbers(column)
	if number == nil {
		return nil, unknown(column)
	}
	day := number
	if _, ok := column.(*array.Timestamp); ok {
		day = func(row int) int64 { return floorDiv(number(row), dayMicros) }
	}
	switch name {
	case tables.Hour:
		return func(dst []byte, row int) []byte { return appendInt(dst, int32(floorDiv(number(row), hourMicros))) }, nil
	case tables.Day:
		return func(dst []byte, row int) []byte { return appendInt(dst, int32(day(row))) }, nil
	case tables.Month:
		return func(dst []byte, row int) []byte {
			year, month := civil(day(row))
			return appendInt(dst, int32((year-1970)*12+month-1))
		}, nil
	case tables.Year:
		return func(dst []byte, row int) []byte {
			year, _ := civil(day(row))
			return appendInt(dst, int32(year-1970))
		}, nil
	}
	return nil, unknown(column)
}

// civil is the year and month of a day since 1970, in the Gregorian calendar for
// all times. It counts in eras of 400 years that begin on 1 March.
func civil(day int64) (year, month int64) {
	const era = 146_097
	day += 719_468
	e := floorDiv(day, era)
	d := day - e*era
	y := (d - d/1460 + d/36_524 - d/146_096) / 365
	d -= 365*y + y/4 - y/100
	m := (5*d + 2) / 153
	if m < 10 {
		return y + e*400, m + 3
	}
	return y + e*400 + 1, m - 9
}
