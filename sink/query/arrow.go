package query

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

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
	case "INTEGER", "BOOLEAN":
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

func (r *Result) writeArrow(w io.Writer) error {
	b := r.batch()
	out := ipc.NewWriter(w, ipc.WithSchema(b.Schema()))
	if err := out.Write(b); err != nil {
		return err
	}
	return out.Close()
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
