package jsonschema

import (
	"math/big"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// measure is how the two values of a keyword are weighed against each other.
type measure uint8

const (
	ceiling measure = iota // a higher one lets more pass
	floor                  // a lower one lets more pass
	divisor                // one that divides the other lets more pass
	exactly                // every change counts
)

// keyword is a keyword with one value, and how the types of its differences
// begin: _ADDED, _REMOVED and, by the measure, others follow.
type keyword struct {
	name, prefix string
	measure      measure
	number       func(*js.Schema) *big.Rat // nil without the keyword
	text         func(*js.Schema) string   // of exactly; "" without the keyword
}

// The keywords with one value, by the type that they are about.
var (
	stringKeywords = [...]keyword{
		{"maxLength", "MAX_LENGTH", ceiling, func(s *js.Schema) *big.Rat { return count(s.MaxLength) }, nil},
		{"minLength", "MIN_LENGTH", floor, func(s *js.Schema) *big.Rat { return count(s.MinLength) }, nil},
		{"pattern", "PATTERN", exactly, nil, patternText},
	}
	numberKeywords = [...]keyword{
		{"maximum", "MAXIMUM", ceiling, func(s *js.Schema) *big.Rat { return s.Maximum }, nil},
		{"minimum", "MINIMUM", floor, func(s *js.Schema) *big.Rat { return s.Minimum }, nil},
		{"exclusiveMaximum", "EXCLUSIVE_MAXIMUM", ceiling, func(s *js.Schema) *big.Rat { return s.ExclusiveMaximum }, nil},
		{"exclusiveMinimum", "EXCLUSIVE_MINIMUM", floor, func(s *js.Schema) *big.Rat { return s.ExclusiveMinimum }, nil},
		{"multipleOf", "MULTIPLE_OF", divisor, func(s *js.Schema) *big.Rat { return s.MultipleOf }, nil},
	}
	arrayKeywords = [...]keyword{
		{"maxItems", "MAX_ITEMS", ceiling, func(s *js.Schema) *big.Rat { return count(s.MaxItems) }, nil},
		{"minItems", "MIN_ITEMS", floor, func(s *js.Schema) *big.Rat { return count(s.MinItems) }, nil},
		{"uniqueItems", "UNIQUE_ITEMS", exactly, nil, uniqueText},
		{"maxContains", "MAX_CONTAINS", ceiling, func(s *js.Schema) *big.Rat { return count(s.MaxContains) }, nil},
		{"minContains", "MIN_CONTAINS", floor, minContains, nil},
	}
	objectKeywords = [...]keyword{
		{"maxProperties", "MAX_PROPERTIES", ceiling, func(s *js.Schema) *big.Rat { return count(s.MaxProperties) }, nil},
		{"minProperties", "MIN_PROPERTIES", floor, func(s *js.Schema) *big.Rat { return count(s.MinProperties) }, nil},
	}
)

func count(n *int) *big.Rat {
	if n == nil {
		return nil
	}
	return big.NewRat(int64(*n), 1)
}

func patternText(s *js.Schema) string {
	if s.Pattern == nil {
		return ""
	}
	return s.Pattern.String()
}

func uniqueText(s *js.Schema) string {
	if !s.UniqueItems {
		return ""
	}
	return "true"
}

// minContains is 1 where contains stands without it (2019-09 Validation §6.4.5).
func minContains(s *js.Schema) *big.Rat {
	if s.DraftVersion >= 2019 && s.Contains != nil && s.MinContains == nil {
		return big.NewRat(1, 1)
	}
	return count(s.MinContains)
}

// keywords compares a table's keywords.
func (w *walk) keywords(table []keyword, old, new *form) {
	for i := range table {
		k := &table[i]
		if k.measure == exactly {
			w.texts(k, k.text(old.schema), k.text(new.schema))
		} else {
			w.numbers(k, k.number(old.schema), k.number(new.schema))
		}
	}
}

func (w *walk) texts(k *keyword, was, is string) {
	switch {
	case was == is:
	case was == "":
		w.note(k.prefix+"_ADDED", only(is), k.name)
	case is == "":
		w.note(k.prefix+"_REMOVED", nil, k.name)
	default:
		w.note(k.prefix+"_CHANGED", against(quoted(is), quoted(was)), k.name)
	}
}

func (w *walk) numbers(k *keyword, was, is *big.Rat) {
	switch {
	case was == nil && is == nil:
	case was == nil:
		w.note(k.prefix+"_ADDED", func() string { return clip(ratText(is)) }, k.name)
	case is == nil:
		w.note(k.prefix+"_REMOVED", nil, k.name)
	case was.Cmp(is) != 0:
		w.note(k.prefix+k.measure.change(was, is), func() string { return against(ratText(is), ratText(was))() }, k.name)
	}
}

// change is how a type of difference ends when a value turns into another.
func (m measure) change(was, is *big.Rat) string {
	if m == divisor {
		switch {
		case multiple(is, was):
			return "_EXPANDED"
		case multiple(was, is):
			return "_REDUCED"
		}
		return "_CHANGED"
	}
	if is.Cmp(was) > 0 {
		return "_INCREASED"
	}
	return "_DECREASED"
}

// multiple says whether a is b times a whole number.
func multiple(a, b *big.Rat) bool {
	return b.Sign() != 0 && new(big.Rat).Quo(a, b).IsInt()
}
