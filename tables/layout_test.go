package tables

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func layoutSchema(t *testing.T) *Schema {
	t.Helper()
	s, err := NewSchema(arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "region", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "place", Type: arrow.StructOf(arrow.Field{Name: "zip", Type: arrow.PrimitiveTypes.Int32}), Nullable: true},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLayoutText(t *testing.T) {
	s := layoutSchema(t)
	s, err := s.WithLayout(Layout{
		Partition: []PartitionField{{1, Transform{Bucket, 16}, "id_bucket_16"}, {2, Transform{Name: Identity}, "region"}},
		Sort:      []SortField{{Source: 1, Desc: true, NullsFirst: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Schema
	if err := json.Unmarshal(text, &back); err != nil || !back.Equal(s) {
		t.Errorf("%s reads back as %v, %v", text, back, err)
	}
	// A layout stays when columns come, and is a change of its own.
	next, _, err := s.Merge(arrow.NewSchema([]arrow.Field{{Name: "more", Type: arrow.BinaryTypes.String}}, nil))
	if err != nil || !next.Layout.Equal(s.Layout) {
		t.Errorf("merged: %v, %v", next, err)
	}
	plain, err := next.WithLayout(Layout{})
	if err != nil || plain.Equal(next) || plain.Extends(next) != nil {
		t.Errorf("without layout: %v, %v, extends: %v", plain, err, plain.Extends(next))
	}
	if same, err := next.WithLayout(s.Layout); err != nil || same != next {
		t.Errorf("the same layout made a new schema: %v", err)
	}
}

// TestMergePartitionName refuses a column with the name of a partition field: a
// Delta table has both as columns.
func TestMergePartitionName(t *testing.T) {
	s, err := layoutSchema(t).WithLayout(Layout{Partition: []PartitionField{{1, Transform{Bucket, 16}, "id_bucket_16"}}})
	if err != nil {
		t.Fatal(err)
	}
	var conflict *MergeConflict
	_, _, err = s.Merge(arrow.NewSchema([]arrow.Field{{Name: "ID_bucket_16", Type: arrow.PrimitiveTypes.Int32}}, nil))
	if !errors.As(err, &conflict) {
		t.Errorf("a column of a partition field's name: %v", err)
	}
}

func TestLayoutRefused(t *testing.T) {
	s := layoutSchema(t)
	many := make([]SortField, MaxLayoutFields+1)
	for i := range many {
		many[i].Source = 1
	}
	for name, l := range map[string]Layout{
		"no such column":        {Partition: []PartitionField{{99, Transform{Name: Identity}, "x"}}},
		"a struct":              {Partition: []PartitionField{{3, Transform{Name: Identity}, "place"}}},
		"in a list":             {Partition: []PartitionField{{6, Transform{Name: Identity}, "x"}}},
		"not of the type":       {Partition: []PartitionField{{2, Transform{Name: Day}, "x"}}},
		"a column's name":       {Partition: []PartitionField{{1, Transform{Bucket, 4}, "Region"}}},
		"another's column name": {Partition: []PartitionField{{1, Transform{Name: Identity}, "region"}}},
		"no name":               {Partition: []PartitionField{{1, Transform{Bucket, 4}, ""}}},
		"a name twice":          {Partition: []PartitionField{{1, Transform{Bucket, 4}, "x"}, {2, Transform{Bucket, 4}, "X"}}},
		"sort by a list":        {Sort: []SortField{{Source: 4}}},
		"too many":              {Sort: many},
	} {
		if _, err := s.WithLayout(l); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v, want ErrSchema", name, err)
		}
	}
}

func TestParseTransform(t *testing.T) {
	for _, text := range []string{"identity", "bucket[16]", "truncate[2147483647]", "year", "month", "day", "hour", "void"} {
		if tr, err := ParseTransform(text); err != nil || tr.String() != text {
			t.Errorf("%s: %v, %v", text, tr, err)
		}
	}
	for _, text := range []string{"", "bucket", "bucket[0]", "bucket[-1]", "bucket[2147483648]", "truncate[x]", "day[1]", "other", "Bucket[2]"} {
		if tr, err := ParseTransform(text); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: %v, %v; want ErrSchema", text, tr, err)
		}
	}
}

// TestStatsStored has bounds of nothing, as an empty text is, come back from where
// files are stored until they are committed.
func TestStatsStored(t *testing.T) {
	stored, err := json.Marshal(ColumnStats{Min: []byte{}})
	if err != nil {
		t.Fatal(err)
	}
	var got ColumnStats
	if err := json.Unmarshal(stored, &got); err != nil || got.Min == nil || got.Max != nil {
		t.Errorf("%s: got %#v, %v, want a least value of no bytes and no greatest", stored, got, err)
	}
}
