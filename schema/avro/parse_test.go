package avro

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

func mustParse(tb testing.TB, text string, refs ...schema.Named) *Schema {
	tb.Helper()
	s, err := Parse(schema.Source{Type: schema.Avro, Text: text, References: refs})
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return s.(*Schema)
}

// TestCanonical holds texts against what Avro-Java 1.12's Schema.toString()
// answers to them.
func TestCanonical(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"primitive", ` "string" `, `"string"`},
		{"primitive object", `{"type":"int"}`, `"int"`},
		{"primitive with props", `{ "logicalType": "date", "type": "int", "x": 1 }`, `{"type":"int","logicalType":"date","x":1}`},
		{"comments", "// one\n{\"type\": /* two */ \"int\"}", `"int"`},
		{"slashes in strings", `{"type":"int","u":"http://a/*b*/\"//"}`, `{"type":"int","u":"http://a/*b*/\"//"}`},
		{"record", `{"fields":[{"type":"int","default":1,"order":"descending","doc":"D","name":"a","aliases":["b"],"p":{"z":1,"y":[true,null]}}],
			"name":"R","doc":"d","namespace":"n.s","type":"record","aliases":["Q","n.s.P","o.O"],"extra":"e"}`,
			`{"type":"record","name":"R","namespace":"n.s","doc":"d","fields":[{"name":"a","type":"int","doc":"D","default":1,"order":"descending","aliases":["b"],"p":{"z":1,"y":[true,null]}}],"extra":"e","aliases":["Q","P","o.O"]}`},
		{"name with dots", `{"type":"fixed","name":"a.b.F","namespace":"ignored","size":2}`, `{"type":"fixed","name":"F","namespace":"a.b","size":2}`},
		{"inherited namespace", `{"type":"record","name":"n.R","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},{"name":"f","type":"E"},{"name":"g","type":"n.E"}]}`,
			`{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},{"name":"f","type":"E"},{"name":"g","type":"E"}]}`},
		{"namespace left", `{"type":"record","name":"n.R","fields":[{"name":"e","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"f","type":"F"}]}`,
			`{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"f","type":"F"}]}`},
		{"order ascending", `{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"ASCENDING"},{"name":"b","type":"int","order":"Ignore"}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","order":"ignore"}]}`},
		{"error", `{"type":"error","name":"R","fields":[]}`, `{"type":"error","name":"R","fields":[]}`},
		{"recursive", `{"type":"record","name":"x.N","fields":[{"name":"next","type":["null","N"],"default":null}]}`,
			`{"type":"record","name":"N","namespace":"x","fields":[{"name":"next","type":["null","N"],"default":null}]}`},
		{"used before defined", `{"type":"record","name":"R","fields":[{"name":"a","type":"E"},{"name":"b","type":{"type":"enum","name":"E","symbols":["A"]}}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"b","type":"E"}]}`},
		{"defined twice alike", `[{"type":"fixed","name":"F","size":1},{"type":"array","items":{"type":"fixed","name":"F","size":1,"doc":"d"}}]`,
			`[{"type":"fixed","name":"F","size":1},{"type":"array","items":"F"}]`},
		{"string default for null and string", `{"type":"record","name":"R","fields":[{"name":"a","type":["null","string"],"default":"null"}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":["null","string"],"default":"null"}]}`},
		{"doubles", `{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":1.50},{"name":"b","type":"double","default":1e7},{"name":"c","type":"float","default":0.0001},{"name":"d","type":"double","default":123456789012},{"name":"e","type":"double","default":"NaN"},{"name":"f","type":"float","default":"2"}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":1.5},{"name":"b","type":"double","default":1.0E7},{"name":"c","type":"float","default":1.0E-4},{"name":"d","type":"double","default":123456789012},{"name":"e","type":"double","default":"NaN"},{"name":"f","type":"float","default":2.0}]}`},
		{"escapes", `{"type":"int","a":"\u00e9\u0001\n\/\u007f","b\"":"\\"}`, "{\"type\":\"int\",\"a\":\"é\\u0001\\n/\x7f\",\"b\\\"\":\"\\\\\"}"},
		{"member twice", `{"type":"int","type":"long","a":1,"b":2,"a":3}`, `{"type":"long","a":3,"b":2}`},
		{"doc that is no string", `{"type":"fixed","name":"F","size":1,"doc":5}`, `{"type":"fixed","name":"F","size":1}`},
		{"map and array props", `{"type":"map","values":{"type":"array","items":"int","java-class":"L"},"p":-0}`, `{"type":"map","values":{"type":"array","items":"int","java-class":"L"},"p":0}`},
		{"names of types as names", `{"type":"record","name":"n.R","fields":[{"name":"a","type":{"type":"fixed","name":"record","size":1}},{"name":"b","type":"n.record"}]}`,
			`{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":{"type":"fixed","name":"record","size":1}},{"name":"b","type":"n.record"}]}`},
		// These two Avro-Java refuses; Confluent's users have them.
		{"type in type", `{"type":{"type":"string"}}`, `"string"`},
		{"union in type", `{"type":["null","int"]}`, `["null","int"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := mustParse(t, tt.text)
			if s.Canonical() != tt.want {
				t.Errorf("got  %s\nwant %s", s.Canonical(), tt.want)
			}
			again := mustParse(t, s.Canonical())
			if again.Canonical() != s.Canonical() {
				t.Errorf("parsed again it is %s", again.Canonical())
			}
			norm := mustParse(t, s.Normalized())
			if norm.Normalized() != s.Normalized() {
				t.Errorf("normalized again %s\nis %s", s.Normalized(), norm.Normalized())
			}
		})
	}
}

func TestNormalized(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"props sorted", `{"type":"int","z":{"b":1,"a":2},"a":1}`, `{"type":"int","a":1,"z":{"a":2,"b":1}}`},
		{"logical first", `{"type":"bytes","a":1,"scale":2,"precision":9,"logicalType":"decimal"}`, `{"type":"bytes","logicalType":"decimal","precision":9,"scale":2,"a":1}`},
		{"logical that does not fit", `{"type":"string","logicalType":"date","a":1}`, `{"type":"string","a":1,"logicalType":"date"}`},
		{"aliases", `{"type":"fixed","name":"n.F","size":1,"aliases":["z","b.A"],"doc":""}`, `{"type":"fixed","name":"F","namespace":"n","size":1,"aliases":["b.A","z"]}`},
		{"default of its type", `{"type":"record","name":"R","fields":[{"name":"a","type":"double","default":1,"doc":""}]}`, `{"type":"record","name":"R","fields":[{"name":"a","type":"double","doc":"","default":1.0}]}`},
		{"default of no branch but null", `{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":null}]}`, `{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":null}]}`},
		{"record default sorted", `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":"float"},"default":{"z":1,"b":0.1}}]}`, `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":"float"},"default":{"b":0.1,"z":1.0}}]}`},
		{"error becomes record", `{"type":"error","name":"R","fields":[]}`, `{"type":"record","name":"R","fields":[]}`},
	}
	for _, tt := range tests {
		if got := mustParse(t, tt.text).Normalized(); got != tt.want {
			t.Errorf("%s: got  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 70) + `"int"` + strings.Repeat("}", 70)
	chain := `[`
	for i := range 70 {
		chain += fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":"R%d"}]},`, i, i+1)
	}
	chain += `{"type":"fixed","name":"R70","size":1}]`
	tests := []struct{ name, text, want string }{
		{"nothing", "", "line 1, column 1: no JSON: the text ends too early"},
		{"broken", "{\n  \"type\": \"record\",,\n}", "line 2, column 20: no JSON"},
		{"bad word", "{\"type\": truu}", "line 1, column 13: no JSON"},
		{"cut", `{"type":"record"`, "line 1, column 17: no JSON: the text ends too early"},
		{"more", "\"int\"\n \"int\"", `line 2, column 2: text after the end`},
		{"comment without end", `/* "int"`, "line 1, column 1: no JSON: a comment"},
		{"no type", `{"name":"R"}`, "line 1, column 1: No type"},
		{"number", `5`, "expected a type"},
		{"unknown name", "[\"null\",\n \"nope\"]", `line 2, column 2: Undefined name: "nope"`},
		{"record without name", `{"type":"record","fields":[]}`, "No name in schema"},
		{"record without fields", `{"type":"record","name":"R"}`, "Record has no fields"},
		{"field without type", `{"type":"record","name":"R","fields":[{"name":"a"}]}`, "column 39: No field type: field a"},
		{"field twice", `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`, "Duplicate field a in record R"},
		{"bad order", `{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"up"}]}`, "order of field a"},
		{"bad name", `{"type":"record","name":"9R","fields":[]}`, "Illegal initial character: 9R"},
		{"bad namespace", `{"type":"record","name":"R","namespace":"a.-","fields":[]}`, "Illegal initial character: -"},
		{"bad field name", `{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}`, "Illegal character in: a-b"},
		{"bad symbol", `{"type":"enum","name":"E","symbols":["A B"]}`, "Illegal character in: A B"},
		{"symbol twice", `{"type":"enum","name":"E","symbols":["A","A"]}`, "Duplicate enum symbol: A"},
		{"enum default", `{"type":"enum","name":"E","symbols":["A"],"default":"B"}`, "The Enum Default: B is not in the enum symbol set: [A]"},
		{"no size", `{"type":"fixed","name":"F"}`, "Invalid or no size"},
		{"negative size", `{"type":"fixed","name":"F","size":-1}`, "Invalid or no size"},
		{"fraction as size", `{"type":"fixed","name":"F","size":1.5}`, "Invalid or no size"},
		{"primitive name", `{"type":"fixed","name":"int","size":1}`, "Schemas may not be named after primitives: int"},
		{"redefined", `[{"type":"fixed","name":"F","size":1},{"type":"array","items":{"type":"fixed","name":"F","size":2}}]`, "Can't redefine: F"},
		{"union in union", `["null",["int"]]`, "Nested union"},
		{"union of two alike", `["int","int"]`, "Duplicate in union:int"},
		{"union of two names alike", `[{"type":"fixed","name":"F","size":1},"F"]`, "Duplicate in union:F"},
		{"bad default", `{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}`, `Invalid default for field a: "x" not a "int"`},
		{"bad default in union", `{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":"null"}]}`, `Invalid default for field a: "null" not a ["null","int"]`},
		{"default over 32 bits", `{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":2147483648}]}`, `Invalid default`},
		{"array without items", `{"type":"array"}`, `array has no "items"`},
		{"aliases no list", `{"type":"fixed","name":"F","size":1,"aliases":"G"}`, "aliases not an array"},
		{"deep", deep, "types nested deeper"},
		{"deep by names", chain, "types nested deeper"},
		{"deep JSON", strings.Repeat("[", 10000), "nested deeper"},
		{"defaults without end", `{"type":"record","name":"A","fields":[{"name":"a","type":["A","B"],"default":{}},{"name":"x","type":{"type":"record","name":"B","fields":[{"name":"a","type":["A","B"],"default":{}}]},"default":{}}]}`, "Invalid default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(schema.Source{Text: tt.text})
			if _, ok := errors.AsType[*schema.ParseError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLaxKeepsStoredTextsReadable(t *testing.T) {
	for _, text := range []string{
		`{"type":"record","name":"a-b","fields":[{"name":"c d","type":"int","default":"x"}]}`,
		`{"type":"enum","name":"E","symbols":["A B"]}`,
	} {
		if _, err := Parse(schema.Source{Text: text}); err == nil {
			t.Errorf("%s: parsed as new", text)
		}
		s, err := Parse(schema.Source{Text: text, Lax: true})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if s.Canonical() != text {
			t.Errorf("%s became %s", text, s.Canonical())
		}
	}
}

func TestReferences(t *testing.T) {
	refs := []schema.Named{
		{Name: "shop.Money", Text: `{"type":"record","name":"Money","namespace":"shop","fields":[{"name":"cents","type":"long"},{"name":"unit","type":{"type":"enum","name":"Unit","symbols":["EUR"]}}]}`},
		{Name: "shop.Line", Text: `{"type":"record","name":"Line","namespace":"shop","fields":[{"name":"price","type":"Money"}]}`},
	}
	s := mustParse(t, `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"lines","type":{"type":"array","items":"Line"}},{"name":"total","type":"shop.Money"},{"name":"unit","type":"Unit"}]}`, refs...)
	// A type inside a referenced one is written out, as Avro-Java does.
	want := `{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"lines","type":{"type":"array","items":"Line"}},{"name":"total","type":"Money"},{"name":"unit","type":{"type":"enum","name":"Unit","symbols":["EUR"]}}]}`
	if s.Canonical() != want {
		t.Errorf("got  %s\nwant %s", s.Canonical(), want)
	}
	if got := s.Resolved(); !strings.Contains(got, `"items":{"type":"record","name":"Line"`) || mustParse(t, got).Canonical() != got {
		t.Errorf("Resolved() = %s", got)
	}
	d, err := s.Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate([]byte{2, 20, 0, 0, 40, 0, 0}); err != nil {
		t.Error(err)
	}
	_, err = Parse(schema.Source{Text: `"int"`, References: []schema.Named{{Name: "x.Y", Text: `{`}}})
	if err == nil || !strings.HasPrefix(err.Error(), "reference x.Y: line 1, column 2") {
		t.Errorf("broken reference: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(benchText)
	f.Add(`[{"type":"fixed","name":"F","size":1},{"type":"map","values":"F"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, lax := range []bool{false, true} {
			s, err := Parse(schema.Source{Text: text, Lax: lax})
			if err != nil {
				continue
			}
			again, err := Parse(schema.Source{Text: s.Canonical(), Lax: true})
			if err != nil {
				t.Fatalf("canonical %s: %v", s.Canonical(), err)
			}
			if again.Canonical() != s.Canonical() {
				t.Fatalf("canonical %s\nbecame %s", s.Canonical(), again.Canonical())
			}
			if d, err := s.Decoder(nil); err == nil {
				d.Validate([]byte(text))
			}
		}
	})
}
