// Package avro parses Avro schemas as Confluent's registry does, compares them
// by Avro-Java's rules, and compiles them into decoders that validate payloads
// and fill columns in one pass over the bytes.
//
// The parser, the tree and the decoder are our own: the parser because Go's
// libraries refuse texts that Confluent accepts, the decoder because payloads
// are hostile (a count may say 2^40 items and bring none). Avro 1.12 is the
// specification, Avro-Java 1.12 the reference.
package avro

import (
	"fmt"
	"sync"

	"github.com/tarn-io/tarn/schema"
)

// Schema is a parsed Avro schema. It implements schema.Schema.
type Schema struct {
	root                  *typ
	canonical, normalized string
	decoder               func() (*decoder, error)
	checker               func() (*decoder, error) // of a schema without a table form
	resolved              struct {
		mu sync.Mutex
		by map[*Schema]resolution // guarded by mu; by the writer
	}
}

// Parse reads an Avro schema text with the texts it refers to. Names, defaults
// of fields and symbols are checked by the specification's rules unless
// src.Lax. The error is a *schema.ParseError; one in a referenced text names
// that text and has no line.
func Parse(src schema.Source) (schema.Schema, error) {
	p := &parser{lax: src.Lax, names: make(map[string]*typ)}
	var known []string
	for _, ref := range src.References {
		t, err := p.parse(ref.Text)
		if err != nil {
			return nil, &schema.ParseError{Msg: fmt.Sprintf("reference %s: %s", ref.Name, err)}
		}
		known = append(known, t.fullName())
	}
	t, err := p.parse(src.Text)
	if err != nil {
		return nil, err
	}
	s := &Schema{root: t, canonical: render(t, known), normalized: render(normalize(t), known)}
	s.decoder = sync.OnceValues(func() (*decoder, error) { return compile(t) })
	s.checker = sync.OnceValues(func() (*decoder, error) { return compileCheck(t) })
	return s, nil
}

// Type is schema.Avro.
func (s *Schema) Type() schema.Type { return schema.Avro }

// Canonical is the text as Avro-Java's Schema.toString() writes it. Types that
// a referenced text defines at its top are named, not written out.
func (s *Schema) Canonical() string { return s.canonical }

// Resolved is the canonical text with all referenced types written out, as the
// registry's format=resolved has it.
func (s *Schema) Resolved() string { return render(s.root, nil) }

// Normalized is the text with properties and aliases sorted and defaults in the
// form of their types, as Confluent's normalize=true writes it.
func (s *Schema) Normalized() string { return s.normalized }

// Validator is the decoder, or for a schema without a table form a program of
// its own: for records without fields, a fixed of any size, names that differ
// only in case. Decimals of more than maxDigits digits are checked as bytes.
func (s *Schema) Validator(index []int) (schema.Validator, error) {
	if d, err := s.Decoder(index); err == nil || len(index) > 0 {
		return d, err
	}
	d, err := s.checker()
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Decoder compiles the schema when first asked. Avro has no message indexes.
func (s *Schema) Decoder(index []int) (schema.Decoder, error) {
	if len(index) > 0 {
		return nil, fmt.Errorf("message index %v: Avro schemas have none", index)
	}
	d, err := s.decoder()
	if err != nil {
		return nil, err
	}
	return d, nil
}
