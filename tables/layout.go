package tables

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// MaxLayoutFields bounds the fields of a partition spec, and those of a sort
// order: every file names its values, and every comparison walks them.
const MaxLayoutFields = 16

// Layout is how rows are put into files: Iceberg's partition spec and sort
// order, by field ids. All rows of a file have the same partition values, and
// lie in the sort order. The zero value is neither.
type Layout struct {
	Partition []PartitionField `json:"partition,omitempty"`
	Sort      []SortField      `json:"sort,omitempty"`
}

// PartitionField is one field of a partition spec.
type PartitionField struct {
	// Source is the field id of the column that the value is made of: a leaf that
	// lies in no list and no map.
	Source    int       `json:"source"`
	Transform Transform `json:"transform"`
	// Name is the field's name. That of an identity on a top-level column is the
	// column's; no other is the name of a column.
	Name string `json:"name"`
}

// PartitionValue is the value that all rows of a file have for a field. Value is
// in Iceberg's single-value serialization of the transform's result, for columns
// of nanoseconds as if they were of microseconds; nil is null.
type PartitionValue struct {
	PartitionField
	Value []byte `json:"value"`
}

// SortField is one key of a sort order.
type SortField struct {
	Source     int  `json:"source"` // field id, as of PartitionField
	Desc       bool `json:"desc,omitempty"`
	NullsFirst bool `json:"nulls_first,omitempty"`
}

// Names of transforms (Iceberg's table specification, "Partition Transforms").
const (
	Identity = "identity"
	Bucket   = "bucket"
	Truncate = "truncate"
	Year     = "year"
	Month    = "month"
	Day      = "day"
	Hour     = "hour"
	Void     = "void"
)

// Transform makes a partition value of a column's value. Its text form is that of
// Iceberg: bucket[16].
type Transform struct {
	Name string
	N    int // of bucket and truncate: how many, how wide; else 0
}

// MaxTransformN bounds N: Iceberg's are ints of Java.
const MaxTransformN = 1<<31 - 1

// ParseTransform reads the text form. Errors are ErrSchema.
func ParseTransform(text string) (Transform, error) {
	name, arg, has := strings.Cut(strings.TrimSuffix(text, "]"), "[")
	switch name {
	case Bucket, Truncate:
		n, err := strconv.Atoi(arg)
		if !has || err != nil || n < 1 || n > MaxTransformN {
			break
		}
		return Transform{name, n}, nil
	case Identity, Year, Month, Day, Hour, Void:
		if !has {
			return Transform{Name: name}, nil
		}
	}
	return Transform{}, fmt.Errorf("transform %q: %w", text, ErrSchema)
}

// String is the text form.
func (t Transform) String() string {
	if t.N != 0 {
		return t.Name + "[" + strconv.Itoa(t.N) + "]"
	}
	return t.Name
}

// MarshalText implements encoding.TextMarshaler.
func (t Transform) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Transform) UnmarshalText(text []byte) (err error) {
	*t, err = ParseTransform(string(text))
	return err
}

// Result is the type that the transform makes of a column's, false if it cannot
// take it.
func (t Transform) Result(column arrow.DataType) (arrow.DataType, bool) {
	id := column.ID()
	if Children(column) != nil {
		return nil, false
	}
	switch t.Name {
	case Identity, Void:
		return column, true
	case Bucket:
		return arrow.PrimitiveTypes.Int32, id != arrow.BOOL && id != arrow.FLOAT32 && id != arrow.FLOAT64
	case Truncate:
		return column, slices.Contains([]arrow.Type{arrow.INT32, arrow.INT64, arrow.DECIMAL128, arrow.STRING, arrow.BINARY}, id)
	case Day:
		return arrow.FixedWidthTypes.Date32, id == arrow.DATE32 || id == arrow.TIMESTAMP
	case Year, Month:
		return arrow.PrimitiveTypes.Int32, id == arrow.DATE32 || id == arrow.TIMESTAMP
	case Hour:
		return arrow.PrimitiveTypes.Int32, id == arrow.TIMESTAMP
	}
	return nil, false
}

// Empty reports whether rows are put into files as they come.
func (l Layout) Empty() bool { return len(l.Partition) == 0 && len(l.Sort) == 0 }

// Equal reports whether l and o say the same.
func (l Layout) Equal(o Layout) bool {
	return slices.Equal(l.Partition, o.Partition) && slices.Equal(l.Sort, o.Sort)
}

// WithLayout is the schema with another layout, as a schema of its own. Errors
// are ErrSchema: the layout does not fit the columns.
func (t *Schema) WithLayout(l Layout) (*Schema, error) {
	if t.Layout.Equal(l) {
		return t, nil
	}
	if err := l.check(t); err != nil {
		return nil, err
	}
	next := *t
	next.ID, next.Layout = t.ID+1, l
	return &next, nil
}

// check holds a layout against the columns.
func (l Layout) check(s *Schema) error {
	if len(l.Partition) > MaxLayoutFields || len(l.Sort) > MaxLayoutFields {
		return fmt.Errorf("more than %d fields to partition or sort by: %w", MaxLayoutFields, ErrSchema)
	}
	names := make(map[string]bool)
	for _, f := range l.Partition {
		col, ok := s.Leaf(f.Source)
		if !ok {
			return fmt.Errorf("partition field %s: no column of id %d that has one value a row: %w", f.Name, f.Source, ErrSchema)
		}
		if _, ok := f.Transform.Result(col.Field.Type); !ok {
			return fmt.Errorf("partition field %s: %s cannot be of %s, which is %s: %w", f.Name, f.Transform, col.Path, col.Field.Type, ErrSchema)
		}
		lower := strings.ToLower(f.Name)
		if !isPlainName(f.Name) || names[lower] {
			return fmt.Errorf("partition field %q: a name of its own is needed, of letters, digits and _: %w", f.Name, ErrSchema)
		}
		names[lower] = true
		if f.isColumn(col) {
			continue
		}
		for _, have := range s.Arrow.Fields() {
			if strings.EqualFold(have.Name, f.Name) {
				return fmt.Errorf("partition field %s: a column has that name: %w", f.Name, ErrSchema)
			}
		}
	}
	for _, f := range l.Sort {
		if _, ok := s.Leaf(f.Source); !ok {
			return fmt.Errorf("sort order: no column of id %d that has one value a row: %w", f.Source, ErrSchema)
		}
	}
	return nil
}

// isPlainName reports whether a name may stand everywhere: manifests of Iceberg
// are Avro, and Delta refuses more.
func isPlainName(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// isColumn reports whether the field's values are those of a top-level column of
// the same name.
func (f PartitionField) isColumn(source Leaf) bool {
	return f.Transform.Name == Identity && len(source.At) == 1 && f.Name == source.Field.Name
}

// InColumn reports whether a partition field's values are those of a top-level
// column of its name, and returns its source.
func (t *Schema) InColumn(f PartitionField) (source Leaf, is bool) {
	source, ok := t.Leaf(f.Source)
	return source, ok && f.isColumn(source)
}

// Leaf is a leaf column that has one value a row: it lies at the top or in
// structs.
type Leaf struct {
	Field arrow.Field
	Path  string // dotted
	At    []int  // where it stands, level by level
}

// Leaf finds the leaf column of a field id.
func (t *Schema) Leaf(id int) (Leaf, bool) {
	return findLeaf(t.Arrow.Fields(), Leaf{}, func(l Leaf) bool {
		have, _ := FieldID(l.Field)
		return have == id
	})
}

// LeafNamed finds the leaf column of a dotted path.
func (t *Schema) LeafNamed(path string) (Leaf, bool) {
	return findLeaf(t.Arrow.Fields(), Leaf{}, func(l Leaf) bool { return l.Path == path })
}

func findLeaf(fields []arrow.Field, in Leaf, is func(Leaf) bool) (Leaf, bool) {
	for i, f := range fields {
		l := Leaf{Field: f, Path: join(in.Path, f.Name), At: append(in.At[:len(in.At):len(in.At)], i)}
		held := Children(f.Type)
		switch {
		case held == nil && is(l):
			return l, true
		case f.Type.ID() == arrow.STRUCT:
			if found, ok := findLeaf(held, l, is); ok {
				return found, true
			}
		}
	}
	return Leaf{}, false
}
