// Package jsonschema is JSON Schema for Tarn: drafts 4, 6, 7, 2019-09 and
// 2020-12, draft 7 when a text does not say, as in Confluent's registry.
//
// A schema is compiled once into nodes that read payloads as raw bytes: one pass
// checks a record and appends it to Arrow columns, with no map, no reflection and
// no allocation. What that pass does not cover (FastPath says what) the library
// github.com/santhosh-tekuri/jsonschema checks, for that part of the payload
// only; the columns are filled by our pass all the same.
//
// We are stricter than JSON Schema where data would suffer: a key may stand once
// in an object, strings must be UTF-8 without lone surrogates, nesting ends at
// schema.MaxDepth, and numbers must fit the column that the type mapping gives
// them (an integer in 64 bits, a number in the range of a float64). Numbers are
// never rounded on the way: 1.0 is an integer, 9007199254740993 stays itself.
// The formats date-time, date, time and uuid are asserted in every draft, other
// formats in none. Validate and Decode give the same verdict.
//
// How a schema becomes columns, beyond the table of the type mapping:
//
//	null under a type that also has others   null
//	time with an offset                      the time in UTC; 23:59:60 is the last microsecond
//	anyOf, oneOf of null and one form        that form, nullable
//	anyOf, oneOf of several forms            struct, members named by title, or v0, v1 … not counting null;
//	                                         the first that matches is set
//	anyOf, oneOf that only narrow            nothing: {type: string, oneOf: [{pattern: …}, …]} is utf8
//	properties beside such a union           in each of its members
//	allOf, $ref with neighbours              one form with the properties of all; text if two hold unions
//	object without properties                utf8 (JSON text); at the top, kafka_extra alone
//	if, then, else, not, dependencies,       checked; what only they name goes to kafka_extra
//	patternProperties
//	property whose schema is false           no column
package jsonschema

import (
	"errors"
	"fmt"
	"sync"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// Schema is a parsed JSON Schema. It implements schema.Schema.
type Schema struct {
	canonical  string
	normalized string
	docs       *docs
	compiled   *js.Schema
	broken     error // why a stored text has no compiled form

	once    sync.Once // guards what follows
	decoder *decoder  // with kafka_extra
	plain   *decoder  // without kafka_extra
	slow    []string
	err     error
}

// Parse reads a schema with its references, which are found by the names that
// $ref gives them; nothing is ever loaded from disk or network. Errors are a
// *schema.ParseError: with line and column for broken JSON, with a JSON pointer
// for JSON that is no schema. A stored text (src.Lax) that is JSON but no schema
// is accepted; its Decoder says what is wrong.
func Parse(src schema.Source) (schema.Schema, error) {
	d, err := newDocs(src)
	if err != nil {
		return nil, err
	}
	s := &Schema{
		canonical:  compact(src.Text),
		normalized: string(d.root.sorted(nil)),
		docs:       d,
	}
	if s.compiled, err = d.compile(); err != nil {
		if !src.Lax {
			return nil, err
		}
		s.broken = err
	}
	return s, nil
}

// Type is schema.JSON.
func (s *Schema) Type() schema.Type { return schema.JSON }

// Canonical is the text without the white space between tokens; order, numbers
// and escapes stay as they were written.
func (s *Schema) Canonical() string { return s.canonical }

// Normalized is the text without white space, the keys of all objects sorted by
// their bytes and strings with the fewest escapes.
func (s *Schema) Normalized() string { return s.normalized }

// Decoder returns the compiled decoder; index must be empty. Its last column is
// kafka_extra (map<utf8, utf8>) if some object may hold properties that no column
// names: from the JSON pointer of such a property to its JSON text; null when a
// record has none.
func (s *Schema) Decoder(index []int) (schema.Decoder, error) {
	if len(index) > 0 {
		return nil, errors.New("a JSON schema has no message indexes")
	}
	s.once.Do(s.prepare)
	if s.err != nil {
		return nil, s.err
	}
	return s.decoder, nil
}

// Validator is the decoder, also where columns of it have no table form.
func (s *Schema) Validator(index []int) (schema.Validator, error) {
	if d, err := s.Decoder(index); err == nil || len(index) > 0 || s.decoder == nil {
		return d, err
	}
	return s.decoder, nil
}

// DecoderWithoutExtra is Decoder for a table that is to have no kafka_extra:
// properties that no column names are checked and left out.
func (s *Schema) DecoderWithoutExtra() (schema.Decoder, error) {
	s.once.Do(s.prepare)
	if s.err != nil {
		return nil, s.err
	}
	if err := schema.CheckColumns(s.plain.columns); err != nil {
		return nil, err
	}
	return s.plain, nil
}

// FastPath says whether payloads are checked without the library (about thirty
// times faster), and if not, which keywords keep them from it, by JSON pointer.
func (s *Schema) FastPath() (fast bool, why []string) {
	s.once.Do(s.prepare)
	return s.err == nil && len(s.slow) == 0, s.slow
}

// prepare compiles the decoders.
func (s *Schema) prepare() {
	if s.broken != nil {
		s.err = fmt.Errorf("the stored text is no schema: %w", s.broken)
		return
	}
	var all []*js.Schema
	reach(s.compiled, map[*js.Schema]bool{}, &all)
	c := &compiler{docs: s.docs, checked: map[*js.Schema]*node{}, masks: map[*js.Schema]mask{}, any: anything(), costs: costs{open: map[*js.Schema]bool{}}, gauge: newGauge(all)}
	for _, k := range all {
		if s.err = runnable(k); s.err != nil {
			return
		}
		if k.DynamicRef != nil || k.RecursiveRef != nil {
			c.slowAll = true
			c.note(k, "references that depend on the way to them")
		}
	}
	if loop := turning(all); loop != nil {
		c.slowAll = true
		c.note(loop, "a schema that demands itself")
	}
	root, err := c.fill(view{parts: []*js.Schema{s.compiled}, root: true})
	if err != nil {
		s.err = err
		return
	}
	if c.slowAll {
		n := *root.node
		n.checks, n.guarded = c.library(s.compiled), true // null too
		root.node = &n
	}
	root.ready(map[*node]bool{})
	s.slow = c.slow
	s.decoder, s.plain = newDecoder(root, c.extra), newDecoder(root, false)
	s.err = schema.CheckColumns(s.decoder.columns)
}

// reach lists every schema below s once.
func reach(s *js.Schema, seen map[*js.Schema]bool, all *[]*js.Schema) {
	if seen[s] {
		return
	}
	seen[s] = true
	*all = append(*all, s)
	for _, k := range kids(s) {
		reach(k, seen, all)
	}
}

// runnable refuses patterns that our engine does not run.
func runnable(s *js.Schema) error {
	patterns := []js.Regexp{s.Pattern}
	for p := range s.PatternProperties {
		patterns = append(patterns, p)
	}
	for _, p := range patterns {
		if f, ok := p.(*foreign); ok {
			return fmt.Errorf("payloads cannot be checked against the pattern %q: %w", f.pattern, f.err)
		}
	}
	return nil
}

// goRegexp is the pattern as Go's engine runs it, nil if it does not.
func goRegexp(p js.Regexp) *program {
	runs, _ := p.(*program)
	return runs
}

// patternSize is the number of instructions of a pattern that Go's engine runs.
func patternSize(p js.Regexp) int {
	if p, ok := p.(*program); ok {
		return p.size
	}
	return 0
}

// turning finds a schema that applies to a value only if it applies to the same
// value, such as {"$ref": "#"}.
func turning(all []*js.Schema) *js.Schema {
	const (
		entered = 1
		left    = 2
	)
	state := map[*js.Schema]int{}
	var visit func(s *js.Schema) *js.Schema
	visit = func(s *js.Schema) *js.Schema {
		switch state[s] {
		case entered:
			return s
		case left:
			return nil
		}
		state[s] = entered
		for _, k := range sameValue(s) {
			if loop := visit(k); loop != nil {
				return loop
			}
		}
		state[s] = left
		return nil
	}
	for _, s := range all {
		if loop := visit(s); loop != nil {
			return loop
		}
	}
	return nil
}

// sameValue lists the schemas that s applies to the value it is applied to.
func sameValue(s *js.Schema) []*js.Schema {
	var list []*js.Schema
	for _, k := range []*js.Schema{s.Ref, s.Not, s.If, s.Then, s.Else} {
		if k != nil {
			list = append(list, k)
		}
	}
	for _, of := range [][]*js.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		list = append(list, of...)
	}
	for _, k := range s.DependentSchemas {
		list = append(list, k)
	}
	for _, v := range s.Dependencies {
		if k, ok := v.(*js.Schema); ok {
			list = append(list, k)
		}
	}
	return list
}
