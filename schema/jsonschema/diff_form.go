package jsonschema

import (
	"encoding/json"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// A comparison does not look at keywords one by one: it first asks what a schema
// is about. aspect is the answer; each has its own rules in diff_rules.go.
type aspect uint8

const (
	aspectAny  aspect = iota // nothing is asked of a value: {}, true, annotations alone
	aspectNone               // no value passes: false
	aspectString
	aspectNumber // integer too
	aspectBoolean
	aspectNull
	aspectArray
	aspectObject
	aspectEnum
	aspectConst
	aspectNot
	aspectIf
	aspectAllOf // also a schema with keywords of several aspects, all of which hold
	aspectAnyOf // also a list of types
	aspectOneOf
)

// form is a schema as the comparison sees it: one aspect, and for the last three
// the members that they choose among. References are followed. A form is made
// once for each schema, so that forms can be told apart by their address.
type form struct {
	aspect  aspect
	integer bool // of aspectNumber: integers alone
	schema  *js.Schema
	docs    *docs
	members []member // those with the same text once
	count   int      // members before that
	facts   *facts   // made when first asked for
}

// member is one of several schemas that a form combines: a form already, or a
// schema that becomes one when it is looked at, since it may lead back here.
type member struct {
	at     []string // where it stands below its form, as path segments
	schema *js.Schema
	form   *form
	print  uint64 // of its text, to find its like on the other side; 0 without one
}

// facts are what several comparisons ask about one form.
type facts struct {
	names    []string // of the properties, in the order of the text
	required map[string]bool
	patterns []pattern // in the order of their texts
	values   []string  // of an enum, as JSON
}

type pattern struct {
	match  js.Regexp
	schema *js.Schema
}

// combines says whether a form is a choice or product of members.
func (f *form) combines() bool { return f.aspect >= aspectAllOf }

// word names the aspect in descriptions.
func (f *form) word() string {
	if f.integer {
		return "integer"
	}
	words := [...]string{"anything", "nothing", "string", "number", "boolean", "null", "array", "object", "enum", "const", "not", "if", "allOf", "anyOf", "oneOf"}
	return words[f.aspect]
}

// form is the form of a schema that stands in d. A reference that leads only to
// references asks for nothing.
func (c *comparison) form(d *docs, s *js.Schema) *form {
	first := s
	for range schema.MaxDepth {
		if f := c.made[s]; f != nil {
			c.made[first] = f
			return f
		}
		parts, refs := c.parts(d, s), references(s)
		if len(parts) > 0 || len(refs) != 1 {
			f := joined(d, s, parts, refs)
			c.made[s], c.made[first] = f, f
			return f
		}
		s = refs[0]
	}
	f := &form{schema: s, docs: d}
	c.made[first] = f
	return f
}

// member is the form of a member.
func (c *comparison) member(f *form, i int) *form {
	if f.members[i].form == nil {
		f.members[i].form = c.form(f.docs, f.members[i].schema)
	}
	return f.members[i].form
}

// written says whether s itself, and not what it refers to, has an aspect.
func (c *comparison) written(d *docs, s *js.Schema, a aspect) bool {
	return len(references(s)) == 0 && c.form(d, s).aspect == a
}

// references are the schemas that s refers to. What a dynamic reference means
// depends on the way to it; the schema it names by itself stands in for that.
func references(s *js.Schema) []*js.Schema {
	list := []*js.Schema{s.Ref, s.RecursiveRef, dynamicTarget(s)}
	return slices.DeleteFunc(list, func(k *js.Schema) bool { return k == nil })
}

// joined is the form of s: its only part, or the product of several.
func joined(d *docs, s *js.Schema, parts []*form, refs []*js.Schema) *form {
	switch {
	case s.Bool != nil && !*s.Bool:
		return &form{aspect: aspectNone, schema: s, docs: d}
	case len(parts) == 0 && len(refs) == 0:
		return &form{schema: s, docs: d}
	case len(parts) == 1 && len(refs) == 0:
		return parts[0]
	}
	f := &form{aspect: aspectAllOf, schema: s, docs: d}
	for _, r := range refs {
		f.members = append(f.members, member{schema: r})
	}
	for _, p := range parts {
		f.members = append(f.members, member{form: p})
	}
	f.count = len(f.members)
	return f
}

// parts lists what a schema asks for by its own keywords, one form an aspect.
func (c *comparison) parts(d *docs, s *js.Schema) []*form {
	if s.Bool != nil || s.DraftVersion < 2019 && s.Ref != nil {
		return nil // before 2019-09, keywords beside a $ref count for nothing
	}
	parts := typed(d, s)
	add := func(there bool, a aspect) {
		if there {
			parts = append(parts, &form{aspect: a, schema: s, docs: d})
		}
	}
	add(s.Enum != nil, aspectEnum)
	add(s.Const != nil, aspectConst)
	add(s.Not != nil, aspectNot)
	add(s.If != nil, aspectIf)
	for _, k := range []struct {
		aspect  aspect
		keyword string
		schemas []*js.Schema
	}{{aspectAllOf, "allOf", s.AllOf}, {aspectAnyOf, "anyOf", s.AnyOf}, {aspectOneOf, "oneOf", s.OneOf}} {
		if len(k.schemas) > 0 {
			parts = append(parts, &form{aspect: k.aspect, schema: s, docs: d, members: c.distinct(d, k.keyword, k.schemas), count: len(k.schemas)})
		}
	}
	return parts
}

// distinct lists schemas as members, those with the same text once.
func (c *comparison) distinct(d *docs, keyword string, schemas []*js.Schema) []member {
	var list []member
	seen := map[string]bool{}
	for i, s := range schemas {
		m := member{at: []string{keyword, itoa(i)}, schema: s}
		if t := textOf(d, s); t != nil && !c.spent {
			text := t.sorted(nil)
			c.spend(1 + len(text)/bytesPerStep)
			if seen[string(text)] {
				continue
			}
			seen[string(text)] = true
			hash := fnv.New64a()
			hash.Write(text)
			m.print = hash.Sum64()
		}
		list = append(list, m)
	}
	return list
}

// typed lists the parts that stand for JSON types: by the type keyword (several
// types are a choice), without one by the keywords that only one type has.
func typed(d *docs, s *js.Schema) []*form {
	if s.Types == nil {
		return untyped(d, s)
	}
	var list []*form
	for _, name := range s.Types.ToStrings() {
		list = append(list, &form{aspect: aspectOf(name), integer: name == "integer", schema: s, docs: d})
	}
	if len(list) < 2 {
		return list
	}
	choice := &form{aspect: aspectAnyOf, schema: s, docs: d}
	for _, f := range list {
		choice.members = append(choice.members, member{form: f})
	}
	choice.count = len(choice.members)
	return []*form{choice}
}

func aspectOf(typeName string) aspect {
	switch typeName {
	case "string":
		return aspectString
	case "boolean":
		return aspectBoolean
	case "null":
		return aspectNull
	case "array":
		return aspectArray
	case "object":
		return aspectObject
	}
	return aspectNumber // and integer
}

// untyped lists the types whose keywords (JSON Schema Validation §6, Core §10.3)
// a schema without a type uses. The library drops a format that we do not
// assert, and additionalItems where nothing goes before: these two are looked up.
func untyped(d *docs, s *js.Schema) []*form {
	var list []*form
	text := textOf(d, s)
	for _, k := range []struct {
		aspect aspect
		used   bool
	}{
		{aspectString, s.MaxLength != nil || s.MinLength != nil || s.Pattern != nil || text.get("format") != nil},
		{aspectNumber, s.Maximum != nil || s.Minimum != nil || s.ExclusiveMaximum != nil || s.ExclusiveMinimum != nil || s.MultipleOf != nil},
		{aspectArray, s.MaxItems != nil || s.MinItems != nil || s.UniqueItems || s.Contains != nil || s.Items != nil ||
			s.PrefixItems != nil || s.Items2020 != nil || s.UnevaluatedItems != nil || s.DraftVersion < 2020 && text.get("additionalItems") != nil},
		{aspectObject, s.MaxProperties != nil || s.MinProperties != nil || len(s.Required) > 0 || s.Properties != nil ||
			s.PatternProperties != nil || s.AdditionalProperties != nil || s.PropertyNames != nil || s.UnevaluatedProperties != nil ||
			s.Dependencies != nil || s.DependentRequired != nil || s.DependentSchemas != nil},
	} {
		if k.used {
			list = append(list, &form{aspect: k.aspect, schema: s, docs: d})
		}
	}
	return list
}

// textOf is the text of a schema; nil for one that is in no text of d, such as a
// meta-schema.
func textOf(d *docs, s *js.Schema) *tree {
	u, pointer, _ := strings.Cut(s.Location, "#")
	pointer, err := url.PathUnescape(pointer)
	t := d.find(u)
	if t == nil || err != nil {
		return nil
	}
	return t.at(pointer)
}

// look makes the facts about a form, once.
func (f *form) look() *facts {
	if f.facts != nil {
		return f.facts
	}
	k := &facts{required: map[string]bool{}}
	f.facts = k
	for _, name := range f.schema.Required {
		k.required[name] = true
	}
	if f.schema.Properties != nil {
		k.names = slices.DeleteFunc(slices.Clone(f.docs.order(f.schema)), func(name string) bool { return f.schema.Properties[name] == nil })
	}
	for match, s := range f.schema.PatternProperties {
		k.patterns = append(k.patterns, pattern{match, s})
	}
	slices.SortFunc(k.patterns, func(a, b pattern) int { return strings.Compare(a.match.String(), b.match.String()) })
	if f.schema.Enum != nil {
		for _, v := range f.schema.Enum.Values {
			k.values = append(k.values, jsonOf(v))
		}
	}
	return k
}

// jsonOf is a value of a schema as JSON, the keys of objects in order.
func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // values come from JSON: there is no such value
	}
	return string(b)
}
