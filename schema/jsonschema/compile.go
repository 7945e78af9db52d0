package jsonschema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// compiler turns the library's compiled schema into nodes.
type compiler struct {
	docs    *docs
	checked map[*js.Schema]*node // nodes that only check, by schema
	masks   map[*js.Schema]mask  // what typesOf found
	any     *node
	slowAll bool // the library checks whole payloads
	slow    []string
	costs   costs
	gauge   *gauge

	// What follows is for columns.
	stack  []*js.Schema // the schemas whose columns are being made
	shapes int
	extra  bool // some object is open
}

// note keeps why the library is needed.
func (c *compiler) note(s *js.Schema, why string) {
	u, at, _ := strings.Cut(s.Location, "#")
	c.slow = append(c.slow, fmt.Sprintf("%s#%s: %s", c.docs.named(u), at, why))
}

// target follows references that say nothing of their own.
func target(s *js.Schema) *js.Schema {
	for hops := 0; s.Ref != nil && hops < schema.MaxDepth && (s.DraftVersion < 2019 || onlyRef(s)); hops++ {
		s = s.Ref
	}
	return s
}

// onlyRef says whether a schema has a $ref and nothing else that checks.
func onlyRef(s *js.Schema) bool {
	return len(kids(s)) == 1 && ownMask(s) == anyType && s.Enum == nil && s.Const == nil && s.Format == nil &&
		s.MaxProperties == nil && s.MinProperties == nil && len(s.Required) == 0 && s.AdditionalProperties == nil &&
		len(s.Dependencies) == 0 && len(s.DependentRequired) == 0 &&
		s.MinItems == nil && s.MaxItems == nil && !s.UniqueItems && s.AdditionalItems == nil &&
		s.MinLength == nil && s.MaxLength == nil && s.Pattern == nil && len(s.PatternProperties) == 0 &&
		s.Maximum == nil && s.Minimum == nil && s.ExclusiveMaximum == nil && s.ExclusiveMinimum == nil && s.MultipleOf == nil
}

// check is the node that checks values against s and fills no column.
func (c *compiler) check(s *js.Schema) *node {
	s = target(s)
	if n := c.checked[s]; n != nil {
		return n
	}
	n := newNode()
	c.checked[s] = n
	if !c.own(n, s) {
		return n
	}
	if k := itemsOf(s); k != nil {
		n.items = c.check(k)
	}
	for _, name := range c.docs.order(s) {
		n.props = append(n.props, newProperty(name, c.check(s.Properties[name]), -1))
	}
	c.members(n, s)
	if k, ok := s.AdditionalProperties.(*js.Schema); ok {
		n.other = c.check(k)
	}
	return n
}

func newProperty(name string, n *node, col int) property {
	return property{name: name, bytes: []byte(name), wire: wireOf(name), node: n, col: col}
}

// members indexes the properties and adds those that are only required.
func (c *compiler) members(n *node, s *js.Schema) {
	n.index = make(map[string]int, len(n.props))
	for i, p := range n.props {
		n.index[p.name] = i
	}
	for _, name := range s.Required {
		if _, ok := n.index[name]; !ok {
			n.index[name] = len(n.props)
			n.props = append(n.props, newProperty(name, nil, -1))
		}
	}
	n.width += len(n.props)
	n.required = make([]uint64, (len(n.props)+63)/64)
	n.filled = make([]uint64, len(n.required))
	for i, p := range n.props {
		if p.col >= 0 {
			n.filled[i>>6] |= 1 << (i & 63)
		}
	}
	for _, name := range s.Required {
		i := n.index[name]
		n.required[i>>6] |= 1 << (i & 63)
	}
	if open, ok := s.AdditionalProperties.(bool); ok && !open {
		n.other = c.never()
	}
}

// never is a node that accepts nothing.
func (c *compiler) never() *node {
	n := newNode()
	n.never = true
	n.items, n.other = c.any, c.any
	return n
}

// own gives n all that s asks of a value, but for what it asks of the value's
// items and members. It returns false if nothing is left to ask of those: the
// library checks the value, or s is true or false.
func (c *compiler) own(n *node, s *js.Schema) bool {
	n.items, n.other = c.any, c.any
	if s.Bool != nil {
		n.never = !*s.Bool
		return false
	}
	if why := c.unsupported(s); why != "" {
		c.note(s, why)
		n.checks = c.library(s)
		return false
	}
	if s.DraftVersion < 2019 && s.Ref != nil { // a chain of references too long to follow
		n.checks = &checks{all: []*node{c.check(s.Ref)}}
		return false
	}
	if s.Types != nil {
		n.types = typesMask(s.Types)
	}
	n.enum = enumOf(s)
	if s.Format != nil {
		n.format = formatOf(s.Format.Name)
	}
	n.minLen, n.maxLen = sizes(s.MinLength, s.MaxLength)
	n.minItems, n.maxItems = sizes(s.MinItems, s.MaxItems)
	n.minProps, n.maxProps = sizes(s.MinProperties, s.MaxProperties)
	n.unique = s.UniqueItems
	if s.Contains != nil {
		k := &contains{of: c.check(s.Contains)}
		if k.min, k.max = sizes(s.MinContains, s.MaxContains); s.MinContains == nil {
			k.min = 1
		}
		n.contains = k
	}
	if n.pattern = goRegexp(s.Pattern); n.pattern != nil {
		n.program = patternSize(s.Pattern)
	}
	for _, l := range []struct {
		to   **limit
		from *big.Rat
	}{{&n.min, s.Minimum}, {&n.max, s.Maximum}, {&n.above, s.ExclusiveMinimum}, {&n.below, s.ExclusiveMaximum}, {&n.multiple, s.MultipleOf}} {
		if l.from != nil {
			*l.to, n.bounded = newLimit(l.from), true
		}
	}
	c.combined(n, s)
	return true
}

// combined gives n the parts of s that read a value once more.
func (c *compiler) combined(n *node, s *js.Schema) {
	k := &checks{}
	if s.Ref != nil {
		k.all = append(k.all, c.check(s.Ref))
	}
	for _, m := range s.AllOf {
		k.all = append(k.all, c.check(m))
	}
	for i, of := range [][]*js.Schema{s.AnyOf, s.OneOf} {
		if len(of) > 0 {
			k.alts = append(k.alts, c.alternative(of, i == 1))
		}
	}
	if s.Not != nil {
		k.not = append(k.not, c.check(s.Not))
	}
	if s.If != nil && (s.Then != nil || s.Else != nil) {
		cond := condition{test: c.check(s.If)}
		if s.Then != nil {
			cond.then = c.check(s.Then)
		}
		if s.Else != nil {
			cond.other = c.check(s.Else)
		}
		k.cond = append(k.cond, cond)
	}
	if len(k.all)+len(k.alts)+len(k.not)+len(k.cond) > 0 {
		n.checks = k
	}
}

func (c *compiler) alternative(of []*js.Schema, one bool) alternative {
	a := alternative{one: one}
	for _, m := range of {
		a.of = append(a.of, c.check(m))
	}
	return a
}

// sizes are the bounds of a length; a maximum of -1 is none.
func sizes(low, high *int) (int, int) {
	l, h := 0, -1
	if low != nil {
		l = *low
	}
	if high != nil {
		h = *high
	}
	return l, h
}

// itemsOf is the one schema of all items, nil without one.
func itemsOf(s *js.Schema) *js.Schema {
	if s.Items2020 != nil {
		return s.Items2020
	}
	k, _ := s.Items.(*js.Schema)
	return k
}

// isTuple says whether items have schemas by their place.
func isTuple(s *js.Schema) bool {
	_, tuple := s.Items.([]*js.Schema)
	return tuple || len(s.PrefixItems) > 0
}

// unsupported names the first keyword of s that our own reading does not cover,
// "" if it covers all.
func (c *compiler) unsupported(s *js.Schema) string {
	if s.DraftVersion < 2019 && s.Ref != nil {
		return ""
	}
	switch {
	case len(s.PatternProperties) > 0:
		return "patternProperties"
	case s.PropertyNames != nil:
		return "propertyNames"
	case len(s.Dependencies) > 0 || len(s.DependentRequired) > 0 || len(s.DependentSchemas) > 0:
		return "dependencies"
	case s.UnevaluatedProperties != nil:
		return "unevaluatedProperties"
	case s.UnevaluatedItems != nil:
		return "unevaluatedItems"
	case isTuple(s):
		return "items by place"
	case s.RecursiveRef != nil:
		return "$recursiveRef"
	case s.DynamicRef != nil:
		return "$dynamicRef"
	case len(s.Extensions) > 0:
		return "vocabulary"
	}
	if m := ownMask(s); m&container != 0 && (s.Enum != nil || s.Const != nil) {
		return "enum or const of arrays or objects"
	}
	if s.UniqueItems {
		k := itemsOf(s)
		if k == nil || c.typesOf(k)&container != 0 {
			return "uniqueItems of arrays or objects"
		}
	}
	return ""
}

// typesMask is the mask of a type keyword.
func typesMask(t *js.Types) mask {
	var m mask
	for _, name := range t.ToStrings() {
		switch name {
		case "null":
			m |= isNull
		case "boolean":
			m |= isBool
		case "integer":
			m |= isInteger
		case "number":
			m |= isInteger | isNumber
		case "string":
			m |= isString
		case "array":
			m |= isArray
		case "object":
			m |= isObject
		}
	}
	return m
}

// maskOf is the mask of one value. An integral number may also be seen as
// number, so that "number" and 1 have something in common.
func maskOf(v any) mask {
	switch v := v.(type) {
	case nil:
		return isNull
	case bool:
		return isBool
	case string:
		return isString
	case []any:
		return isArray
	case map[string]any:
		return isObject
	case json.Number:
		if r, ok := new(big.Rat).SetString(v.String()); ok && r.IsInt() {
			return isInteger
		}
	}
	return isInteger | isNumber
}

// ownMask is the set of types that a schema's own type, enum and const leave.
func ownMask(s *js.Schema) mask {
	m := anyType
	if s.Bool != nil && !*s.Bool {
		return 0
	}
	if s.Types != nil {
		m = typesMask(s.Types)
	}
	if s.Enum != nil {
		var e mask
		for _, v := range s.Enum.Values {
			e |= maskOf(v)
		}
		m &= e
	}
	if s.Const != nil {
		m &= maskOf(*s.Const)
	}
	return m
}

// typesOf is the set of types that a value of s may have, as far as type, enum,
// const and what combines schemas tell. It may be too wide, never too narrow.
func (c *compiler) typesOf(s *js.Schema) mask {
	s = target(s)
	if m, ok := c.masks[s]; ok {
		return m
	}
	m := ownMask(s)
	c.masks[s] = m // what a schema that refers to itself sees
	if s.Ref != nil {
		m &= c.typesOf(s.Ref)
	}
	for _, k := range s.AllOf {
		m &= c.typesOf(k)
	}
	for _, of := range [][]*js.Schema{s.AnyOf, s.OneOf} {
		if len(of) == 0 {
			continue
		}
		var some mask
		for _, k := range of {
			some |= c.typesOf(k)
		}
		m &= some
	}
	c.masks[s] = m
	return m
}

// enumOf collects the scalars that enum and const allow both; nil without either.
// Arrays and objects among them are for values that the type excludes.
func enumOf(s *js.Schema) *enum {
	if s.Enum == nil && s.Const == nil {
		return nil
	}
	var values []any
	if s.Enum != nil {
		values = s.Enum.Values
	} else {
		values = []any{*s.Const}
	}
	e := &enum{}
	for _, v := range values {
		if s.Const != nil && !sameScalar(v, *s.Const) {
			continue
		}
		switch v := v.(type) {
		case nil:
			e.null = true
		case bool:
			e.yes, e.no = e.yes || v, e.no || !v
		case string:
			e.strings = append(e.strings, v)
		case json.Number:
			if r, ok := new(big.Rat).SetString(v.String()); ok {
				e.numbers = append(e.numbers, newLimit(r))
			}
		}
	}
	e.arrange()
	return e
}

// sameScalar says whether two scalars are equal; numbers by value.
func sameScalar(a, b any) bool {
	x, ok1 := a.(json.Number)
	y, ok2 := b.(json.Number)
	if ok1 && ok2 {
		r, ok1 := new(big.Rat).SetString(x.String())
		q, ok2 := new(big.Rat).SetString(y.String())
		return ok1 && ok2 && r.Cmp(q) == 0
	}
	if maskOf(a)&container != 0 || maskOf(b)&container != 0 {
		return false
	}
	return a == b
}
