package layout

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
)

// one is a column of one value; nil is null.
func one(t *testing.T, typ arrow.DataType, v any) arrow.Array {
	t.Helper()
	b := array.NewBuilder(memory.DefaultAllocator, typ)
	switch v := v.(type) {
	case nil:
		b.AppendNull()
	case decimal128.Num:
		b.(*array.Decimal128Builder).Append(v)
	case int:
		switch b := b.(type) {
		case *array.Int32Builder:
			b.Append(int32(v))
		case *array.Int64Builder:
			b.Append(int64(v))
		case *array.Date32Builder:
			b.Append(arrow.Date32(v))
		case *array.Time64Builder:
			b.Append(arrow.Time64(v))
		case *array.TimestampBuilder:
			b.Append(arrow.Timestamp(v))
		}
	case string:
		switch b := b.(type) {
		case *array.StringBuilder:
			b.Append(v)
		case *array.BinaryBuilder:
			b.Append([]byte(v))
		case *array.FixedSizeBinaryBuilder:
			b.Append([]byte(v))
		}
	case bool:
		b.(*array.BooleanBuilder).Append(v)
	case float64:
		b.(*array.Float64Builder).Append(v)
	case float32:
		b.(*array.Float32Builder).Append(v)
	}
	return b.NewArray()
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	timestamp   = &arrow.TimestampType{Unit: arrow.Microsecond}
	timestampTz = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	timestampNs = &arrow.TimestampType{Unit: arrow.Nanosecond}
	date        = arrow.FixedWidthTypes.Date32
	int32s      = arrow.PrimitiveTypes.Int32
	int64s      = arrow.PrimitiveTypes.Int64
	stringsType = arrow.BinaryTypes.String
	binaryType  = arrow.BinaryTypes.Binary
)

func fixed(n int) arrow.DataType { return &arrow.FixedSizeBinaryType{ByteWidth: n} }
func decimal(p, s int32) arrow.DataType {
	return &arrow.Decimal128Type{Precision: p, Scale: s}
}

// TestHash holds the hash to the values of Iceberg's table specification,
// appendix B.
func TestHash(t *testing.T) {
	at := time.Date(2017, 11, 16, 22, 31, 8, 0, time.UTC)
	for _, c := range []struct {
		name string
		typ  arrow.DataType
		v    any
		want int32
	}{
		{"int", int32s, 34, 2017239379},
		{"long", int64s, 34, 2017239379},
		{"decimal", decimal(9, 2), decimal128.FromI64(1420), -500754589},
		{"date", date, int(at.Unix() / 86400), -653330422},
		{"time", arrow.FixedWidthTypes.Time64us, int((22*3600 + 31*60 + 8) * 1e6), -662762989},
		{"timestamp", timestamp, int(at.UnixMicro()), -2047944441},
		{"timestamp of a microsecond", timestamp, int(at.UnixMicro() + 1), -1207196810},
		{"timestamptz", timestampTz, int(at.UnixMicro()), -2047944441},
		{"timestamp_ns", timestampNs, int(at.UnixNano()), -2047944441},
		{"timestamp_ns of a microsecond", timestampNs, int(at.UnixNano() + 1001), -1207196810},
		{"string", stringsType, "iceberg", 1210000089},
		{"uuid", fixed(16), unhex(t, "f79c3e09677c4bbda4793f349cb785e7"), 1488055340},
		{"fixed", fixed(4), "\x00\x01\x02\x03", -188683207},
		{"binary", binaryType, "\x00\x01\x02\x03", -188683207},
	} {
		hash, err := hashed(one(t, c.typ, c.v))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := int32(hash(0)); got != c.want {
			t.Errorf("%s: hash %d, want %d", c.name, got, c.want)
		}
	}
}

func le32(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
func le64(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

func TestTransforms(t *testing.T) {
	micros := func(s string) int {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return int(at.UnixMicro())
	}
	for _, c := range []struct {
		transform string
		typ       arrow.DataType
		v         any
		want      []byte
	}{
		// The specification's own examples.
		{"truncate[10]", int32s, 1, le32(0)},
		{"truncate[10]", int32s, -1, le32(-10)},
		{"truncate[10]", int64s, 1, le64(0)},
		{"truncate[10]", int64s, -1, le64(-10)},
		{"truncate[50]", decimal(9, 2), decimal128.FromI64(1065), []byte{0x04, 0x1a}}, // 10.65 → 10.50
		{"truncate[3]", stringsType, "iceberg", []byte("ice")},
		{"truncate[3]", binaryType, "\x01\x02\x03\x04\x05", []byte{1, 2, 3}},
		// Down, below zero; characters, not bytes; what is short stays.
		{"truncate[10]", decimal(9, 2), decimal128.FromI64(-1), []byte{0xf6}},
		{"truncate[2]", stringsType, "äöü", []byte("äö")},
		{"truncate[9]", stringsType, "äöü", []byte("äöü")},
		{"truncate[9]", binaryType, "ab", []byte("ab")},
		{"year", date, 0, le32(0)},
		{"year", date, -1, le32(-1)},
		{"month", date, -1, le32(-1)},
		{"day", date, -1, le32(-1)},
		{"year", timestampTz, micros("2017-11-16T22:31:08Z"), le32(47)},
		{"month", timestampTz, micros("2017-11-16T22:31:08Z"), le32(574)},
		{"day", timestampTz, micros("2017-11-16T22:31:08Z"), le32(17486)},
		{"hour", timestampTz, micros("2017-11-16T22:31:08Z"), le32(419686)},
		{"year", timestamp, -1, le32(-1)},
		{"month", timestamp, -1, le32(-1)},
		{"day", timestamp, -1, le32(-1)},
		{"hour", timestamp, -1, le32(-1)},
		{"month", timestamp, micros("1969-01-01T00:00:00Z"), le32(-12)},
		{"day", timestampNs, -1, le32(-1)},
		{"hour", timestampNs, 3_600_000_000_001, le32(1)},
		{"bucket[16]", stringsType, "iceberg", le32(1210000089 % 16)},
		{"bucket[7]", int64s, 34, le32(2017239379 % 7)},
		{"bucket[16]", decimal(9, 2), decimal128.FromI64(1420), le32((-500754589 & math.MaxInt32) % 16)},
		{"identity", int32s, -3, le32(-3)},
		{"identity", stringsType, "eu", []byte("eu")},
		{"identity", stringsType, "", []byte{}},
		{"identity", fixed(2), "ab", []byte("ab")},
		{"identity", arrow.FixedWidthTypes.Boolean, true, []byte{1}},
		{"identity", decimal(38, 2), decimal128.FromI64(-129), []byte{0xff, 0x7f}},
		{"identity", decimal(38, 2), decimal128.FromI64(128), []byte{0x00, 0x80}},
		{"identity", timestampNs, -1, le64(-1)},
		{"identity", arrow.PrimitiveTypes.Float64, 1.5, le64(int64(math.Float64bits(1.5)))},
		{"identity", arrow.PrimitiveTypes.Float64, math.Float64frombits(0x7ff8000000000077), le64(int64(math.Float64bits(math.NaN())))},
		{"void", stringsType, "eu", nil},
	} {
		tr, err := tables.ParseTransform(c.transform)
		if err != nil {
			t.Fatal(err)
		}
		v, err := transformed(tr, one(t, c.typ, c.v))
		if err != nil {
			t.Errorf("%s of %s: %v", c.transform, c.typ, err)
			continue
		}
		if got := v(nil, 0); string(got) != string(c.want) {
			t.Errorf("%s of %v (%s) = %x, want %x", c.transform, c.v, c.typ, got, c.want)
		}
	}
}

func TestTransformsRefused(t *testing.T) {
	for _, c := range []struct {
		transform string
		typ       arrow.DataType
	}{
		{"bucket[4]", arrow.PrimitiveTypes.Float64}, {"bucket[4]", arrow.FixedWidthTypes.Boolean},
		{"truncate[4]", date}, {"truncate[4]", fixed(8)}, {"hour", date}, {"day", int64s}, {"year", stringsType},
		{"day", arrow.FixedWidthTypes.Time64us}, {"identity", arrow.ListOf(int32s)}, {"void", arrow.StructOf(arrow.Field{Name: "a", Type: int32s})},
	} {
		tr, err := tables.ParseTransform(c.transform)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tr.Result(c.typ); ok {
			t.Errorf("%s takes %s", c.transform, c.typ)
		}
	}
}

// TestCivil holds our calendar against the library's, over all years that it and
// microseconds can say.
func TestCivil(t *testing.T) {
	for day := int64(-106_751_991); day < 106_751_991; day += 3677 {
		at := time.Unix(day*86400, 0).UTC()
		if year, month := civil(day); year != int64(at.Year()) || month != int64(at.Month()) {
			t.Fatalf("day %d is in %d-%d, want %d-%d", day, year, month, at.Year(), at.Month())
		}
	}
	for day := int64(-800_000); day < 100_000; day++ {
		at := time.Unix(day*86400, 0).UTC()
		if year, month := civil(day); year != int64(at.Year()) || month != int64(at.Month()) {
			t.Fatalf("day %d is in %d-%d, want %d-%d", day, year, month, at.Year(), at.Month())
		}
	}
}
