package schema

import (
	"fmt"
	"slices"
	"strings"
)

// TagsProperty is the property that holds tags in Avro and JSON Schema texts; in
// Protobuf they are confluent.message_meta and confluent.field_meta.
const TagsProperty = "confluent:tags"

// Tagged is a record or a field of a schema with its tags. Path is Confluent's:
// an Avro record's full name, a Protobuf message's name without its package,
// "object" for a JSON object; a field's name follows after a dot.
type Tagged struct {
	Path   string
	Record bool
	Tags   []string
}

// Is reports whether both mean the same record or field; a dot at the beginning
// of a path says nothing.
func (t Tagged) Is(other Tagged) bool {
	return t.Record == other.Record && strings.TrimPrefix(t.Path, ".") == strings.TrimPrefix(other.Path, ".")
}

// Retag lets at change the tags of what add and remove name: it gets the path
// and a function from the tags that are there to those that shall be, and
// reports whether there is such a thing. Each is called once. The error is a
// *ParseError.
func Retag(add, remove []Tagged, at func(Tagged, func(have []string) []string) bool) error {
	var done []Tagged
	for _, one := range slices.Concat(add, remove) {
		if slices.ContainsFunc(done, one.Is) {
			continue
		}
		done = append(done, one)
		found := at(one, func(have []string) []string {
			var out []string
			for _, tag := range slices.Concat(have, tagsOf(add, one)) {
				if !slices.Contains(out, tag) {
					out = append(out, tag)
				}
			}
			gone := tagsOf(remove, one)
			return slices.DeleteFunc(out, func(tag string) bool { return slices.Contains(gone, tag) })
		})
		if !found {
			return &ParseError{Msg: fmt.Sprintf("No matching path '%s' found in the schema", one.Path)}
		}
	}
	return nil
}

func tagsOf(list []Tagged, of Tagged) (tags []string) {
	for _, one := range list {
		if one.Is(of) {
			tags = append(tags, one.Tags...)
		}
	}
	return tags
}
