package rules

import (
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

const (
	fieldsAvro = `{"type":"record","name":"Order","namespace":"shop","fields":[
		{"name":"id","type":"long"},
		{"name":"note","type":["null","string"],"confluent:tags":["PII"]},
		{"name":"words","type":{"type":"array","items":"string"},"confluent:tags":["PII"]},
		{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string","confluent:tags":["CODE"]}]}}},
		{"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]},"confluent:tags":["PII"]}]}`
	fieldsJSON = `{"type":"object","properties":{
		"id":{"type":"integer"},
		"note":{"type":["null","string"],"confluent:tags":["PII"]},
		"words":{"type":"array","items":{"type":"string"},"confluent:tags":["PII"]},
		"lines":{"type":"array","items":{"$ref":"#/definitions/line"}},
		"kind":{"enum":["A","B"],"confluent:tags":["PII"]}},
		"definitions":{"line":{"allOf":[{"type":"object","properties":{"sku":{"type":"string","confluent:tags":["CODE"]}}}]}}}`
	fieldsProto = `syntax = "proto3";
package shop;
import "confluent/meta.proto";
import "google/protobuf/timestamp.proto";
message Order {
  int64 id = 1;
  optional string note = 2 [(confluent.field_meta) = {tags: ["PII"]}];
  repeated string words = 3 [(confluent.field_meta) = {tags: ["PII"]}];
  repeated Line lines = 4;
  enum K { A = 0; B = 1; }
  K kind = 5 [(confluent.field_meta) = {tags: ["PII"]}];
  google.protobuf.Timestamp at = 6;
}
message Line { string sku = 1 [(confluent.field_meta) = {tags: ["CODE"]}]; }
`
)

// TestFields asks one rule about the same order in three languages: id 7, note
// "n", words ["w"], lines with sku "s1" and "s2".
func TestFields(t *testing.T) {
	payloads := map[schema.Type][]byte{
		schema.Avro: {14, 2, 2, 'n', 2, 2, 'w', 0, 4, 4, 's', '1', 4, 's', '2', 0, 2},
		schema.JSON: []byte(`{"id":7,"note":"n","words":["w"],"lines":[{"sku":"s1"},{"sku":"s2"}],"kind":"B"}`),
		schema.Protobuf: {8, 7, 18, 1, 'n', 26, 1, 'w', 34, 4, 10, 2, 's', '1', 34, 4, 10, 2, 's', '2', 40, 1,
			50, 2, 8, 1},
	}
	texts := map[schema.Type]string{schema.Avro: fieldsAvro, schema.JSON: fieldsJSON, schema.Protobuf: fieldsProto}
	for name, tt := range map[string]struct {
		tags []string
		expr string
		meta map[string][]string
		want map[schema.Type]string // path of the field that breaks it; "" for none
	}{
		"all fields":       {nil, "typeName != 'STRING' || value != 's2'", nil, paths("shop.Line.sku", "$.lines.sku", "shop.Line.sku")},
		"by tag":           {[]string{"PII"}, "value != 'n'", nil, paths("shop.Order.note", "$.note", "shop.Order.note")},
		"another tag":      {[]string{"CODE"}, "value != 'n'", nil, nil},
		"items of a list":  {[]string{"PII"}, "value != 'w'", nil, nil},
		"no such tag":      {[]string{"NONE"}, "false", nil, nil},
		"a guard":          {nil, "name == 'id' ; value < 7", nil, paths("shop.Order.id", "$.id", "shop.Order.id")},
		"a guard, kept":    {nil, "name == 'nothing' ; false", nil, nil},
		"the message":      {[]string{"CODE"}, "message.sku != 's1'", nil, paths("shop.Line.sku", "$.lines.sku", "shop.Line.sku")},
		"tags as known":    {nil, "name != 'note' || tags != ['MAIL', 'PII']", map[string][]string{"**note": {"MAIL"}}, paths("shop.Order.note", "$.note", "shop.Order.note")},
		"the metadata's":   {[]string{"META"}, "false", map[string][]string{"shop.*.id": {"META"}, "$.i?": {"META"}}, paths("shop.Order.id", "$.id", "shop.Order.id")},
		"no whole name":    {[]string{"META"}, "false", map[string][]string{"shop.*": {"META"}, "$": {"META"}}, nil},
		"text is no false": {nil, "'no'", nil, nil},
		"types": {nil, "name in ['kind', 'words', 'lines'] ? false : typeName == {'id': 'LONG', 'note': 'STRING', 'sku': 'STRING', 'at': 'LONG'}[name]", nil,
			map[schema.Type]string{schema.JSON: "$.id"}}, // INT there
		"a time": {nil, "name != 'at' || value == timestamp('1970-01-01T00:00:02Z')", nil, map[schema.Type]string{schema.Protobuf: "shop.Order.at"}},
	} {
		for kind, text := range texts {
			set := &schema.RuleSet{DomainRules: []schema.Rule{{Name: "r", Kind: "CONDITION", Mode: "WRITE", Type: "CEL_FIELD", Tags: tt.tags, Expr: tt.expr}}}
			var meta *schema.Metadata
			if tt.meta != nil {
				meta = &schema.Metadata{Tags: tt.meta}
			}
			c := Compile(parse(t, kind, text), nil, set, meta)
			if c.Empty() {
				t.Fatalf("%s, %s: not run: %s", name, kind, c.Rules()[0].Idle)
			}
			bad := c.Check(payloads[kind], c.Costs())
			got := ""
			if bad != nil {
				got = bad.Path
				if got == "" {
					got = bad.Message
				}
			}
			if got != tt.want[kind] {
				t.Errorf("%s, %s: got %q, want %q", name, kind, got, tt.want[kind])
			}
		}
	}
}

func paths(avro, json, proto string) map[schema.Type]string {
	return map[schema.Type]string{schema.Avro: avro, schema.JSON: json, schema.Protobuf: proto}
}

// TestFieldsNull: a null is asked about in Avro and left out in JSON, as clients
// do it; and a field that is not set, in Protobuf.
func TestFieldsNull(t *testing.T) {
	rule := []schema.Rule{{Name: "r", Kind: "CONDITION", Mode: "WRITE", Type: "CEL_FIELD", Expr: "typeName != 'NULL' && value != null"}}
	for _, tt := range []struct {
		kind    schema.Type
		text    string
		payload []byte
		want    string
	}{
		{schema.Avro, fieldsAvro, []byte{14, 0, 0, 0, 2}, "shop.Order.note"},
		{schema.JSON, fieldsJSON, []byte(`{"id":7,"note":null}`), ""},
		{schema.Protobuf, fieldsProto, []byte{8, 7}, ""},
	} {
		c := Compile(parse(t, tt.kind, tt.text), nil, &schema.RuleSet{DomainRules: rule}, nil)
		bad := c.Check(tt.payload, c.Costs())
		if got := bad; got == nil && tt.want != "" || got != nil && got.Path != tt.want {
			t.Errorf("%s: %+v, want %q", tt.kind, bad, tt.want)
		}
	}
}

// TestFieldsBounds: what many fields cost together is bounded, schemas that
// refer to themselves too, and what the broker cannot tell or do is said.
func TestFieldsBounds(t *testing.T) {
	rule := func(kind, expr string) *schema.RuleSet {
		return &schema.RuleSet{DomainRules: []schema.Rule{{Name: "r", Kind: kind, Mode: "WRITE", Type: "CEL_FIELD", Expr: expr}}}
	}
	many := []byte(`{"lines":[` + strings.Repeat(`{"sku":"x"},`, 2000) + `{"sku":"y"}]}`)
	loop := "[" + strings.Repeat("1,", 99) + "1]"
	fork := `{"allOf":[{"$ref":"#/definitions/a"},{"$ref":"#/definitions/a"}],"definitions":{"a":{"allOf":[{"$ref":"#/definitions/b"},{"$ref":"#/definitions/b"}]},"b":{"properties":{"x":{"$ref":"#"}}}}}`
	deep := []byte(strings.Repeat(`{"x":`, 20) + `1` + strings.Repeat(`}`, 20))
	for name, tt := range map[string]struct {
		text, expr string
		payload    []byte
		want       string
	}{
		"dear for many": {fieldsJSON, loop + ".all(a, " + loop + ".all(b, a + b > 0))", many, "costs more than"},
		"cheap":         {fieldsJSON, "value == 'x' || value == 'y'", many, ""},
		"many schemas":  {fork, "true", deep, "levels deep or has more than"},
	} {
		c := Compile(parse(t, schema.JSON, tt.text), nil, rule("CONDITION", tt.expr), nil)
		if bad := c.Check(tt.payload, c.Costs()); tt.want == "" && bad != nil || !strings.Contains(message(bad), tt.want) {
			t.Errorf("%s: %q, want %q", name, message(bad), tt.want)
		}
	}
	for want, c := range map[string]*Checker{
		"does not change payloads": Compile(parse(t, schema.JSON, fieldsJSON), nil, rule("TRANSFORM", "value"), nil),
		"oneOf and anyOf":          Compile(parse(t, schema.JSON, `{"properties":{"a":{"anyOf":[{"type":"string"}]}}}`), nil, rule("CONDITION", "true"), nil),
	} {
		if !c.Empty() || !strings.Contains(c.Rules()[0].Idle, want) {
			t.Errorf("%+v, want %q", c.Rules(), want)
		}
	}
}
