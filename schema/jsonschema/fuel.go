package jsonschema

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math/big"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// A payload may take so many steps to check. anyOf, oneOf and the like read a
// value once for each member, and schemas nested in themselves multiply that with
// every level, so the schema alone bounds nothing. A step is what takes some 10 to
// 20 ns; a megabyte may therefore take one to two seconds, as much as its writer's
// connection may have to wait, and no more.
//
// Reading once costs a plain payload at most two steps a byte, mostly a third of
// one: fuelPerByte lets a payload of any size be read by more than a hundred
// forms, and small payloads, which cost little anyway, by thousands.
const (
	fuelPerByte = 96
	minFuel     = 1 << 16
)

// What is not a value costs, in steps:
const (
	fuelKey = 3 // a name or item that has to differ from the others: hashed, looked up
	// textShift makes a step of every four bytes of text: plain text takes a tenth
	// of that time, escapes and wide characters all of it.
	textShift = 2
	// spaceShift makes a step of every sixteen bytes of white space.
	spaceShift = 4
	// fuelColumn is for each column below an object: it takes a null, and memory,
	// if the payload has nothing for it.
	fuelColumn = 2
	// fuelExact is arithmetic with fractions, beside what the digits cost.
	fuelExact = 32
	// patternShift makes a step of every two instructions of a pattern for each
	// byte of text. Go's engine takes the time of the instructions that are alive,
	// at worst all of them.
	patternShift = 1
	// fuelBuild is for each byte that the library gets as maps and slices.
	fuelBuild = 2
	// fuelApply is one schema that the library applies to one value.
	fuelApply = 16
	// maxExplained bounds what the library may do once more to say why it refuses:
	// it keeps each failure on its way, also of members that need not match.
	maxExplained = 1 << 20
)

const (
	// maxProgram bounds the instructions of one pattern: the longest honest ones
	// count a class up to 1,000 times a few times over.
	maxProgram = 20_000
	// maxPrograms bounds the instructions of all patterns of a schema. An
	// instruction takes about 100 bytes compiled.
	maxPrograms = 500_000
)

// steps is how much fuel a payload of so many bytes gets.
func steps(bytes int) int { return minFuel + fuelPerByte*bytes }

// matching is the fuel to match so much text with a pattern of so many
// instructions.
func matching(program, text int) int { return 4 + program*(text+1)>>patternShift }

// exact is the fuel for arithmetic with a number as a fraction.
func exact(v *number) int { return fuelExact + (len(v.text)+max(v.exp, -v.exp))/2 }

// gauge counts what the library will do with a value before it does it: once
// begun, it cannot be stopped. It goes the library's way through the schema, as
// if no member ended the search early.
type gauge struct {
	fuel     int
	programs map[js.Regexp]int
	types    map[*js.Schema]mask     // of those that have types
	anchors  map[string][]*js.Schema // by $dynamicAnchor
	scope    []*js.Schema            // applied, from the outermost on
	own      int                     // how many of the scope are applied to the same value
}

// newGauge knows the patterns and anchors of all schemas.
func newGauge(all []*js.Schema) *gauge {
	g := &gauge{programs: map[js.Regexp]int{}, types: map[*js.Schema]mask{}, anchors: map[string][]*js.Schema{}}
	for _, s := range all {
		if s.Types != nil && !s.Types.IsEmpty() {
			g.types[s] = typesMask(s.Types)
		}
		if s.Pattern != nil {
			g.programs[s.Pattern] = patternSize(s.Pattern)
		}
		for p := range s.PatternProperties {
			g.programs[p] = patternSize(p)
		}
		if s.DynamicAnchor != "" {
			g.anchors[s.DynamicAnchor] = append(g.anchors[s.DynamicAnchor], s)
		}
		if s.RecursiveAnchor {
			g.anchors[""] = append(g.anchors[""], s)
		}
	}
	return g
}

// apply counts s applied to v. unevaluated says that some schema around s asks
// for what no other one evaluates: then each of them notes all members.
func (g *gauge) apply(s *js.Schema, v any, unevaluated bool) {
	// Where schemas run in a circle the library stops, having looked for s among
	// those that led here.
	if g.fuel -= fuelApply + g.own; g.fuel < 0 || s.Bool != nil || slices.Contains(g.scope[len(g.scope)-g.own:], s) {
		return
	}
	m := roughMask(v)
	types, typed := g.types[s]
	if typed && types&m == 0 {
		return
	}
	g.constants(s, v)
	g.scope = append(g.scope, s)
	g.own++
	unevaluated = unevaluated || s.UnevaluatedProperties != nil || s.UnevaluatedItems != nil
	if s.DraftVersion >= 2019 || s.Ref == nil {
		switch v := v.(type) {
		case map[string]any:
			g.object(s, v, unevaluated)
		case []any:
			g.array(s, v, unevaluated)
		case string:
			g.fuel -= len(v) >> textShift
			if s.Pattern != nil {
				g.fuel -= matching(g.programs[s.Pattern], len(v))
			}
		default:
			if typed && types&isNumber == 0 || s.Minimum != nil || s.Maximum != nil || s.ExclusiveMinimum != nil || s.ExclusiveMaximum != nil || s.MultipleOf != nil {
				g.fuel -= compared(v)
			}
		}
	}
	for _, k := range g.beside(s, v) {
		g.apply(k, v, unevaluated)
	}
	g.own--
	g.scope = g.scope[:len(g.scope)-1]
}

// roughMask is maskOf without a look at digits: numbers may be integers.
func roughMask(v any) mask {
	if _, ok := v.(json.Number); ok {
		return isInteger | isNumber
	}
	return maskOf(v)
}

// compared is the fuel to compare v with something once. Objects and arrays are
// no deeper than the schema's own, which their first difference ends.
func compared(v any) int {
	switch v := v.(type) {
	case json.Number:
		if n, _, ok := scanNumber([]byte(v), 0); ok {
			return exact(&n)
		}
	case []any, map[string]any:
		return fuelExact
	}
	return 1
}

// constants counts the comparisons with enum and const.
func (g *gauge) constants(s *js.Schema, v any) {
	if s.Enum != nil {
		g.fuel -= len(s.Enum.Values) * compared(v)
	}
	if s.Const != nil {
		g.fuel -= compared(v)
	}
}

// beside lists the schemas that s applies to the same value.
func (g *gauge) beside(s *js.Schema, v any) []*js.Schema {
	if s.DraftVersion < 2019 && s.Ref != nil {
		return []*js.Schema{s.Ref}
	}
	list := slices.Concat([]*js.Schema{s.Ref, s.Not, s.If, s.Then, s.Else}, s.AllOf, s.AnyOf, s.OneOf)
	if s.RecursiveRef != nil {
		list = append(list, g.outermost("", s.RecursiveRef))
	}
	if s.DynamicRef != nil && s.DynamicRef.Ref != nil {
		list = append(list, g.outermost(s.DynamicRef.Anchor, s.DynamicRef.Ref))
	}
	if o, ok := v.(map[string]any); ok {
		for name, k := range s.DependentSchemas {
			if _, there := o[name]; there {
				list = append(list, k)
			}
		}
		for name, d := range s.Dependencies {
			if k, schema := d.(*js.Schema); schema {
				if _, there := o[name]; there {
					list = append(list, k)
				}
			}
		}
	}
	return slices.DeleteFunc(list, func(k *js.Schema) bool { return k == nil })
}

// outermost is what a reference that depends on the way leads to: of the schemas
// with its anchor the one whose text was entered first.
func (g *gauge) outermost(anchor string, target *js.Schema) *js.Schema {
	for _, s := range g.scope {
		text, _, _ := strings.Cut(s.Location, "#")
		for _, k := range g.anchors[anchor] {
			if u, _, _ := strings.Cut(k.Location, "#"); u == text {
				return k
			}
		}
	}
	return target
}

// inside is apply for a member or an item.
func (g *gauge) inside(s *js.Schema, v any) {
	own := g.own
	g.own = 0
	g.apply(s, v, false)
	g.own = own
}

func (g *gauge) object(s *js.Schema, o map[string]any, unevaluated bool) {
	g.fuel -= len(o) + len(s.Required) + len(s.Dependencies) + len(s.DependentSchemas) + len(s.DependentRequired)
	if unevaluated {
		g.fuel -= len(o) * fuelKey
	}
	rest, _ := s.AdditionalProperties.(*js.Schema)
	for name, v := range o {
		if g.fuel < 0 {
			return
		}
		k, named := s.Properties[name]
		if named {
			g.inside(k, v)
		}
		for p, k := range s.PatternProperties {
			g.fuel -= matching(g.programs[p], len(name))
			if g.fuel >= 0 && p.MatchString(name) {
				named = true
				g.inside(k, v)
			}
		}
		if !named && rest != nil {
			g.inside(rest, v)
		}
		if s.PropertyNames != nil {
			g.inside(s.PropertyNames, name)
		}
		if s.UnevaluatedProperties != nil && !named {
			g.inside(s.UnevaluatedProperties, v)
		}
	}
	for _, names := range s.DependentRequired {
		g.fuel -= len(names)
	}
}

func (g *gauge) array(s *js.Schema, a []any, unevaluated bool) {
	if g.fuel -= len(a); unevaluated {
		g.fuel -= len(a) * fuelKey
	}
	if s.UniqueItems {
		g.unique(a)
	}
	places := s.PrefixItems
	if tuple, ok := s.Items.([]*js.Schema); ok {
		places = tuple
	}
	rest, _ := s.AdditionalItems.(*js.Schema)
	if k := itemsOf(s); k != nil {
		rest = k
	}
	for i, v := range a {
		if g.fuel < 0 {
			return
		}
		switch {
		case i < len(places):
			g.inside(places[i], v)
		case rest != nil:
			g.inside(rest, v)
		case s.UnevaluatedItems != nil:
			g.inside(s.UnevaluatedItems, v)
		}
		if s.Contains != nil {
			g.inside(s.Contains, v)
		}
	}
}

// unique counts the search for equal items. The library compares each with all
// that have the same hash, and what it hashes says neither signs nor where one
// string ends and the next begins: items made for that are compared pair by pair.
func (g *gauge) unique(a []any) {
	var h maphash.Hash
	met := map[uint64]int{}
	for _, v := range a {
		h.Reset()
		before := g.fuel
		if g.hash(v, &h); g.fuel < 0 {
			return
		}
		others := min(len(a), 20) // as many are compared without a hash
		if len(a) > 20 {
			others = met[h.Sum64()]
			met[h.Sum64()]++
		}
		g.fuel -= others * (before - g.fuel)
	}
}

// hash puts into h what the library does.
func (g *gauge) hash(v any, h *maphash.Hash) {
	if g.fuel -= fuelKey; g.fuel < 0 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		g.fuel -= len(v) * fuelKey
		for _, name := range names {
			g.hash(name, h)
			g.hash(v[name], h)
		}
	case []any:
		_ = h.WriteByte(1)
		for _, k := range v {
			g.hash(k, h)
		}
	case string:
		g.fuel -= len(v) >> textShift
		_ = h.WriteByte(4)
		_, _ = h.WriteString(v)
	case nil, bool:
		maphash.WriteComparable(h, v)
	default:
		g.fuel -= compared(v)
		_ = h.WriteByte(5)
		if r, ok := new(big.Rat).SetString(fmt.Sprint(v)); ok {
			_, _ = h.Write(r.Num().Bytes())
			_, _ = h.Write(r.Denom().Bytes())
		}
	}
}
