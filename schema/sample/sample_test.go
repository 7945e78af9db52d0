package sample

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/jsonschema"
)

func documents(t *testing.T, texts ...string) *Documents {
	t.Helper()
	d := &Documents{}
	for _, text := range texts {
		if err := d.Add([]byte(text)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return d
}

// squeezed is JSON on one line.
func squeezed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return strings.TrimPrefix(b.String(), `{"$schema":"http://json-schema.org/draft-07/schema#",`)
}

func TestProposals(t *testing.T) {
	many := func(n int, f func(i int) string) []string {
		var list []string
		for i := range n {
			list = append(list, f(i))
		}
		return list
	}
	tests := []struct {
		name  string
		texts []string
		json  string
		avro  string
	}{
		{"required and optional", []string{`{"id":1,"note":"x"}`, `{"id":2}`},
			`"type":"object","properties":{"id":{"type":"integer"},"note":{"type":"string"}},"required":["id"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}]}`},
		{"numbers", []string{`{"i":1,"f":1.5,"m":1,"e":1e2,"big":9223372036854775808}`, `{"i":-7,"f":2.5,"m":0.5,"e":3,"big":1}`},
			`"type":"object","properties":{"i":{"type":"integer"},"f":{"type":"number"},"m":{"type":"number"},"e":{"type":"number"},"big":{"type":"number"}},"required":["i","f","m","e","big"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"i","type":"long"},{"name":"f","type":"double"},{"name":"m","type":"double"},{"name":"e","type":"double"},{"name":"big","type":"double"}]}`},
		{"formats", []string{`{"at":"2026-01-02T03:04:05Z","day":"2026-01-02","t":"03:04:05.5+01:00","u":"123e4567-e89b-12d3-a456-426614174000","s":"2026-13-02"}`},
			`"type":"object","properties":{"at":{"type":"string","format":"date-time"},"day":{"type":"string","format":"date"},"t":{"type":"string","format":"time"},"u":{"type":"string","format":"uuid"},"s":{"type":"string"}},"required":["at","day","t","u","s"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"day","type":{"type":"int","logicalType":"date"}},{"name":"t","type":{"type":"long","logicalType":"time-micros"}},{"name":"u","type":{"type":"string","logicalType":"uuid"}},{"name":"s","type":"string"}]}`},
		{"a format that not all have", []string{`"2026-01-02"`, `"soon"`}, `"type":"string"}`, `"string"`},
		{"few texts", many(20, func(i int) string { return fmt.Sprintf(`{"state":"s%d"}`, i%3) }),
			`"type":"object","properties":{"state":{"type":"string","enum":["s0","s1","s2"]}},"required":["state"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"state","type":{"type":"enum","name":"State","symbols":["s0","s1","s2"]}}]}`},
		{"many texts", many(60, func(i int) string { return fmt.Sprintf(`{"state":"s%d"}`, i) }),
			`"type":"object","properties":{"state":{"type":"string"}},"required":["state"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"state","type":"string"}]}`},
		{"texts that are no symbols", many(20, func(i int) string { return fmt.Sprintf(`"%d %%"`, i%2) }), `"type":"string","enum":["0 %","1 %"]}`, `"string"`},
		{"null", []string{`{"a":null,"b":null}`, `{"a":1,"b":null}`},
			`"type":"object","properties":{"a":{"type":["integer","null"]},"b":{}},"required":["a","b"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"a","type":["null","long"],"default":null},{"name":"b","type":["null","string"],"default":null}]}`},
		{"nested", []string{`{"lines":[{"sku":"a","n":1},{"sku":"b"}],"to":{"zip":"1"}}`, `{"lines":[],"to":{"zip":"2","x":true}}`},
			`"type":"object","properties":{"lines":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"n":{"type":"integer"}},"required":["sku"]}},"to":{"type":"object","properties":{"zip":{"type":"string"},"x":{"type":"boolean"}},"required":["zip"]}},"required":["lines","to"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"lines","type":{"type":"array","items":{"type":"record","name":"LinesItem","fields":[{"name":"sku","type":"string"},{"name":"n","type":["null","long"],"default":null}]}}},{"name":"to","type":{"type":"record","name":"To","fields":[{"name":"zip","type":"string"},{"name":"x","type":["null","boolean"],"default":null}]}}]}`},
		{"mixed", []string{`{"v":1}`, `{"v":"x"}`, `{"v":[1]}`},
			`"type":"object","properties":{"v":{"type":["array","string","integer"],"items":{"type":"integer"}}},"required":["v"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"v","type":[{"type":"array","items":"long"},"string","long"]}]}`},
		{"a map", many(40, func(i int) string { return fmt.Sprintf(`{"k%d":%d}`, i, i) }),
			`"type":"object","additionalProperties":{"type":"integer"}}`, `{"type":"map","values":"long"}`},
		{"odd names", []string{`{"a-b":1,"a_b":2,"1st":3,"":4}`},
			`"type":"object","properties":{"a-b":{"type":"integer"},"a_b":{"type":"integer"},"1st":{"type":"integer"},"":{"type":"integer"}},"required":["a-b","a_b","1st",""]}`,
			`{"type":"record","name":"Order","fields":[{"name":"a_b","doc":"in JSON: a-b","type":"long"},{"name":"a_b_2","doc":"in JSON: a_b","type":"long"},{"name":"_1st","doc":"in JSON: 1st","type":"long"},{"name":"_","doc":"in JSON: ","type":"long"}]}`},
		{"the same name in two places", []string{`{"a":{"x":{"p":1}},"x":{"q":2}}`},
			`"type":"object","properties":{"a":{"type":"object","properties":{"x":{"type":"object","properties":{"p":{"type":"integer"}},"required":["p"]}},"required":["x"]},"x":{"type":"object","properties":{"q":{"type":"integer"}},"required":["q"]}},"required":["a","x"]}`,
			`{"type":"record","name":"Order","fields":[{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"x","type":{"type":"record","name":"X","fields":[{"name":"p","type":"long"}]}}]}},{"name":"x","type":{"type":"record","name":"X2","fields":[{"name":"q","type":"long"}]}}]}`},
	}
	for _, tt := range tests {
		d := documents(t, tt.texts...)
		if got := squeezed(t, d.JSONSchema(false)); got != tt.json {
			t.Errorf("%s, JSON Schema:\n got %s\nwant %s", tt.name, got, tt.json)
		}
		if got := squeezed(t, d.Avro("Order")); got != tt.avro {
			t.Errorf("%s, Avro:\n got %s\nwant %s", tt.name, got, tt.avro)
		}
		fits(t, d, tt.texts)
	}
}

// fits holds proposals to the languages: they parse, and the JSON Schema takes all
// that it was made from, open or closed.
func fits(t *testing.T, d *Documents, texts []string) {
	t.Helper()
	if _, err := avro.Parse(schema.Source{Type: schema.Avro, Text: d.Avro("Order")}); err != nil {
		t.Errorf("Avro: %v\n%s", err, d.Avro("Order"))
	}
	for _, closed := range []bool{false, true} {
		text := d.JSONSchema(closed)
		s, err := jsonschema.Parse(schema.Source{Type: schema.JSON, Text: text})
		if err != nil {
			t.Fatalf("JSON Schema: %v\n%s", err, text)
		}
		// What has no table form (names that differ in case) is no fault of the schema.
		dec, err := s.Decoder(nil)
		if err != nil {
			continue
		}
		for _, doc := range texts {
			if err := dec.Validate([]byte(doc)); err != nil {
				t.Errorf("%s does not fit, closed %t: %v\n%s", doc, closed, err, text)
			}
		}
	}
}

func TestClosed(t *testing.T) {
	got := squeezed(t, documents(t, `{"a":{"b":1},"e":{}}`).JSONSchema(true))
	want := `"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}},"required":["b"],"additionalProperties":false},"e":{"type":"object","properties":{},"additionalProperties":false}},"required":["a","e"],"additionalProperties":false}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// TestLimits: documents of any size take bounded memory, and the proposal still fits.
func TestLimits(t *testing.T) {
	d, texts := &Documents{}, []string{}
	for i := range 50 {
		var b strings.Builder
		for j := range 1000 {
			fmt.Fprintf(&b, `,"n%d":{"a":[{"b":%d}]}`, i*1000+j, j)
		}
		texts = append(texts, "{"+b.String()[1:]+"}")
	}
	for _, text := range texts {
		if err := d.Add([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if d.nodes > maxNodes {
		t.Errorf("%d places", d.nodes)
	}
	fits(t, d, texts)
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, bad := range []string{"", "{", `{"a":1} 2`, "nul", deep} {
		if err := (&Documents{}).Add([]byte(bad)); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
	if (&Documents{}).Count() != 0 || documents(t, "1", "2").Count() != 2 {
		t.Error("count")
	}
}

// FuzzDocuments proposes a schema from any documents and holds them to it.
func FuzzDocuments(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":null,"b":[1,"x",{"c":2026}]}`)
	f.Add(`"2026-01-02T03:04:05Z"`, `"15:04:05Z"`)
	f.Add(`[[],[1.5]]`, `{"":{}}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		d, texts := &Documents{}, []string{}
		for _, text := range []string{a, b} {
			if strictJSON(text) && d.Add([]byte(text)) == nil {
				texts = append(texts, text)
			}
		}
		fits(t, d, texts)
	})
}

// strictJSON leaves out what decoders refuse under every schema: names that stand
// twice, numbers beyond float64, bad text, deep nesting.
func strictJSON(text string) bool {
	s, err := jsonschema.Parse(schema.Source{Type: schema.JSON, Text: `{"type":["object","array","string","number","boolean","null"]}`})
	if err != nil {
		return false
	}
	dec, err := s.Decoder(nil)
	if err != nil || dec.Validate([]byte(text)) != nil {
		return false
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		tok, err := d.Token()
		if err != nil {
			return true
		}
		if n, ok := tok.(json.Number); ok {
			if _, err := strconv.ParseFloat(n.String(), 64); err != nil {
				return false
			}
		}
	}
}

func TestFormats(t *testing.T) {
	for text, want := range map[string]string{
		"2026-01-02T03:04:05Z": "date-time", "2026-01-02t03:04:05,5Z": "", "2026-02-30": "", "2026-02-28": "date",
		"24:00:00Z": "", "23:00:00Z": "time", "12:00:00": "", "123e4567-e89b-12d3-a456-42661417400g": "", "": "",
	} {
		if got := formatsOf(text).name(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if !slices.Equal((&node{texts: 5, values: map[string]int{"a": 5}}).enum(), []string{"a"}) {
		t.Error("one text five times is an enum")
	}
}
