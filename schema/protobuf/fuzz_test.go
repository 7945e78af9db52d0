package protobuf

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tarn-io/tarn/schema"
)

// FuzzDecode feeds any bytes to decoders of all kinds of schemas: Validate and
// Decode must agree, a refusal must leave no trace, and JSON must be JSON.
func FuzzDecode(f *testing.F) {
	texts := []string{everyText, rangedText, wireText, wireText2, mappingText, editionText}
	schemas := make([]*Schema, len(texts))
	decoders := make([]schema.Decoder, len(texts))
	indexes := make([][]int, len(texts))
	for i, text := range texts {
		schemas[i] = parse(f, text)
		indexes[i] = []int{schemas[i].File().Messages().Len() - 1}
		if i >= 4 { // the message of these stands first
			indexes[i] = []int{0}
		}
		d, err := schemas[i].Decoder(indexes[i])
		if err != nil {
			f.Fatal(err)
		}
		decoders[i] = d
		f.Add(uint8(i), []byte{})
		f.Add(uint8(i), join(varint(1, 1), bin(5, varint(1, 1)), group(4, varint(1, 5)), bin(2, []byte("x"))))
	}
	for seed := range uint64(20) {
		m, err := schemas[0].Message(indexes[0])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(0), randomPayload(f, rand.New(rand.NewPCG(seed, 4)), m))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		i := int(which) % len(texts)
		d := decoders[i]
		rows, err := schema.NewRows(d.Columns())
		if err != nil {
			t.Fatal(err)
		}
		valid, decoded := d.Validate(payload), d.Decode(payload, rows)
		_, jsonErr := schemas[i].AppendJSON(nil, indexes[i], payload)
		var refused *schema.Invalid
		for _, err := range []error{valid, decoded, jsonErr} {
			if err != nil && !errors.As(err, &refused) {
				t.Fatalf("not an Invalid: %v", err)
			}
		}
		// Strings of proto2 and of an edition may be unchecked; columns check.
		if lax := i == 3 || i == 5; (valid == nil) != (decoded == nil) && !(lax && valid == nil) || valid != nil && jsonErr == nil {
			t.Fatalf("Validate: %v\nDecode: %v\nJSON: %v", valid, decoded, jsonErr)
		}
		want := 0
		if decoded == nil {
			want = 1
		}
		if batch := rows.Batch(); batch.NumRows() != int64(want) {
			t.Fatalf("%d rows after %v", batch.NumRows(), decoded)
		}
		if out, err := schemas[i].AppendJSON(nil, indexes[i], payload); err == nil && !json.Valid(out) {
			t.Fatalf("no JSON: %s", out)
		}
	})
}

// FuzzParse feeds any text to the parser: what parses must decode or say why,
// and its printed forms must parse again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{everyText, mappingText, editionText, wireText2, normalA, "CgFh", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(schema.Source{Text: text})
		if err != nil {
			var refused *schema.ParseError
			if !errors.As(err, &refused) {
				t.Fatalf("not a ParseError: %v", err)
			}
			return
		}
		if len(s.Reads(s)) != 0 {
			t.Fatalf("cannot read itself: %v", s.Reads(s))
		}
		if _, err := Parse(schema.Source{Text: s.Normalized()}); err != nil {
			t.Fatalf("normalized: %v\n%s", err, s.Normalized())
		}
		d, err := s.Decoder(nil)
		if err == nil && d.Validate(nil) == nil {
			rows, err := schema.NewRows(d.Columns())
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(nil, rows); err != nil {
				t.Fatal(err)
			}
		}
	})
}
