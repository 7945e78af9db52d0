package tabletest

import (
	"fmt"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
)

// KafkaFields are the columns that every table has before its own (reference:
// schema.md §6.2).
func KafkaFields() []arrow.Field {
	header := arrow.StructOf(
		arrow.Field{Name: "key", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true},
	)
	return []arrow.Field{
		{Name: "kafka_partition", Type: arrow.PrimitiveTypes.Int32},
		{Name: "kafka_offset", Type: arrow.PrimitiveTypes.Int64},
		{Name: "kafka_timestamp", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "kafka_key", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "kafka_headers", Type: arrow.ListOfField(arrow.Field{Name: "element", Type: header}), Nullable: true},
		{Name: "kafka_schema_id", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	}
}

// SmallFields are the own columns of a small table.
func SmallFields() []arrow.Field {
	return []arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
	}
}

// AllFields are columns of every type of the mapping, nested ones too.
func AllFields() []arrow.Field {
	geo := arrow.StructOf(
		arrow.Field{Name: "lat", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		arrow.Field{Name: "label", Type: arrow.BinaryTypes.String, Nullable: true},
	)
	address := arrow.StructOf(
		arrow.Field{Name: "city", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "geo", Type: geo, Nullable: true},
	)
	item := arrow.StructOf(
		arrow.Field{Name: "sku", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "price", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}, Nullable: true},
	)
	null := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	return []arrow.Field{
		null("flag", arrow.FixedWidthTypes.Boolean),
		null("small", arrow.PrimitiveTypes.Int32),
		{Name: "big", Type: arrow.PrimitiveTypes.Int64},
		null("ratio", arrow.PrimitiveTypes.Float32),
		null("score", arrow.PrimitiveTypes.Float64),
		null("raw", arrow.BinaryTypes.Binary),
		null("text", arrow.BinaryTypes.String),
		null("hash", &arrow.FixedSizeBinaryType{ByteWidth: 16}),
		null("cents", &arrow.Decimal128Type{Precision: 18, Scale: 4}),
		null("wei", &arrow.Decimal128Type{Precision: 38, Scale: 10}),
		null("day", arrow.FixedWidthTypes.Date32),
		null("clock", arrow.FixedWidthTypes.Time64us),
		null("at", arrow.FixedWidthTypes.Timestamp_us),
		null("local_at", &arrow.TimestampType{Unit: arrow.Microsecond}),
		null("address", address),
		null("tags", arrow.ListOfField(null("element", arrow.BinaryTypes.String))),
		null("items", arrow.ListOfField(arrow.Field{Name: "element", Type: item})),
		null("attrs", arrow.MapOfFields(
			arrow.Field{Name: "key", Type: arrow.BinaryTypes.String},
			null("value", arrow.PrimitiveTypes.Int64))),
	}
}

// Schema makes a table schema of the kafka_* columns and these.
func Schema(t testing.TB, own ...arrow.Field) *tables.Schema {
	t.Helper()
	s, err := tables.NewSchema(arrow.NewSchema(append(KafkaFields(), own...), nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Rows makes a batch of the schema with one row for each offset of the range.
// Values follow from partition and offset alone; about every seventh value of a
// nullable field is null.
func Rows(s *arrow.Schema, r tables.Range) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	defer b.Release()
	for offset := r.From; offset < r.To; offset++ {
		for i, f := range s.Fields() {
			switch f.Name {
			case "kafka_partition":
				b.Field(i).(*array.Int32Builder).Append(r.Partition)
			case "kafka_offset":
				b.Field(i).(*array.Int64Builder).Append(offset)
			default:
				fill(b.Field(i), f, offset*31+int64(r.Partition)*7+int64(i))
			}
		}
	}
	return b.NewRecordBatch()
}

// fill appends one value that follows from seed.
func fill(b array.Builder, f arrow.Field, seed int64) {
	if f.Nullable && seed%7 == 3 {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(seed%2 == 0)
	case *array.Int32Builder:
		b.Append(int32(seed - 50))
	case *array.Int64Builder:
		b.Append(seed * 1_000_003)
	case *array.Float32Builder:
		b.Append(float32(seed) / 4)
	case *array.Float64Builder:
		b.Append(float(seed))
	case *array.BinaryBuilder:
		b.Append(fmt.Appendf(nil, "k%d\x00\xff", seed))
	case *array.StringBuilder:
		b.Append(fmt.Sprintf("wörd %d", seed%1000))
	case *array.FixedSizeBinaryBuilder:
		b.Append(fmt.Appendf(nil, "%0*d", b.Type().(*arrow.FixedSizeBinaryType).ByteWidth, seed))
	case *array.Decimal128Builder:
		b.Append(decimal128.FromI64(seed*101 - 5000))
	case *array.Date32Builder:
		b.Append(arrow.Date32(20_000 + seed%500))
	case *array.Time64Builder:
		b.Append(arrow.Time64(seed * 1_001_003 % 86_400_000_000))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(1_790_000_000_000_000 + seed*1_234_567))
	default:
		fillNested(b, f, seed)
	}
}

// float is a number for most seeds, and what needs care for some.
func float(seed int64) float64 {
	switch seed % 11 {
	case 5:
		return math.NaN()
	case 6:
		return math.Inf(-1)
	case 7:
		return math.Copysign(0, -1)
	}
	return float64(seed) / 8
}

func fillNested(b array.Builder, f arrow.Field, seed int64) {
	switch b := b.(type) {
	case *array.StructBuilder:
		b.Append(true)
		for i, child := range f.Type.(*arrow.StructType).Fields() {
			fill(b.FieldBuilder(i), child, seed+int64(i))
		}
	case *array.MapBuilder:
		t := f.Type.(*arrow.MapType)
		b.Append(true)
		for i := range seed % 3 {
			b.KeyBuilder().(*array.StringBuilder).Append(fmt.Sprintf("key %d", i))
			fill(b.ItemBuilder(), t.ItemField(), seed+i)
		}
	case *array.ListBuilder:
		b.Append(true)
		for i := range seed % 4 {
			fill(b.ValueBuilder(), f.Type.(*arrow.ListType).ElemField(), seed+i)
		}
	default:
		panic("tabletest: no values for " + f.Type.String())
	}
}
