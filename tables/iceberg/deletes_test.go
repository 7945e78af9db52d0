package iceberg_test

import (
	"errors"
	"iter"
	"slices"
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
	"github.com/tarn-io/tarn/tables/tabletest"
)

func (l *lake) theirs(t *testing.T) *table.Table {
	t.Helper()
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// TestForeignDeletionVectors raises a table to version 3, where iceberg-go
// deletes by vectors, and goes on writing to it.
func TestForeignDeletionVectors(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{Properties: ice.Properties{"write.delete.mode": "merge-on-read"}})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	ident := table.Identifier{"default", "orders"}
	if _, _, err := l.ice.CommitTable(t.Context(), ident, nil, []table.Update{table.NewUpgradeFormatVersionUpdate(3)}); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, tbl, l.step(t, tbl, s, 10, 20))
	if next := l.theirs(t).Metadata().NextRowID(); next < 10 {
		t.Errorf("next row id %d, want one for each row", next)
	}
	if _, err := l.theirs(t).Delete(t.Context(), ice.GreaterThanEqual(ice.Reference("kafka_offset"), int64(15)), nil); err != nil {
		t.Fatal(err)
	}
	puffin := false
	for info := range l.store.List(t.Context(), "") {
		puffin = puffin || strings.HasSuffix(info.Key, ".puffin")
	}
	if !puffin {
		t.Error("iceberg-go wrote no deletion vector: the test tests nothing")
	}
	wantOffsets(t, tbl, 15)
	c := l.step(t, tbl, s, 20, 22)
	mustCommit(t, tbl, c)
	want := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20, 21}
	if got := offsets(t, tbl); !slices.Equal(got, want) {
		t.Errorf("offsets %v, want %v", got, want)
	}
	rows, err := l.theirs(t).Scan().ToArrowTable(t.Context())
	if err != nil || rows.NumRows() != int64(len(want)) {
		t.Fatalf("iceberg-go reads %v, %v; want %d rows", rows, err, len(want))
	}
	rows.Release()
}

// TestForeignEqualityDeletes lets somebody delete rows by value: those that were
// there, not those of the same value that come later.
func TestForeignEqualityDeletes(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
	it := l.theirs(t)
	col, ok := it.Schema().FindFieldByName("kafka_offset")
	if !ok {
		t.Fatal("no column kafka_offset")
	}
	tx := it.NewTransaction()
	files, err := tx.WriteEqualityDeletes(t.Context(), []int{col.ID}, longs(col.Name, 3, 4, 99))
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.NewRowDelta(nil).AddDeletes(files...).Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []int64{0, 1, 2, 5, 6, 7, 8, 9}
	if got := offsets(t, tbl); !slices.Equal(got, want) {
		t.Errorf("offsets %v, want %v", got, want)
	}
	c := tables.Commit{ID: "again", Expect: upTo(10), Progress: upTo(100)}
	c.Add = []tables.DataFile{l.write(t, tbl, s, "again.parquet", tables.Range{From: 98, To: 100})}
	mustCommit(t, tbl, c)
	if got := offsets(t, tbl); !slices.Equal(got, append(want, 98, 99)) {
		t.Errorf("offsets %v, want %v and 98, 99", got, want)
	}
}

// longs is one batch of one column.
func longs(name string, values ...int64) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		schema := arrow.NewSchema([]arrow.Field{{Name: name, Type: arrow.PrimitiveTypes.Int64}}, nil)
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		b.Field(0).(*array.Int64Builder).AppendValues(values, nil)
		yield(b.NewRecordBatch(), nil)
	}
}

// TestMissingFile takes away a file that the table names: nobody can read it
// any more, which is not the same as not knowing.
func TestMissingFile(t *testing.T) {
	for _, suffix := range []string{".parquet", "-m0.avro", ".avro"} {
		l := newLake(blob.NewMemory(), iceberg.Options{})
		s := tabletest.Schema(t, tabletest.SmallFields()...)
		tbl := l.open(t, s)
		mustCommit(t, tbl, l.step(t, tbl, s, 0, 10))
		var keys []string
		for info := range l.store.List(t.Context(), "") {
			if strings.HasSuffix(info.Key, suffix) {
				keys = append(keys, info.Key)
			}
		}
		if len(keys) == 0 {
			t.Fatalf("no file ends in %s", suffix)
		}
		if err := l.store.Delete(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, rerr := range tbl.Rows(t.Context()) {
			err = errors.Join(err, rerr)
		}
		if !errors.Is(err, tables.ErrBroken) {
			t.Errorf("rows without %s: %v, want ErrBroken", suffix, err)
		}
	}
}

// TestManifestMerge commits with every mixture of limits; iceberg-go must find
// each file once, and manifests must not grow in number without end.
func TestManifestMerge(t *testing.T) {
	for _, tt := range []struct {
		enabled, count, size string
		most                 int // manifests at the end of 30 commits
	}{
		{"true", "5", "8388608", 5},
		{"true", "2", "8388608", 1},
		{"true", "4", "20000", 10},
		{"false", "2", "8388608", 30},
	} {
		l := newLake(blob.NewMemory(), iceberg.Options{Properties: ice.Properties{
			"commit.manifest-merge.enabled": tt.enabled, "commit.manifest.min-count-to-merge": tt.count,
			"commit.manifest.target-size-bytes": tt.size,
		}})
		s := tabletest.Schema(t, tabletest.SmallFields()...)
		tbl := l.open(t, s)
		for i := range int64(30) {
			mustCommit(t, tbl, l.step(t, tbl, s, i*2, i*2+2))
		}
		it := l.theirs(t)
		snap := it.CurrentSnapshot()
		manifests, err := snap.Manifests(mustFS(t, it))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(manifests); n > tt.most {
			t.Errorf("%+v: %d manifests", tt, n)
		}
		seen := make(map[string]int)
		for _, m := range manifests {
			for e, err := range m.Entries(mustFS(t, it), true) {
				if err != nil {
					t.Fatal(err)
				}
				seen[e.DataFile().FilePath()]++
				if e.SequenceNum() < 1 || e.SequenceNum() > 30 {
					t.Errorf("%+v: sequence number %d", tt, e.SequenceNum())
				}
			}
		}
		for name, n := range seen {
			if n != 1 {
				t.Errorf("%+v: %s stands %d times", tt, name, n)
			}
		}
		if len(seen) != 30 {
			t.Errorf("%+v: %d files, want 30", tt, len(seen))
		}
		got := snap.Summary.Properties
		if got["total-data-files"] != "30" || got["total-records"] != "60" || got["added-records"] != "2" || got["total-delete-files"] != "0" {
			t.Errorf("%+v: summary %v", tt, got)
		}
		wantOffsets(t, tbl, 60)
	}
}
