package schema

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestColumnName(t *testing.T) {
	for name, want := range map[string]string{
		"id": "id", "kafka": "kafka", "kafka_": "kafka__", "kafka_offset": "kafka_offset_",
		"Kafka_Offset": "Kafka_Offset_", "kafka_offset_": "kafka_offset__", "my_kafka_id": "my_kafka_id",
	} {
		if got := ColumnName(name); got != want {
			t.Errorf("ColumnName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestCheckColumns(t *testing.T) {
	i := arrow.Field{Name: "i", Type: arrow.PrimitiveTypes.Int32}
	upper := arrow.Field{Name: "I", Type: arrow.PrimitiveTypes.Int32}
	in := func(name string, t arrow.DataType) arrow.Field { return arrow.Field{Name: name, Type: t} }
	deep := arrow.PrimitiveTypes.Int32
	for range 2 * MaxDepth {
		deep = arrow.ListOf(deep)
	}
	tests := []struct {
		name   string
		fields []arrow.Field
		want   string // "" if fine
	}{
		{"plain", []arrow.Field{i, in("s", arrow.StructOf(i)), in("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.StructOf(i)))}, ""},
		{"case", []arrow.Field{i, upper}, `$: fields "i" and "I" differ only in case`},
		{"same", []arrow.Field{i, i}, "differ only in case"},
		{"case below", []arrow.Field{in("l", arrow.ListOf(arrow.StructOf(i, upper)))}, "$.l[]: fields"},
		{"none", nil, "$: a record without fields"},
		{"none below a map", []arrow.Field{in("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.StructOf()))}, "$.m{}: a record without"},
		{"empty name", []arrow.Field{in("", i.Type)}, "empty name"},
		{"deep", []arrow.Field{in("l", deep)}, "nested deeper"},
	}
	for _, tt := range tests {
		err := CheckColumns(arrow.NewSchema(tt.fields, nil))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestInvalidPath(t *testing.T) {
	e := Refuse(9, "double", Preview([]byte("12,50"))).In("price").At(2).Key([]byte("a b")).In("it ems").In("top")
	if got, want := e.Error(), `$.top["it ems"]["a b"][2].price: expected double, found "12,50"`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if e.Pos != 9 {
		t.Errorf("Pos = %d, want 9", e.Pos)
	}
}

func TestPreviewIsShort(t *testing.T) {
	long := strings.Repeat("é", 1000)
	if got, want := Preview([]byte("x"+long)), `"x`+strings.Repeat("é", 19)+`"... (2001 bytes)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := Preview([]byte{0xff, 'a'}), `"\xffa"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e := Refuse(0, "", "").Key([]byte(long)); len(e.Path) > 3*maxPreview {
		t.Errorf("path of %d bytes", len(e.Path))
	}
}
