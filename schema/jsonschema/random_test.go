package jsonschema

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// dice writes random schemas and payloads from small sets, so that they often
// have to do with each other.
type dice struct{ *rand.Rand }

func (d dice) pick(of ...string) string { return of[d.IntN(len(of))] }

func (d dice) scalar() string {
	return d.pick(`null`, `true`, `false`, `0`, `1`, `1.0`, `-1`, `2`, `3`, `0.5`, `1e1`, `10`, `-0`, `1.50`, `12345678901234567890123`,
		`""`, `"a"`, `"ab"`, `"\u0061"`, `"é"`, `"😀"`, `"2026-11-22"`, `"2026-02-30"`, `"2026-11-22T01:02:03Z"`, `"01:02:03+01:00"`,
		`"2eb8aa08-aa98-11ea-b4aa-73b441d16380"`)
}

func (d dice) value(depth int) string {
	switch n := d.IntN(10); {
	case n < 5 || depth == 0:
		return d.scalar()
	case n < 7:
		var items []string
		for range d.IntN(4) {
			items = append(items, d.value(depth-1))
		}
		return "[" + strings.Join(items, d.pick(",", " , ")) + "]"
	default:
		var members []string
		for _, name := range []string{"a", "b", "c", "d\u00e9"} {
			if d.IntN(2) == 0 {
				members = append(members, `"`+name+`":`+d.value(depth-1))
			}
		}
		d.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		return "{" + strings.Join(members, d.pick(",", "\n,")) + "}"
	}
}

// list is n random things in brackets.
func (d dice) list(n int, f func() string) string {
	var s []string
	for range n {
		s = append(s, f())
	}
	return "[" + strings.Join(s, ",") + "]"
}

func (d dice) schema(depth int, slow bool) string {
	if d.IntN(20) == 0 {
		return d.pick("true", "false", "{}")
	}
	sub := func() string { return d.schema(depth-1, slow) }
	typ := func() string {
		return d.pick(`"null"`, `"boolean"`, `"integer"`, `"number"`, `"string"`, `"array"`, `"object"`, `"object"`)
	}
	words := []func() string{
		func() string { return `"type":` + typ() },
		func() string { return `"type":` + typ() },
		func() string {
			return `"type":["null",` + d.pick(`"integer"`, `"number"`, `"string"`, `"object"`) + `]`
		},
		func() string { return `"enum":` + d.list(1+d.IntN(4), d.scalar) },
		func() string { return `"const":` + d.scalar() },
		func() string { return fmt.Sprintf(`"minimum":%s`, d.pick("0", "1", "0.5", "-1")) },
		func() string { return fmt.Sprintf(`"maximum":%s`, d.pick("2", "1", "1e1")) },
		func() string { return fmt.Sprintf(`"exclusiveMinimum":%s`, d.pick("0", "-1")) },
		func() string { return fmt.Sprintf(`"exclusiveMaximum":%s`, d.pick("3", "10")) },
		func() string { return fmt.Sprintf(`"multipleOf":%s`, d.pick("1", "2", "0.5", "0.01", "3")) },
		func() string { return fmt.Sprintf(`"minLength":%d`, d.IntN(3)) },
		func() string { return fmt.Sprintf(`"maxLength":%d`, d.IntN(12)) },
		func() string { return `"pattern":` + d.pick(`"^a"`, `"b$"`, `"[0-9]"`) },
		func() string { return `"format":` + d.pick(`"date"`, `"date-time"`, `"time"`, `"uuid"`, `"email"`) },
		func() string { return fmt.Sprintf(`"minItems":%d`, d.IntN(2)) },
		func() string { return fmt.Sprintf(`"maxItems":%d`, d.IntN(4)) },
		func() string { return fmt.Sprintf(`"minProperties":%d`, d.IntN(3)) },
		func() string { return fmt.Sprintf(`"maxProperties":%d`, d.IntN(4)) },
		func() string { return `"required":` + d.pick(`["a"]`, `["a","b"]`, `["c"]`) },
	}
	if slow {
		words = append(words, func() string { return `"uniqueItems":true` })
	}
	if depth > 0 {
		words = append(words,
			func() string { return fmt.Sprintf(`"properties":{"a":%s,"b":%s}`, sub(), sub()) },
			func() string { return fmt.Sprintf(`"properties":{"c":%s,"d\u00e9":%s}`, sub(), sub()) },
			func() string { return `"additionalProperties":` + d.pick("false", "true", sub()) },
			func() string { return `"items":` + sub() },
			func() string { return `"uniqueItems":true,"items":{"type":["string","number","null"]}` },
			func() string { return `"anyOf":` + d.list(1+d.IntN(3), sub) },
			func() string { return `"oneOf":` + d.list(1+d.IntN(3), sub) },
			func() string { return `"oneOf":[{"type":"null"},` + sub() + `]` },
			func() string { return `"allOf":` + d.list(1+d.IntN(2), sub) },
			func() string { return `"not":` + sub() },
			func() string { return fmt.Sprintf(`"if":%s,"then":%s,"else":%s`, sub(), sub(), sub()) },
			func() string { return `"$ref":"#/definitions/x"` },
		)
		if slow {
			words = append(words,
				func() string { return `"patternProperties":{"^[ab]$":` + sub() + `}` },
				func() string { return `"propertyNames":` + sub() },
				func() string { return `"dependencies":{"a":["b"],"b":` + sub() + `}` },
				func() string { return `"contains":` + sub() },
				func() string { return `"items":` + d.list(2, sub) },
				func() string { return `"unevaluatedProperties":` + d.pick("false", sub()) },
				func() string { return `"enum":[[1],{"a":1},"a"]` },
			)
		}
	}
	seen := map[string]bool{}
	var members []string
	for range 1 + d.IntN(4) {
		word := words[d.IntN(len(words))]()
		for _, part := range strings.SplitAfterN(word, ":", 2)[:1] {
			if !seen[part] && !strings.Contains(word, `"uniqueItems":true,"items"`) || len(seen) == 0 {
				members = append(members, word)
			}
			seen[part] = true
			seen[`"items":`] = seen[`"items":`] || strings.Contains(word, `"items":`)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestRandom compares our reading with the library's on random schemas and
// payloads: the bare check, which must agree exactly, and the decoder, whose
// Validate and Decode must agree with each other and refuse more than the check
// only for what columns cannot hold. A refused payload must leave no trace.
func TestRandom(t *testing.T) {
	schemas, valid, checked, unions, noColumns := 0, 0, 0, 0, 0
	for seed := range uint64(2500) {
		d := dice{rand.New(rand.NewPCG(seed, 1))}
		dialect := d.pick("http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema")
		body := d.schema(3, seed%3 == 0)
		if body[0] != '{' || body == "{}" {
			continue
		}
		text := fmt.Sprintf(`{"$schema":%q,"definitions":{"x":%s},%s`, dialect, d.schema(1, false), body[1:])
		parsed, err := Parse(schema.Source{Type: schema.JSON, Text: text})
		if err != nil {
			continue // a dialect without some keyword's form
		}
		s := parsed.(*Schema)
		schemas++
		_, err = s.Decoder(nil)
		if s.decoder == nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if strings.Contains(text, "definitions/x") && s.decoder.root.kind == kindUnion {
			unions++
		}
		var rows *schema.Rows
		if err == nil {
			if rows, err = schema.NewRows(s.decoder.columns); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, text)
			}
		} else {
			noColumns++
		}
		c := &compiler{docs: s.docs, checked: map[*js.Schema]*node{}, masks: map[*js.Schema]mask{}, any: anything(), costs: costs{open: map[*js.Schema]bool{}}}
		var all []*js.Schema
		reach(s.compiled, map[*js.Schema]bool{}, &all)
		c.gauge = newGauge(all)
		var check *node // none for a schema that demands itself: the library has it all
		if turning(all) == nil {
			check = c.check(s.compiled)
		}
		w := &walker{seed: maphash.MakeSeed(), row: new(schema.Column)}
		for range 25 {
			payload := []byte(d.value(4))
			v, _ := decode(payload)
			want := s.compiled.Validate(v) == nil
			if check != nil {
				if bad := w.run(check, payload, nil); bad == nil != want {
					t.Fatalf("seed %d: check: got %v, want valid = %v\nschema %s\npayload %s\nlibrary %v", seed, bad, want, text, payload, s.compiled.Validate(v))
				}
			}
			checked++
			err := s.decoder.Validate(payload)
			if err == nil {
				valid++
			}
			if err == nil && !want {
				t.Fatalf("seed %d: Validate accepts what the library refuses: %v\nschema %s\npayload %s", seed, s.compiled.Validate(v), text, payload)
			}
			if err != nil && want && !forColumns(err) {
				t.Fatalf("seed %d: Validate refuses what the library accepts: %v\nschema %s\npayload %s", seed, err, text, payload)
			}
			if rows == nil {
				continue
			}
			n := rows.Len()
			derr := s.decoder.Decode(payload, rows)
			if derr == nil != (err == nil) {
				t.Fatalf("seed %d: Decode says %v, Validate %v\nschema %s\npayload %s", seed, derr, err, text, payload)
			}
			if derr != nil && !errors.As(derr, new(*schema.Invalid)) {
				t.Fatalf("seed %d: %v\nschema %s\npayload %s", seed, derr, text, payload)
			}
			if rows.Len() != n && derr != nil || rows.Len() != n+1 && derr == nil {
				t.Fatalf("seed %d: %d rows after %d: %v", seed, rows.Len(), n, derr)
			}
		}
		if rows != nil {
			if _, err := rows.Batch().MarshalJSON(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
	t.Logf("%d schemas, %d checks, %d payloads accepted, %d unions, %d schemas without columns", schemas, checked, valid, unions, noColumns)
	if schemas < 2000 || valid < 10000 {
		t.Errorf("too little tried: %d schemas, %d payloads accepted", schemas, valid)
	}
}

// forColumns says whether an error is about what a column cannot hold.
func forColumns(err error) bool {
	var bad *schema.Invalid
	if !errors.As(err, &bad) {
		return false
	}
	want := bad.Expected
	return strings.Contains(want, "64 bits") || strings.Contains(want, "64-bit") || strings.Contains(want, "decimal(")
}
