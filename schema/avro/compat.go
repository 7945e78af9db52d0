package avro

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// maxDifferences bounds the list of incompatibilities: what one changed type
// causes is listed once for each place that uses it.
const maxDifferences = 1000

// Reads lists why data of the writer cannot be read with s, by the rules of
// Avro-Java's SchemaCompatibility: it ignores logical types, matches named types
// by their short name or an alias, and says of a union only which branch of the
// writer no branch of the reader takes. The texts are those of Confluent's
// registry, whose "%s" stand for "new" and "old".
func (s *Schema) Reads(writer schema.Schema) []schema.Incompatibility {
	w, ok := writer.(*Schema)
	if !ok {
		return []schema.Incompatibility{{Type: "TYPE_MISMATCH", Path: "/", Description: "Incompatible because of different schema type"}}
	}
	c := comparer{done: make(map[[2]*typ]*verdict)}
	return c.compare(s.root, w.root, nil).list
}

// verdict is what is known of a pair of types: a list that is empty while the
// pair is being compared, so that types inside themselves are taken to fit.
type verdict struct {
	list []schema.Incompatibility
}

type comparer struct {
	done map[[2]*typ]*verdict
}

// compare lists the differences of a pair, once per pair.
func (c *comparer) compare(reader, writer *typ, path []string) *verdict {
	pair := [2]*typ{reader, writer}
	if v, ok := c.done[pair]; ok {
		return v
	}
	v := &verdict{}
	c.done[pair] = v
	v.list = c.differences(reader, writer, path)
	return v
}

func (c *comparer) differences(reader, writer *typ, path []string) []schema.Incompatibility {
	if reader.kind != writer.kind {
		return c.kinds(reader, writer, path)
	}
	switch reader.kind {
	case kindArray:
		return c.compare(reader.elem, writer.elem, add(path, "items")).list
	case kindMap:
		return c.compare(reader.elem, writer.elem, add(path, "values")).list
	case kindFixed:
		return merge(names(reader, writer, path), sizes(reader, writer, path))
	case kindEnum:
		return merge(names(reader, writer, path), symbols(reader, writer, path))
	case kindRecord:
		return merge(names(reader, writer, path), c.fields(reader, writer, path))
	case kindUnion:
		var list []schema.Incompatibility
		for i, b := range writer.types {
			if len(c.compare(reader, b, nil).list) > 0 {
				list = merge(list, missingBranch(b, add(path, strconv.Itoa(i))))
			}
		}
		return list
	}
	return nil
}

// kinds compares types of different kinds: unions on one side, and numbers and
// strings that widen.
func (c *comparer) kinds(reader, writer *typ, path []string) []schema.Incompatibility {
	switch {
	case writer.kind == kindUnion:
		var list []schema.Incompatibility
		for i, b := range writer.types {
			list = merge(list, c.compare(reader, b, add(path, strconv.Itoa(i))).list)
		}
		return list
	case reader.kind == kindUnion:
		for _, b := range reader.types {
			if len(c.compare(b, writer, nil).list) == 0 {
				return nil
			}
		}
		return missingBranch(writer, path)
	case promotes(writer.kind, reader.kind):
		return nil
	}
	return difference("TYPE_MISMATCH", path,
		"The type (path '%s') of a field in the %%s schema does not match with the %%s schema", nil,
		fmt.Sprintf("reader type: %s not compatible with writer type: %s", javaType(reader), javaType(writer)))
}

func promotes(from, to kind) bool {
	switch to {
	case kindLong:
		return from == kindInt
	case kindFloat:
		return from == kindInt || from == kindLong
	case kindDouble:
		return from == kindInt || from == kindLong || from == kindFloat
	case kindBytes:
		return from == kindString
	case kindString:
		return from == kindBytes
	}
	return false
}

func (c *comparer) fields(reader, writer *typ, path []string) []schema.Incompatibility {
	var list []schema.Incompatibility
	for i, f := range reader.fields {
		at := add(path, "fields", strconv.Itoa(i))
		from, many := writerField(writer, f)
		switch {
		case many:
			list = merge(list, difference("TYPE_MISMATCH", at,
				"Unexpected exception during compatibility check: the field '%[2]s' at path '%[1]s' matches multiple fields in the %%s schema", []any{f.name}, f.name))
		case from != nil:
			list = merge(list, c.compare(f.typ, from.typ, add(at, "type")).list)
		case f.dflt != nil:
		case f.typ.kind == kindEnum && f.typ.symbol != nil:
			// Avro-Java compares the enum with the whole record here, so that the
			// enum's own default does not stand in for the field's.
			list = merge(list, c.compare(f.typ, writer, add(at, "type")).list)
		default:
			list = merge(list, difference("READER_FIELD_MISSING_DEFAULT_VALUE", at,
				"The field '%[2]s' at path '%[1]s' in the %%s schema has no default value and is missing in the %%s schema", []any{f.name}, f.name))
		}
	}
	return list
}

// writerField finds the writer's field by name or by one of the reader's
// aliases; many if more than one matches.
func writerField(writer *typ, f *field) (from *field, many bool) {
	for _, name := range append([]string{f.name}, f.aliases...) {
		i := slices.IndexFunc(writer.fields, func(w *field) bool { return w.name == name })
		if i < 0 {
			continue
		}
		if from != nil {
			return nil, true
		}
		from = writer.fields[i]
	}
	return from, false
}

func names(reader, writer *typ, path []string) []schema.Incompatibility {
	if reader.name.name == writer.name.name {
		return nil
	}
	for _, a := range reader.aliases {
		if aliasText(reader, a) == writer.name.String() {
			return nil
		}
	}
	return difference("NAME_MISMATCH", add(path, "name"),
		"The name of the schema has changed (path '%s')", nil, "expected: "+writer.name.String())
}

func sizes(reader, writer *typ, path []string) []schema.Incompatibility {
	if reader.size == writer.size {
		return nil
	}
	return difference("FIXED_SIZE_MISMATCH", add(path, "size"),
		"The size of FIXED type field at path '%s' in the %%s schema does not match with the %%s schema", nil,
		fmt.Sprintf("expected: %d, found: %d", writer.size, reader.size))
}

func symbols(reader, writer *typ, path []string) []schema.Incompatibility {
	var missing []string
	for _, s := range writer.symbols {
		if !slices.Contains(reader.symbols, s) {
			missing = append(missing, s)
		}
	}
	if len(missing) == 0 || reader.symbol != nil && slices.Contains(reader.symbols, *reader.symbol) {
		return nil
	}
	slices.Sort(missing)
	text := "[" + strings.Join(missing, ", ") + "]"
	return difference("MISSING_ENUM_SYMBOLS", add(path, "symbols"),
		"The %%s schema is missing enum symbols '%[2]s' at path '%[1]s' in the %%s schema", []any{text}, text)
}

func missingBranch(writer *typ, path []string) []schema.Incompatibility {
	return difference("MISSING_UNION_BRANCH", path,
		"The %%s schema is missing a type inside a union field at path '%s' in the %%s schema", nil,
		"reader union lacking writer type: "+javaType(writer))
}

// difference makes a list of one. format takes the path and args, and keeps
// Confluent's two places for "new" and "old".
func difference(kind string, path []string, format string, args []any, info string) []schema.Incompatibility {
	pointer := "/" + strings.Join(path, "/")
	return []schema.Incompatibility{{
		Type: kind, Path: pointer, Info: info,
		Description: fmt.Sprintf(format, append([]any{pointer}, args...)...),
	}}
}

// merge appends what is not listed yet.
func merge(list, more []schema.Incompatibility) []schema.Incompatibility {
	for _, m := range more {
		if len(list) >= maxDifferences {
			break
		}
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// add makes a longer path without touching the shorter one.
func add(path []string, segments ...string) []string {
	return append(slices.Clip(path), segments...)
}

func javaType(t *typ) string { return strings.ToUpper(kindName(t.kind)) }
