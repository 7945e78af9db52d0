package schema

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestAbsorb(t *testing.T) {
	str, i32, i64 := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64
	col := func(name string, typ arrow.DataType, nullable bool) arrow.Field {
		return arrow.Field{Name: name, Type: typ, Nullable: nullable}
	}
	list := func(f ...arrow.Field) []arrow.Field { return f }
	tests := []struct {
		name       string
		have, want []arrow.Field
		texts      []string
		refused    bool
	}{
		{"nothing", list(col("a", i32, false)), list(col("a", i32, false)), nil, false},
		{"added", list(col("a", i32, false)), list(col("a", i32, false), col("coupon", str, false)), []string{"adds column coupon string null"}, false},
		{"added in front", list(col("a", i32, false)), list(col("b", str, true), col("a", i32, false)), []string{"adds column b string null"}, false},
		{"widened", list(col("a", i32, false)), list(col("a", i64, false)), []string{"widens column a from int to long"}, false},
		{"narrower fits", list(col("a", i64, false)), list(col("a", i32, false)), nil, false},
		{"optional", list(col("a", i32, false)), list(col("a", i32, true)), []string{"column a may be null"}, false},
		{"unfilled", list(col("a", i32, false), col("b", str, true)), list(col("a", i32, false)), []string{"column b stays, and is null in new rows"}, false},
		{"renamed", list(col("a", i32, false)), list(col("b", i32, false)), []string{"column a stays, and is null in new rows", "adds column b int null"}, false},
		{"refused", list(col("a", i32, false)), list(col("a", str, false), col("b", i32, true)),
			[]string{"cannot absorb: column a is int, and this version has string there", "adds column b int null"}, true},
		{"case", list(col("id", i32, false)), list(col("ID", i32, false)),
			[]string{"column id stays, and is null in new rows", "cannot absorb: column ID differs from column id only in case"}, true},
		{"nested", list(col("o", arrow.StructOf(col("x", i32, false)), true)), list(col("o", arrow.StructOf(col("x", i64, true), col("y", str, true)), true)),
			[]string{"column o.x may be null", "widens column o.x from int to long", "adds column o.y string null"}, false},
		{"items", list(col("l", arrow.ListOfField(col("element", i32, false)), false)), list(col("l", arrow.ListOfField(col("element", str, false)), false)),
			[]string{"cannot absorb: column l.element is int, and this version has string there"}, true},
		{"values", list(col("m", arrow.MapOfFields(col("key", str, false), col("value", arrow.PrimitiveTypes.Float32, false)), false)),
			list(col("m", arrow.MapOfFields(col("key", str, false), col("value", arrow.PrimitiveTypes.Float64, false)), false)),
			[]string{"widens column m.value from float to double"}, false},
		{"keys", list(col("m", arrow.MapOfFields(col("key", i32, false), col("value", str, false)), false)),
			list(col("m", arrow.MapOfFields(col("key", i64, false), col("value", str, false)), false)),
			[]string{"cannot absorb: the keys of map m are int, and this version has long there"}, true},
		{"struct to text", list(col("o", arrow.StructOf(col("x", i32, false)), true)), list(col("o", str, true)),
			[]string{"cannot absorb: column o is struct<x: int>, and this version has string there"}, true},
		{"decimal", list(col("d", &arrow.Decimal128Type{Precision: 9, Scale: 2}, false)), list(col("d", &arrow.Decimal128Type{Precision: 18, Scale: 2}, false)),
			[]string{"widens column d from decimal(9, 2) to decimal(18, 2)"}, false},
		{"scale", list(col("d", &arrow.Decimal128Type{Precision: 9, Scale: 2}, false)), list(col("d", &arrow.Decimal128Type{Precision: 9, Scale: 4}, false)),
			[]string{"cannot absorb: column d is decimal(9, 2), and this version has decimal(9, 4) there"}, true},
		{"reserved name", list(col("a", i32, false)), list(col("a", i32, false), col(ColumnName("kafka_key"), str, true)),
			[]string{"adds column kafka_key_ string null for field kafka_key, as names with kafka_ are the table's"}, false},
	}
	for _, tt := range tests {
		have := arrow.NewSchema(tt.have, nil)
		next, effects := Absorb(have, arrow.NewSchema(tt.want, nil))
		var texts []string
		for _, e := range effects {
			texts = append(texts, e.Text)
		}
		if !slices.Equal(texts, tt.texts) {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, texts, tt.texts)
		}
		if refused := len(Refused(effects)) > 0; refused != tt.refused || refused && next != have {
			t.Errorf("%s: refused %t, want %t; columns %v", tt.name, refused, tt.refused, next)
		}
		if again, more := Absorb(next, next); len(more) > 0 || !again.Equal(next) {
			t.Errorf("%s: what was absorbed is absorbed again: %v", tt.name, more)
		}
	}
	if next, effects := Absorb(nil, arrow.NewSchema(list(col("a", i32, false)), nil)); next == nil || len(effects) > 0 {
		t.Errorf("a first table: %v, %v", next, effects)
	}
	var many []arrow.Field
	for i := range MaxFields {
		many = append(many, col("c"+string(rune('0'+i%10))+string(rune(0x4e00+i)), i32, false))
	}
	if _, effects := Absorb(arrow.NewSchema(many, nil), arrow.NewSchema(list(col("one_more", i32, false)), nil)); len(Refused(effects)) != 1 {
		t.Errorf("more columns than there may be: %d refused", len(Refused(effects)))
	}
}

func TestTypeWord(t *testing.T) {
	for want, typ := range map[string]arrow.DataType{
		"boolean": arrow.FixedWidthTypes.Boolean, "fixed(16)": &arrow.FixedSizeBinaryType{ByteWidth: 16},
		"date": arrow.FixedWidthTypes.Date32, "time": arrow.FixedWidthTypes.Time64us, "binary": arrow.BinaryTypes.Binary,
		"timestamptz":               &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
		"timestamp":                 &arrow.TimestampType{Unit: arrow.Microsecond},
		"timestamptz_ns":            &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"},
		"list<map<string, double>>": arrow.ListOf(arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64)),
	} {
		if got := TypeWord(typ); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
