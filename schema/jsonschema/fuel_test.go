package jsonschema

import (
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// upTo joins parts by commas until they are so long.
func upTo(size int, part func(i int) string) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(part(i))
	}
	return b.String()
}

// forms writes n object forms, each with a required property of its own.
func forms(n int, more string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"type":"object","required":["z%d"]%s}`, i, more))
	}
	return `{"anyOf":[` + strings.Join(list, ",") + `]}`
}

// TestFuel counts the steps that large payloads take. Each limit leaves a little
// room above or below what was counted: what is not charged falls below least,
// what is read more often than needed rises above most.
func TestFuel(t *testing.T) {
	const size = 1 << 18
	digit := func(int) string { return "1" }
	count := func(i int) string { return fmt.Sprint(i) }
	bare := `{` + upTo(size, func(i int) string { return fmt.Sprintf(`"k%d":0`, i) }) + `}`
	object := `{` + upTo(size, func(i int) string { return fmt.Sprintf(`"k%d":0`, i) }) + `,"z19":1}`
	records := `[` + upTo(size, func(i int) string {
		return fmt.Sprintf(`{"kind":"z%d","id":%d,"name":"name of %d","z%d":true}`, i%20, i, i, i%20)
	}) + `]`
	splits := `[` + upTo(size, func(i int) string { // all fall together in the library's hash
		item := `"a`
		for k := range 14 {
			item += []string{`\u0004a`, `","a`}[i>>k&1]
		}
		return "[" + item + `"]`
	}) + `]`
	text := func(s string) string { return `"` + strings.Repeat(s, size/len(s)) + `"` }
	const patterned = `,"patternProperties":{"^x-[a-z]+$":{"type":"string"}}`
	const tooMuch = "expected a payload that takes no more than"
	for _, c := range []struct {
		name, schema, payload, want string
		least, most                 float64 // steps per byte of the payload
	}{
		{"object against 300 forms", forms(300, ""), bare, tooMuch, 96, 97},
		{"object against 50 forms", forms(50, ""), bare, "expected one of 50 forms", 20, 40},
		{"object against 20 forms", forms(20, ""), object, "", 7, 16},
		{"records against 20 forms", `{"type":"array","items":` + forms(20, "") + `}`, records, "", 2, 10},
		{"spaces against 300 forms", forms(300, ""), "{" + strings.Repeat(" ", size) + "}", "expected one of 300 forms", 18, 20},
		{"escapes against 500 forms", strings.ReplaceAll(forms(500, ""), `"type":"object",`, `"maxLength":3,`), text(`\u00e9`), tooMuch, 96, 97},
		{"long names against 500 forms", forms(500, ""), `{` + text("n") + `:0}`, tooMuch, 96, 97},
		{"pattern of many states", `{"type":"string","pattern":"(x{1,30}){30}y"}`, text("x"), tooMuch, 96, 2000},
		{"pattern of few states", `{"type":"string","pattern":"^[^@]+@[a-z.]+$"}`, text("x"), "expected a string that matches", 2, 10},
		{"pattern of many states, little text", `{"type":"string","pattern":"^(x{1,10}){10}$"}`, `"xxxxxxxxxxxx"`, "", 10, 400},
		{"multiples", `{"anyOf":[` + strings.Repeat(`{"type":"array","items":{"multipleOf":0.3},"minItems":1000000},`, 20) + `false]}`, `[` + upTo(size, func(int) string { return "3e600" }) + `]`, tooMuch, 96, 97},
		{"enum of many texts", `{"type":"array","items":{"enum":[` + upTo(200000, func(i int) string { return fmt.Sprintf(`"v%d"`, i) }) + `]}}`, `[` + upTo(size, func(i int) string { return fmt.Sprintf(`"v%d"`, i%9999) }) + `]`, "", 0.1, 1},
		{"empty objects of many properties", `{"type":"array","items":{"type":"object","properties":{` + upTo(100000, func(i int) string { return fmt.Sprintf(`"p%d":{}`, i) }) + `}}}`, `[` + upTo(size, func(int) string { return "{}" }) + `]`, tooMuch, 96, 97},
		{"no item that contains asks for", `{"type":"array","contains":{"type":"string"}}`, `[` + upTo(size, digit) + `]`, "expected at least one item that matches", 1, 2},
		{"an item that contains asks for", `{"type":"array","contains":{"type":"integer"}}`, `[` + upTo(size, digit) + `]`, "", 1, 2},
		{"contains among unique items", `{"type":"array","uniqueItems":true,"contains":{"type":"string"}}`, `[` + upTo(size, count) + `]`, "expected a value of this schema", 8, 20},
		{"unique items made to collide", `{"type":"array","uniqueItems":true}`, splits, tooMuch, 96, 130},
		{"unique numbers", `{"type":"array","uniqueItems":true,"items":{"type":"number"}}`, `[` + upTo(size, count) + `]`, "", 0.5, 2},
		{"20 forms for the library, one by one", forms(20, patterned), object, "", 40, 70},
		{"20 forms for the library at once", strings.Replace(forms(20, ""), `{`, `{"patternProperties":{"^x-":{}},`, 1), object, "", 2, 32},
		{"records against 20 forms for the library", `{"type":"array","items":` + forms(20, patterned) + `}`, records, "", 10, 60},
		{"300 forms for the library", forms(300, patterned), bare, tooMuch, 96, 105},
		{"names against a pattern of many states", `{"type":"object","patternProperties":{"(x{1,30}){30}y":{}}}`, `{` + upTo(size, func(i int) string { return fmt.Sprintf(`"%s%d":1`, strings.Repeat("x", 200), i) }) + `}`, tooMuch, 96, 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := mustParse(t, c.schema).Decoder(nil)
			if err != nil {
				t.Fatal(err)
			}
			d := got.(*decoder)
			rows, err := schema.NewRows(d.columns)
			if err != nil {
				t.Fatal(err)
			}
			w := &walker{seed: maphash.MakeSeed(), row: new(schema.Column)}
			bad := w.run(d.root, []byte(c.payload), nil)
			msg := ""
			if bad != nil {
				msg = bad.Error()
			}
			if !strings.Contains(msg, c.want) || (msg == "") != (c.want == "") {
				t.Errorf("got %q, want %q", msg, c.want)
			}
			used := float64(steps(len(c.payload))-w.fuel) / float64(len(c.payload))
			t.Logf("%.2f steps per byte", used)
			if used < c.least || used > c.most {
				t.Errorf("got %.2f steps per byte, want %v to %v", used, c.least, c.most)
			}
			validated := w.fuel
			err = d.decode(w, []byte(c.payload), rows)
			if (err == nil) != (bad == nil) || w.fuel != validated && max(w.fuel, validated) >= 0 {
				t.Errorf("Decode: got %v with %d steps left, Validate had %d left", err, w.fuel, validated)
			}
		})
	}
}

// TestLongPattern refuses decoders for patterns that are too long with their
// repetitions written out; the schema may be stored.
func TestLongPattern(t *testing.T) {
	for name, c := range map[string][2]string{
		"one":  {`{"type":"string","pattern":"` + strings.Repeat("a{1,900}", 30) + `"}`, "instructions long"},
		"many": {`{"type":"object","properties":{` + upTo(20000, func(i int) string { return fmt.Sprintf(`"p%d":{"pattern":"a{1,900}%d"}`, i, i) }) + `}}`, "the schema's patterns are more than"},
	} {
		_, err := mustParse(t, c[0]).Decoder(nil)
		if err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v, want %q", name, err, c[1])
		}
	}
}
