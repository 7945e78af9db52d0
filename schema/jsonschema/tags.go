package jsonschema

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Tags lists the objects and properties that have tags, in the order of the
// text. References are not followed.
func (s *Schema) Tags() []schema.Tagged {
	var list []schema.Tagged
	entities(s.docs.root, "", true, func(at schema.Tagged, t *tree) bool {
		if at.Tags = t.tags(); len(at.Tags) > 0 {
			list = append(list, at)
		}
		return false
	})
	return list
}

// Retag gives the text of src without white space, with tags added and then
// removed. The error is a *schema.ParseError.
func Retag(src schema.Source, add, remove []schema.Tagged) (string, error) {
	root, err := parseTree(src.Text, src.Lax)
	if err != nil {
		return "", err
	}
	err = schema.Retag(add, remove, func(want schema.Tagged, change func([]string) []string) bool {
		return entities(root, "", true, func(at schema.Tagged, t *tree) bool {
			if !at.Is(want) {
				return false
			}
			t.setTags(change(t.tags()))
			return true
		})
	})
	if err != nil {
		return "", err
	}
	return string(root.ordered(nil)), nil
}

// entities calls see for each object and each property below t, until it says
// true, and reports whether it did. Paths are made of the words object, array,
// allof, anyof, oneof with a number, not, conditional with if, then or else, and
// of names of properties and definitions.
func entities(t *tree, scope string, record bool, see func(schema.Tagged, *tree) bool) bool {
	if t == nil || t.kind != '{' {
		return false
	}
	for i, key := range t.keys {
		kid := t.kids[i]
		switch key {
		case "items", "not", "if", "then", "else":
			word := map[string]string{"items": "array", "not": "not"}[key]
			if word == "" {
				word = "conditional." + key
			}
			if entities(kid, scope+word+".", true, see) {
				return true
			}
		case "allOf", "anyOf", "oneOf":
			for n, one := range kid.kids {
				if entities(one, scope+strings.ToLower(key)+"."+strconv.Itoa(n)+".", true, see) {
					return true
				}
			}
		}
	}
	return members(t, scope+"object", record, see)
}

// members goes over an object's own tags, its properties and definitions.
func members(t *tree, path string, record bool, see func(schema.Tagged, *tree) bool) bool {
	kind := t.get("type")
	properties := t.get("properties")
	isObject := properties != nil || kind != nil && kind.text == "object"
	if record && isObject && see(schema.Tagged{Path: path, Record: true}, t) {
		return true
	}
	if properties != nil && properties.kind == '{' {
		for i, name := range properties.keys {
			p := properties.kids[i]
			if p.kind != '{' {
				continue
			}
			if see(schema.Tagged{Path: path + "." + name}, p) || entities(p, path+"."+name+".", false, see) {
				return true
			}
		}
	}
	for _, word := range []string{"definitions", "$defs"} {
		defs := t.get(word)
		if defs == nil || defs.kind != '{' {
			continue
		}
		for i, name := range defs.keys {
			if entities(defs.kids[i], path+"."+word+"."+name+".", true, see) {
				return true
			}
		}
	}
	return false
}

// tags are the tags that stand on an object of the text.
func (t *tree) tags() []string {
	held := t.get(schema.TagsProperty)
	if held == nil || held.kind != '[' {
		return nil
	}
	var tags []string
	for _, k := range held.kids {
		tags = append(tags, k.text)
	}
	return tags
}

// setTags changes t itself: the tree is one that nobody else has.
func (t *tree) setTags(tags []string) {
	held := &tree{kind: '['}
	for _, tag := range tags {
		held.kids = append(held.kids, &tree{kind: '"', text: tag})
	}
	if len(tags) > 0 {
		*t = *t.with(schema.TagsProperty, held)
	} else if slices.Contains(t.keys, schema.TagsProperty) {
		*t = *t.without(schema.TagsProperty)
	}
}
