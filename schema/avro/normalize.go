package avro

import (
	"slices"
	"strconv"
	"strings"
)

// normalizer rewrites a type as Confluent's normalize=true does: properties and
// aliases sorted, logical properties first, empty docs of named types gone,
// defaults in the form of their type.
type normalizer struct {
	done map[*typ]*typ
}

func normalize(t *typ) *typ {
	n := normalizer{done: make(map[*typ]*typ)}
	return n.typ(t)
}

func (n *normalizer) typ(t *typ) *typ {
	if c, ok := n.done[t]; ok {
		return c
	}
	c := *t
	n.done[t] = &c
	c.props = logicalFirst(t)
	c.aliases = slices.SortedFunc(slices.Values(t.aliases), func(a, b fullName) int {
		return strings.Compare(aliasText(t, a), aliasText(t, b))
	})
	if c.doc != nil && *c.doc == "" {
		c.doc = nil
	}
	c.isError = false
	c.fields, c.types = nil, nil
	for _, f := range t.fields {
		c.fields = append(c.fields, n.field(f))
	}
	for _, b := range t.types {
		c.types = append(c.types, n.typ(b))
	}
	if t.elem != nil {
		c.elem = n.typ(t.elem)
	}
	return &c
}

func (n *normalizer) field(f *field) *field {
	c := *f
	c.typ = n.typ(f.typ)
	c.aliases = slices.Sorted(slices.Values(f.aliases))
	c.props = sortProps(f.props)
	if f.dflt != nil {
		c.dflt = normalDefault(f.dflt, f.typ)
	}
	return &c
}

// aliasText is an alias as Avro-Java lists it: without a namespace in a type
// that has one, it begins with a dot.
func aliasText(t *typ, a fullName) string {
	if a.space == "" && t.name.space != "" {
		return "." + a.name
	}
	return a.String()
}

// logicalFirst sorts properties, those of a logical type that fits in front.
func logicalFirst(t *typ) []member {
	sorted := sortProps(t.props)
	if t.logical == "" {
		return sorted
	}
	front := []member{{"logicalType", t.prop("logicalType")}}
	if t.logical == "decimal" {
		front = append(front, member{"precision", t.prop("precision")})
		if t.scale != 0 {
			front = append(front, member{"scale", t.prop("scale")})
		}
	}
	for _, m := range sorted {
		if !slices.ContainsFunc(front, func(f member) bool { return f.name == m.name }) {
			front = append(front, m)
		}
	}
	return front
}

// sortProps sorts properties and the members of their values at all depths.
func sortProps(props []member) []member {
	sorted := sortMembers(props)
	for i, m := range sorted {
		sorted[i].value = sortValue(m.value)
	}
	return sorted
}

func sortValue(v *value) *value {
	c := *v
	c.members = sortProps(v.members)
	c.items = nil
	for _, item := range v.items {
		c.items = append(c.items, sortValue(item))
	}
	return &c
}

// normalDefault gives a default the form of its type (0 for a double becomes
// 0.0). One that fits no type, which only a schema parsed without checks has,
// is dropped, as Confluent's registry drops it: nil.
func normalDefault(v *value, t *typ) *value {
	if v.kind == jsonNull || v.kind == jsonBool {
		return v
	}
	if t.kind == kindUnion {
		for _, b := range t.types {
			if b.kind == kindNull {
				continue
			}
			if d := normalDefault(v, b); d != nil {
				return d
			}
		}
		return nil
	}
	switch v.kind {
	case jsonNumber:
		return normalNumber(v, t)
	case jsonString:
		if t.kind == kindString || t.kind == kindEnum || t.kind == kindBytes || t.kind == kindFixed {
			return v
		}
		return nil
	case jsonArray:
		if t.kind != kindArray {
			return nil
		}
		c := *v
		c.items = nil
		for _, item := range v.items {
			if d := normalDefault(item, t.elem); d != nil {
				c.items = append(c.items, d)
			}
		}
		return &c
	}
	return normalObject(v, t)
}

func normalObject(v *value, t *typ) *value {
	c := *v
	c.members = nil
	for _, m := range sortMembers(v.members) {
		var d *value
		switch t.kind {
		case kindMap:
			d = normalDefault(m.value, t.elem)
		case kindRecord:
			i := slices.IndexFunc(t.fields, func(f *field) bool { return f.name == m.name })
			if i >= 0 {
				d = normalDefault(m.value, t.fields[i].typ)
			}
		default:
			return nil
		}
		if d != nil {
			c.members = append(c.members, member{m.name, d})
		}
	}
	return &c
}

func normalNumber(v *value, t *typ) *value {
	whole := !strings.ContainsAny(v.text, ".eEN")
	switch t.kind {
	case kindInt, kindLong:
		if !whole {
			return nil
		}
		return v
	case kindFloat, kindDouble:
		x, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			return v
		}
		bits := 64
		if t.kind == kindFloat {
			bits = 32
		}
		return &value{kind: jsonNumber, pos: v.pos, text: strings.Trim(javaFloat(x, bits), `"`)}
	}
	return nil
}

// sameDefinition tells whether a name defined twice means the same type both
// times. Docs and aliases may differ.
func sameDefinition(a, b *typ) bool { return sameType(a, b, make(map[[2]*typ]bool)) }

func sameType(a, b *typ, seen map[[2]*typ]bool) bool {
	if a.kind == kindRef || b.kind == kindRef {
		return sameRef(a, b) || sameRef(b, a)
	}
	pair := [2]*typ{a, b}
	if seen[pair] {
		return true
	}
	seen[pair] = true
	if a.kind != b.kind || a.name != b.name || a.size != b.size || !slices.Equal(a.symbols, b.symbols) ||
		!sameProps(a.props, b.props) || (a.elem == nil) != (b.elem == nil) ||
		len(a.types) != len(b.types) || len(a.fields) != len(b.fields) {
		return false
	}
	for i, f := range a.fields {
		g := b.fields[i]
		if f.name != g.name || f.order != g.order || !sameProps(f.props, g.props) ||
			(f.dflt == nil) != (g.dflt == nil) || f.dflt != nil && printJSON(f.dflt, true) != printJSON(g.dflt, true) ||
			!sameType(f.typ, g.typ, seen) {
			return false
		}
	}
	for i := range a.types {
		if !sameType(a.types[i], b.types[i], seen) {
			return false
		}
	}
	return a.elem == nil || sameType(a.elem, b.elem, seen)
}

// sameRef tells whether a is a name that b has.
func sameRef(a, b *typ) bool {
	full := b.fullName()
	if b.kind == kindRef {
		full = b.name.String()
	}
	return a.kind == kindRef && (a.name.String() == full || a.name.name == full)
}

func sameProps(a, b []member) bool {
	return printJSON(&value{kind: jsonObject, members: a}, true) == printJSON(&value{kind: jsonObject, members: b}, true)
}
