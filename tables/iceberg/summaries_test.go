package iceberg_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	ice "github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// named are the rows of a range, their names given in turns; "-" stands for null.
func named(s *tables.Schema, r tables.Range, names ...string) arrow.RecordBatch {
	rows := tabletest.Rows(s.Arrow, r)
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for i := range int(rows.NumRows()) {
		if v := names[i%len(names)]; v == "-" {
			b.AppendNull()
		} else {
			b.Append(v)
		}
	}
	columns := rows.Columns()
	columns[s.Arrow.FieldIndices("name")[0]] = b.NewArray()
	return array.NewRecordBatch(s.Arrow, columns, rows.NumRows())
}

// TestEmptyTexts has empty texts among the values of a partition field: readers
// that go by the summaries of manifests find the rows of all values, also once the
// manifests are merged.
func TestEmptyTexts(t *testing.T) {
	for _, transform := range []string{"identity", "truncate[3]"} {
		for _, names := range [][]string{{"", "abc", "xyz"}, {"", "-"}, {""}, {"-"}} {
			t.Run(transform+" "+strings.Join(names, "|"), func(t *testing.T) {
				l := newLake(blob.NewMemory(), iceberg.Options{Properties: ice.Properties{"commit.manifest.min-count-to-merge": "3"}})
				s := tabletest.WithLayout(t, tabletest.Schema(t, tabletest.SmallFields()...), layout.Want{Partition: []layout.Term{term(t, transform, "name")}})
				tbl := l.open(t, s)
				for i := range int64(5) {
					r := tables.Range{From: i * 6, To: i*6 + 6}
					c := tables.Commit{ID: strings.Repeat("c", int(i)+1), Expect: upTo(r.From), Progress: upTo(r.To)}
					if i == 0 {
						c.Expect = tables.Progress{}
					}
					c.Add = tabletest.WriteParts(t, l.store, tbl, s, c.ID, r, named(s, r, names...))
					mustCommit(t, tbl, c)
				}
				want := int64(30 / len(names))
				for _, name := range names {
					filter := ice.BooleanExpression(ice.IsNull(ice.Reference("name")))
					if name != "-" {
						filter = ice.EqualTo(ice.Reference("name"), name)
					}
					rows, err := theirs(t, l).Scan(table.WithRowFilter(filter)).ToArrowTable(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if rows.NumRows() != want {
						t.Errorf("name %q is in %d rows, want %d", name, rows.NumRows(), want)
					}
				}
			})
		}
	}
}

// TestTwoDecimals asks for specs that no manifest can be written of, and for those
// beside them.
func TestTwoDecimals(t *testing.T) {
	decimal := func(name string, scale int32) arrow.Field {
		return arrow.Field{Name: name, Type: &arrow.Decimal128Type{Precision: 9, Scale: scale}, Nullable: true}
	}
	fixed := func(name string) arrow.Field {
		return arrow.Field{Name: name, Type: &arrow.FixedSizeBinaryType{ByteWidth: 4}, Nullable: true}
	}
	for _, test := range []struct {
		a, b string
		tr   string
		ok   bool
	}{
		{"a", "b", "identity", false}, {"a", "c", "identity", false}, {"a", "c", "truncate[50]", false}, {"a", "c", "void", false},
		{"a", "b", "bucket[4]", true}, {"f", "g", "identity", true}, {"a", "f", "identity", true},
	} {
		l := newLake(blob.NewMemory(), iceberg.Options{})
		s := tabletest.WithLayout(t, tabletest.Schema(t, decimal("a", 2), decimal("b", 3), decimal("c", 2), fixed("f"), fixed("g")),
			layout.Want{Partition: []layout.Term{term(t, "identity", test.a), term(t, test.tr, test.b)}})
		tbl, err := l.format.Open(t.Context(), tables.Spec{Namespace: "default", Name: "orders", Schema: s})
		switch {
		case !test.ok:
			if !errors.Is(err, tables.ErrUnsupported) || !strings.Contains(err.Error(), "take a bucket") {
				t.Errorf("%+v: got %v, want ErrUnsupported", test, err)
			}
		case err != nil:
			t.Errorf("%+v: %v", test, err)
		default:
			l.stepParts(t, tbl, s, 0, 5)
		}
	}
}
