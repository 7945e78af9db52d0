package query

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// reader gives the value at a row of a column: nil, int64, float64, string or
// []byte. It may alias the column.
type reader func(i int) any

// readerOf reads a column of Arrow as SQL has it. logical is the type by the schema,
// which a file may hold in another form; README.md has the table of both.
func readerOf(a arrow.Array, logical arrow.DataType) reader {
	plain := plainReader(a, logical)
	if a.NullN() == 0 {
		return plain
	}
	return func(i int) any {
		if a.IsNull(i) {
			return nil
		}
		return plain(i)
	}
}

// plainReader is readerOf for values that are not null.
func plainReader(a arrow.Array, logical arrow.DataType) reader {
	switch a := a.(type) {
	case *array.Boolean:
		return func(i int) any {
			if a.Value(i) {
				return int64(1)
			}
			return int64(0)
		}
	case *array.Int32:
		return func(i int) any { return int64(a.Value(i)) }
	case *array.Int64:
		if logical != nil && logical.ID() == arrow.TIME64 {
			return func(i int) any { return timeText(a.Value(i)) }
		}
		return func(i int) any { return a.Value(i) }
	case *array.Float32:
		return func(i int) any { return number(float64(a.Value(i))) }
	case *array.Float64:
		return func(i int) any { return number(a.Value(i)) }
	case *array.String:
		return func(i int) any { return textOrBytes(a.Value(i)) }
	case *array.LargeString:
		return func(i int) any { return textOrBytes(a.Value(i)) }
	case *array.Binary:
		return func(i int) any { return a.Value(i) }
	case *array.LargeBinary:
		return func(i int) any { return a.Value(i) }
	case *array.FixedSizeBinary:
		return func(i int) any { return a.Value(i) }
	case *array.Decimal128:
		scale := a.DataType().(*arrow.Decimal128Type).Scale
		return func(i int) any { return decimal(a.Value(i), scale) }
	case *array.Date32:
		return func(i int) any { return dateText(int64(a.Value(i))) }
	case *array.Time64:
		return func(i int) any { return timeText(int64(a.Value(i))) }
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		return func(i int) any { return stampText(a.Value(i).ToTime(unit)) }
	}
	return func(i int) any { return string(appendJSON(nil, a, i)) }
}

// number is a float as SQL has it: NaN is null there.
func number(f float64) any {
	if math.IsNaN(f) {
		return nil
	}
	return f
}

// textOrBytes is a string: SQLite's functions end texts at a zero byte, so one with
// such a byte is a blob.
func textOrBytes(s string) any {
	if strings.IndexByte(s, 0) >= 0 {
		return []byte(s)
	}
	return s
}

// utf8OrBytes is text if b is some, else a blob.
func utf8OrBytes(b []byte) any {
	if b == nil {
		return nil
	}
	if !utf8.Valid(b) {
		return b
	}
	return textOrBytes(string(b))
}

// exactDigits is how many decimal digits a float64 keeps for sure.
const exactDigits = 15

// decimal is a number where SQL's numbers hold it to the last digit, else its text.
func decimal(d decimal128.Num, scale int32) any { return decimalForm(d.ToString(scale), int(scale)) }

// decimalForm is decimal of a number's digits, of which scale are behind the point.
func decimalForm(digits string, scale int) any {
	if scale <= 0 {
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			return n
		}
		return digits
	}
	significant := strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(digits, "-"), ".", ""), "0")
	if len(significant) <= exactDigits {
		if f, err := strconv.ParseFloat(digits, 64); err == nil {
			return f
		}
	}
	return digits
}

func dateText(days int64) string {
	return time.Unix(days*24*60*60, 0).UTC().Format("2006-01-02")
}

func timeText(micros int64) string {
	t := time.UnixMicro(micros).UTC()
	return t.Format("15:04:05") + fraction(t)
}

// stampText is a point in time as SQLite's own functions write it, in UTC, with no
// fraction or one of 3, 6 or 9 digits: so texts are in the order of time.
func stampText(t time.Time) string {
	t = t.UTC()
	return t.Format("2006-01-02 15:04:05") + fraction(t)
}

func fraction(t time.Time) string {
	switch n := t.Nanosecond(); {
	case n == 0:
		return ""
	case n%1_000_000 == 0:
		return t.Format(".000")
	case n%1_000 == 0:
		return t.Format(".000000")
	}
	return t.Format(".000000000")
}

// appendJSON appends the value at a row as JSON. Members that are null are left out:
// a version of the schema that does not have them and one that has them null say the
// same.
func appendJSON(b []byte, a arrow.Array, i int) []byte {
	if a.IsNull(i) {
		return append(b, "null"...)
	}
	switch a := a.(type) {
	case *array.Struct:
		b = append(b, '{')
		t := a.DataType().(*arrow.StructType)
		n := 0
		for k := range t.NumFields() {
			if a.Field(k).IsNull(i) {
				continue
			}
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = appendJSON(append(appendString(b, t.Field(k).Name), ':'), a.Field(k), i)
		}
		return append(b, '}')
	case *array.Map:
		from, to := a.ValueOffsets(i)
		b = append(b, '{')
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			b = append(appendString(b, mapKey(a.Keys(), int(k))), ':')
			b = appendJSON(b, a.Items(), int(k))
		}
		return append(b, '}')
	case array.ListLike:
		from, to := a.ValueOffsets(i)
		b = append(b, '[')
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			b = appendJSON(b, a.ListValues(), int(k))
		}
		return append(b, ']')
	case *array.Boolean:
		return strconv.AppendBool(b, a.Value(i))
	}
	switch v := plainReader(a, nil)(i).(type) {
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		if math.IsInf(v, 0) {
			return appendString(b, strconv.FormatFloat(v, 'g', -1, 64))
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case string:
		return appendString(b, v)
	case []byte:
		if a.DataType().ID() == arrow.STRING {
			return appendString(b, string(v))
		}
		return appendString(b, base64.StdEncoding.EncodeToString(v))
	}
	return append(b, "null"...)
}

// mapKey is a key of a map as the name of a JSON member.
func mapKey(a arrow.Array, i int) string {
	switch v := plainReader(a, nil)(i).(type) {
	case string:
		return v
	case int64:
		if a.DataType().ID() == arrow.BOOL {
			return strconv.FormatBool(v != 0)
		}
		return strconv.FormatInt(v, 10)
	case []byte:
		if a.DataType().ID() == arrow.STRING {
			return string(v)
		}
		return base64.StdEncoding.EncodeToString(v)
	}
	return strings.Trim(string(appendJSON(nil, a, i)), `"`)
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// appendHeader appends a record header as a member of kafka_headers.
func appendHeader(b, key, value []byte) []byte {
	b = appendString(append(b, `{"key":`...), string(key))
	switch {
	case value == nil:
		b = append(b, `,"value":null`...)
	case utf8.Valid(value):
		b = appendString(append(b, `,"value":`...), string(value))
	default:
		b = appendString(append(b, `,"base64":`...), base64.StdEncoding.EncodeToString(value))
	}
	return append(b, '}')
}

// headersReader reads kafka_headers of a table.
func headersReader(a arrow.Array) reader {
	list, ok := a.(*array.List)
	if !ok {
		return readerOf(a, nil)
	}
	entries, ok := list.ListValues().(*array.Struct)
	if !ok || entries.NumField() != 2 {
		return readerOf(a, nil)
	}
	keys, ok1 := entries.Field(0).(*array.String)
	values, ok2 := entries.Field(1).(*array.Binary)
	if !ok1 || !ok2 {
		return readerOf(a, nil)
	}
	return func(i int) any {
		if list.IsNull(i) {
			return nil
		}
		from, to := list.ValueOffsets(i)
		b := []byte{'['}
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			var v []byte
			if values.IsValid(int(k)) {
				if v = values.Value(int(k)); v == nil {
					v = []byte{}
				}
			}
			b = appendHeader(b, []byte(keys.Value(int(k))), v)
		}
		return string(append(b, ']'))
	}
}

// keyReader reads kafka_key of a table.
func keyReader(a arrow.Array) reader {
	keys, ok := a.(*array.Binary)
	if !ok {
		return readerOf(a, nil)
	}
	return func(i int) any {
		if keys.IsNull(i) {
			return nil
		}
		if v := keys.Value(i); v != nil {
			return utf8OrBytes(v)
		}
		return ""
	}
}
