package layout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/tarn-io/tarn/tables"
)

// wide has a column of every shape.
func wide(t *testing.T, w Want) *tables.Schema {
	t.Helper()
	null := func(name string, typ arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: typ, Nullable: true}
	}
	s, err := tables.NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: int64s},
		null("region", stringsType),
		null("flag", arrow.FixedWidthTypes.Boolean),
		null("score", arrow.PrimitiveTypes.Float64),
		null("place", arrow.StructOf(null("zip", int32s), null("tags", arrow.ListOf(stringsType)))),
		null("pairs", arrow.MapOf(stringsType, int64s)),
		null("raw", fixed(3)),
		null("at", timestampTz),
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.Bind(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.WithLayout(l); err != nil {
		t.Fatal(err)
	}
	return s
}

// random makes rows whose ids count up from first.
func random(s *tables.Schema, r *rand.Rand, first, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(first + i))
		for _, c := range b.Fields()[1:] {
			fill(c, r)
		}
	}
	return b.NewRecordBatch()
}

func fill(b array.Builder, r *rand.Rand) {
	if r.IntN(5) == 0 {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append([]string{"", "eu", "us", "asia"}[r.IntN(4)])
	case *array.BooleanBuilder:
		b.Append(r.IntN(2) == 0)
	case *array.Float64Builder:
		b.Append(float64(r.IntN(5)) - 2)
	case *array.Int32Builder:
		b.Append(int32(r.IntN(9)))
	case *array.Int64Builder:
		b.Append(int64(r.IntN(9)))
	case *array.FixedSizeBinaryBuilder:
		b.Append([]byte(fmt.Sprintf("%03d", r.IntN(4))))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(r.Int64N(5*dayMicros) - 2*dayMicros))
	case *array.StructBuilder:
		b.Append(true)
		for i := range b.NumField() {
			fill(b.FieldBuilder(i), r)
		}
	case *array.MapBuilder:
		b.Append(true)
		for i := range r.IntN(3) {
			b.KeyBuilder().(*array.StringBuilder).Append(fmt.Sprint(i))
			fill(b.ItemBuilder(), r)
		}
	case *array.ListBuilder:
		b.Append(true)
		for range r.IntN(3) {
			fill(b.ValueBuilder(), r)
		}
	}
}

// lines spells the rows of batches.
func lines(batches []arrow.RecordBatch) []string {
	var out []string
	for _, b := range batches {
		for row := range int(b.NumRows()) {
			line := ""
			for _, c := range b.Columns() {
				line += c.ValueStr(row) + "|"
			}
			out = append(out, line)
		}
	}
	return out
}

// TestSplit compares with the rows picked one by one.
func TestSplit(t *testing.T) {
	region, day := Term{tables.Transform{Name: tables.Identity}, "region"}, Term{tables.Transform{Name: tables.Day}, "at"}
	zip := Term{tables.Transform{Name: tables.Bucket, N: 4}, "place.zip"}
	for name, w := range map[string]Want{
		"nothing":          {},
		"identity":         {Partition: []Term{region}},
		"nested, and time": {Partition: []Term{zip, day, region}},
		"sorted":           {Sort: []Order{{"score", true, true}, {"place.zip", false, false}}},
		"both":             {Partition: []Term{day}, Sort: []Order{{"region", false, true}, {"raw", true, false}, {"flag", false, false}}},
		"void":             {Partition: []Term{{tables.Transform{Name: tables.Void}, "region"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := wide(t, w), rand.New(rand.NewPCG(7, 7))
			whole := random(s, r, 0, 900)
			batches := []arrow.RecordBatch{whole.NewSlice(0, 300), whole.NewSlice(300, 301), random(s, r, 900, 100), whole.NewSlice(305, 900)}
			split, err := New(batches, s, 1000)
			if err != nil {
				t.Fatal(err)
			}
			want := lines(batches)
			var got []string
			seen := map[string]bool{}
			for i := range split.Parts() {
				n := split.Count(i)
				key := fmt.Sprintf("%#v", split.Values(i))
				if seen[key] || len(split.Values(i)) != len(w.Partition) {
					t.Fatalf("partition %s stands twice, or has other fields", key)
				}
				seen[key] = true
				// In two pieces, which are one.
				var rows []arrow.RecordBatch
				for _, piece := range [][2]int64{{0, n / 3}, {n / 3, n}} {
					b, err := split.Rows(i, piece[0], piece[1])
					if err != nil {
						t.Fatal(err)
					}
					rows = append(rows, b...)
				}
				checkPart(t, s, rows, split.Values(i))
				got = append(got, lines(rows)...)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%d rows came out, %d went in, or others", len(got), len(want))
			}
		})
	}
}

// checkPart looks whether rows have the values, and lie in order.
func checkPart(t *testing.T, s *tables.Schema, rows []arrow.RecordBatch, values []tables.PartitionValue) {
	t.Helper()
	split, err := New(rows, s, 1)
	if err != nil {
		t.Fatalf("rows are of other partitions too: %v", err)
	}
	if got, want := fmt.Sprintf("%#v", split.Values(0)), fmt.Sprintf("%#v", values); got != want {
		t.Fatalf("rows of partition %s stand in %s", got, want)
	}
	if s.Layout.Sort == nil {
		return
	}
	again, err := split.Rows(0, 0, split.Count(0))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines(again), lines(rows)) {
		t.Error("rows are not in order")
	}
}

// TestOrder spells one order out.
func TestOrder(t *testing.T) {
	w := Want{Sort: []Order{{"score", true, false}, {"region", false, true}, {"id", true, false}}}
	s := wide(t, w)
	b := array.NewRecordBuilder(memory.DefaultAllocator, s.Arrow)
	scores := []any{nil, 1.0, -1.0, 1.0, 2.0, 1.0, 1.0}
	regions := []any{"a", "b", "a", nil, "a", "b", "a"}
	for i := range scores {
		for j, c := range b.Fields() {
			switch {
			case j == 0:
				c.(*array.Int64Builder).Append(int64(i))
			case j == 1 && regions[i] != nil:
				c.(*array.StringBuilder).Append(regions[i].(string))
			case j == 3 && scores[i] != nil:
				c.(*array.Float64Builder).Append(scores[i].(float64))
			default:
				c.AppendNull()
			}
		}
	}
	split, err := New([]arrow.RecordBatch{b.NewRecordBatch()}, s, 1)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := split.Rows(0, 0, split.Count(0))
	if err != nil {
		t.Fatal(err)
	}
	got := rows[0].Column(0).(*array.Int64).Int64Values()
	if want := []int64{4, 3, 6, 5, 1, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("order of ids %v, want %v", got, want)
	}
}

func TestTooMany(t *testing.T) {
	s := wide(t, Want{Partition: []Term{{tables.Transform{Name: tables.Identity}, "id"}}})
	rows := random(s, rand.New(rand.NewPCG(1, 1)), 0, 100)
	if _, err := New([]arrow.RecordBatch{rows}, s, 99); !errors.Is(err, ErrTooMany) {
		t.Errorf("100 partitions, 99 allowed: %v", err)
	}
	if _, err := New([]arrow.RecordBatch{rows}, s, 100); err != nil {
		t.Errorf("100 partitions, 100 allowed: %v", err)
	}
}

func TestWantText(t *testing.T) {
	w := Want{
		Partition: []Term{{tables.Transform{Name: tables.Day}, "at"}, {tables.Transform{Name: tables.Bucket, N: 16}, "id"}, {tables.Transform{Name: tables.Identity}, "region"}},
		Sort:      []Order{{"id", true, false}, {"at", true, true}, {"region", false, true}, {"raw", false, false}},
	}
	if got, want := w.PartitionText(), "day(at), bucket(16, id), region"; got != want {
		t.Errorf("partition %q, want %q", got, want)
	}
	if got, want := w.SortText(), "id desc, at desc nulls first, region, raw nulls last"; got != want {
		t.Errorf("sort %q, want %q", got, want)
	}
}

func TestBind(t *testing.T) {
	s := wide(t, Want{})
	for want, term := range map[string]Term{
		"at_day": {tables.Transform{Name: tables.Day}, "at"}, "region": {tables.Transform{Name: tables.Identity}, "region"},
		"place_zip_bucket_8": {tables.Transform{Name: tables.Bucket, N: 8}, "place.zip"}, "region_trunc_2": {tables.Transform{Name: tables.Truncate, N: 2}, "region"},
		"place_zip": {tables.Transform{Name: tables.Identity}, "place.zip"},
	} {
		l, err := Want{Partition: []Term{term}}.Bind(s)
		if err != nil || l.Partition[0].Name != want {
			t.Errorf("%v: %v, %v; want the name %s", term, l, err, want)
		}
	}
	for _, w := range []Want{
		{Partition: []Term{{tables.Transform{Name: tables.Identity}, "absent"}}},
		{Partition: []Term{{tables.Transform{Name: tables.Identity}, "place"}}},
		{Partition: []Term{{tables.Transform{Name: tables.Identity}, "place.tags.element"}}},
		{Partition: []Term{{tables.Transform{Name: tables.Day}, "region"}}},
		{Partition: []Term{{tables.Transform{Name: tables.Identity}, "region"}, {tables.Transform{Name: tables.Identity}, "region"}}},
		{Sort: []Order{{"pairs", false, false}}},
	} {
		if _, err := w.Bind(s); !errors.Is(err, ErrColumn) {
			t.Errorf("%v: %v, want ErrColumn", w, err)
		}
	}
}
