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
	plain, err := mustParse(f, `{"type":["null","boolean","number","string","array","object"]}`).Decoder(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint16, payload []byte) {
		text, _ := randomSchema(uint64(seed))
		parsed, err := Parse(schema.Source{Type: schema.JSON, Text: text})
		if text == "" || err != nil {
			return // a dialect without some keyword's form
		}
		s := parsed.(*Schema)
		_, noTable := s.Decoder(nil)
		if s.decoder == nil {
			t.Fatalf("%v\n%s", noTable, text)
		}
		ours := s.decoder.Validate(payload)
		if err := plain.Validate(payload); err != nil {
			if _, theirs := js.UnmarshalJSON(bytes.NewReader(payload)); ours == nil || theirs == nil && !expects(err, besides) {
				t.Fatalf("no JSON: %v, by the library: %v, by the schema: %v\nschema %s\npayload %q", err, theirs, ours, text, payload)
			}
			return
		}
		v, theirs := js.UnmarshalJSON(bytes.NewReader(payload))
		if theirs == nil {
			theirs = s.compiled.Validate(v)
		}
		if (ours == nil) != (theirs == nil) && !(theirs == nil && (forColumns(ours) || expects(ours, besides))) {
			t.Fatalf("ours: %v\nthe library: %v\nschema %s\npayload %s", ours, theirs, text, payload)
		}
		if noTable != nil {
			return
		}
		rows, err := schema.NewRows(s.decoder.columns)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.decoder.Decode(payload, rows); (err == nil) != (ours == nil) || rows.Len() == 0 != (ours != nil) {
			t.Fatalf("Validate: %v, Decode: %v, %d rows", ours, err, rows.Len())
		}
	})
}

// expects says whether a refusal expected one of some things.
func expects(err error, words []string) bool {
	bad, ok := errors.AsType[*schema.Invalid](err)
	return ok && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(bad.Expected, w) })
}
