package schema

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// aliasKey is the metadata key of a column's earlier names, between commas,
// which no name holds. Only what AliasedColumns gives has it.
const aliasKey = "tarn:aliases"

// Aliased is a decoder whose schema says how fields were named before: Avro's
// aliases. Its columns are those of Columns with WithAliases.
type Aliased interface {
	Aliased() *arrow.Schema
}

// AliasedColumns are a decoder's columns with their earlier names, for Keep and Absorb.
func AliasedColumns(d Decoder) *arrow.Schema {
	if a, ok := d.(Aliased); ok {
		return a.Aliased()
	}
	return d.Columns()
}

// WithAliases returns f with names that its column may have had. Names that
// hold a comma are left out.
func WithAliases(f arrow.Field, names []string) arrow.Field {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" || strings.Contains(n, ",") })
	if len(names) > 0 {
		f.Metadata = arrow.NewMetadata([]string{aliasKey}, []string{strings.Join(names, ",")})
	}
	return f
}

// aliasesOf are a column's earlier names.
func aliasesOf(f arrow.Field) []string {
	text, ok := f.Metadata.GetValue(aliasKey)
	if !ok {
		return nil
	}
	return strings.Split(text, ",")
}

// WithoutAliases are the same columns without their earlier names, at any depth;
// the schema itself if it has none.
func WithoutAliases(s *arrow.Schema) *arrow.Schema {
	if !anyAlias(s.Fields()) {
		return s
	}
	return arrow.NewSchema(plainFields(s.Fields()), nil)
}

func anyAlias(fields []arrow.Field) bool {
	return slices.ContainsFunc(fields, func(f arrow.Field) bool {
		return aliasesOf(f) != nil || anyAlias(below(f.Type))
	})
}

func plainFields(fields []arrow.Field) []arrow.Field {
	out := slices.Clone(fields)
	for i := range out {
		if aliasesOf(out[i]) != nil {
			out[i].Metadata = arrow.Metadata{}
		}
		out[i].Type = withBelow(out[i].Type, plainFields(below(out[i].Type)))
	}
	return out
}

// below are the fields that a type holds.
func below(t arrow.DataType) []arrow.Field {
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

func withBelow(t arrow.DataType, fields []arrow.Field) arrow.DataType {
	switch t.(type) {
	case *arrow.StructType:
		return arrow.StructOf(fields...)
	case *arrow.ListType:
		return arrow.ListOfField(fields[0])
	case *arrow.MapType:
		return arrow.MapOfFields(fields[0], fields[1])
	}
	return t
}

// Keep names the columns of a version as the table with the columns have does:
// a field that has another name now keeps its column, if an alias says that it is
// the same, at any depth. known are the columns of other versions, whose aliases
// count as well: an earlier version knows nothing of the name that a later one
// gave its field, and a field may have been renamed twice.
//
// A column of the field's own name goes before, and one that cannot take the
// field's values is none of it. All three are as AliasedColumns gives them; the result has
// no aliases, and the order of want. It is want itself where nothing is renamed.
func Keep(have, want *arrow.Schema, known ...*arrow.Schema) *arrow.Schema {
	lists, some := make([][]arrow.Field, 0, len(known)), anyAlias(want.Fields())
	for _, k := range known {
		lists = append(lists, k.Fields())
		some = some || anyAlias(k.Fields())
	}
	if !some {
		return want
	}
	if have == nil {
		return WithoutAliases(want)
	}
	return arrow.NewSchema(plainFields(keepFields(have.Fields(), want.Fields(), lists)), nil)
}

func keepFields(have, want []arrow.Field, known [][]arrow.Field) []arrow.Field {
	columns, taken := make(map[string]arrow.Field, len(have)), map[string]bool{}
	for _, f := range have {
		columns[f.Name] = f
	}
	for _, f := range want {
		taken[f.Name] = true
	}
	names := newNames(append([][]arrow.Field{want}, known...))
	out := slices.Clone(want)
	for i, f := range want {
		same := names.of(f.Name)
		var others [][]arrow.Field
		for _, list := range known {
			for _, k := range list {
				if slices.Contains(same, k.Name) {
					others = append(others, []arrow.Field{k})
				}
			}
		}
		for _, name := range same {
			column, ok := columns[name]
			if !ok || name != f.Name && taken[name] {
				continue
			}
			kept := f
			kept.Type = keepType(column.Type, f.Type, others)
			if name == f.Name {
				out[i] = kept
				break
			}
			kept.Name = name
			if a := (absorber{}); a.fits(column, kept) {
				out[i], taken[name] = kept, true
				break
			}
		}
	}
	return out
}

// keepType is keepFields for what a type holds; others are one field each, of
// versions that have it.
func keepType(have, want arrow.DataType, others [][]arrow.Field) arrow.DataType {
	h, w := below(have), below(want)
	if len(w) == 0 || have.ID() != want.ID() {
		return want
	}
	var known [][]arrow.Field
	for _, o := range others {
		if t := o[0].Type; t.ID() == want.ID() {
			known = append(known, below(t))
		}
	}
	if want.ID() == arrow.STRUCT {
		return withBelow(want, keepFields(h, w, known))
	}
	out := slices.Clone(w)
	for i := range out {
		var at [][]arrow.Field
		for _, k := range known {
			at = append(at, k[i:i+1])
		}
		out[i].Type = keepType(h[i].Type, w[i].Type, at)
	}
	return withBelow(want, out)
}

// fits tells whether a column takes the values of a field of its name.
func (a absorber) fits(have, want arrow.Field) bool {
	a.field(have, want, have.Name)
	return len(Refused(a.effects)) == 0
}

// sameNames says which names are of one field: a pair for each alias.
type sameNames map[string][]string

func newNames(lists [][]arrow.Field) sameNames {
	names := sameNames{}
	for _, list := range lists {
		for _, f := range list {
			for _, alias := range aliasesOf(f) {
				names[f.Name] = append(names[f.Name], alias)
				names[alias] = append(names[alias], f.Name)
			}
		}
	}
	return names
}

// of lists the names of a field, its own first, then the nearest.
func (s sameNames) of(name string) []string {
	out := []string{name}
	for i := 0; i < len(out); i++ {
		for _, next := range s[out[i]] {
			if !slices.Contains(out, next) {
				out = append(out, next)
			}
		}
	}
	return out
}
