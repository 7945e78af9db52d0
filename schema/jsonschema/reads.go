package jsonschema

import (
	"github.com/tarn-io/tarn/schema"
)

// Reads lists what keeps data written with writer from being read with s, by the
// rules of Confluent's registry under its policy STRICT. A Description names the
// place and, where they say more, the reader's value and the writer's. A
// comparison that reaches a limit counts as incompatible, of the type
// COMPARISON_TOO_LARGE.
func (s *Schema) Reads(writer schema.Schema) []schema.Incompatibility {
	return s.reads(writer, false)
}

// ReadsLenient is Reads under Confluent's policy LENIENT, which lets properties
// come and go in objects that take others.
func (s *Schema) ReadsLenient(writer schema.Schema) []schema.Incompatibility {
	return s.reads(writer, true)
}

func (s *Schema) reads(writer schema.Schema, lenient bool) []schema.Incompatibility {
	old, ok := writer.(*Schema)
	switch {
	case !ok:
		// The registry knows this text: it stands for the whole message.
		return incomparable("TYPE_MISMATCH", "Incompatible because of different schema type")
	case s.broken != nil:
		return incomparable("INVALID_SCHEMA", "the %s schema, stored as it is, is no schema, so what the %s schema wrote cannot be read with it")
	case old.broken != nil:
		return incomparable("INVALID_SCHEMA", "the %s schema cannot read what the %s schema wrote, since that, stored as it is, is no schema")
	case s.canonical == old.canonical && s.canonical != "" && len(s.docs.trees)+len(old.docs.trees) == 0:
		return nil
	}
	c := newComparison(lenient)
	found := c.list(c.form(old.docs, old.compiled), c.form(s.docs, s.compiled), false)
	if len(found) == 0 && c.spent {
		found = []difference{{kind: tooLarge, path: "/"}}
	}
	var list []schema.Incompatibility
	for _, d := range found {
		list = append(list, schema.Incompatibility{Type: d.kind, Path: "#" + d.path, Description: c.describe(d)})
	}
	return list
}

// describe is a difference in one line, such as: the %s schema takes only shorter
// texts than the %s schema, at '#/maxLength': 3 against 5.
func (c *comparison) describe(d difference) string {
	text := c.types[d.kind].text + ", at '#" + d.path + "'"
	if d.detail != "" {
		text += ": " + d.detail
	}
	return text
}

// incomparable is the answer where there is nothing to go through.
func incomparable(kind, text string) []schema.Incompatibility {
	return []schema.Incompatibility{{Type: kind, Path: "#/", Description: text}}
}
