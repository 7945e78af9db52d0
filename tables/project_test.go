package tables_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func fromJSON(t *testing.T, rows string, fields ...arrow.Field) arrow.RecordBatch {
	t.Helper()
	b, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantJSON(t *testing.T, b arrow.RecordBatch, want string) {
	t.Helper()
	var out strings.Builder
	if err := array.RecordToJSON(b, &out); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("rows:\ngot  %s\nwant %s", got, want)
	}
}

func TestProject(t *testing.T) {
	to := newSchema(t,
		field("added", text), field("n", i64), field("f", f64),
		field("d", &arrow.Decimal128Type{Precision: 20, Scale: 2}),
		field("s", arrow.StructOf(field("y", i64), field("x", i64), field("z", arrow.MapOf(text, i32)))),
		field("l", arrow.ListOf(arrow.StructOf(field("e", i64), field("g", arrow.ListOf(i32))))),
		field("m", arrow.MapOf(text, i64)))
	old := fromJSON(t, `[
		{"n": 1, "f": 1.5, "d": "1.25", "s": {"x": 7, "y": 8}, "l": [{"e": 1}, null, {"e": 2}], "m": [{"key": "a", "value": 1}]},
		{"n": null, "f": null, "d": null, "s": null, "l": null, "m": null},
		{"n": -3, "f": 2.5, "d": "-2.50", "s": {"x": null, "y": 9}, "l": [], "m": []}]`,
		field("m", arrow.MapOf(text, i32)), field("n", i32), field("f", f32),
		field("d", &arrow.Decimal128Type{Precision: 9, Scale: 2}),
		field("s", arrow.StructOf(field("x", i32), field("y", i64))),
		field("l", arrow.ListOf(arrow.StructOf(field("e", i32)))))
	want := []string{
		`{"added":null,"d":"1.25","f":1.5,"l":[{"e":1,"g":null},null,{"e":2,"g":null}],"m":[{"key":"a","value":1}],"n":1,"s":{"x":7,"y":8,"z":null}}`,
		`{"added":null,"d":null,"f":null,"l":null,"m":null,"n":null,"s":null}`,
		`{"added":null,"d":"-2.5","f":2.5,"l":[],"m":[],"n":-3,"s":{"x":null,"y":9,"z":null}}`,
	}
	whole, err := tables.Project(old, to)
	if err != nil {
		t.Fatal(err)
	}
	if !whole.Schema().Equal(to.Arrow) {
		t.Errorf("schema: got %v, want %v", whole.Schema(), to.Arrow)
	}
	wantJSON(t, whole, strings.Join(want, "\n"))
	// The same from a slice, whose arrays have offsets.
	part, err := tables.Project(old.NewSlice(1, 3), to)
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, part, strings.Join(want[1:], "\n"))
}

func TestProjectSharesUnchangedColumns(t *testing.T) {
	s := tabletest.Schema(t, tabletest.AllFields()...)
	batch := tabletest.Rows(s.Arrow, tables.Range{From: 0, To: 100})
	got, err := tables.Project(batch, s)
	if err != nil {
		t.Fatal(err)
	}
	if !array.RecordEqual(batch, got) && !array.RecordApproxEqual(batch, got, array.WithNaNsEqual(true)) {
		t.Errorf("projection to its own schema changed the rows")
	}
	if batch.Column(1).Data().Buffers()[1] != got.Column(1).Data().Buffers()[1] {
		t.Errorf("an unchanged column was copied")
	}
}

func TestProjectReleases(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	to := newSchema(t, field("a", i64), field("b", text))
	b := array.NewInt32Builder(mem)
	b.AppendValues([]int32{1, 2, 3}, []bool{true, false, true})
	a := b.NewArray()
	b.Release()
	batch := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{field("a", i32)}, nil), []arrow.Array{a}, 3)
	a.Release()
	got, err := tables.Project(batch, to)
	if err != nil {
		t.Fatal(err)
	}
	batch.Release()
	wantJSON(t, got, `{"a":1,"b":null}
{"a":null,"b":null}
{"a":3,"b":null}`)
	got.Release()
}

func TestProjectRefuses(t *testing.T) {
	to := newSchema(t, field("a", i32), required("r", i32), field("s", arrow.StructOf(field("x", i32))))
	ok := required("r", i32)
	for name, batch := range map[string]arrow.RecordBatch{
		"unknown column":   fromJSON(t, `[{"r": 1, "b": 1}]`, ok, field("b", i32)),
		"unknown nested":   fromJSON(t, `[{"r": 1, "s": {"q": 1}}]`, ok, field("s", arrow.StructOf(field("q", i32)))),
		"narrowing":        fromJSON(t, `[{"r": 1, "a": 1}]`, ok, field("a", i64)),
		"other type":       fromJSON(t, `[{"r": 1, "a": "x"}]`, ok, field("a", text)),
		"required missing": fromJSON(t, `[{"a": 1}]`, field("a", i32)),
		"required null":    fromJSON(t, `[{"r": null}]`, field("r", i32)),
	} {
		if _, err := tables.Project(batch, to); !errors.Is(err, tables.ErrSchema) {
			t.Errorf("%s: got %v, want ErrSchema", name, err)
		}
	}
}

func TestConvert(t *testing.T) {
	logical := newSchema(t, field("ns", arrow.FixedWidthTypes.Timestamp_ns), field("clock", arrow.FixedWidthTypes.Time64us),
		field("hash", &arrow.FixedSizeBinaryType{ByteWidth: 2}), field("l", arrow.ListOf(&arrow.TimestampType{Unit: arrow.Nanosecond})))
	physical := logical.MapLeaves(func(f arrow.Field) arrow.Field {
		switch ts, ok := f.Type.(*arrow.TimestampType); {
		case ok:
			f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: ts.TimeZone}
		case f.Name == "clock":
			f.Type = i64
		default:
			f.Type = arrow.BinaryTypes.Binary
		}
		return f
	})
	b := array.NewRecordBuilder(memory.DefaultAllocator, logical.Arrow)
	ns := []arrow.Timestamp{0, 1999, -1, -1000}
	b.Field(0).(*array.TimestampBuilder).AppendValues(ns, []bool{false, true, true, true})
	b.Field(1).(*array.Time64Builder).AppendValues([]arrow.Time64{1, 2, 3, 4}, []bool{true, true, false, true})
	b.Field(2).(*array.FixedSizeBinaryBuilder).AppendValues([][]byte{[]byte("ab"), nil, []byte("cd"), []byte("ef")}, []bool{true, false, true, true})
	l := b.Field(3).(*array.ListBuilder)
	for _, v := range ns {
		l.Append(true)
		l.ValueBuilder().(*array.TimestampBuilder).Append(v)
	}
	batch := b.NewRecordBatch()
	got, err := tables.Convert(batch.NewSlice(1, 4), physical)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Schema().Equal(physical.Arrow) {
		t.Errorf("schema: got %v, want %v", got.Schema(), physical.Arrow)
	}
	wantJSON(t, got, `{"clock":2,"hash":null,"l":["1970-01-01T00:00:00.000001"],"ns":"1970-01-01T00:00:00.000001Z"}
{"clock":null,"hash":"Y2Q=","l":["1969-12-31T23:59:59.999999"],"ns":"1969-12-31T23:59:59.999999Z"}
{"clock":4,"hash":"ZWY=","l":["1969-12-31T23:59:59.999999"],"ns":"1969-12-31T23:59:59.999999Z"}`)
	if _, err := tables.Project(batch, physical); !errors.Is(err, tables.ErrSchema) {
		t.Errorf("project to a physical schema: got %v, want ErrSchema", err)
	}
	// Nothing to convert is nothing to do.
	if same := logical.MapLeaves(func(f arrow.Field) arrow.Field { return f }); same != logical {
		t.Errorf("a mapping that changes nothing made a new schema")
	}
}
