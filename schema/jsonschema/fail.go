package jsonschema

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// want says what a value failed to be. Words are made of it only when the failure
// is an error, which it is not while members of anyOf are tried.
type want uint8

const (
	wantValue want = iota
	wantEnd
	wantLess
	wantNothing
	wantType
	wantEnum
	wantText
	wantMinLen
	wantMaxLen
	wantPattern
	wantFormat
	wantNumber
	wantSmall
	wantInt64
	wantFloat64
	wantDecimal
	wantMin
	wantMax
	wantAbove
	wantBelow
	wantMultiple
	wantFlat
	wantComma
	wantMinItems
	wantMaxItems
	wantUnique
	wantContains
	wantBrace
	wantKey
	wantColon
	wantOnce
	wantNamed
	wantDistinct
	wantRequired
	wantMinProps
	wantMaxProps
	wantNot
	wantOne
	wantSlow
)

// fail notes a failure at pos and returns false.
func (w *walker) fail(k want, n *node, pos int) bool {
	if w.quiet > 0 {
		w.far = max(w.far, pos)
		return false
	}
	if w.bad == nil {
		w.bad = schema.Refuse(pos, expected(k, n), w.found(pos))
		if k == wantFlat {
			w.bad.Expected = fmt.Sprintf("nesting of at most %d levels", w.levels)
		}
		if k == wantLess {
			w.bad.Expected = fmt.Sprintf("a payload that takes no more than %d steps to check (fewer forms under anyOf, oneOf, allOf, simpler patterns or a smaller payload)", steps(len(w.b)))
		}
	}
	return false
}

// in, at and key put the path of an error below a property, an item, a member
// that is no property. They return false.
func (w *walker) in(name string) bool {
	if w.quiet == 0 && w.bad != nil {
		w.bad.In(name)
	}
	return false
}

func (w *walker) at(i int) bool {
	if w.quiet == 0 && w.bad != nil {
		w.bad.At(i)
	}
	return false
}

func (w *walker) key(name []byte) bool {
	if w.quiet == 0 && w.bad != nil {
		w.bad.Key(name)
	}
	return false
}

// missing puts the path at the first required property that was not there.
func (w *walker) missing(n *node, base int) bool {
	if w.quiet > 0 || w.bad == nil {
		return false
	}
	for i, want := range n.required {
		if lost := want &^ w.bits[base+i]; lost != 0 {
			w.bad.Found = "nothing"
			return w.in(n.props[i<<6+bits.TrailingZeros64(lost)].name)
		}
	}
	return false
}

// maxWords bounds what an error repeats of a schema, such as an enum's values.
const maxWords = 120

// expected says what was wanted.
func expected(k want, n *node) string {
	switch k {
	case wantValue:
		return "a JSON value"
	case wantEnd:
		return "nothing after the value"
	case wantLess:
		return "a payload that takes less to check"
	case wantNothing:
		return "no value (the schema is false)"
	case wantType:
		return typeNames(n)
	case wantEnum:
		return "one of " + n.enum.words()
	case wantNot:
		return "a value that the schema under not does not match"
	case wantOne:
		return "a value that matches exactly one member of oneOf"
	case wantSlow:
		return "a value of this schema"
	}
	switch {
	case k < wantNumber:
		return expectedString(k, n)
	case k < wantFlat:
		return expectedNumber(k, n)
	}
	return expectedInside(k, n)
}

func expectedString(k want, n *node) string {
	switch k {
	case wantMinLen:
		return fmt.Sprintf("at least %d characters", n.minLen)
	case wantMaxLen:
		return fmt.Sprintf("at most %d characters", n.maxLen)
	case wantPattern:
		return "a string that matches " + n.pattern.String()
	case wantFormat:
		return n.format.name()
	}
	return "the string to go on (closed by a quote, in UTF-8, with valid escapes)"
}

func expectedNumber(k want, n *node) string {
	switch k {
	case wantSmall:
		return fmt.Sprintf("a number of at most %d characters with an exponent within %d", maxNumberBytes, maxExponent)
	case wantInt64:
		return "integer of 64 bits"
	case wantFloat64:
		return "number within the range of 64-bit floats"
	case wantDecimal:
		return fmt.Sprintf("decimal(38,%d)", n.scale)
	case wantMin:
		return "at least " + n.min.text
	case wantMax:
		return "at most " + n.max.text
	case wantAbove:
		return "more than " + n.above.text
	case wantBelow:
		return "less than " + n.below.text
	case wantMultiple:
		return "a multiple of " + n.multiple.text
	}
	return "a number to go on"
}

func expectedInside(k want, n *node) string {
	switch k {
	case wantComma:
		return "',' or ']'"
	case wantMinItems:
		return fmt.Sprintf("at least %d items", n.minItems)
	case wantMaxItems:
		return fmt.Sprintf("at most %d items", n.maxItems)
	case wantUnique:
		return "items that all differ"
	case wantContains:
		if n.contains.min == 1 && n.contains.max < 0 {
			return "at least one item that matches the schema under contains"
		}
		if n.contains.max >= 0 {
			return fmt.Sprintf("from %d to %d items that match the schema under contains", n.contains.min, n.contains.max)
		}
		return fmt.Sprintf("at least %d items that match the schema under contains", n.contains.min)
	case wantBrace:
		return "',' or '}'"
	case wantKey:
		return "a key in quotes"
	case wantColon:
		return "':'"
	case wantOnce:
		return "each key once"
	case wantDistinct:
		return "each key once"
	case wantNamed:
		return "no property that the schema does not name"
	case wantRequired:
		return "a value (the property is required)"
	case wantMinProps:
		return fmt.Sprintf("at least %d properties", n.minProps)
	case wantMaxProps:
		return fmt.Sprintf("at most %d properties", n.maxProps)
	}
	return "something else"
}

// typeNames lists the types that a node takes, as schemas write them.
func typeNames(n *node) string {
	m := n.types
	if m&isNumber != 0 {
		m &^= isInteger
	}
	if n.nullable {
		m |= isNull
	}
	var names []string
	for i, name := range []string{"null", "boolean", "integer", "number", "string", "array", "object"} {
		if m>>i&1 != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "no value"
	}
	return strings.Join(names, " or ")
}

// words lists an enum's values, cut when they are many.
func (e *enum) words() string {
	var b []byte
	add := func(s string) {
		if len(b) > 0 {
			b = append(b, ", "...)
		}
		b = append(b, s...)
	}
	for _, s := range e.strings {
		if len(b) > maxWords {
			return string(b) + ", ..."
		}
		add(schema.Preview([]byte(s)))
	}
	for _, l := range e.numbers {
		if len(b) > maxWords {
			return string(b) + ", ..."
		}
		add(l.text)
	}
	for i, word := range []string{"true", "false", "null"} {
		if []bool{e.yes, e.no, e.null}[i] {
			add(word)
		}
	}
	return string(b)
}

// found describes what stands at pos, shortened.
func (w *walker) found(pos int) string {
	if pos >= len(w.b) {
		return "the end of the payload"
	}
	return preview(w.b[pos:])
}

// preview describes the JSON value that b begins with.
func preview(b []byte) string {
	switch c := b[0]; {
	case c == '{':
		return "object"
	case c == '[':
		return "array"
	case c == '"':
		end, escaped := scanString(b, 0)
		if end < 0 {
			return "string " + schema.Preview(b[1:])
		}
		text := b[1 : end-1]
		if escaped {
			text = unescape(nil, text)
		}
		return "string " + schema.Preview(text)
	case c == '-' || c-'0' <= 9:
		if v, _, ok := scanNumber(b, 0); ok && len(v.text) < maxWords {
			return "number " + string(v.text)
		}
		return "number " + schema.Preview(b)
	}
	for _, word := range []string{"true", "false", "null"} {
		if len(b) >= len(word) && string(b[:len(word)]) == word {
			return word
		}
	}
	return schema.Preview(b)
}
