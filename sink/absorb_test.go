package sink

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/tables"
)

// TestAbsorbIsMerge holds the forecast, which the registry gives before a schema is
// registered, to what tables then do.
func TestAbsorbIsMerge(t *testing.T) {
	refused, absorbed := 0, 0
	for seed := range uint64(3000) {
		g := columnMaker{rand.New(rand.NewPCG(seed, 9))}
		have := arrow.NewSchema(g.fields(0), nil)
		want := arrow.NewSchema(g.changed(have.Fields()), nil)
		if schema.CheckColumns(have) != nil || schema.CheckColumns(want) != nil {
			continue
		}
		table, err := tables.NewSchema(have)
		if err != nil {
			t.Fatal(err)
		}
		next, changes, err := table.Merge(want)
		columns, effects := schema.Absorb(have, want)
		conflict, conflicts := errors.AsType[*tables.MergeConflict](err)
		if err != nil && !conflicts {
			t.Fatal(err)
		}
		if conflicts {
			refused++
			var paths []string
			for _, c := range conflict.Conflicts {
				paths = append(paths, c.Path)
			}
			if got := effectPaths(schema.Refused(effects), ""); !slices.Equal(got, paths) {
				t.Fatalf("seed %d: refused %q, tables refuse %q\nhave %s\nwant %s", seed, got, paths, have, want)
			}
			continue
		}
		absorbed++
		for _, k := range []struct {
			kind tables.ChangeKind
			as   schema.TableEffectKind
		}{{tables.Added, schema.ColumnAdded}, {tables.Widened, schema.ColumnWidened}} {
			var paths []string
			for _, c := range changes {
				if c.Kind == k.kind {
					paths = append(paths, c.Path)
				}
			}
			if got := effectPaths(effects, k.as); !slices.Equal(got, paths) {
				t.Fatalf("seed %d: %s %q, tables say %q", seed, k.as, got, paths)
			}
		}
		if got, want := flat(columns.Fields()), flat(next.Arrow.Fields()); got != want {
			t.Fatalf("seed %d: columns\n%s\ntables have\n%s", seed, got, want)
		}
	}
	if refused < 300 || absorbed < 300 {
		t.Errorf("%d refused, %d absorbed: too few to mean something", refused, absorbed)
	}
}

func effectPaths(effects []schema.TableEffect, kind schema.TableEffectKind) []string {
	var out []string
	for _, e := range effects {
		if kind == "" || e.Kind == kind {
			out = append(out, e.Column)
		}
	}
	return out
}

// flat writes columns without their metadata.
func flat(fields []arrow.Field) string {
	var words []string
	for _, f := range fields {
		word := f.Name + " " + f.Type.ID().String()
		if d, ok := f.Type.(*arrow.Decimal128Type); ok {
			word = f.Name + " " + d.String()
		}
		if held := tables.Children(f.Type); held != nil {
			word += "(" + flat(held) + ")"
		}
		words = append(words, fmt.Sprintf("%s %t", word, f.Nullable))
	}
	return strings.Join(words, ", ")
}

type columnMaker struct{ *rand.Rand }

var someTypes = []arrow.DataType{
	arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64,
	arrow.BinaryTypes.String, arrow.FixedWidthTypes.Date32,
	&arrow.Decimal128Type{Precision: 9, Scale: 2}, &arrow.Decimal128Type{Precision: 18, Scale: 2}, &arrow.Decimal128Type{Precision: 18, Scale: 3},
}

func (g columnMaker) fields(depth int) []arrow.Field {
	var out []arrow.Field
	for i := range 1 + g.IntN(4) {
		out = append(out, arrow.Field{Name: fmt.Sprintf("c%d", i), Type: g.typ(depth), Nullable: g.IntN(2) == 0})
	}
	return out
}

func (g columnMaker) typ(depth int) arrow.DataType {
	if depth < 3 {
		switch g.IntN(8) {
		case 0, 1:
			return arrow.StructOf(g.fields(depth + 1)...)
		case 2:
			return arrow.ListOfField(arrow.Field{Name: "element", Type: g.typ(depth + 1), Nullable: g.IntN(2) == 0})
		case 3:
			return arrow.MapOfFields(arrow.Field{Name: "key", Type: someTypes[g.IntN(len(someTypes))]},
				arrow.Field{Name: "value", Type: g.typ(depth + 1), Nullable: g.IntN(2) == 0})
		}
	}
	return someTypes[g.IntN(len(someTypes))]
}

// changed is like fields, with a change here and there.
func (g columnMaker) changed(fields []arrow.Field) []arrow.Field {
	var out []arrow.Field
	for _, f := range fields {
		switch g.IntN(12) {
		case 0:
			continue
		case 1:
			f.Nullable = !f.Nullable
		case 2:
			f.Type = g.typ(2)
		case 3:
			f.Name = strings.ToUpper(f.Name)
		case 4:
			out = append(out, arrow.Field{Name: f.Name + "n", Type: g.typ(2), Nullable: true})
		}
		switch t := f.Type.(type) {
		case *arrow.StructType:
			if held := g.changed(t.Fields()); len(held) > 0 {
				f.Type = arrow.StructOf(held...)
			}
		case *arrow.ListType:
			if held := g.changed([]arrow.Field{t.ElemField()}); len(held) == 1 {
				held[0].Name = "element"
				f.Type = arrow.ListOfField(held[0])
			}
		case *arrow.MapType:
			if held := g.changed([]arrow.Field{t.ItemField()}); len(held) == 1 {
				held[0].Name = "value"
				f.Type = arrow.MapOfFields(t.KeyField(), held[0])
			}
		case *arrow.Int32Type:
			if g.IntN(3) == 0 {
				f.Type = arrow.PrimitiveTypes.Int64
			}
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return fields
	}
	return out
}
