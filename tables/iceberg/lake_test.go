package iceberg_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	ice "github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

var errStore = errors.New("store went away")

type lake struct {
	items  *tabletest.Items
	store  blob.Store
	cat    *catalog.Catalog
	ice    *catalogtest.Client // iceberg-go, as another writer and reader
	format tables.Format
}

func newLake(store blob.Store, opts iceberg.Options) *lake {
	it := tabletest.NewItems()
	cat := catalog.New(catalog.Config{Items: it, Store: store})
	return &lake{it, store, cat, catalogtest.New(cat, store), iceberg.New(cat, store, opts)}
}

// again is the same lake in another process.
func (l *lake) again(opts iceberg.Options) *lake {
	cat := catalog.New(catalog.Config{Items: l.items, Store: l.store})
	return &lake{l.items, l.store, cat, catalogtest.New(cat, l.store), iceberg.New(cat, l.store, opts)}
}

func (l *lake) open(t testing.TB, s *tables.Schema) tables.Table {
	t.Helper()
	tbl, err := l.format.Open(t.Context(), tables.Spec{Namespace: "default", Name: "orders", Schema: s, Comment: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

// write places a data file with one row for each offset of r.
func (l *lake) write(t testing.TB, tbl tables.Table, s *tables.Schema, name string, r tables.Range) tables.DataFile {
	t.Helper()
	phys, err := tbl.Physical(s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.Encode(phys, []arrow.RecordBatch{tabletest.Rows(phys.Arrow, r)}, parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	df := f.DataFile(s.ID)
	df.Path, df.Ranges = tbl.DataPath(name), []tables.Range{r}
	if err := l.store.Put(t.Context(), df.Path, f.Bytes); err != nil {
		t.Fatal(err)
	}
	return df
}

func upTo(offset int64) tables.Progress {
	return tables.Progress{TopicID: "topic", Incarnation: "1", Offsets: map[int32]int64{0: offset}}
}

// step commits the rows from one offset to another.
func (l *lake) step(t testing.TB, tbl tables.Table, s *tables.Schema, from, to int64) tables.Commit {
	t.Helper()
	c := tables.Commit{ID: fmt.Sprintf("c%d", to), Expect: upTo(from), Progress: upTo(to)}
	if from == 0 {
		c.Expect = tables.Progress{}
	}
	c.Add = []tables.DataFile{l.write(t, tbl, s, fmt.Sprintf("%d-%d.parquet", from, to), tables.Range{From: from, To: to})}
	return c
}

func mustCommit(t testing.TB, tbl tables.Table, c tables.Commit) {
	t.Helper()
	if err := tbl.Commit(t.Context(), c); err != nil {
		t.Fatalf("commit %s: %v", c.ID, err)
	}
}

func offsets(t testing.TB, tbl tables.Table) []int64 {
	t.Helper()
	var out []int64
	for id, err := range tbl.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, id.Offset)
	}
	slices.Sort(out)
	return out
}

func wantOffsets(t testing.TB, tbl tables.Table, n int64) {
	t.Helper()
	got := offsets(t, tbl)
	for i, o := range got {
		if o != int64(i) {
			t.Fatalf("row %d has offset %d: rows are lost or doubled", i, o)
		}
	}
	if int64(len(got)) != n {
		t.Fatalf("%d rows, want %d", len(got), n)
	}
}

func wantProgress(t testing.TB, tbl tables.Table, want tables.Progress) {
	t.Helper()
	if got, err := tbl.Progress(t.Context()); err != nil || !got.Equal(want) {
		t.Fatalf("progress %v, %v; want %v", got, err, want)
	}
}

func liveFiles(t *testing.T, l *lake) map[string]bool {
	t.Helper()
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := it.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, task := range tasks {
		out[task.File.FilePath()] = true
	}
	return out
}

// rewrite replaces all data files by one, as a foreign compaction does.
func rewrite(t *testing.T, l *lake, tbl tables.Table, s *tables.Schema) {
	t.Helper()
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	one := l.write(t, tbl, s, "compacted.parquet", tables.Range{From: 0, To: 40})
	b, err := ice.NewDataFileBuilder(*ice.UnpartitionedSpec, ice.EntryContentData, l.store.URL(one.Path),
		ice.ParquetFile, nil, nil, nil, one.Rows, one.Size)
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := it.Scan().PlanFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var gone []ice.DataFile
	for _, task := range tasks {
		gone = append(gone, task.File)
	}
	tx := it.NewTransaction()
	if err := tx.ReplaceDataFilesWithDataFiles(t.Context(), gone, []ice.DataFile{b.Build()}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustFS(t *testing.T, it *table.Table) iceio.IO {
	t.Helper()
	fs, err := it.FS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return fs
}
