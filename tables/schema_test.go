package tables_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/tabletest"
)

func field(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

func required(name string, t arrow.DataType) arrow.Field { return arrow.Field{Name: name, Type: t} }

func newSchema(t testing.TB, fields ...arrow.Field) *tables.Schema {
	t.Helper()
	s, err := tables.NewSchema(arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ids lists path=id of every field, in order.
func ids(fields []arrow.Field, parent string) []string {
	var out []string
	for _, f := range fields {
		id, _ := f.Metadata.GetValue(tables.FieldIDKey)
		out = append(out, parent+f.Name+"="+id)
		out = append(out, ids(tables.Children(f.Type), parent+f.Name+".")...)
	}
	return out
}

func wantIDs(t *testing.T, s *tables.Schema, want string) {
	t.Helper()
	if got := strings.Join(ids(s.Arrow.Fields(), ""), " "); got != want {
		t.Errorf("ids:\ngot  %s\nwant %s", got, want)
	}
}

var (
	i32, i64 = arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64
	f32, f64 = arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64
	text     = arrow.BinaryTypes.String
)

func TestNewSchemaIDs(t *testing.T) {
	s := newSchema(t,
		required("a", i32),
		field("s", arrow.StructOf(field("x", i32), field("y", arrow.StructOf(field("z", i32))))),
		field("l", arrow.ListOfField(field("item", arrow.StructOf(field("e", i32))))),
		field("m", arrow.MapOf(text, i64)))
	wantIDs(t, s, "a=1 s=2 s.x=5 s.y=6 s.y.z=7 l=3 l.element=8 l.element.e=9 m=4 m.key=10 m.value=11")
	if s.LastID != 11 || s.ID != 0 {
		t.Errorf("got id %d, last id %d, want 0, 11", s.ID, s.LastID)
	}
	if id, ok := tables.FieldID(s.Arrow.Field(2)); id != 3 || !ok {
		t.Errorf("field id: got %d, %v, want 3", id, ok)
	}
	if _, ok := tables.FieldID(field("none", i32)); ok {
		t.Errorf("a field without an id has one")
	}
}

func TestNewSchemaRefuses(t *testing.T) {
	deep := i32
	for range tables.MaxDepth + 2 {
		deep = arrow.StructOf(field("x", deep))
	}
	for name, fields := range map[string][]arrow.Field{
		"case":       {field("Id", i32), field("id", i32)},
		"twice":      {field("id", i32), field("id", i64)},
		"nested":     {field("s", arrow.StructOf(field("a", i32), field("A", i32)))},
		"empty name": {field("", i32)},
		"no fields":  {field("s", arrow.StructOf())},
		"uint64":     {field("u", arrow.PrimitiveTypes.Uint64)},
		"millis":     {field("t", arrow.FixedWidthTypes.Timestamp_ms)},
		"zone":       {field("t", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "Europe/Berlin"})},
		"decimal":    {field("d", &arrow.Decimal128Type{Precision: 39, Scale: 0})},
		"fixed(0)":   {field("f", &arrow.FixedSizeBinaryType{})},
		"depth":      {field("deep", deep)},
		"nested bad": {field("l", arrow.ListOf(arrow.PrimitiveTypes.Int8))},
	} {
		if _, err := tables.NewSchema(arrow.NewSchema(fields, nil)); !errors.Is(err, tables.ErrSchema) {
			t.Errorf("%s: got %v, want ErrSchema", name, err)
		}
	}
	if _, err := tables.NewSchema(nil); !errors.Is(err, tables.ErrSchema) {
		t.Errorf("nil: got %v, want ErrSchema", err)
	}
}

func TestKeepIDsRefuses(t *testing.T) {
	one := tables.WithFieldID(field("a", i32), 1)
	for name, fields := range map[string][]arrow.Field{
		"missing": {one, field("b", i32)},
		"twice":   {one, tables.WithFieldID(field("b", i32), 1)},
		"zero":    {tables.WithFieldID(field("b", i32), 0)},
	} {
		if _, err := tables.KeepIDs(0, arrow.NewSchema(fields, nil)); !errors.Is(err, tables.ErrSchema) {
			t.Errorf("%s: got %v, want ErrSchema", name, err)
		}
	}
}

func TestSchemaJSON(t *testing.T) {
	own := append(tabletest.AllFields(),
		field("nanos", arrow.FixedWidthTypes.Timestamp_ns),
		field("local_nanos", &arrow.TimestampType{Unit: arrow.Nanosecond}),
		tables.WithDoc(field("told", i32), "what it is"))
	want := tabletest.Schema(t, own...)
	want.ID, want.LastID = 3, 99
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got tables.Schema
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	if !got.Equal(want) {
		t.Errorf("got  %v\nwant %v", got.Arrow, want.Arrow)
	}
	again, err := json.Marshal(&got)
	if err != nil || string(again) != string(data) {
		t.Errorf("second text differs: %s, %v", again, err)
	}
}

func TestSchemaJSONText(t *testing.T) {
	s := newSchema(t, required("id", i64), field("tags", arrow.ListOfField(field("element", text))),
		field("d", &arrow.Decimal128Type{Precision: 10, Scale: 2}))
	want := `{"id":0,"last_id":4,"fields":[{"id":1,"name":"id","type":"int64","required":true},` +
		`{"id":2,"name":"tags","type":"list","fields":[{"id":4,"name":"element","type":"string"}]},` +
		`{"id":3,"name":"d","type":"decimal(10,2)"}]}`
	got, err := json.Marshal(s)
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

func TestSchemaJSONRefuses(t *testing.T) {
	for _, data := range []string{
		`{`, `{"fields":[{"id":1,"name":"a"}]}`,
		`{"last_id":0,"fields":[{"id":1,"name":"a","type":"int32"}]}`,
		`{"last_id":1,"fields":[{"id":1,"name":"a","type":"int32","fields":[{"id":2,"name":"b","type":"int32"}]}]}`,
		`{"last_id":2,"fields":[{"id":1,"name":"a","type":"map","fields":[{"id":2,"name":"key","type":"int32"}]}]}`,
		`{"last_id":1,"fields":[{"id":1,"name":"a","type":"decimal(99,1)"}]}`,
		`{"last_id":1,"fields":[{"id":1,"name":"a","type":"fixed"}]}`,
		`{"last_id":1,"fields":[{"id":1,"name":"a","type":"struct"}]}`,
	} {
		var s tables.Schema
		if err := json.Unmarshal([]byte(data), &s); err == nil {
			t.Errorf("%s: got no error", data)
		}
	}
}

func FuzzSchemaJSON(f *testing.F) {
	s := tabletest.Schema(f, tabletest.AllFields()...)
	data, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"last_id":1,"fields":[{"id":1,"name":"a","type":"fixed(16)"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s, again tables.Schema
		if json.Unmarshal(data, &s) != nil {
			return
		}
		text, err := json.Marshal(&s)
		if err != nil {
			t.Fatalf("a schema that was read cannot be written: %v", err)
		}
		if err := json.Unmarshal(text, &again); err != nil || !again.Equal(&s) {
			t.Fatalf("%s reads differently: %v", text, err)
		}
	})
}
