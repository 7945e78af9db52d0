package jsonschema

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

func mustParse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(schema.Source{Type: schema.JSON, Text: text})
	if err != nil {
		t.Fatalf("parse %s: %v", text, err)
	}
	return s.(*Schema)
}

// columnText writes fields as name:type, with a ? for what may be null.
func columnText(fields []arrow.Field) string {
	var parts []string
	for _, f := range fields {
		name := f.Name + ":" + typeText(f.Type)
		if f.Nullable {
			name += "?"
		}
		parts = append(parts, name)
	}
	return strings.Join(parts, " ")
}

func typeText(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.StructType:
		return "{" + columnText(t.Fields()) + "}"
	case *arrow.ListType:
		return "[" + columnText([]arrow.Field{t.ElemField()}) + "]"
	case *arrow.MapType:
		return "map(" + columnText([]arrow.Field{t.KeyField(), t.ItemField()}) + ")"
	}
	return strings.ReplaceAll(t.String(), " ", "")
}

// mapping is the type mapping: schema, columns, payload, row. A row that begins
// with ! is the refusal.
var mapping = []struct{ name, schema, columns, payload, row string }{
	{"scalars",
		`{"type":"object","additionalProperties":false,"required":["i","n","b","s"],"properties":{"i":{"type":"integer"},"n":{"type":"number"},"b":{"type":"boolean"},"s":{"type":"string"},"o":{"type":"integer"}}}`,
		`i:int64 n:float64 b:bool s:utf8 o:int64?`,
		`{"s":"a\u00e9\ud83d\ude00\n","i":9007199254740993,"n":1e2,"b":true}`,
		`{"b":true,"i":9007199254740993,"n":100,"o":null,"s":"aé😀\n"}`},
	{"integers however written",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"integer"},"b":{"type":"integer"},"c":{"type":"integer"},"d":{"type":"integer"}}}`,
		`a:int64? b:int64? c:int64? d:int64?`,
		`{"a":1.0,"b":-12e3,"c":1500e-2,"d":-9223372036854775808.000000000000000000}`,
		`{"a":1,"b":-12000,"c":15,"d":-9223372036854775808}`},
	{"integer range",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"integer"}}}`, `a:int64?`,
		`{"a":9223372036854775808}`, `!$.a: expected integer of 64 bits, found number 9223372036854775808`},
	{"float range",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"number"}}}`, `a:float64?`,
		`{"a":1e400}`, `!$.a: expected number within the range of 64-bit floats, found number 1e400`},
	{"nullable by type",
		`{"type":"object","additionalProperties":false,"required":["a","b"],"properties":{"a":{"type":["string","null"]},"b":{"type":["null","integer"]}}}`,
		`a:utf8? b:int64?`, `{"a":null,"b":null}`, `{"a":null,"b":null}`},
	{"decimal",
		`{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":{"type":"number","multipleOf":0.0001}}}`,
		`p:decimal(38,4)`, `{"p":-12.5e0}`, `{"p":"-12.5"}`},
	{"decimal of 34 digits before the point",
		`{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":{"type":"number","multipleOf":0.0001}}}`,
		`p:decimal(38,4)`, `{"p":1234567890123456789012345678901234.5678}`, `{"p":"1234567890123456789012345678901234.5678"}`},
	{"decimal too wide",
		`{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":{"type":"number","multipleOf":0.0001}}}`,
		`p:decimal(38,4)`, `{"p":1e34}`, `!$.p: expected decimal(38,4), found number 1e34`},
	{"decimal too fine",
		`{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":{"type":"number","multipleOf":0.01}}}`,
		`p:decimal(38,2)`, `{"p":1.005}`, `!$.p: expected a multiple of 0.01, found number 1.005`},
	{"other multiples stay floats",
		`{"type":"object","additionalProperties":false,"properties":{"p":{"type":"number","multipleOf":0.5},"q":{"type":"integer","multipleOf":10}}}`,
		`p:float64? q:int64?`, `{"p":1.5,"q":20}`, `{"p":1.5,"q":20}`},
	{"formats",
		`{"type":"object","additionalProperties":false,"properties":{"t":{"type":"string","format":"date-time"},"d":{"type":"string","format":"date"},"c":{"type":"string","format":"time"},"u":{"type":"string","format":"uuid"},"e":{"type":"string","format":"email"}}}`,
		`t:timestamp[us,tz=UTC]? d:date32? c:time64[us]? u:utf8? e:utf8?`,
		`{"t":"2026-11-22T01:02:03.000004+01:00","d":"2026-11-22","c":"01:02:03Z","u":"2eb8aa08-aa98-11ea-b4aa-73b441d16380","e":"no"}`,
		`{"c":"01:02:03","d":"2026-11-22","e":"no","t":"2026-11-22T00:02:03.000004Z","u":"2eb8aa08-aa98-11ea-b4aa-73b441d16380"}`},
	{"format refused",
		`{"type":"object","additionalProperties":false,"properties":{"t":{"type":"string","format":"date-time"}}}`,
		`t:timestamp[us,tz=UTC]?`, `{"t":"yesterday"}`, `!$.t: expected date-time, found string "yesterday"`},
	{"enum",
		`{"type":"object","additionalProperties":false,"properties":{"e":{"enum":["a","b",null]},"c":{"const":7}}}`,
		`e:utf8? c:int64?`, `{"e":"b","c":7.0}`, `{"c":7,"e":"b"}`},
	{"mixed, any, tuple, empty",
		`{"type":"object","additionalProperties":false,"required":["m","a","t","e","n"],"properties":{"m":{"type":["string","integer"]},"a":{},"t":{"type":"array","items":[{"type":"string"},{"type":"integer"}]},"e":{"type":"object"},"n":{"type":"null"}}}`,
		`m:utf8 a:utf8? t:utf8 e:utf8 n:utf8?`,
		`{"m":"x","a": {"b" : 1},"t":["a",1],"e":{},"n":null}`,
		`{"a":"{\"b\" : 1}","e":"{}","m":"\"x\"","n":null,"t":"[\"a\",1]"}`},
	{"lists",
		`{"type":"object","additionalProperties":false,"required":["l","m"],"properties":{"l":{"type":"array","items":{"type":"integer"}},"m":{"type":"array","items":{"type":["string","null"]}},"u":{"type":"array"}}}`,
		`l:[element:int64] m:[element:utf8?] u:[element:utf8?]?`,
		`{"l":[1,2],"m":["a",null],"u":[1,"a",null]}`, `{"l":[1,2],"m":["a",null],"u":["1","\"a\"",null]}`},
	{"map",
		`{"type":"object","additionalProperties":false,"required":["m"],"properties":{"m":{"type":"object","additionalProperties":{"type":"integer"}}}}`,
		`m:map(key:utf8 value:int64)`, `{"m":{"a":1,"b/~":2}}`, `{"m":[{"key":"a","value":1},{"key":"b/~","value":2}]}`},
	{"map at the top",
		`{"type":"object","additionalProperties":{"type":"string"}}`, `value:map(key:utf8 value:utf8)`,
		`{"a":"b"}`, `{"value":[{"key":"a","value":"b"}]}`},
	{"extra, nested",
		`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}},"l":{"type":"array","items":{"type":"object","properties":{"x":{"type":"string"}}}},"m":{"type":"object","additionalProperties":{"type":"object","properties":{"y":{"type":"integer"}}}}}}`,
		`a:{b:int64?}? l:[element:{x:utf8?}]? m:map(key:utf8 value:{y:int64?})? kafka_extra:map(key:utf8 value:utf8)?`,
		`{"z/1":true,"a":{"b":1,"c":[1, 2]},"l":[{"x":"y"},{"q~":null}],"m":{"k":{"w":{}}}}`,
		`{"a":{"b":1},"kafka_extra":[{"key":"/z~11","value":"true"},{"key":"/a/c","value":"[1, 2]"},{"key":"/l/1/q~0","value":"null"},{"key":"/m/k/w","value":"{}"}],"l":[{"x":"y"},{"x":null}],"m":[{"key":"k","value":{"y":null}}]}`},
	{"extra, none", `{"type":"object","properties":{"a":{"type":"integer"}}}`,
		`a:int64? kafka_extra:map(key:utf8 value:utf8)?`, `{}`, `{"a":null,"kafka_extra":null}`},
	{"no property named", `{"type":"object"}`, `kafka_extra:map(key:utf8 value:utf8)?`,
		`{"a":1}`, `{"kafka_extra":[{"key":"/a","value":"1"}]}`},
	{"properties and a schema for others",
		`{"type":"object","required":["z"],"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"integer"}}`,
		`a:int64? kafka_extra:map(key:utf8 value:utf8)?`, `{"a":1,"z":2}`, `{"a":1,"kafka_extra":[{"key":"/z","value":"2"}]}`},
	{"reserved names", `{"type":"object","additionalProperties":false,"properties":{"kafka_offset":{"type":"integer"}}}`,
		`kafka_offset_:int64?`, `{"kafka_offset":1}`, `{"kafka_offset_":1}`},
	{"oneOf null and T",
		`{"type":"object","additionalProperties":false,"required":["a","b"],"properties":{"a":{"oneOf":[{"type":"null"},{"type":"integer","minimum":3}]},"b":{"anyOf":[{"type":"object","additionalProperties":false,"properties":{"x":{"type":"string"}}},{"type":"null"}]}}}`,
		`a:int64? b:{x:utf8?}?`, `{"a":null,"b":{"x":"y"}}`, `{"a":null,"b":{"x":"y"}}`},
	{"oneOf null and T refused",
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"oneOf":[{"type":"null"},{"type":"integer","minimum":3}]}}}`,
		`a:int64?`, `{"a":2}`, `!$.a: expected at least 3, found number 2`},
	{"union by title and place",
		`{"type":"object","additionalProperties":false,"required":["u"],"properties":{"u":{"oneOf":[{"type":"null"},{"title":"cat","type":"object","additionalProperties":false,"required":["kind"],"properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}}},{"type":"object","additionalProperties":false,"required":["kind"],"properties":{"kind":{"const":"dog"},"tail":{"type":"boolean"}}}]}}}`,
		`u:{cat:{kind:utf8 lives:int64?}? v1:{kind:utf8 tail:bool?}?}?`,
		`{"u":{"kind":"dog","tail":true}}`, `{"u":{"cat":null,"v1":{"kind":"dog","tail":true}}}`},
	{"union refused",
		`{"type":"object","additionalProperties":false,"required":["u"],"properties":{"u":{"oneOf":[{"type":"object","additionalProperties":false,"required":["kind"],"properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}}},{"type":"object","additionalProperties":false,"required":["kind"],"properties":{"kind":{"const":"dog"},"tail":{"type":"boolean"}}}]}}}`,
		`u:{v0:{kind:utf8 lives:int64?}? v1:{kind:utf8 tail:bool?}?}`,
		`{"u":{"kind":"dog","tail":1}}`, `!$.u.tail: expected one of 2 forms, in the closest one boolean, found number 1`},
	{"union of scalars at the top", `{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"number"}]}`,
		`value:{v0:utf8? v1:int64? v2:float64?}`, `3`, `{"value":{"v0":null,"v1":3,"v2":null}}`},
	{"union beside properties",
		`{"type":"object","additionalProperties":false,"properties":{"u":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"],"oneOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}},"required":["b"]}]}}}`,
		`u:{v0:{id:int64 a:utf8}? v1:{id:int64 b:utf8}?}? kafka_extra:map(key:utf8 value:utf8)?`,
		`{"u":{"id":1,"b":"x","c":0}}`, `{"kafka_extra":[{"key":"/u/c","value":"0"}],"u":{"v0":null,"v1":{"b":"x","id":1}}}`},
	{"oneOf that only narrows",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"},"b":{"type":"string","anyOf":[{"const":"x"},{"pattern":"^y"}]}},"oneOf":[{"required":["a"]},{"required":["b"]}]}`,
		`a:utf8? b:utf8?`, `{"b":"yes"}`, `{"a":null,"b":"yes"}`},
	{"allOf of objects",
		`{"definitions":{"base":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}},"allOf":[{"$ref":"#/definitions/base"},{"type":"object","required":["n"],"properties":{"n":{"type":"number","minimum":1},"id":{"minimum":5}}}]}`,
		`id:int64 n:float64 kafka_extra:map(key:utf8 value:utf8)?`, `{"n":2,"id":6,"x":1}`, `{"id":6,"kafka_extra":[{"key":"/x","value":"1"}],"n":2}`},
	{"allOf of two unions is text",
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"allOf":[{"oneOf":[{"type":"string"},{"type":"integer"}]},{"oneOf":[{"type":"boolean"},{"type":"integer"}]}]}}}`,
		`a:utf8`, `{"a":1}`, `{"a":"1"}`},
	{"recursion ends in text",
		`{"$ref":"#/definitions/node","definitions":{"node":{"type":"object","additionalProperties":false,"required":["v"],"properties":{"v":{"type":"integer"},"next":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/node"}]}}}}}`,
		`v:int64 next:utf8?`, `{"v":1,"next":{"v":2,"next":{"v":3}}}`, `{"next":"{\"v\":2,\"next\":{\"v\":3}}","v":1}`},
	{"recursion is checked",
		`{"$ref":"#/definitions/node","definitions":{"node":{"type":"object","additionalProperties":false,"required":["v"],"properties":{"v":{"type":"integer"},"next":{"oneOf":[{"type":"null"},{"$ref":"#/definitions/node"}]}}}}}`,
		`v:int64 next:utf8?`, `{"v":1,"next":{"v":2,"next":{"v":"3"}}}`, `!$.next.next.v: expected integer, found string "3"`},
	{"slow parts fill columns too",
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"object","patternProperties":{"^x":{"type":"integer"}},"properties":{"n":{"type":"integer"}},"additionalProperties":false},"d":{"type":"string","format":"date"}},"dependencies":{"d":["a"]}}`,
		`a:{n:int64?} d:date32? kafka_extra:map(key:utf8 value:utf8)?`, `{"a":{"x1":2,"n":1.0},"d":"1970-01-02"}`,
		`{"a":{"n":1},"d":"1970-01-02","kafka_extra":[{"key":"/a/x1","value":"2"}]}`},
	{"slow parts refuse",
		`{"type":"object","additionalProperties":false,"properties":{"a":{"type":"object","additionalProperties":false,"properties":{"n":{"type":"integer"}},"patternProperties":{"^n":{"minimum":5}}}}}`,
		`a:{n:int64?}? kafka_extra:map(key:utf8 value:utf8)?`, `{"a":{"n":1}}`, `!$.a.n: expected the schema to hold (minimum: got 1, want 5), found number 1`},
	{"contains", `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","items":{"type":"integer"},"contains":{"minimum":5}}}}`,
		`a:[element:int64]?`, `{"a":[1,7]}`, `{"a":[1,7]}`},
	{"contains refuses", `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","additionalProperties":false,"properties":{"a":{"type":"array","items":{"type":"integer"},"contains":{"minimum":5},"minContains":2,"maxContains":3}}}`,
		`a:[element:int64]?`, `{"a":[1,7]}`, `!$.a: expected from 2 to 3 items that match the schema under contains, found array`},
	{"nullable record at the top", `{"type":["object","null"],"additionalProperties":false,"properties":{"a":{"type":"integer"}}}`,
		`value:{a:int64?}?`, `null`, `{"value":null}`},
	{"scalar at the top", `{"type":"integer"}`, `value:int64`, ` 5 `, `{"value":5}`},
	{"a property that is false", `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"integer"},"b":false}}`,
		`a:int64?`, `{"b":1}`, `!$.b: expected no value (the schema is false), found number 1`},
}

func TestMapping(t *testing.T) {
	for _, c := range mapping {
		t.Run(c.name, func(t *testing.T) {
			s := mustParse(t, c.schema)
			d, err := s.Decoder(nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := columnText(d.Columns().Fields()); got != c.columns {
				t.Errorf("columns:\n got %s\nwant %s", got, c.columns)
			}
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			err, verr := d.Decode([]byte(c.payload), rows), d.Validate([]byte(c.payload))
			if (err == nil) != (verr == nil) {
				t.Errorf("Decode says %v, Validate %v", err, verr)
			}
			var got string
			if err != nil {
				got = "!" + err.Error()
			} else {
				batch := rows.Batch()
				text, err := batch.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				got = strings.TrimSpace(strings.Trim(strings.TrimSpace(string(text)), "[]"))
			}
			if got != c.row {
				t.Errorf("row:\n got %s\nwant %s", got, c.row)
			}
		})
	}
}
