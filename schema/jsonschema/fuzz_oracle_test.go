package jsonschema

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/schematest"
)

// besides are what we expect of any JSON, and the library's reader does not.
var besides = []string{"each key once", "nesting of at most", "512 characters", "takes no more than", "the string to go on"}

// randomSchema is a schema of TestRandom's kind, and a payload that has
// something to do with it. It is empty for a seed that makes none.
func randomSchema(seed uint64) (text, payload string) {
	d := dice{rand.New(rand.NewPCG(seed, 1))}
	dialect := d.pick("http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-06/schema#", "http://json-schema.org/draft-07/schema#",
		"https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema")
	body := d.schema(3, seed%3 == 0)
	if body[0] != '{' || body == "{}" {
		return "", ""
	}
	return fmt.Sprintf(`{"$schema":%q,"definitions":{"x":%s},%s`, dialect, d.schema(1, false), body[1:]), d.value(4)
}

// FuzzOracle feeds any bytes to decoders of random schemas, each picked by a
// number, and to the library: what one refuses the other refuses too, but for
// what we ask of any JSON and what columns ask for.
func FuzzOracle(f *testing.F) {
	for seed := range uint64(60) {
		_, payload := randomSchema(seed)
		f.Add(uint16(seed), []byte(payload))
	}
	f.Add(uint16(0), []byte(benchRecord))
	f.Fuzz(func(t *testing.T, seed uint16, payload []byte) {
		if c := newContest(t, uint64(seed)); c != nil {
			c.check(t, payload)
		}
	})
}

// contest is a random schema with our decoder and the library's validator.
type contest struct {
	text    string
	s       *Schema
	noTable error
	plain   schema.Decoder // takes any JSON
	rows    *schema.Rows   // nil without a table form
}

// newContest is nil for a seed that makes no schema.
func newContest(t *testing.T, seed uint64) *contest {
	t.Helper()
	text, _ := randomSchema(seed)
	parsed, err := Parse(schema.Source{Type: schema.JSON, Text: text})
	if text == "" || err != nil {
		return nil // a dialect without some keyword's form
	}
	c := &contest{text: text, s: parsed.(*Schema)}
	if c.plain, err = mustParse(t, `{"type":["null","boolean","number","string","array","object"]}`).Decoder(nil); err != nil {
		t.Fatal(err)
	}
	if _, c.noTable = c.s.Decoder(nil); c.s.decoder == nil {
		t.Fatalf("%v\n%s", c.noTable, text)
	}
	if c.noTable == nil {
		if c.rows, err = schema.NewRows(c.s.decoder.columns); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// check compares one payload's verdict; taken if we accept it.
func (c *contest) check(t *testing.T, payload []byte) (taken bool) {
	t.Helper()
	ours := c.s.decoder.Validate(payload)
	v, theirs := js.UnmarshalJSON(bytes.NewReader(payload))
	if err := c.plain.Validate(payload); err != nil {
		if ours == nil || theirs == nil && !expects(err, besides) {
			t.Fatalf("no JSON: %v, by the library: %v, by the schema: %v\nschema %s\npayload %q", err, theirs, ours, c.text, payload)
		}
		return false
	}
	if theirs == nil {
		theirs = c.s.compiled.Validate(v)
	}
	if (ours == nil) != (theirs == nil) && !(theirs == nil && (forColumns(ours) || expects(ours, besides))) {
		t.Fatalf("ours: %v\nthe library: %v\nschema %s\npayload %s", ours, theirs, c.text, payload)
	}
	if c.rows == nil {
		return ours == nil
	}
	before := c.rows.Len()
	if err := c.s.decoder.Decode(payload, c.rows); (err == nil) != (ours == nil) || c.rows.Len() == before != (ours != nil) {
		t.Fatalf("Validate: %v, Decode: %v, %d rows after %d", ours, err, c.rows.Len(), before)
	}
	return ours == nil
}

// TestDifferential is FuzzOracle on a list that stays the same.
func TestDifferential(t *testing.T) {
	schematest.Differential(t, "json schema, against santhosh-tekuri/jsonschema", 1000, func(seed uint64, tally *schematest.Tally) {
		c := newContest(t, seed)
		if c == nil {
			return
		}
		tally.Schemas++
		d := dice{rand.New(rand.NewPCG(seed, 3))}
		for i := range 60 {
			p := []byte(d.value(4))
			for range i / 30 {
				p = d.spoil(p)
			}
			tally.Count(c.check(t, p))
		}
	})
}

// spoil changes a payload in one of the ways that bytes go wrong.
func (d dice) spoil(p []byte) []byte {
	at := d.IntN(len(p))
	switch d.IntN(5) {
	case 0:
		return p[:at]
	case 1:
		return slices.Insert(p, at, []byte(d.pick(",", ":", "{", "}", "[", "]", `"`, `\`, "0", "-", "e5", " ", "\x00", "\xff"))...)
	case 2:
		p[at] ^= 1 << d.IntN(8)
	case 3:
		return slices.Delete(p, at, at+1)
	case 4:
		return append(p, d.pick(" ", ",", "1", `""`, "\n")...)
	}
	return p
}

// expects says whether a refusal expected one of some things.
func expects(err error, words []string) bool {
	bad, ok := errors.AsType[*schema.Invalid](err)
	return ok && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(bad.Expected, w) })
}
