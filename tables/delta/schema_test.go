package delta

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func null(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

func newSchema(t *testing.T, fields ...arrow.Field) *tables.Schema {
	t.Helper()
	s, err := tables.NewSchema(arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaString(t *testing.T) {
	s := newSchema(t,
		arrow.Field{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		tables.WithDoc(null("clock", arrow.FixedWidthTypes.Time64us), "opening"),
		null("hash", &arrow.FixedSizeBinaryType{ByteWidth: 4}),
		null("nanos", &arrow.TimestampType{Unit: arrow.Nanosecond}),
		null("at", arrow.FixedWidthTypes.Timestamp_us),
		null("d", &arrow.Decimal128Type{Precision: 10, Scale: 2}),
		null("st", arrow.StructOf(null("x", arrow.PrimitiveTypes.Float32))),
		null("l", arrow.ListOfNonNullable(arrow.FixedWidthTypes.Boolean)),
		null("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.FixedWidthTypes.Date32)))
	p, err := physical(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := schemaString(p, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"type":"struct","fields":[` + strings.Join([]string{
		`{"name":"id","type":"long","nullable":false,"metadata":{}}`,
		`{"name":"clock","type":"long","nullable":true,"metadata":{"comment":"opening (time of day in microseconds since midnight)"}}`,
		`{"name":"hash","type":"binary","nullable":true,"metadata":{"comment":"always 4 bytes"}}`,
		`{"name":"nanos","type":"timestamp_ntz","nullable":true,"metadata":{"comment":"truncated from nanoseconds"}}`,
		`{"name":"at","type":"timestamp","nullable":true,"metadata":{}}`,
		`{"name":"d","type":"decimal(10,2)","nullable":true,"metadata":{}}`,
		`{"name":"st","type":{"type":"struct","fields":[{"name":"x","type":"float","nullable":true,"metadata":{}}]},"nullable":true,"metadata":{}}`,
		`{"name":"l","type":{"type":"array","elementType":"boolean","containsNull":false},"nullable":true,"metadata":{}}`,
		`{"name":"m","type":{"type":"map","keyType":"string","valueType":"date","valueContainsNull":true},"nullable":true,"metadata":{}}`,
	}, ",") + `]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := physical(newSchema(t, null("a b", arrow.PrimitiveTypes.Int32))); !errors.Is(err, tables.ErrUnsupported) {
		t.Errorf("name with a blank: got %v, want ErrUnsupported", err)
	}
}

// Widening turns the feature on and says each change where readers look for it.
func TestTypeWidening(t *testing.T) {
	store := blob.NewMemory()
	i32, i64, f32, f64 := arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64
	dec := func(p int32) arrow.DataType { return &arrow.Decimal128Type{Precision: p, Scale: 2} }
	fields := func(n, x, e arrow.DataType, p int32) []arrow.Field {
		return []arrow.Field{
			null("n", n), null("same", arrow.FixedWidthTypes.Time64us),
			null("st", arrow.StructOf(null("x", x))),
			null("l", arrow.ListOf(arrow.ListOf(e))),
			null("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.StructOf(null("d", dec(p))))),
		}
	}
	evolve := func(table *table, own []arrow.Field) error {
		next, _, err := table.Schema().Merge(arrow.NewSchema(append(tabletest.KafkaFields(), own...), nil))
		if err != nil {
			t.Fatal(err)
		}
		at := table.state.progress
		name := "s" + next.Arrow.Field(6).Type.Name() + "-" + string(rune('0'+next.ID))
		from := at.Offsets[0]
		c := tabletest.Next(at, name, tabletest.WriteAs(t, store, table, next, name, tables.Range{From: from, To: from + 3}))
		c.Schema = next
		return table.Commit(t.Context(), c)
	}
	table := open(t, store, Config{}, fields(i32, f32, i32, 5)...)
	commitRows(t, store, table, 3)
	if table.state.protocol.MinReaderVersion != 1 {
		t.Errorf("protocol before: got %+v, want 1/2", table.state.protocol)
	}
	strict := open(t, store, Config{NoTypeWidening: true})
	if err := evolve(strict, fields(i64, f32, i32, 5)); !errors.Is(err, tables.ErrUnsupported) {
		t.Errorf("widening switched off: got %v, want ErrUnsupported", err)
	}
	if err := evolve(table, fields(i64, f32, i32, 7)); err != nil {
		t.Fatal(err)
	}
	if err := evolve(table, fields(i64, f64, i64, 9)); err != nil {
		t.Fatal(err)
	}
	if err := evolve(table, append(fields(i64, f64, i64, 9), null("local", &arrow.TimestampType{Unit: arrow.Microsecond}))); err != nil {
		t.Fatal(err)
	}
	p, _ := json.Marshal(table.state.protocol)
	if want := `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["typeWidening","timestampNtz"],"writerFeatures":["typeWidening","appendOnly","invariants","timestampNtz"]}`; string(p) != want {
		t.Errorf("protocol: got %s, want %s", p, want)
	}
	for _, want := range []string{
		`{"name":"n","type":"long","nullable":true,"metadata":{"delta.typeChanges":[{"toType":"long","fromType":"integer"}]}}`,
		`{"name":"x","type":"double","nullable":true,"metadata":{"delta.typeChanges":[{"toType":"double","fromType":"float"}]}}`,
		`"nullable":true,"metadata":{"delta.typeChanges":[{"toType":"long","fromType":"integer","fieldPath":"element.element"}]}}`,
		`{"name":"d","type":"decimal(9,2)","nullable":true,"metadata":{"delta.typeChanges":[{"toType":"decimal(7,2)","fromType":"decimal(5,2)"},{"toType":"decimal(9,2)","fromType":"decimal(7,2)"}]}}`,
		`{"name":"same","type":"long","nullable":true,"metadata":{"comment"`,
	} {
		if !strings.Contains(table.state.meta.SchemaString, want) {
			t.Errorf("schema lacks %s:\n%s", want, table.state.meta.SchemaString)
		}
	}
	if table.state.meta.Configuration["delta.enableTypeWidening"] != "true" {
		t.Errorf("delta.enableTypeWidening is not set")
	}
	if got := count(t, open(t, store, Config{})); got != 12 {
		t.Errorf("rows: got %d, want 12", got)
	}
	renew(t, store, table)
}

// renew puts one file in the place of all: what the table needed for those of
// before goes only where the commit says that its own are of the present types,
// and takes all out.
func renew(t *testing.T, store blob.Store, table *table) {
	t.Helper()
	for n, c := range []struct {
		renewed   bool
		keep      int
		wantGone  bool
		wantReads string
	}{
		{false, 0, false, "typeWidening timestampNtz"},
		{true, 1, false, "typeWidening timestampNtz"},
		{true, 0, true, "timestampNtz"},
	} {
		files, err := table.Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := table.state.progress
		name := fmt.Sprintf("renewed%d", n)
		from := at.Offsets[0]
		next := tabletest.Next(at, name, tabletest.WriteAs(t, store, table, table.Schema(), name, tables.Range{From: from, To: from + 3}))
		next.Remove = &tables.Removal{State: files.State, Renewed: c.renewed}
		for _, f := range files.Live[c.keep:] {
			next.Remove.Files = append(next.Remove.Files, f.Key)
		}
		if err := table.Commit(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		again := open(t, store, Config{})
		_, enabled := again.state.meta.Configuration["delta.enableTypeWidening"]
		gone := !enabled && !strings.Contains(again.state.meta.SchemaString, "typeChanges")
		if reads := strings.Join(again.state.protocol.ReaderFeatures, " "); gone != c.wantGone || reads != c.wantReads {
			t.Errorf("commit %d: notes gone %t, features %s, want %t, %s", n, gone, reads, c.wantGone, c.wantReads)
		}
		commitRows(t, store, table, 3)
	}
	if got, want := table.state.protocol.without("timestampNtz"), (protocol{MinReaderVersion: 1, MinWriterVersion: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("without its last feature: %+v, want %+v", got, want)
	}
}

func TestBounds(t *testing.T) {
	le4 := func(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
	le8 := func(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
	f8 := func(v float64) []byte { return le8(int64(math.Float64bits(v))) }
	utc, local := arrow.FixedWidthTypes.Timestamp_us, &arrow.TimestampType{Unit: arrow.Microsecond}
	text, dec := arrow.BinaryTypes.String, &arrow.Decimal128Type{Precision: 38, Scale: 3}
	x32 := strings.Repeat("ä", 32)
	for _, test := range []struct {
		name    string
		t       arrow.DataType
		v       []byte
		low, up string
	}{
		{"int", arrow.PrimitiveTypes.Int32, le4(-7), `-7`, `-7`},
		{"long", arrow.PrimitiveTypes.Int64, le8(math.MaxInt64), `9223372036854775807`, `9223372036854775807`},
		{"float", arrow.PrimitiveTypes.Float32, le4(int32(math.Float32bits(0.1))), `0.1`, `0.1`},
		{"double", arrow.PrimitiveTypes.Float64, f8(1e300), `1e+300`, `1e+300`},
		{"minus zero", arrow.PrimitiveTypes.Float64, f8(math.Copysign(0, -1)), `-0`, `-0`},
		{"infinite", arrow.PrimitiveTypes.Float64, f8(math.Inf(1)), ``, ``},
		{"bool", arrow.FixedWidthTypes.Boolean, []byte{1}, `true`, `true`},
		{"binary", arrow.BinaryTypes.Binary, []byte("a"), ``, ``},
		{"none", text, nil, ``, ``},
		{"empty", text, []byte{}, `""`, `""`},
		{"quotes", text, []byte("a\"<\n"), `"a\"\u003c\n"`, `"a\"\u003c\n"`},
		{"32 runes", text, []byte(x32), `"` + x32 + `"`, `"` + x32 + `"`},
		{"33 runes", text, []byte(x32 + "b"), `"` + x32 + `"`, `"` + x32 + "\U0010FFFF" + `"`},
		{"nothing above", text, []byte(x32 + "\U0010FFFF"), `"` + x32 + `"`, ``},
		{"no utf-8", text, []byte{0xff}, ``, ``},
		{"date", arrow.FixedWidthTypes.Date32, le4(-1), `"1969-12-31"`, `"1969-12-31"`},
		{"date far", arrow.FixedWidthTypes.Date32, le4(math.MaxInt32), ``, ``},
		{"ms", utc, le8(1_790_000_000_123_000), `"2026-09-21T14:13:20.123Z"`, `"2026-09-21T14:13:20.123Z"`},
		{"µs", utc, le8(1_790_000_000_123_001), `"2026-09-21T14:13:20.123Z"`, `"2026-09-21T14:13:20.124Z"`},
		{"before 1970", utc, le8(-1), `"1969-12-31T23:59:59.999Z"`, `"1970-01-01T00:00:00.000Z"`},
		{"local", local, le8(-1), `"1969-12-31T23:59:59.999"`, `"1970-01-01T00:00:00.000"`},
		{"far", utc, le8(math.MaxInt64), ``, ``},
		{"decimal", dec, []byte{0x04, 0xd2}, `1.234`, `1.234`},
		{"negative", dec, []byte{0xff}, `-0.001`, `-0.001`},
		{"zero", dec, []byte{0}, `0.000`, `0.000`},
		{"exact", dec, []byte{0x03, 0x8d, 0x7e, 0xa4, 0xc6, 0x7f, 0xff}, `999999999999.999`, `999999999999.999`},
		{"long", dec, []byte{0x03, 0x8d, 0x7e, 0xa4, 0xc6, 0x80, 0x00}, `999999999999.900`, `1000000000000.200`},
		{"long and negative", dec, []byte{0xfc, 0x72, 0x81, 0x5b, 0x39, 0x80, 0x00}, `-1000000000000.100`, `-999999999999.800`},
		{"nothing above its digits", &arrow.Decimal128Type{Precision: 16}, []byte{0x23, 0x86, 0xf2, 0x6f, 0xc0, 0xff, 0xff}, `9999999999999800`, ``},
	} {
		if got := string(lower(test.t, test.v)); got != test.low {
			t.Errorf("%s: lower: got %s, want %s", test.name, got, test.low)
		}
		if got := string(upper(test.t, test.v)); got != test.up {
			t.Errorf("%s: upper: got %s, want %s", test.name, got, test.up)
		}
	}
}

// TestDecimalText has partition values that a decimal's type has no digits for.
func TestDecimalText(t *testing.T) {
	dec := &arrow.Decimal128Type{Precision: 4, Scale: 2}
	for _, test := range []struct {
		v    []byte
		text string
		ok   bool
	}{
		{[]byte{0x27, 0x0f}, "99.99", true}, {[]byte{0xd8, 0xf1}, "-99.99", true}, {[]byte{0xff}, "-0.01", true},
		{[]byte{0xd8, 0xf0}, "-100.00", false}, // -99.99, truncated
	} {
		if text, ok := decimalText(test.v, dec); text != test.text || ok != test.ok {
			t.Errorf("%x: got %s, %v, want %s, %v", test.v, text, ok, test.text, test.ok)
		}
	}
}

func TestStatsJSON(t *testing.T) {
	st := arrow.StructOf(null("x", arrow.PrimitiveTypes.Int32), null("f", arrow.PrimitiveTypes.Float64))
	fields := []arrow.Field{null("st", st), null("l", arrow.ListOf(arrow.PrimitiveTypes.Int32)), null("b", arrow.FixedWidthTypes.Boolean)}
	for i := range 40 {
		fields = append(fields, null(fmt.Sprintf("c%02d", i), arrow.PrimitiveTypes.Int32))
	}
	s := newSchema(t, fields...)
	one := []byte{1, 0, 0, 0}
	nan := binary.LittleEndian.AppendUint64(nil, math.Float64bits(2))
	id := func(name string) int {
		f, _ := s.Arrow.FieldsByName(name)
		n, _ := tables.FieldID(f[0])
		return n
	}
	x, _ := tables.FieldID(s.Arrow.Field(0).Type.(*arrow.StructType).Field(0))
	f, _ := tables.FieldID(s.Arrow.Field(0).Type.(*arrow.StructType).Field(1))
	got, err := statsJSON(tables.DataFile{Rows: 9, Columns: []tables.ColumnStats{
		{FieldID: x, Nulls: 3, Min: one, Max: one}, {FieldID: f, NaNs: 1, Min: nan, Max: nan},
		{FieldID: id("b"), Nulls: 2, Min: []byte{0}, Max: []byte{1}}, {FieldID: id("c00"), Min: one},
		// The list counts as a leaf, so c00 is the fifth, and c27 the last.
		{FieldID: id("c27"), Nulls: 1}, {FieldID: id("c28"), Nulls: 1},
	}}, s)
	want := `{"numRecords":9,"minValues":{"st":{"x":1,"f":2},"b":false,"c00":1},"maxValues":{"st":{"x":1},"b":true},"nullCount":{"st":{"x":3,"f":0},"b":2,"c00":0,"c27":1}}`
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestPaths(t *testing.T) {
	key := blob.NewMemory().Key
	for _, test := range []struct{ path, want string }{
		{encodePath("a b%ä.parquet"), "base/a b%ä.parquet"},
		{"day=2026-01-01/x.parquet", "base/day=2026-01-01/x.parquet"},
		{"memory://other/x.parquet", "other/x.parquet"},
	} {
		if got, err := decodePath(test.path, "base/", key); err != nil || got != test.want {
			t.Errorf("%s: got %s, %v, want %s", test.path, got, err, test.want)
		}
	}
	for _, bad := range []string{"%zz", "s3://bucket/x", "/absolute"} {
		if got, err := decodePath(bad, "base/", key); !errors.Is(err, tables.ErrBroken) {
			t.Errorf("%s: got %s, %v, want ErrBroken", bad, got, err)
		}
	}
}
