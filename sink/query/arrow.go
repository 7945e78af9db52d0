package query

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	pq "github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// arrowType is the narrowest type that all values of a column fit, to the last digit.
func (r *Result) arrowType(col int) arrow.DataType {
	if d := r.decimalType(col); d != nil {
		return d
	}
	if t := r.declaredType(col); t != nil {
		return t
	}
	var ints, long, floats, texts, blobs bool
	for _, row := range r.Rows {
		switch v := row[col].(type) {
		case int64:
			ints, long = true, long || v > maxFloatWhole || v < -maxFloatWhole
		case float64:
			floats = true
		case string:
			texts = true
		case []byte:
			blobs = true
		}
	}
	switch {
	case blobs && !texts && !ints && !floats:
		return arrow.BinaryTypes.Binary
	case texts || blobs || floats && long:
		return arrow.BinaryTypes.String
	case floats:
		return arrow.PrimitiveTypes.Float64
	case ints:
		return arrow.PrimitiveTypes.Int64
	}
	switch r.Columns[col].Type {
	case "INTEGER":
		return arrow.PrimitiveTypes.Int64
	case "BLOB":
		return arrow.BinaryTypes.Binary
	case "REAL":
		return arrow.PrimitiveTypes.Float64
	}
	return arrow.BinaryTypes.String
}

// maxFloatWhole is the last whole number up to which floats have all of them.
const maxFloatWhole = 1 << 53

// batch is the result as Arrow has it.
func (r *Result) batch() arrow.RecordBatch {
	var fields []arrow.Field
	for i, name := range r.names() {
		fields = append(fields, arrow.Field{Name: name, Type: r.arrowType(i), Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	for i := range fields {
		for _, row := range r.Rows {
			v := row[i]
			if v == nil {
				b.Field(i).AppendNull()
				continue
			}
			switch to := b.Field(i).(type) {
			case *array.Int64Builder:
				to.Append(v.(int64))
			case *array.Float64Builder:
				f, _ := asFloat(v)
				to.Append(f)
			case *array.BooleanBuilder:
				to.Append(v.(bool))
			case *array.TimestampBuilder, *array.Date32Builder, *array.Time64Builder:
				appendMoment(to, fields[i].Type, v.(string))
			case *array.Decimal128Builder:
				d, _ := decimalOf(v, fields[i].Type.(*arrow.Decimal128Type))
				to.Append(d)
			case *array.BinaryBuilder:
				to.Append(v.([]byte))
			case *array.StringBuilder:
				to.Append(strings.ToValidUTF8(wordOf(v), "\uFFFD"))
			}
		}
	}
	return b.NewRecordBatch()
}

// decimalType is the type of a column that is one of decimals, nil if it is none. What
// a statement puts together under such a column's name may have values that the type
// has not.
func (r *Result) decimalType(col int) arrow.DataType {
	var t arrow.Decimal128Type
	if n, err := fmt.Sscanf(r.Columns[col].Type, decimalDecl+"%d,%d)", &t.Precision, &t.Scale); err != nil || n != 2 {
		return nil
	}
	for _, row := range r.Rows {
		if row[col] == nil {
			continue
		}
		if _, ok := decimalOf(row[col], &t); !ok {
			return nil
		}
	}
	return &t
}

// decimalOf is a value of SQL as a decimal of a type, to the last digit; ok is false if
// it is none. A float stands for its shortest digits: decimals are floats where those
// are theirs.
func decimalOf(v any, t *arrow.Decimal128Type) (d decimal128.Num, ok bool) {
	var digits string
	switch v := v.(type) {
	case int64:
		digits = strconv.FormatInt(v, 10)
	case float64:
		digits = strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		digits = v
	default:
		return d, false
	}
	unsigned := strings.TrimPrefix(digits, "-")
	before, behind, _ := strings.Cut(unsigned, ".")
	before, behind = strings.TrimLeft(before, "0"), strings.TrimRight(behind, "0")
	scale := int(t.Scale)
	if scale < 0 || len(behind) > scale || len(before)+scale > int(t.Precision) || before+behind == "" && !strings.Contains(unsigned, "0") {
		return d, false
	}
	n, ok := new(big.Int).SetString("0"+before+behind+strings.Repeat("0", scale-len(behind)), 10)
	if !ok {
		return d, false
	}
	if digits != unsigned {
		n.Neg(n)
	}
	return decimal128.FromBigInt(n), true
}

// declaredType is the type of a column of booleans, or of points in time, days and times
// of day, nil if it is none, or a value is none.
func (r *Result) declaredType(col int) arrow.DataType {
	types := momentTypes[r.Columns[col].Type]
	if r.Columns[col].Type == declBool {
		types = []arrow.DataType{arrow.FixedWidthTypes.Boolean}
	}
next:
	for _, t := range types { // the first that holds all values
		for _, row := range r.Rows {
			switch v := row[col].(type) {
			case nil:
			case bool:
				if t.ID() != arrow.BOOL {
					continue next
				}
			case string:
				if _, ok := momentOf(v, t); !ok {
					continue next
				}
			default:
				continue next
			}
		}
		return t
	}
	return nil
}

// momentTypes are the types of Arrow that columns of time may have, by how they are
// declared.
var momentTypes = map[string][]arrow.DataType{
	declStamp: {arrow.FixedWidthTypes.Timestamp_us, arrow.FixedWidthTypes.Timestamp_ns},
	declLocal: {&arrow.TimestampType{Unit: arrow.Microsecond}, &arrow.TimestampType{Unit: arrow.Nanosecond}},
	declDate:  {arrow.FixedWidthTypes.Date32},
	declTime:  {arrow.FixedWidthTypes.Time64us, arrow.FixedWidthTypes.Time64ns},
}

// momentOf is the number that stands for a text of value.go in a type; ok is false if
// none does.
func momentOf(s string, t arrow.DataType) (n int64, ok bool) {
	layout := map[arrow.Type]string{arrow.TIMESTAMP: "2006-01-02 15:04:05", arrow.DATE32: "2006-01-02", arrow.TIME64: "15:04:05"}[t.ID()]
	at, err := time.Parse(layout, s)
	if layout == "" || err != nil {
		return 0, false
	}
	if t.ID() == arrow.TIME64 {
		at = at.AddDate(1970, 0, 0) // year 0 without a date
	}
	switch unit := unitOf(t); {
	case t.ID() == arrow.DATE32:
		return at.Unix() / (24 * 60 * 60), true // midnight, so without a rest
	case unit == arrow.Nanosecond:
		return at.UnixNano(), time.Unix(0, at.UnixNano()).Equal(at)
	default:
		return at.UnixMicro(), at.Nanosecond()%1000 == 0
	}
}

func unitOf(t arrow.DataType) arrow.TimeUnit {
	if t, ok := t.(arrow.TemporalWithUnit); ok {
		return t.TimeUnit()
	}
	return arrow.Second
}

// appendMoment appends a text that declaredType has found to be of a type.
func appendMoment(to array.Builder, t arrow.DataType, s string) {
	n, _ := momentOf(s, t)
	switch to := to.(type) {
	case *array.TimestampBuilder:
		to.Append(arrow.Timestamp(n))
	case *array.Date32Builder:
		to.Append(arrow.Date32(n))
	case *array.Time64Builder:
		to.Append(arrow.Time64(n))
	}
}

// writeArrow writes Arrow's IPC: a file, as readers open one of that ending, or a stream.
func (r *Result) writeArrow(w io.Writer, stream bool) error {
	b := r.batch()
	if stream {
		out := ipc.NewWriter(w, ipc.WithSchema(b.Schema()))
		return errors.Join(out.Write(b), out.Close())
	}
	out, err := ipc.NewFileWriter(w, ipc.WithSchema(b.Schema()))
	if err != nil {
		return err
	}
	return errors.Join(out.Write(b), out.Close())
}

func (r *Result) writeParquet(w io.Writer) error {
	b := r.batch()
	out, err := pqarrow.NewFileWriter(b.Schema(), w,
		pq.NewWriterProperties(pq.WithCompression(compress.Codecs.Zstd)), pqarrow.NewArrowWriterProperties())
	if err != nil {
		return err
	}
	if err := out.Write(b); err != nil {
		return err
	}
	return out.Close()
}
