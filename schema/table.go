package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// TableEffect is one thing that a new version of a schema does to the tables of
// its topics.
type TableEffect struct {
	Kind TableEffectKind `json:"kind"`
	// Column is the dotted path; list elements and the parts of maps stand in it
	// as "element", "key" and "value".
	Column string `json:"column"`
	// Field is the field's path where it is not the column's: it has another name
	// now and keeps its column.
	Field string `json:"field,omitempty"`
	// Text says it in one line: "adds column coupon string null".
	Text string `json:"text"`
}

// TableEffectKind says what becomes of a column.
type TableEffectKind string

// The kinds of effects.
const (
	// ColumnAdded is a new column, always nullable: older rows have nothing there.
	ColumnAdded TableEffectKind = "added"
	// ColumnWidened is a column whose type takes more values from now on.
	ColumnWidened TableEffectKind = "widened"
	// ColumnOptional is a column that had to be filled, and may be null from now on.
	ColumnOptional TableEffectKind = "optional"
	// ColumnUnfilled is a column that the new version no longer has: it stays, and
	// is null in new rows.
	ColumnUnfilled TableEffectKind = "unfilled"
	// ColumnKept is a column that a field keeps which has another name now: an
	// alias says that it is the same.
	ColumnKept TableEffectKind = "kept"
	// ColumnRefused is what the table cannot absorb: rows of the new version would
	// be dead letters.
	ColumnRefused TableEffectKind = "refused"
)

// Refused picks the effects that a table cannot absorb.
func Refused(effects []TableEffect) []TableEffect {
	return slices.DeleteFunc(slices.Clone(effects), func(e TableEffect) bool { return e.Kind != ColumnRefused })
}

// Absorb says what becomes of a table with the columns have when rows with the
// columns want come: each effect, in the order of the columns, and the columns
// afterwards. Those are have itself where something is refused, as nothing is
// absorbed then. have is nil for a table that is yet to be made.
//
// A table adds nullable columns, widens int to long, float to double and a decimal
// at its scale, and lets columns be null: Iceberg's rules of evolution. It never
// renames, drops or narrows. Fields match by name, and by the aliases of want and
// of known, which are the columns of other versions; see Keep.
func Absorb(have, want *arrow.Schema, known ...*arrow.Schema) (*arrow.Schema, []TableEffect) {
	if have == nil {
		return WithoutAliases(want), nil
	}
	var a absorber
	kept := Keep(have, want, known...)
	a.kept(kept.Fields(), want.Fields(), "", "")
	want = kept
	fields := a.fields(have.Fields(), want.Fields(), "")
	next := arrow.NewSchema(fields, nil)
	if len(Refused(a.effects)) > 0 {
		return have, a.effects
	}
	if err := CheckColumns(next); err != nil { // too many columns by now
		a.note(ColumnRefused, "", "cannot absorb: %v", err)
		return have, a.effects
	}
	return next, a.effects
}

type absorber struct {
	effects []TableEffect
}

// kept notes the fields whose columns have other names than they.
func (a *absorber) kept(columns, fields []arrow.Field, parent, within string) {
	for i, c := range columns {
		column, field := columnPath(parent, c.Name), columnPath(within, fields[i].Name)
		if c.Name != fields[i].Name {
			a.note(ColumnKept, column, "column %s stays for field %s, which has it as an alias", column, fields[i].Name)
			a.effects[len(a.effects)-1].Field = field
		}
		a.kept(below(c.Type), below(fields[i].Type), column, field)
	}
}

func (a *absorber) note(kind TableEffectKind, column, format string, args ...any) {
	a.effects = append(a.effects, TableEffect{Kind: kind, Column: column, Text: fmt.Sprintf(format, args...)})
}

// fields takes the fields of a struct, or of the whole table, into those it has.
func (a *absorber) fields(have, want []arrow.Field, parent string) []arrow.Field {
	wanted := make(map[string]arrow.Field, len(want))
	for _, f := range want {
		wanted[f.Name] = f
	}
	taken := make(map[string]string, len(have))
	out := make([]arrow.Field, 0, len(have)+len(want))
	for _, f := range have {
		taken[strings.ToLower(f.Name)] = f.Name
		if w, ok := wanted[f.Name]; ok {
			out = append(out, a.field(f, w, columnPath(parent, f.Name)))
			continue
		}
		a.note(ColumnUnfilled, columnPath(parent, f.Name), "column %s stays, and is null in new rows", columnPath(parent, f.Name))
		f.Nullable = true
		out = append(out, f)
	}
	for _, f := range want {
		path := columnPath(parent, f.Name)
		switch other, ok := taken[strings.ToLower(f.Name)]; {
		case ok && other == f.Name:
		case ok:
			a.note(ColumnRefused, path, "cannot absorb: column %s differs from column %s only in case", path, columnPath(parent, other))
		default:
			f.Nullable = true
			a.note(ColumnAdded, path, "adds column %s %s null%s", path, TypeWord(f.Type), renamed(f.Name))
			out = append(out, f)
		}
	}
	return out
}

// renamed says that a column is not named as its field is.
func renamed(column string) string {
	field, changed := strings.CutSuffix(column, "_")
	if !changed || !strings.HasPrefix(strings.ToLower(column), reservedPrefix) {
		return ""
	}
	return " for field " + field + ", as names with " + reservedPrefix + " are the table's"
}

func columnPath(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// field takes what a version wants of a column into what the table has there.
func (a *absorber) field(have, want arrow.Field, path string) arrow.Field {
	if want.Nullable && !have.Nullable {
		have.Nullable = true
		a.note(ColumnOptional, path, "column %s may be null", path)
	}
	switch t := have.Type.(type) {
	case *arrow.StructType:
		if w, ok := want.Type.(*arrow.StructType); ok {
			have.Type = arrow.StructOf(a.fields(t.Fields(), w.Fields(), path)...)
			return have
		}
	case *arrow.ListType:
		if w, ok := want.Type.(*arrow.ListType); ok {
			have.Type = arrow.ListOfField(a.field(t.ElemField(), w.ElemField(), columnPath(path, t.ElemField().Name)))
			return have
		}
	case *arrow.MapType:
		if w, ok := want.Type.(*arrow.MapType); ok {
			return a.entries(have, t, w, path)
		}
	default:
		if wide, ok := wider(have.Type, want.Type); ok {
			if !arrow.TypeEqual(wide, have.Type) {
				a.note(ColumnWidened, path, "widens column %s from %s to %s", path, TypeWord(have.Type), TypeWord(wide))
				have.Type = wide
			}
			return have
		}
	}
	a.note(ColumnRefused, path, "cannot absorb: column %s is %s, and this version has %s there", path, TypeWord(have.Type), TypeWord(want.Type))
	return have
}

// entries takes the parts of a map. No table format lets a key change.
func (a *absorber) entries(have arrow.Field, t, w *arrow.MapType, path string) arrow.Field {
	var key absorber
	key.field(t.KeyField(), w.KeyField(), columnPath(path, "key"))
	if len(key.effects) > 0 {
		a.note(ColumnRefused, columnPath(path, "key"), "cannot absorb: the keys of map %s are %s, and this version has %s there",
			path, TypeWord(t.KeyType()), TypeWord(w.KeyType()))
	}
	item := a.field(t.ItemField(), w.ItemField(), columnPath(path, "value"))
	have.Type = arrow.MapOfFields(t.KeyField(), item)
	return have
}

// wider is the type that holds the values of both, by Iceberg's promotions (spec,
// "Schema Evolution").
func wider(a, b arrow.DataType) (arrow.DataType, bool) {
	pair := func(x, y arrow.Type) bool { return a.ID() == x && b.ID() == y || a.ID() == y && b.ID() == x }
	switch {
	case arrow.TypeEqual(a, b):
		return a, true
	case pair(arrow.INT32, arrow.INT64):
		return arrow.PrimitiveTypes.Int64, true
	case pair(arrow.FLOAT32, arrow.FLOAT64):
		return arrow.PrimitiveTypes.Float64, true
	}
	x, okX := a.(*arrow.Decimal128Type)
	y, okY := b.(*arrow.Decimal128Type)
	if !okX || !okY || x.Scale != y.Scale {
		return nil, false
	}
	return &arrow.Decimal128Type{Precision: max(x.Precision, y.Precision), Scale: x.Scale}, true
}

// TypeWord names a type as tables do: the README's type mapping.
func TypeWord(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return "boolean"
	case *arrow.Int32Type:
		return "int"
	case *arrow.Int64Type:
		return "long"
	case *arrow.Float32Type:
		return "float"
	case *arrow.Float64Type:
		return "double"
	case *arrow.StringType:
		return "string"
	case *arrow.FixedSizeBinaryType:
		return fmt.Sprintf("fixed(%d)", t.ByteWidth)
	case *arrow.Decimal128Type:
		return fmt.Sprintf("decimal(%d, %d)", t.Precision, t.Scale)
	case *arrow.Date32Type:
		return "date"
	case *arrow.Time64Type:
		return "time"
	case *arrow.TimestampType:
		return timestampWord(t)
	case *arrow.StructType:
		return "struct<" + fieldWords(t.Fields()) + ">"
	case *arrow.ListType:
		return "list<" + TypeWord(t.Elem()) + ">"
	case *arrow.MapType:
		return "map<" + TypeWord(t.KeyType()) + ", " + TypeWord(t.ItemType()) + ">"
	}
	return t.String()
}

func timestampWord(t *arrow.TimestampType) string {
	word := "timestamp"
	if t.TimeZone != "" {
		word += "tz"
	}
	if t.Unit == arrow.Nanosecond {
		word += "_ns"
	}
	return word
}

// maxWordFields bounds the fields of a struct that a type's word lists: more are
// no help in one line.
const maxWordFields = 8

func fieldWords(fields []arrow.Field) string {
	var words []string
	for i, f := range fields {
		if i == maxWordFields {
			words = append(words, fmt.Sprintf("and %d more", len(fields)-i))
			break
		}
		words = append(words, f.Name+": "+TypeWord(f.Type))
	}
	return strings.Join(words, ", ")
}
