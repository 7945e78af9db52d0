package tabletest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/parquet"
)

// WithLayout is a schema laid out as w asks.
func WithLayout(t testing.TB, s *tables.Schema, w layout.Want) *tables.Schema {
	t.Helper()
	l, err := w.Bind(s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.WithLayout(l); err != nil {
		t.Fatal(err)
	}
	return s
}

// WriteParts makes data files of the rows of a batch, in the schema's columns: one
// for each partition of the schema's layout, and puts them where the table wants
// them. Their rows lie in the range r.
func WriteParts(t testing.TB, store blob.Store, table tables.Table, s *tables.Schema, name string, r tables.Range, rows arrow.RecordBatch) []tables.DataFile {
	t.Helper()
	physical, err := table.Physical(s)
	if err != nil {
		t.Fatal(err)
	}
	split, err := layout.New([]arrow.RecordBatch{rows}, s, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var out []tables.DataFile
	for i := range split.Parts() {
		part, err := split.Rows(i, 0, split.Count(i))
		if err != nil {
			t.Fatal(err)
		}
		for j := range part {
			if part[j], err = tables.Convert(part[j], physical); err != nil {
				t.Fatal(err)
			}
		}
		file, err := parquet.Encode(physical, part, parquet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := file.DataFile(s.ID)
		d.Path, d.Ranges = table.DataPath(fmt.Sprintf("%s-%d", name, i)), []tables.Range{r}
		d.Partition, d.Sorted = split.Values(i), split.Sorted()
		if err := store.Put(t.Context(), d.Path, file.Bytes); err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// parted is a table of all types, partitioned and sorted.
func (b *bench) parted(w layout.Want) (tables.Table, *tables.Schema) {
	b.Helper()
	s := WithLayout(b, Schema(b, AllFields()...), w)
	table, err := b.start().Open(b.Context(), Spec(s))
	if err != nil {
		b.Fatal(err)
	}
	return table, s
}

func (b *bench) commitParts(table tables.Table, s *tables.Schema, id string, r tables.Range) {
	b.Helper()
	c := Next(b.progress(table), id, WriteParts(b, b.store, table, s, id, r, Rows(s.Arrow, r))...)
	if !s.Equal(table.Schema()) {
		c.Schema = s
	}
	if err := table.Commit(b.Context(), c); err != nil {
		b.Fatalf("commit %s: %v", id, err)
	}
}

func transform(text string) tables.Transform {
	t, err := tables.ParseTransform(text)
	if err != nil {
		panic(err)
	}
	return t
}

// everyTransform has them all. Delta has no partition columns of binary.
func everyTransform() layout.Want {
	return layout.Want{
		Partition: []layout.Term{
			{Transform: transform("day"), Column: "kafka_timestamp"},
			{Transform: transform("bucket[2]"), Column: "big"},
			{Transform: transform("identity"), Column: "flag"},
			{Transform: transform("truncate[3]"), Column: "text"},
			{Transform: transform("year"), Column: "day"},
			{Transform: transform("month"), Column: "local_at"},
			{Transform: transform("hour"), Column: "at"},
			{Transform: transform("void"), Column: "wei"},
			{Transform: transform("bucket[2]"), Column: "address.city"},
		},
		Sort: []layout.Order{{Column: "score", Desc: true}, {Column: "big"}},
	}
}

// testPartitions commits rows of many partitions, merges files within them, and
// opens the table again: no row is lost, and no file holds rows of two.
func testPartitions(b *bench) {
	table, s := b.parted(everyTransform())
	for i := range int64(12) {
		b.commitParts(table, s, fmt.Sprintf("c%d", i), rng(0, i*20, i*20+20))
	}
	b.wantRows(table, rng(0, 0, 240))
	parts := b.partitions(table)
	if len(parts) < 4 {
		b.Fatalf("files of %d partitions", len(parts))
	}
	before := b.values(table)
	b.compact(table)
	for {
		groups := maintenance.Plan(b.files(table), target, true)
		if len(groups) == 0 {
			break
		}
		if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), groups[0]); err != nil {
			b.Fatal(err)
		}
	}
	if n := len(b.files(table)); n != len(parts) {
		b.Errorf("%d files of %d partitions after merging", n, len(parts))
	}
	after := b.values(table)
	slices.Sort(before)
	slices.Sort(after)
	if !slices.Equal(before, after) || !slices.Equal(parts, b.partitions(table)) {
		b.Error("merging has changed rows, or partitions")
	}
	again, err := b.start().Open(b.Context(), Spec(s))
	if err != nil {
		b.Fatal(err)
	}
	if !again.Schema().Equal(s) {
		b.Errorf("opened again, the layout is %v, want %v", again.Schema().Layout, s.Layout)
	}
	b.commitParts(again, s, "later", rng(0, 240, 250))
	b.wantRows(again, rng(0, 0, 250))
}

// partitions are the words of all partitions that have files.
func (b *bench) partitions(table tables.Table) []string {
	b.Helper()
	var out []string
	for _, f := range b.files(table) {
		if f.Partition == "" {
			b.Errorf("%s lies in no partition", f.Key)
		}
		out = append(out, f.Partition)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// testMergePartitions refuses to make one file of several partitions.
func testMergePartitions(b *bench) {
	table, s := b.parted(layout.Want{Partition: []layout.Term{{Transform: transform("identity"), Column: "flag"}}})
	b.commitParts(table, s, "c0", rng(0, 0, 40))
	live := b.files(table)
	if len(live) != 3 { // true, false and null
		b.Fatalf("%d files, want 3", len(live))
	}
	_, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), live[:2])
	if !errors.Is(err, tables.ErrUnsupported) {
		b.Errorf("merged files of two partitions: %v, want ErrUnsupported", err)
	}
	b.wantRows(table, rng(0, 0, 40))
	if err := b.keeper(table).Replace(b.Context(), tables.Replacement{ID: "drop", Remove: []string{live[0].Key, live[1].Key}, Drop: true}); err != nil {
		b.Errorf("drop files of two partitions: %v", err)
	}
	if n := len(b.files(table)); n != 1 {
		b.Errorf("%d files are left, want 1", n)
	}
}

// testLayoutChange gives a live table another layout. A format that keeps its
// partition columns says so, and is of use as before.
func testLayoutChange(b *bench) {
	region := layout.Term{Transform: transform("identity"), Column: "flag"}
	table, plain := b.parted(layout.Want{})
	b.commitParts(table, plain, "c0", rng(0, 0, 20))
	first := WithLayout(b, plain, layout.Want{Partition: []layout.Term{region}})
	if _, err := table.Physical(first); errors.Is(err, tables.ErrUnsupported) {
		sorted := WithLayout(b, plain, layout.Want{Sort: []layout.Order{{Column: "big", Desc: true}}})
		b.commitParts(table, sorted, "c1", rng(0, 20, 40))
		b.wantRows(table, rng(0, 0, 40))
		return
	}
	b.commitParts(table, first, "c1", rng(0, 20, 40))
	second := WithLayout(b, first, layout.Want{Partition: []layout.Term{region, {Transform: transform("day"), Column: "at"}}})
	b.commitParts(table, second, "c2", rng(0, 40, 60))
	back := WithLayout(b, second, layout.Want{Partition: []layout.Term{region}, Sort: []layout.Order{{Column: "big"}}})
	b.commitParts(table, back, "c3", rng(0, 60, 80))
	none := WithLayout(b, back, layout.Want{})
	b.commitParts(table, none, "c4", rng(0, 80, 100))
	b.wantRows(table, rng(0, 0, 100))
	before := b.values(table)
	for _, g := range maintenance.Plan(b.files(table), target, true) {
		if _, err := maintenance.Merge(b.Context(), b.store, b.keeper(table), g); err != nil {
			b.Fatal(err)
		}
	}
	after := b.values(table)
	slices.Sort(before)
	slices.Sort(after)
	if !slices.Equal(before, after) {
		b.Error("merging has changed rows")
	}
	var drop []string
	for _, f := range b.files(table) {
		drop = append(drop, f.Key)
	}
	if err := b.keeper(table).Replace(b.Context(), tables.Replacement{ID: "all", Remove: drop, Drop: true}); err != nil {
		b.Errorf("drop files of all specs: %v", err)
	}
	b.commitParts(table, none, "c5", rng(0, 100, 110))
	b.wantRows(table, rng(0, 100, 110))
}
