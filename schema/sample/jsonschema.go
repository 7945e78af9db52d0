package sample

import (
	"bytes"
	"encoding/json"
)

// draft is what proposals are written in: every client of a registry knows it.
const draft = "http://json-schema.org/draft-07/schema#"

// JSONSchema proposes a schema that all documents fit. Properties that every object
// had are required. closed refuses properties that no document had; without it they
// are taken, and tables keep them in kafka_extra. Documents that were looked at in
// part, since they have too many places, have parts that may be anything.
func (d *Documents) JSONSchema(closed bool) string {
	s := d.root.jsonSchema(closed)
	s.Draft = draft
	return indented(s)
}

// jsonSchema is a JSON Schema in the order in which people write it.
type jsonSchema struct {
	Draft      string      `json:"$schema,omitempty"`
	Type       any         `json:"type,omitempty"` // a name, or several
	Format     string      `json:"format,omitempty"`
	Enum       []any       `json:"enum,omitempty"`
	Items      *jsonSchema `json:"items,omitempty"`
	Properties *members    `json:"properties,omitempty"`
	Required   []string    `json:"required,omitempty"`
	Additional any         `json:"additionalProperties,omitempty"`
}

// members keep their order in JSON.
type members struct {
	names  []string
	values []any
}

func (m *members) add(name string, value any) {
	m.names, m.values = append(m.names, name), append(m.values, value)
}

// MarshalJSON writes an object.
func (m *members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range m.names {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{name, m.values[i]} {
			if j > 0 {
				b.WriteByte(':')
			}
			text, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func indented(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return "" // values of ours: there is no such case
	}
	return b.String()
}

func (n *node) jsonSchema(closed bool) *jsonSchema {
	out := &jsonSchema{}
	types := n.types()
	switch {
	case len(types) == 0 || len(types) == 1 && n.nulls > 0:
		return out // nothing is known but null
	case len(types) == 1:
		out.Type = types[0]
	default:
		out.Type = types
	}
	if n.texts > 0 && n.texts+n.nulls == n.seen {
		out.Format = n.formats.name()
		for _, text := range n.enum() {
			out.Enum = append(out.Enum, text)
		}
		if len(out.Enum) > 0 && n.nulls > 0 {
			out.Enum = append(out.Enum, nil)
		}
	}
	if n.items != nil {
		out.Items = n.items.jsonSchema(closed)
	}
	switch {
	case n.maps == 0:
	case n.mapped():
		out.Additional = n.member().jsonSchema(closed)
	case len(n.names) > 0 || closed:
		out.Properties = &members{}
		for _, name := range n.names {
			p := n.props[name]
			out.Properties.add(name, p.jsonSchema(closed))
			if p.seen >= n.maps {
				out.Required = append(out.Required, name)
			}
		}
		if closed && !n.blind {
			out.Additional = false
		}
	}
	return out
}

// types lists the JSON types seen, null last.
func (n *node) types() []string {
	number := "integer"
	if n.floats > 0 {
		number = "number"
	}
	var list []string
	for _, k := range []struct {
		seen int
		name string
	}{{n.maps, "object"}, {n.lists, "array"}, {n.texts, "string"}, {n.ints + n.floats, number}, {n.bools, "boolean"}, {n.nulls, "null"}} {
		if k.seen > 0 {
			list = append(list, k.name)
		}
	}
	return list
}
