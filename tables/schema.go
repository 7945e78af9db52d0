package tables

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// FieldIDKey is the Arrow metadata key under which every field, nested ones
// too, carries its stable id. Parquet writers of arrow-go honour it.
const FieldIDKey = "PARQUET:field_id"

// DocKey is the Arrow metadata key of a field's comment, the one iceberg-go
// uses. Formats store it as the column's comment.
const DocKey = "doc"

// Limits of a schema.
const (
	// MaxFields bounds the fields of a schema, nested ones counted: wider
	// tables are planned by no reader in reasonable time.
	MaxFields = 10_000
	// MaxDepth bounds nesting: everything here walks schemas by recursion.
	MaxDepth = 64
)

// ErrSchema is refused: the Arrow schema cannot be a table's schema.
var ErrSchema = errors.New("not a table schema")

// Schema is a table's schema: Arrow types, plus field ids that never change,
// so that a rename or a reorder can be told from a drop and an add. It is
// immutable once made; Merge returns a new one.
type Schema struct {
	// ID counts up by one with each change of the schema, from 0.
	ID int
	// LastID is the highest field id ever given.
	LastID int
	// Arrow is the schema; each field's metadata has FieldIDKey.
	Arrow *arrow.Schema
	// Layout is how rows written with this schema are put into files.
	Layout Layout
}

// NewSchema gives every field of s a fresh id, from 1, in the order of
// Iceberg's own assignment (a struct's fields first, then what they hold), so
// that a table made from it keeps these ids. Ids that s carries are dropped.
// Errors are ErrSchema: types outside the type mapping (reference: schema.md
// §6), empty structs, names that are empty or differ only in case.
func NewSchema(s *arrow.Schema) (*Schema, error) {
	if s == nil {
		return nil, fmt.Errorf("no schema: %w", ErrSchema)
	}
	last := 0
	fields, err := assignIDs(s.Fields(), &last)
	if err != nil {
		return nil, err
	}
	return KeepIDs(0, arrow.NewSchema(fields, nil))
}

// KeepIDs makes a Schema of an Arrow schema whose fields all carry their ids
// already, as one read from a table does. Errors are ErrSchema, also where an
// id is missing or stands twice.
func KeepIDs(id int, s *arrow.Schema) (*Schema, error) {
	if s == nil {
		return nil, fmt.Errorf("no schema: %w", ErrSchema)
	}
	c := check{seen: make(map[int]string)}
	if err := c.fields(s.Fields(), "", 0); err != nil {
		return nil, err
	}
	return &Schema{ID: id, LastID: c.last, Arrow: s}, nil
}

// FieldID returns the id that a field carries, false if it has none.
func FieldID(f arrow.Field) (int, bool) {
	text, ok := f.Metadata.GetValue(FieldIDKey)
	if !ok {
		return 0, false
	}
	id, err := strconv.Atoi(text)
	return id, err == nil && id > 0
}

// WithFieldID returns f with the id, other metadata kept.
func WithFieldID(f arrow.Field, id int) arrow.Field {
	f.Metadata = setMeta(f.Metadata, FieldIDKey, strconv.Itoa(id))
	return f
}

// Doc returns a field's comment, empty if it has none.
func Doc(f arrow.Field) string {
	doc, _ := f.Metadata.GetValue(DocKey)
	return doc
}

// WithDoc returns f with the comment, other metadata kept.
func WithDoc(f arrow.Field, doc string) arrow.Field {
	f.Metadata = setMeta(f.Metadata, DocKey, doc)
	return f
}

// setMeta returns m with the key set. Keys are kept sorted, so that fields
// that say the same compare equal however they were built.
func setMeta(m arrow.Metadata, key, value string) arrow.Metadata {
	kv := m.ToMap()
	kv[key] = value
	keys := make([]string, 0, len(kv))
	for k := range kv {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	values := make([]string, len(keys))
	for i, k := range keys {
		values[i] = kv[k]
	}
	return arrow.NewMetadata(keys, values)
}

// Children returns the fields that a type holds: a struct's fields, a list's
// element, a map's key and value; nil for a leaf.
func Children(t arrow.DataType) []arrow.Field {
	switch t := t.(type) {
	case *arrow.StructType:
		return t.Fields()
	case *arrow.ListType:
		return []arrow.Field{t.ElemField()}
	case *arrow.MapType:
		return []arrow.Field{t.KeyField(), t.ItemField()}
	}
	return nil
}

// WithChildren returns a type like t that holds these fields; names of list
// elements and map entries become "element", "key" and "value".
func WithChildren(t arrow.DataType, fields []arrow.Field) arrow.DataType {
	switch t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(fields...)
	case *arrow.ListType:
		elem := fields[0]
		elem.Name = "element"
		return arrow.ListOfField(elem)
	case *arrow.MapType:
		key, value := fields[0], fields[1]
		key.Name, value.Name = "key", "value"
		return arrow.MapOfFields(key, value)
	}
	return t
}

// assignIDs gives fields, and then what they hold, the ids after *last.
func assignIDs(fields []arrow.Field, last *int) ([]arrow.Field, error) {
	return assignDeep(fields, last, 0)
}

func assignDeep(fields []arrow.Field, last *int, depth int) ([]arrow.Field, error) {
	if depth > MaxDepth || *last+len(fields) > MaxFields {
		return nil, fmt.Errorf("more than %d fields or %d levels: %w", MaxFields, MaxDepth, ErrSchema)
	}
	out := make([]arrow.Field, len(fields))
	for i, f := range fields {
		*last++
		out[i] = WithFieldID(f, *last)
	}
	for i := range out {
		held := Children(out[i].Type)
		if held == nil {
			continue
		}
		inner, err := assignDeep(held, last, depth+1)
		if err != nil {
			return nil, err
		}
		out[i].Type = WithChildren(out[i].Type, inner)
	}
	return out, nil
}

// check walks a schema that carries ids.
type check struct {
	seen map[int]string
	last int
}

func (c *check) fields(fields []arrow.Field, parent string, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("%s: more than %d levels: %w", parent, MaxDepth, ErrSchema)
	}
	names := make(map[string]string, len(fields))
	for _, f := range fields {
		path := join(parent, f.Name)
		if f.Name == "" {
			return fmt.Errorf("%s: a field without a name: %w", parent, ErrSchema)
		}
		lower := strings.ToLower(f.Name)
		if other, taken := names[lower]; taken {
			return fmt.Errorf("%s: name is like %q but for case: %w", path, other, ErrSchema)
		}
		names[lower] = f.Name
		id, ok := FieldID(f)
		if !ok {
			return fmt.Errorf("%s: no field id: %w", path, ErrSchema)
		}
		if other, taken := c.seen[id]; taken {
			return fmt.Errorf("%s: field id %d is also that of %s: %w", path, id, other, ErrSchema)
		}
		if len(c.seen) >= MaxFields {
			return fmt.Errorf("more than %d fields: %w", MaxFields, ErrSchema)
		}
		c.seen[id] = path
		c.last = max(c.last, id)
		if err := checkType(f.Type); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := c.fields(Children(f.Type), path, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// checkType refuses what the type mapping does not use.
func checkType(t arrow.DataType) error {
	switch t := t.(type) {
	case *arrow.BooleanType, *arrow.Int32Type, *arrow.Int64Type, *arrow.Float32Type,
		*arrow.Float64Type, *arrow.BinaryType, *arrow.StringType, *arrow.Date32Type:
		return nil
	case *arrow.FixedSizeBinaryType:
		if t.ByteWidth < 1 {
			return fmt.Errorf("fixed binary of %d bytes: %w", t.ByteWidth, ErrSchema)
		}
		return nil
	case *arrow.Decimal128Type:
		if t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
			return fmt.Errorf("decimal(%d, %d): %w", t.Precision, t.Scale, ErrSchema)
		}
		return nil
	case *arrow.Time64Type:
		if t.Unit == arrow.Microsecond {
			return nil
		}
	case *arrow.TimestampType:
		utc := t.TimeZone == "" || t.TimeZone == "UTC"
		if utc && (t.Unit == arrow.Microsecond || t.Unit == arrow.Nanosecond) {
			return nil
		}
	case *arrow.StructType:
		if t.NumFields() > 0 {
			return nil
		}
		return fmt.Errorf("struct without fields: %w", ErrSchema)
	case *arrow.ListType:
		return nil
	case *arrow.MapType:
		if !t.KeyField().Nullable {
			return nil
		}
		return fmt.Errorf("map with nullable keys: %w", ErrSchema)
	}
	return fmt.Errorf("type %s: %w", t, ErrSchema)
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// MapLeaves returns the schema with each leaf replaced by what f makes of it:
// how formats state their physical schema. f must keep name and metadata; ids
// stay. If f changes nothing, t itself is returned.
func (t *Schema) MapLeaves(f func(arrow.Field) arrow.Field) *Schema {
	fields, changed := mapLeaves(t.Arrow.Fields(), f)
	if !changed {
		return t
	}
	return &Schema{ID: t.ID, LastID: t.LastID, Arrow: arrow.NewSchema(fields, nil), Layout: t.Layout}
}

func mapLeaves(fields []arrow.Field, f func(arrow.Field) arrow.Field) ([]arrow.Field, bool) {
	out, changed := make([]arrow.Field, len(fields)), false
	for i, field := range fields {
		out[i] = field
		held := Children(field.Type)
		if held == nil {
			out[i] = f(field)
			changed = changed || !out[i].Equal(field)
			continue
		}
		if inner, differs := mapLeaves(held, f); differs {
			out[i].Type = WithChildren(field.Type, inner)
			changed = true
		}
	}
	return out, changed
}
