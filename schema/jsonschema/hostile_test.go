package jsonschema

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

// TestHostile is payloads made to break or slow down a reader.
func TestHostile(t *testing.T) {
	const anyObject = `{"type":"object","properties":{"a":{},"l":{"type":"array"}}}`
	const tree = `{"$ref":"#/definitions/t","definitions":{"t":{"anyOf":[
		{"type":"object","additionalProperties":{"$ref":"#/definitions/t"},"minProperties":2},
		{"type":"object","additionalProperties":{"$ref":"#/definitions/t"},"maxProperties":1},{"type":"integer"}]}}}`
	many := func(n int, f func(i int) string) string {
		var parts []string
		for i := range n {
			parts = append(parts, f(i))
		}
		return strings.Join(parts, ",")
	}
	for _, c := range []struct{ name, schema, payload, want string }{
		{"nothing", anyObject, ``, `$: expected a JSON value, found the end of the payload`},
		{"only space", anyObject, " \n", `$: expected a JSON value, found the end of the payload`},
		{"trailing", anyObject, `{} {}`, `$: expected nothing after the value, found object`},
		{"trailing zero byte", anyObject, "{}\x00", `$: expected nothing after the value, found "\x00"`},
		{"byte order mark", anyObject, "\xef\xbb\xbf{}", `$: expected a JSON value, found "\ufeff{}"`},
		{"cut", anyObject, `{"a":[1,{"b":"c`, `$.a[1]["b"]: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found the end of the payload`},
		{"comma at the end", anyObject, `{"a":1,}`, `$: expected a key in quotes, found "}"`},
		{"no comma", anyObject, `{"a":[1 2]}`, `$.a: expected ',' or ']', found number 2`},
		{"no colon", anyObject, `{"a" 1}`, `$: expected ':', found number 1`},
		{"half a word", anyObject, `{"a":nul}`, `$.a: expected a JSON value, found "nul}"`},
		{"leading zero", anyObject, `{"a":01}`, `$.a: expected a number to go on, found number 1`},
		{"NaN", anyObject, `{"a":NaN}`, `$.a: expected a JSON value, found "NaN}"`},
		{"equal keys", anyObject, `{"a":1,"a":2}`, `$.a: expected each key once, found string "a"`},
		{"equal keys, one escaped", anyObject, `{"a":1,"\u0061":2}`, `$.a: expected each key once, found string "a"`},
		{"equal keys without a column", anyObject, `{"x":1,"y":2,"x":3}`, `$: expected each key once, found object`},
		{"equal keys below", anyObject, `{"a":{"k":1,"k":1}}`, `$.a: expected each key once, found object`},
		{"equal keys among many", anyObject, `{` + many(5000, func(i int) string { return fmt.Sprintf(`"k%d":0`, i%4999) }) + `}`, `$: expected each key once, found object`},
		{"bad UTF-8", anyObject, "{\"a\":\"x\xff\"}", `$.a: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\xff\"}"`},
		{"UTF-8 of a surrogate", anyObject, "{\"a\":\"\xed\xa0\x80\"}", `$.a: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\xed\xa0\x80\"}"`},
		{"bad UTF-8 in a key", anyObject, "{\"\xc0\":1}", `$: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\xc0\":1}"`},
		{"lone surrogate", anyObject, `{"a":"\ud800"}`, `$.a: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\\ud800\"}"`},
		{"swapped surrogates", anyObject, `{"a":"\udc00\ud800"}`, `$.a: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\\udc00\\ud800\"}"`},
		{"control character", anyObject, "{\"a\":\"x\ny\"}", `$.a: expected the string to go on (closed by a quote, in UTF-8, with valid escapes), found "\ny\"}"`},
		{"deep", anyObject, strings.Repeat(`{"a":`, 100000), `expected nesting of at most 64 levels, found object`},
		{"deep lists", anyObject, `{"a":` + strings.Repeat(`[`, 64), `expected nesting of at most 64 levels, found array`},
		{"huge exponent", anyObject, `{"a":1e999999999}`, `$.a: expected a number of at most 512 characters with an exponent within 700, found number 1e999999999`},
		{"tiny exponent", anyObject, `{"a":1e-999999999999999999999}`, `$.a: expected a number of at most 512 characters with an exponent within 700, found number 1e-999999999999999999999`},
		{"long number", anyObject, `{"a":` + strings.Repeat("9", 100000) + `}`, `expected a number of at most 512 characters with an exponent within 700`},
		{"huge exponent before the library", `{"type":"object","properties":{"a":{}},"patternProperties":{"x":{"minimum":1}}}`, `{"x":1e999999999}`, `$["x"]: expected a number of at most 512 characters`},
		{"too many forms for the library", strings.Replace(tree, `"anyOf"`, `"propertyNames":{},"anyOf"`, 1), strings.Repeat(`{"a":`, 50) + `"x"` + strings.Repeat(`}`, 50), `expected nesting of at most 13 levels`},
		{"too many forms", tree, strings.Repeat(`{"a":`, 50) + `"x"` + strings.Repeat(`}`, 50), `expected a payload that takes no more than`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := mustParse(t, c.schema).Decoder(nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{d.Validate([]byte(c.payload)), d.Decode([]byte(c.payload), rows)} {
				var bad *schema.Invalid
				if !errors.As(err, &bad) {
					t.Fatalf("got %v, want a refusal", err)
				}
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got  %s\nwant %s", err, c.want)
				}
				if len(err.Error()) > 600 {
					t.Errorf("an error of %d bytes", len(err.Error()))
				}
			}
			if rows.Len() != 0 {
				t.Errorf("got %d rows", rows.Len())
			}
		})
	}
}

// TestManyKeys reads an object of many keys, all different, in little time.
func TestManyKeys(t *testing.T) {
	d, err := mustParse(t, `{"type":"object","additionalProperties":{"type":"integer"}}`).Decoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range 200000 {
		fmt.Fprintf(&b, `,"key%d":%d`, i, i)
	}
	if err := d.Validate([]byte("{" + b.String()[1:] + "}")); err != nil {
		t.Fatal(err)
	}
}

// TestRollback cuts and breaks a good payload at every byte: rows decoded before
// and after stay as if the broken one had never come.
func TestRollback(t *testing.T) {
	texts := []string{benchSchema,
		`{"type":"object","properties":{"id":{"type":"string"},"user":{"type":"object","properties":{"id":{"type":"integer"}}},"tags":{"type":"array","items":{"oneOf":[{"type":"string","maxLength":4},{"type":"string","minLength":5},{"type":"null"}]}},"labels":{"type":"object","additionalProperties":{"type":"string"}}}}`}
	for _, text := range texts {
		d, err := mustParse(t, text).Decoder(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		want, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		good := []byte(benchRecord)
		refused := 0
		for i := range len(good) {
			for _, bad := range [][]byte{good[:i], append(append(append([]byte{}, good[:i]...), 0xff), good[i:]...), append(append(append([]byte{}, good[:i]...), '!'), good[i+1:]...)} {
				verr := d.Validate(bad)
				if err := d.Decode(bad, got); err == nil != (verr == nil) {
					t.Fatalf("%q: Decode %v, Validate %v", bad, err, verr)
				}
				if verr != nil {
					refused++
				} else if err := d.Decode(bad, want); err != nil {
					t.Fatal(err)
				}
			}
			for _, rows := range []*schema.Rows{got, want} {
				if err := d.Decode(good, rows); err != nil {
					t.Fatal(err)
				}
			}
		}
		if refused < 2*len(good) {
			t.Errorf("only %d payloads were refused", refused)
		}
		a, b := got.Batch(), want.Batch()
		if !array.RecordEqual(a, b) {
			t.Errorf("rows differ from those without the broken payloads")
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(benchSchema, []byte(benchRecord))
	for _, c := range mapping {
		f.Add(c.schema, []byte(c.payload))
	}
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		parsed, err := Parse(schema.Source{Type: schema.JSON, Text: text})
		if err != nil {
			var perr *schema.ParseError
			if !errors.As(err, &perr) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if again, err := Parse(schema.Source{Type: schema.JSON, Text: parsed.Canonical()}); err != nil || again.Canonical() != parsed.Canonical() || again.Normalized() != parsed.Normalized() {
			t.Fatalf("the canonical text %q does not read back: %v", parsed.Canonical(), err)
		}
		if diff := parsed.Reads(parsed); len(diff) > 0 && !strings.Contains(text, "oneOf") {
			t.Logf("does not read itself: %v", diff)
		}
		d, err := parsed.Decoder(nil)
		if err != nil {
			return
		}
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatalf("columns that rows refuse: %v", err)
		}
		verr := d.Validate(payload)
		err = d.Decode(payload, rows)
		if err == nil != (verr == nil) {
			t.Fatalf("Decode says %v, Validate %v", err, verr)
		}
		var bad *schema.Invalid
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("%T: %v", err, err)
		}
		if rows.Len() == 0 != (err != nil) {
			t.Fatalf("%d rows with error %v", rows.Len(), err)
		}
		if err == nil && parsed.(*Schema).compiled.Validate(first(payload)) != nil {
			t.Fatalf("accepted what the library refuses")
		}
	})
}

func first(b []byte) any {
	v, _ := decode(b)
	return v
}

// TestNullOfTheWhole: null beside a form is not taken where the schema as a whole,
// which the library checks, refuses it.
func TestNullOfTheWhole(t *testing.T) {
	for _, text := range []string{
		`{"definitions":{"x":{"$ref":"#/definitions/x"}},"oneOf":[{"type":"null"},{"enum":["a",2]}],"allOf":[{"$ref":"#/definitions/x"}]}`,
		`{"$schema":"https://json-schema.org/draft/2020-12/schema","anyOf":[{"type":"null"},{"type":"string"}],"not":{"type":"null"},"allOf":[{"$dynamicRef":"#any"}],"$defs":{"a":{"$dynamicAnchor":"any"}}}`,
	} {
		s := mustParse(t, text)
		v, err := s.Validator(nil)
		if err != nil {
			t.Fatal(err)
		}
		if fast, _ := s.FastPath(); fast {
			t.Errorf("%s takes the fast path", text)
		}
		if v.Validate([]byte("null")) == nil {
			t.Errorf("%s takes null", text)
		}
	}
}
