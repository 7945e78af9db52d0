package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// maxCost bounds how often the library may look at one value of a payload. A
// schema that refers to itself from two members of an anyOf doubles that with
// every level of nesting, and the library cannot be stopped on its way.
const maxCost = 100_000

// costs tells how deep payloads may nest before a schema grows beyond maxCost.
type costs struct {
	byDepth []map[*js.Schema]float64
	open    map[*js.Schema]bool
}

// deepest is the nesting that the library may be given for values of s: all that
// payloads may have, but for schemas whose cost grows with every level.
func (c *costs) deepest(s *js.Schema) int {
	for d := range schema.MaxDepth {
		if c.of(s, d) > maxCost {
			return max(d-1, 1)
		}
	}
	return schema.MaxDepth
}

// of is how many schemas the library applies, at most, to some value within a
// value of s that nests d levels.
func (c *costs) of(s *js.Schema, d int) float64 {
	for len(c.byDepth) <= d {
		c.byDepth = append(c.byDepth, map[*js.Schema]float64{})
	}
	if cost, ok := c.byDepth[d][s]; ok {
		return cost
	}
	if c.open[s] { // applied to the same value again: the library stops there
		return 1
	}
	c.open[s] = true
	cost := 1.0
	for _, k := range sameValue(s) {
		cost += c.of(k, d)
	}
	for _, k := range []*js.Schema{s.RecursiveRef, dynamicTarget(s)} {
		if k != nil {
			cost += c.of(k, d)
		}
	}
	delete(c.open, s)
	if d > 0 {
		// One member meets one property, but also every pattern and the rest.
		most := 0.0
		for _, k := range s.Properties {
			most = max(most, c.of(k, d-1))
		}
		for _, k := range inner(s) {
			most += c.of(k, d-1)
		}
		cost += most
	}
	c.byDepth[d][s] = cost
	return cost
}

func dynamicTarget(s *js.Schema) *js.Schema {
	if s.DynamicRef == nil {
		return nil
	}
	return s.DynamicRef.Ref
}

// inner lists the schemas for what is inside a value, but for the properties.
func inner(s *js.Schema) []*js.Schema {
	list := slices.Concat(s.PrefixItems, []*js.Schema{s.PropertyNames, s.Contains, s.Items2020, s.UnevaluatedItems, s.UnevaluatedProperties})
	for _, k := range s.PatternProperties {
		list = append(list, k)
	}
	for _, v := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		switch v := v.(type) {
		case *js.Schema:
			list = append(list, v)
		case []*js.Schema:
			list = append(list, v...)
		}
	}
	return slices.DeleteFunc(list, func(k *js.Schema) bool { return k == nil })
}
