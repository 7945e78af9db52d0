package jsonschema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// Changes lists all differences, those included that do no harm. It implements
// schema.Differ.
func (s *Schema) Changes(writer schema.Schema) []schema.Change {
	old, ok := writer.(*Schema)
	if !ok || s.broken != nil || old.broken != nil {
		return breaking(s.Reads(writer))
	}
	c := newComparison(false)
	found := c.list(c.form(old.docs, old.compiled), c.form(s.docs, s.compiled), true)
	if c.spent {
		return breaking(s.Reads(writer)) // which says so, if it has nothing to list
	}
	list := make([]schema.Change, len(found))
	for i, d := range found {
		list[i] = schema.Change{
			Incompatibility: schema.Incompatibility{Type: d.kind, Path: "#" + d.path, Info: d.detail},
			Field:           fieldOf(d.path), Breaks: c.types[d.kind].harms(false),
		}
		if list[i].Breaks {
			list[i].Description = c.describe(d)
		}
	}
	return list
}

func breaking(list []schema.Incompatibility) []schema.Change {
	out := make([]schema.Change, len(list))
	for i, d := range list {
		out[i] = schema.Change{Incompatibility: d, Field: fieldOf(strings.TrimPrefix(d.Path, "#")), Breaks: true}
	}
	return out
}

// fieldOf is the column path that a pointer into a schema leads to, as far as it
// goes through properties, items and the like.
func fieldOf(pointer string) string {
	words := strings.Split(strings.Trim(pointer, "/"), "/")
	var path []string
	for i := 0; i < len(words); i++ {
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		_, err := strconv.Atoi(next)
		numbered := err == nil
		switch word := words[i]; {
		case (word == "properties" || word == "required") && next != "":
			path = append(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(next))
			i++
		case word == "items" && numbered:
			path = append(path, next)
			i++
		case word == "items":
			path = append(path, "element")
		case word == "additionalProperties" && next != "":
			path = append(path, "value")
		case (word == "anyOf" || word == "oneOf" || word == "allOf") && numbered:
			i++
		default:
			return strings.Join(path, ".")
		}
	}
	return strings.Join(path, ".")
}

// Manner says which parts the library checks, and why. It implements
// schema.Describer.
func (s *Schema) Manner() schema.Manner {
	_, why := s.FastPath()
	m := schema.Manner{Limits: append(schema.CommonLimits(),
		fmt.Sprintf("work on a payload: %d steps for each of its bytes, and %d more", fuelPerByte, minFuel),
		fmt.Sprintf("instructions of a pattern: %d, of all patterns: %d", maxProgram, maxPrograms))}
	for _, one := range why {
		path, reason, _ := strings.Cut(one, ": ")
		place := schema.Place{Path: path, Why: reason}
		if pointer, own := strings.CutPrefix(path, "#"); own {
			place.Field = fieldOf(pointer) // what stands in a reference may be several fields, or none
		}
		if !slices.Contains(m.Library, place) {
			m.Library = append(m.Library, place)
		}
	}
	return m
}
