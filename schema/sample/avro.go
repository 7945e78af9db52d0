package sample

import (
	"strconv"
	"strings"
)

// Avro proposes an Avro schema with a record of this name, for those who want to
// write the same data in Avro. What is not in every document is nullable. Names that
// Avro does not allow are changed, and a doc says what they were. Documents that are
// no objects give a schema without a record.
func (d *Documents) Avro(name string) string {
	w := avroWriter{taken: map[string]bool{}}
	return indented(w.typ(&d.root, name))
}

type avroWriter struct {
	taken map[string]bool // names of records and enums
}

type avroField struct {
	Name string `json:"name"`
	Doc  string `json:"doc,omitempty"`
	Type any    `json:"type"`
}

// nullField is a field whose default is null.
type nullField struct {
	Name    string `json:"name"`
	Doc     string `json:"doc,omitempty"`
	Type    any    `json:"type"`
	Default any    `json:"default"`
}

// typ is the Avro type of a place; name is for what needs one.
func (w *avroWriter) typ(n *node, name string) any {
	var types []any
	if n.nulls > 0 {
		types = append(types, "null")
	}
	types = append(types, w.branches(n, name)...)
	switch len(types) {
	case 0:
		return []any{"null", "string"}
	case 1:
		if n.nulls > 0 {
			return []any{"null", "string"} // nothing is known but null
		}
		return types[0]
	}
	return types
}

// branches are the types of a place beside null.
func (w *avroWriter) branches(n *node, name string) []any {
	var types []any
	if n.maps > 0 {
		types = append(types, w.object(n, name))
	}
	if n.lists > 0 {
		items := any([]any{"null", "string"})
		if n.items != nil {
			items = w.typ(n.items, name+"Item")
		}
		types = append(types, &members{[]string{"type", "items"}, []any{"array", items}})
	}
	if n.texts > 0 {
		types = append(types, w.text(n, name))
	}
	switch {
	case n.floats > 0:
		types = append(types, "double")
	case n.ints > 0:
		types = append(types, "long")
	}
	if n.bools > 0 {
		types = append(types, "boolean")
	}
	return types
}

func (w *avroWriter) text(n *node, name string) any {
	logical := func(typ, logical string) any {
		return &members{[]string{"type", "logicalType"}, []any{typ, logical}}
	}
	if n.texts+n.nulls < n.seen { // a union with other types: two longs would clash
		return "string"
	}
	switch n.formats.name() {
	case "date-time":
		return logical("long", "timestamp-micros")
	case "date":
		return logical("int", "date")
	case "time":
		return logical("long", "time-micros")
	case "uuid":
		return logical("string", "uuid")
	}
	symbols := n.enum()
	for _, s := range symbols {
		if avroName(s) != s {
			return "string"
		}
	}
	if len(symbols) == 0 {
		return "string"
	}
	return &members{[]string{"type", "name", "symbols"}, []any{"enum", w.unused(name), symbols}}
}

// object is a record, or a map where names are many.
func (w *avroWriter) object(n *node, name string) any {
	if n.mapped() {
		return &members{[]string{"type", "values"}, []any{"map", w.typ(n.member(), name+"Value")}}
	}
	r := &members{[]string{"type", "name"}, []any{"record", w.unused(name)}}
	fields := []any{}
	taken := map[string]bool{}
	for _, prop := range n.names {
		p := n.props[prop]
		fieldName := avroName(prop)
		for i := 2; taken[fieldName]; i++ {
			fieldName = avroName(prop) + "_" + strconv.Itoa(i)
		}
		taken[fieldName] = true
		doc := ""
		if fieldName != prop {
			doc = "in JSON: " + prop
		}
		typ := w.typ(p, typeName(prop))
		list, union := typ.([]any)
		switch {
		case union && len(list) > 0 && list[0] == "null":
			fields = append(fields, nullField{Name: fieldName, Doc: doc, Type: typ})
		case p.seen < n.maps && union:
			fields = append(fields, nullField{Name: fieldName, Doc: doc, Type: append([]any{"null"}, list...)})
		case p.seen < n.maps:
			fields = append(fields, nullField{Name: fieldName, Doc: doc, Type: []any{"null", typ}})
		default:
			fields = append(fields, avroField{Name: fieldName, Doc: doc, Type: typ})
		}
	}
	r.add("fields", fields)
	return r
}

// unused is a name that no other record or enum has.
func (w *avroWriter) unused(name string) string {
	name = avroName(name)
	out := name
	for i := 2; w.taken[out]; i++ {
		out = name + strconv.Itoa(i)
	}
	w.taken[out] = true
	return out
}

// typeName is a field's name as that of a type: its first letter is upper case.
func typeName(field string) string {
	name := avroName(field)
	return strings.ToUpper(name[:1]) + name[1:]
}

// avroName is a name with everything replaced that Avro does not allow: it has
// letters, digits and _ only, and does not begin with a digit.
func avroName(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
			b.WriteRune(c)
		case c >= '0' && c <= '9':
			if i == 0 {
				b.WriteByte('_')
			}
			b.WriteRune(c)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
