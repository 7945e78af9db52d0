package jsonschema

import (
	"slices"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// Resolved is the text with everything it refers to inside it: each reference
// stands under $defs (definitions before draft 2019-09) with its name as $id, so
// that each $ref finds it as before, without a registry. A text without
// references is the canonical one.
func (s *Schema) Resolved() string {
	if len(s.docs.names) == 0 || s.docs.root.kind != '{' {
		return s.canonical
	}
	defs, id := "definitions", "$id"
	dialect := ""
	if d := s.docs.root.get("$schema"); d != nil {
		dialect = d.text
	}
	switch draftOf(dialect) {
	case js.Draft4:
		id = "id"
	case js.Draft2019, js.Draft2020:
		defs = "$defs"
	}
	held := &tree{kind: '{'}
	if old := s.docs.root.get(defs); old != nil && old.kind == '{' {
		held = old
	}
	for i, name := range s.docs.names {
		part := s.docs.trees[i]
		if part.kind == '{' {
			part = part.with(id, &tree{kind: '"', text: name})
		}
		key := name
		for held.get(key) != nil {
			key += "_"
		}
		held = held.with(key, part)
	}
	return string(s.docs.root.with(defs, held).ordered(nil))
}

// with is a copy of an object with one member set.
func (t *tree) with(key string, value *tree) *tree {
	n := *t
	n.keys, n.kids = slices.Clone(t.keys), slices.Clone(t.kids)
	if i := slices.Index(n.keys, key); i >= 0 {
		n.kids[i] = value
	} else {
		n.keys, n.kids = append(n.keys, key), append(n.kids, value)
	}
	return &n
}

// without is a copy of an object that lacks one member.
func (t *tree) without(key string) *tree {
	n := *t
	if i := slices.Index(t.keys, key); i >= 0 {
		n.keys, n.kids = slices.Delete(slices.Clone(t.keys), i, i+1), slices.Delete(slices.Clone(t.kids), i, i+1)
	}
	return &n
}

// ordered appends the value as compact JSON in its own order.
func (t *tree) ordered(b []byte) []byte {
	open, end := byte('{'), byte('}')
	switch t.kind {
	case '"':
		return quote(b, t.text)
	case '[':
		open, end = '[', ']'
	case '{':
	default:
		return append(b, t.text...)
	}
	b = append(b, open)
	for i, k := range t.kids {
		if i > 0 {
			b = append(b, ',')
		}
		if t.kind == '{' {
			b = append(quote(b, t.keys[i]), ':')
		}
		b = k.ordered(b)
	}
	return append(b, end)
}
