package jsonschema

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/schema"
)

// slowed takes the short ways off a decoder's nodes.
func slowed(n *node, seen map[*node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	n.quick, n.quickItems, n.quickEntries = quickNone, false, false
	slowed(n.items, seen)
	slowed(n.other, seen)
	for i := range n.props {
		n.props[i].quick = false
		slowed(n.props[i].node, seen)
	}
	if n.union != nil {
		for _, k := range n.union.fill {
			slowed(k, seen)
		}
	}
}

// byBoth is two decoders of one schema, of which the second has no short ways.
type byBoth struct {
	text string
	of   [2]*decoder
	rows [2]*schema.Rows
}

// newByBoth is nil for a schema that has no table form.
func newByBoth(t *testing.T, text string) *byBoth {
	t.Helper()
	tw := &byBoth{text: text}
	for i := range tw.of {
		parsed, err := Parse(schema.Source{Type: schema.JSON, Text: text})
		if err != nil {
			return nil
		}
		d, err := parsed.Decoder(nil)
		if err != nil {
			return nil
		}
		tw.of[i] = d.(*decoder)
		if tw.rows[i], err = schema.NewRows(d.Columns()); err != nil {
			t.Fatal(err)
		}
	}
	slowed(tw.of[1].root, map[*node]bool{})
	return tw
}

// check holds that both decoders say the same of a payload and make the same row
// of it, whether its steps suffice or not.
func (tw *byBoth) check(t *testing.T, payload []byte) (taken bool) {
	t.Helper()
	var said [2]string
	for i, d := range tw.of {
		if err := d.Decode(payload, tw.rows[i]); err != nil {
			said[i] = err.Error()
		}
		if err := d.Validate(payload); (err != nil) != (said[i] != "") {
			t.Fatalf("%s\n%s\nDecode says %q, Validate %v", tw.text, payload, said[i], err)
		}
	}
	if said[0] != said[1] {
		t.Fatalf("%s\n%s\ngot  %q\nwant %q", tw.text, payload, said[0], said[1])
	}
	got, want := tw.rows[0].Batch(), tw.rows[1].Batch()
	if !array.RecordEqual(got, want) {
		t.Fatalf("%s\n%s\ngot  %v\nwant %v", tw.text, payload, got, want)
	}
	for n := range 24 { // the walk ends at the same step
		var left [2]string
		for i, d := range tw.of {
			if bad := spent(d, payload, n); bad != nil {
				left[i] = bad.Error()
			}
		}
		if left[0] != left[1] {
			t.Fatalf("%s\n%s\nwith %d steps: got %q, want %q", tw.text, payload, n, left[0], left[1])
		}
	}
	return said[0] == ""
}

// spent checks a payload with so many steps only.
func spent(d *decoder, payload []byte, fuel int) *schema.Invalid {
	w := d.walkers.New().(*walker)
	w.b, w.levels, w.fuel = payload, schema.MaxDepth, fuel
	w.space()
	if w.value(d.root, nil) {
		w.space()
		if w.pos < len(w.b) {
			w.fail(wantEnd, nil, w.pos)
		}
	}
	return w.bad
}

// quickSchemas have short ways, and what is next to them.
var quickSchemas = []string{
	`{"type":"integer"}`, `{"type":"integer","minimum":-5,"maximum":99}`, `{"type":"integer","minimum":0.5}`,
	`{"type":"integer","exclusiveMinimum":0}`, `{"type":"integer","multipleOf":3}`, `{"type":["integer","null"]}`,
	`{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}`, `{"type":"integer","enum":[1,2,30]}`,
	`{"type":"number"}`, `{"type":["null","number"]}`, `{"type":"number","minimum":0}`, `{"type":"number","multipleOf":0.01}`,
	`{"type":"number","multipleOf":0.0001,"maximum":50}`, `{"type":"number","multipleOf":1}`, `{"type":"number","multipleOf":10}`,
	`{"type":"number","multipleOf":0.00000000000000000000000000001}`, `{"type":"number","multipleOf":0.02}`,
	`{"type":"string"}`, `{"type":["string","null"]}`, `{"type":"string","enum":["NEW","a","é"]}`, `{"type":"string","minLength":2}`,
	`{"type":"string","maxLength":3}`, `{"type":"string","pattern":"^a"}`, `{"type":"string","format":"date"}`, `{"type":"string","const":"a"}`,
	`{"type":"boolean"}`, `{"type":["boolean","null"]}`, `{"type":"boolean","enum":[true]}`, `{"const":null}`, `{"type":["string","null"],"enum":["a"]}`,
	`{"type":"string","format":"date-time"}`, `{"type":["null","string"],"format":"date-time"}`, `{"type":"string","format":"time"}`,
	`{"type":["string","null"],"format":"date"}`, `{"type":"string","format":"date","minLength":3}`, `{"type":"string","format":"date","enum":["2026-11-22"]}`,
	`{"oneOf":[{"type":"null"},{"type":"boolean"}]}`, `{"anyOf":[{"type":"string","format":"date"},{"type":"null"}]}`,
	`{"type":"array","items":{"type":"string"}}`, `{"type":"object","additionalProperties":{"type":"integer"}}`,
	`{"type":"array","items":{"type":["number","null"]},"maxItems":3}`, `{"type":"array","items":{"type":["integer","null"]},"minItems":2}`,
	`{"type":"array","items":{"type":"string"},"uniqueItems":true}`, `{"type":"array","items":{"type":"number"},"contains":{"const":1}}`,
	`{"type":["object","null"],"additionalProperties":{"type":["string","null"]}}`, `{"type":"object","additionalProperties":{"type":"number"},"required":["k"],"maxProperties":2}`,
	`{"oneOf":[{"type":"string"},{"type":"integer"}]}`, `{"allOf":[{"type":"integer"},{"minimum":3}]}`,
}

// quickValue writes values that short ways take, and such as come close to them.
func quickValue(d dice) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("0123456789"[d.IntN(10)])
		}
		return b.String()
	}
	switch d.IntN(11) {
	case 10:
		return "[" + d.several(quickScalar) + d.pick("]", "]", "]", "]", "", ",]")
	case 9:
		return "{" + d.several(func(d dice) string {
			return d.pick(`"k":`, `"l":`, `"m":`, `"":`, `"\u006b":`, `"é":`, `"k" :`, `"l": `, `"k"`, `k:`) + quickScalar(d)
		}) + d.pick("}", "}", "}", "}", "", ",}")
	case 8:
		return d.pick("true", "false", "tru", "falsey", "null", "nul", "nulls", `"2026-11-22T10:11:12.5Z"`, `"2026-11-22t23:59:60+01:00"`,
			`"2026-11-22"`, `"2026-02-30"`, `"10:11:12Z"`, `"23:59:60Z"`, `"10:11"`, `"2026-11-22T10:11:12\u005a"`)
	case 0, 1:
		return d.pick("", "", "-") + digits(1+d.IntN(21))
	case 2, 3:
		return d.pick("", "", "-") + digits(1+d.IntN(12)) + d.pick(".", ".", ".", "..") + digits(d.IntN(12)) + d.pick("", "", "", "e1", "E-2", ".", "x")
	case 4:
		return d.pick("0", "-0", "00", "-", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "0.0", "-0.0", "1.", ".5", "+1", "5e-324", "1e400", "0.00000000000000000000001", "999999999999999", "9999999999999999", "999999999999999999", "9999999999999999999")
	case 5:
		return `"` + d.pick("", "a", "NEW", "é", "\\u0061", "a\\n", "\x01", "\xff", "abcdefgh", "abcdefg\"", "2026-11-22", strings.Repeat("x", d.IntN(40))) + d.pick(`"`, `"`, `"`, `"`, ``)
	case 6:
		return d.pick("null", "true", "[]", "{}", "[\"a\",\"b\"]", `{"k":1,"l":-20}`, `["x",1]`)
	}
	return d.scalar()
}

// quickScalar is an item of an array, or the value of a map's entry.
func quickScalar(d dice) string {
	return d.pick("1", "1", "-20", "2.5", "null", `"a"`, `"a"`, `"abcdefghij"`, `"\u0061"`, `"é"`, "1e2", "[]", "tru", "01")
}

// several writes up to five values with commas between, most of them as writers do.
func (d dice) several(value func(dice) string) string {
	var b strings.Builder
	same := d.IntN(2) == 0 // of a kind, as a schema wants them
	one := value(d)
	for i := range d.IntN(6) {
		if i > 0 {
			b.WriteString(d.pick(",", ",", ",", ",", ", ", " ,", ",,"))
		}
		if !same {
			one = value(d)
		}
		b.WriteString(one)
	}
	return b.String()
}

// TestShortWays holds the short ways against the general one.
func TestShortWays(t *testing.T) {
	taken := 0
	for i, s := range quickSchemas {
		d := dice{rand.New(rand.NewPCG(uint64(i), 7))}
		field := newByBoth(t, `{"type":"object","additionalProperties":false,"properties":{"v":`+s+`,"w":{"type":"string"}}}`)
		if field == nil {
			t.Fatalf("%s has no table form", s)
		}
		for range 2000 {
			v := quickValue(d)
			payload := fmt.Sprintf(d.pick(`{"v":%s}`, `{"v":%s}`, `{"v":%s,"w":"x"}`, `{"v": %s }`, `{"v":%[1]s,"v":%[1]s}`, `{"w":"x","v":%s,"w":"y"}`, `{"v":%s,"w":"x","x":1}`, `{"\u0076":%s,"w":"x"}`, `{"w":"","v":%s`), v)
			if d.IntN(4) == 0 {
				payload = payload[:d.IntN(len(payload)+1)]
			}
			if field.check(t, []byte(payload)) {
				taken++
			}
		}
	}
	if want := 10 * len(quickSchemas); taken < want {
		t.Errorf("%d payloads were taken, want %d at least", taken, want)
	}
}

// FuzzShortWays does the same with any bytes, for schemas of TestRandom's kind and
// those of TestShortWays.
func FuzzShortWays(f *testing.F) {
	for seed := range uint64(40) {
		_, payload := randomSchema(seed)
		f.Add(uint16(seed), []byte(payload))
	}
	for i := range quickSchemas {
		f.Add(uint16(1<<15+i), []byte(`12.5`))
	}
	f.Fuzz(func(t *testing.T, seed uint16, payload []byte) {
		text, _ := randomSchema(uint64(seed))
		if seed >= 1<<15 {
			text = quickSchemas[int(seed-1<<15)%len(quickSchemas)]
		}
		if text == "" {
			return
		}
		if tw := newByBoth(t, text); tw != nil {
			tw.check(t, payload)
		}
	})
}
