package jsonschema

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", ``, `line 1, column 1: the text ends where a value should be`},
		{"cut", "{\n  \"type\": \"obj", `line 2, column 15: string is not closed`},
		{"comma", "{\n  \"type\": \"object\",\n}", `line 3, column 1: a comma with nothing after it`},
		{"no comma", "{\"é\": 1\n \"b\": 2}", `line 2, column 2: expected ',' or '}'`},
		{"colon", `{"a" 1}`, `line 1, column 6: expected ':' after the key`},
		{"twice", `{"type":"string","type":"integer"}`, `line 1, column 18: the key "type" stands twice in one object`},
		{"after", `{} x`, `line 1, column 4: nothing may follow the schema`},
		{"word", `{"a": nope}`, `line 1, column 7: not a JSON value`},
		{"number", `{"minimum": 1.}`, `line 1, column 15: not a number`},
		{"huge number", `{"minimum": 1e99999999}`, `line 1, column 13: number with an exponent beyond 700`},
		{"deep", strings.Repeat("[", 100), `line 1, column 66: nested deeper than 64 levels`},
		{"many objects", `{"enum":[` + strings.Repeat("{},", 20000) + `{}]}`, `more than 20000 objects`},
		{"no schema", `[]`, `#: got array, want boolean or object`},
		{"bad keyword", `{"properties":{"a/b":{"type":"strin"}}}`, `#/properties/a~1b/type: `},
		{"bad pattern", `{"properties":{"a":{"pattern":"("}}}`, `#/properties/a/pattern`},
		{"missing reference", `{"properties":{"a":{"$ref":"other.json"}}}`, `$ref "other.json" leads nowhere: it is not among the schema's references`},
		{"missing place", `{"$ref":"#/definitions/x"}`, `#/definitions/x`},
		{"network", `{"$ref":"http://127.0.0.1:1/x.json"}`, `it is not among the schema's references`},
		{"disk", `{"$ref":"file:///etc/passwd"}`, `it is not among the schema's references`},
		{"relative path", `{"$ref":"../../../../etc/passwd"}`, `it is not among the schema's references`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(schema.Source{Type: schema.JSON, Text: c.text})
			var perr *schema.ParseError
			if !errors.As(err, &perr) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestLax(t *testing.T) {
	for _, text := range []string{`{"type":"strin"}`, `{"type":"object","type":"string"}`, `{"$ref":"gone.json"}`} {
		if _, err := Parse(schema.Source{Text: text}); err == nil {
			t.Errorf("%s: a new schema is not refused", text)
		}
		s, err := Parse(schema.Source{Text: text, Lax: true})
		if err != nil {
			t.Errorf("%s: a stored schema is refused: %v", text, err)
			continue
		}
		if s.Canonical() != text {
			t.Errorf("got %s, want %s", s.Canonical(), text)
		}
	}
	s, err := Parse(schema.Source{Text: `{"type":"strin"}`, Lax: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Decoder(nil); err == nil || !strings.Contains(err.Error(), "#/type") {
		t.Errorf("got %v, want the place of the error", err)
	}
	s.Reads(s)
}

func TestTexts(t *testing.T) {
	s := mustParse(t, "{ \"title\" : \"a  \\u0041\\/\" ,\n \"minimum\": 1.50, \"enum\":[ {\"b\":1 ,\"a\":[ ]} ] }")
	if got, want := s.Canonical(), `{"title":"a  \u0041\/","minimum":1.50,"enum":[{"b":1,"a":[]}]}`; got != want {
		t.Errorf("canonical:\n got %s\nwant %s", got, want)
	}
	if got, want := s.Normalized(), `{"enum":[{"a":[],"b":1}],"minimum":1.50,"title":"a  A/"}`; got != want {
		t.Errorf("normalized:\n got %s\nwant %s", got, want)
	}
	if s.Type() != schema.JSON {
		t.Errorf("type %s", s.Type())
	}
	if _, err := s.Decoder([]int{0}); err == nil {
		t.Error("message indexes are accepted")
	}
}

func TestDialects(t *testing.T) {
	for _, c := range []struct {
		dialect, body, good, bad string
	}{
		{``, `"exclusiveMinimum":1`, `2`, `1`},
		{`"$schema":"http://json-schema.org/draft-07/schema",`, `"if":{"type":"string"},"then":{"minLength":2}`, `"ab"`, `"a"`},
		{`"$schema":"https://json-schema.org/draft-07/schema#",`, `"const":3`, `3`, `4`},
		{`"$schema":"http://json-schema.org/draft-04/schema#",`, `"minimum":1,"exclusiveMinimum":true`, `2`, `1`},
		{`"$schema":"http://json-schema.org/draft-06/schema#",`, `"const":3`, `3`, `4`},
		{`"$schema":"https://json-schema.org/draft/2019-09/schema",`, `"dependentRequired":{"a":["b"]},"type":"object"`, `{"a":1,"b":1}`, `{"a":1}`},
		{`"$schema":"https://json-schema.org/draft/2020-12/schema",`, `"type":"array","prefixItems":[{"type":"string"}]`, `["a"]`, `[1]`},
		{`"$schema":"http://json-schema.org/draft-03/schema#",`, `"const":3`, `3`, `4`},
		{`"$schema":"https://example.com/my-dialect",`, `"const":3`, `3`, `4`},
	} {
		d, err := mustParse(t, `{`+c.dialect+c.body+`}`).Decoder(nil)
		if err != nil {
			t.Errorf("%s%s: %v", c.dialect, c.body, err)
			continue
		}
		if err := d.Validate([]byte(c.good)); err != nil {
			t.Errorf("%s%s: %s: %v", c.dialect, c.body, c.good, err)
		}
		if d.Validate([]byte(c.bad)) == nil {
			t.Errorf("%s%s: accepts %s", c.dialect, c.body, c.bad)
		}
	}
}

func TestReferences(t *testing.T) {
	refs := []schema.Named{
		{Name: "leaf.json", Text: `{"title":"Leaf","type":"object","additionalProperties":false,"properties":{"z":{"type":"integer"},"a":{"type":"string"}}}`},
		{Name: "common/mid.json", Text: `{"$id":"https://example.com/common/mid.json","type":"object","additionalProperties":false,"properties":{"leaf":{"$ref":"leaf.json"}},"definitions":{"id":{"type":"integer","minimum":1}}}`},
		{Name: "https://example.com/abs.json", Text: `{"definitions":{"s":{"type":"string","maxLength":3}}}`},
	}
	for _, id := range []string{``, `"$id":"https://example.com/top.json",`, `"$id":"urn:example:top",`, `"$id":"top.schema.json",`} {
		text := `{` + id + `"type":"object","additionalProperties":false,"properties":{"m":{"$ref":"common/mid.json"},"i":{"$ref":"common/mid.json#/definitions/id"},"s":{"$ref":"https://example.com/abs.json#/definitions/s"}}}`
		if strings.Contains(id, "urn") {
			text = strings.ReplaceAll(text, `"common/mid.json`, `"https://example.com/common/mid.json`)
		}
		s, err := Parse(schema.Source{Type: schema.JSON, Text: text, References: refs})
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		d, err := s.Decoder(nil)
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		// The order of columns is the text's, in references too.
		if got, want := columnText(d.Columns().Fields()), `m:{leaf:{z:int64? a:utf8?}?}? i:int64? s:utf8?`; got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
		if err := d.Validate([]byte(`{"m":{"leaf":{"z":1}},"i":1,"s":"abc"}`)); err != nil {
			t.Error(err)
		}
		for _, bad := range []string{`{"m":{"leaf":{"z":"1"}}}`, `{"i":0}`, `{"s":"abcd"}`} {
			if d.Validate([]byte(bad)) == nil {
				t.Errorf("%s: accepts %s", id, bad)
			}
		}
	}
}

func TestFastPath(t *testing.T) {
	for _, c := range []struct {
		text, why string
	}{
		{benchSchema, ``},
		{`{"type":"object","properties":{"a":{"oneOf":[{"const":"x"},{"type":"null"}]}},"not":{"required":["b"]},"if":{"required":["a"]},"then":{"minProperties":2}}`, ``},
		{`{"type":"object","properties":{"a/b":{"type":"object","patternProperties":{"^x":{}}}}}`, `#/properties/a~1b: patternProperties`},
		{`{"type":"object","properties":{"a":{"enum":[[1]]}}}`, `#/properties/a: enum or const of arrays or objects`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicAnchor":"n","type":"object","properties":{"a":{"$dynamicRef":"#n"}}}`, `#/properties/a: references that depend on the way to them`},
		{`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"a":{"type":"integer"}},"anyOf":[{"$ref":"#"},{}]}`, `#: a schema that demands itself`},
	} {
		fast, why := mustParse(t, c.text).FastPath()
		if got := strings.Join(why, "; "); got != c.why || fast != (c.why == "") {
			t.Errorf("%s:\n got %v %q\nwant %q", c.text, fast, got, c.why)
		}
	}
}

func TestForeignPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		`(?!x)a`:         "invalid or unsupported Perl syntax",
		`a(?=b)`:         "invalid or unsupported Perl syntax",
		`^(?!x)a|b`:      "invalid or unsupported Perl syntax",
		`^(?!x)*a`:       "invalid or unsupported Perl syntax",
		`^(?=(?!x)y)a`:   "invalid or unsupported Perl syntax",
		`^(?=a`:          "invalid or unsupported Perl syntax",
		`^(?=a{2000})a`:  "invalid repeat count",
		`(?<=x)a`:        "invalid named capture",
		`^(?<!x)a`:       "invalid named capture",
		`a++b`:           "invalid nested repetition operator",
		`(a)\\1`:         "invalid escape sequence",
		`^(?=(a)\\1)a`:   "invalid escape sequence",
		`a{2000}`:        "invalid repeat count",
		`^(?=a{900}){9}`: "invalid or unsupported Perl syntax",
	} {
		s := mustParse(t, `{"type":"object","properties":{"a":{"type":"string","pattern":"`+pattern+`"}}}`)
		if _, err := s.Decoder(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", pattern, err, want)
		}
	}
	d, err := mustParse(t, `{"type":"string","pattern":"^\\u0041\\cJ\\/$"}`).Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate([]byte(`"A\n/"`)); err != nil {
		t.Error(err)
	}
}

func TestWithoutExtra(t *testing.T) {
	s := mustParse(t, `{"type":"object","properties":{"a":{"type":"integer"}}}`)
	d, err := s.DecoderWithoutExtra()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := columnText(d.Columns().Fields()), `a:int64?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Decode([]byte(`{"a":1,"b":2}`), rows); err != nil || rows.Len() != 1 {
		t.Errorf("%d rows, %v", rows.Len(), err)
	}
}

func TestNoTableForm(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"object","additionalProperties":false}`:                               "without fields",
		`{"type":"object","properties":{"a":{"type":"string"},"A":{"type":"string"}}}`: "differ only in case",
		`false`: "without fields",
	} {
		if _, err := mustParse(t, text).Decoder(nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestUnfolding makes schemas whose columns or checks would unfold without end.
func TestUnfolding(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"$ref":"#/definitions/a","definitions":{`)
	for c := 'a'; c < 'z'; c++ {
		next := `{"$ref":"#/definitions/` + string(c+1) + `"}`
		b.WriteString(`"` + string(c) + `":{"type":"object","properties":{"x":` + next + `,"y":` + next + `},"anyOf":[` + next + `,` + next + `]},`)
	}
	b.WriteString(`"z":{"type":"object","properties":{"q":{"type":"integer"}}}}}`)
	if _, err := mustParse(t, b.String()).Decoder(nil); err == nil || !strings.Contains(err.Error(), "more than 10000 columns") {
		t.Errorf("got %v", err)
	}
}

// TestConcurrent uses one schema and one decoder from many goroutines, from its
// first compilation on.
func TestConcurrent(t *testing.T) {
	s, old := mustParse(t, benchSchema), mustParse(t, strings.Replace(benchSchema, `"maximum":2147483647`, `"maximum":7`, 1))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			d, err := s.Decoder(nil)
			if err != nil {
				t.Error(err)
				return
			}
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Error(err)
				return
			}
			for range 200 {
				if err := d.Decode([]byte(benchRecord), rows); err != nil {
					t.Error(err)
				}
				if d.Validate([]byte(benchRecord[1:])) == nil {
					t.Error("a broken record is accepted")
				}
			}
			if list := s.Reads(old); len(list) != 0 {
				t.Errorf("got %v", list)
			}
			if list := old.Reads(s); len(list) != 1 || list[0].Type != "MAXIMUM_DECREASED" {
				t.Errorf("got %v", list)
			}
		})
	}
	group.Wait()
}

// TestLookaheads: assertions at the start of a text are run, by a schema of the fast
// path and by the library.
func TestLookaheads(t *testing.T) {
	for pattern, texts := range map[string][2][]string{
		`^(?!x)a`:                          {{"a", "abc"}, {"xa", "ba", ""}},
		`^(?!.*(foo|bar)).*$`:              {{"", "fo", "baz"}, {"foo", "a bar"}},
		`^(?=.*[0-9])(?=.*[a-z]).{3,}$`:    {{"a1b", "1zz"}, {"abc", "a1", "123"}},
		`^(?!(a|b)$)[ab]+$`:                {{"ab", "aa"}, {"a", "b", "c"}},
		`^(?=[)|(]x)(?![(]).`:              {{")x", "|x"}, {"(x", "x"}},
		`^(?=\\))(?!\\u0029b)\\)(c|d)`:     {{")c", ")d"}, {")b", "c"}},
		`^(?!admin$)`:                      {{"", "admins", "user"}, {"admin"}},
		`^(?=a|b)(?=(?:[^|]|\\|)c)[a-b].$`: {{"ac", "bc"}, {"ab", "cc"}},
	} {
		for _, text := range []string{
			`{"type":"string","pattern":"` + pattern + `"}`,
			`{"not":{"not":{"type":"string","pattern":"` + pattern + `"}}}`, // the library's
			`{"propertyNames":{"pattern":"` + pattern + `"}}`,
		} {
			v, err := mustParse(t, text).Validator(nil)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			for i, list := range texts {
				for _, one := range list {
					payload := fmt.Sprintf("%q", one)
					if strings.Contains(text, "propertyNames") {
						payload = fmt.Sprintf("{%q:1}", one)
					}
					if err := v.Validate([]byte(payload)); (err == nil) != (i == 0) {
						t.Errorf("%s of %s: %v", text, payload, err)
					}
				}
			}
		}
	}
	// A reader sees the pattern as it stands in the schema.
	d, err := mustParse(t, `{"type":"string","pattern":"^(?!x)a"}`).Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Validate([]byte(`"xa"`)); err == nil || !strings.Contains(err.Error(), "^(?!x)a") {
		t.Errorf("the error says %v", err)
	}
}

// TestPlacesInReferences: a place says in which text it stands.
func TestPlacesInReferences(t *testing.T) {
	for _, id := range []string{"", `"$id":"https://shop.example/order.json",`} {
		s, err := Parse(schema.Source{
			Type:       schema.JSON,
			Text:       `{` + id + `"type":"object","properties":{"x":{"$ref":"parts/a.json"},"y":{"propertyNames":{"minLength":1}}}}`,
			References: []schema.Named{{Name: "parts/a.json", Text: `{"type":"object","properties":{"w":{"propertyNames":{"maxLength":3}}}}`}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, p := range s.(*Schema).Manner().Library {
			got[p.Path] = p.Field
		}
		if len(got) != 2 || got["#/properties/y"] != "y" || got["parts/a.json#/properties/w"] != "" {
			t.Errorf("places %v", got)
		}
	}
}
