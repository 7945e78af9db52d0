package iceberg_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	ice "github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// merge merges all small files and returns the snapshot that it made.
func merge(t *testing.T, l *lake, tbl tables.Table) int64 {
	t.Helper()
	m := tbl.(tables.Maintainer)
	live, err := m.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range maintenance.Plan(live, 64<<20, true) {
		if _, err := maintenance.Merge(t.Context(), l.store, m, g); err != nil {
			t.Fatal(err)
		}
	}
	return theirs(t, l).CurrentSnapshot().SnapshotID
}

func theirs(t *testing.T, l *lake) *table.Table {
	t.Helper()
	it, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"})
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// TestRollbackToMerged rolls a table back to a snapshot of maintenance, when
// those of the commits before it have expired: how far its rows reach is still
// known.
func TestRollbackToMerged(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	for i := range int64(4) {
		mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
	}
	merged := merge(t, l, tbl)
	wantProgress(t, tbl, upTo(40))
	mustCommit(t, tbl, l.step(t, tbl, s, 40, 50))
	expire(t, l, func(id string) bool { return id != "" && id != "c50" })
	wantProgress(t, tbl, upTo(50))
	wantOffsets(t, tbl, 50)
	back := func() {
		t.Helper()
		_, _, err := l.ice.CommitTable(t.Context(), table.Identifier{"default", "orders"}, nil,
			[]table.Update{table.NewSetSnapshotRefUpdate("main", merged, table.BranchRef, 0, 0, 0)})
		if err != nil {
			t.Fatal(err)
		}
	}
	back()
	var rb *tables.RolledBack
	if _, err := tbl.Progress(t.Context()); !errors.As(err, &rb) || !rb.Rows.Equal(upTo(40)) {
		t.Fatalf("progress: %v (%+v), want rolled back to 40", err, rb)
	}
	if err := tbl.(tables.Maintainer).Replace(t.Context(), tables.Replacement{ID: "x"}); !errors.Is(err, tables.ErrRolledBack) {
		t.Errorf("maintenance of a table that was rolled back: %v, want ErrRolledBack", err)
	}
	c := l.step(t, tbl, s, 40, 60)
	mustCommit(t, tbl, c)
	wantProgress(t, tbl, upTo(60))
	wantOffsets(t, tbl, 60)
}

// TestMergeReadsElsewhere has iceberg-go read what was merged, and others change
// the table between two merges.
func TestMergeReadsElsewhere(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.AllFields()...)
	tbl := l.open(t, s)
	want := func(rows, files int64) {
		t.Helper()
		wantOffsets(t, tbl, rows)
		it := theirs(t, l)
		for n, filter := range map[int64]ice.BooleanExpression{
			rows:     ice.AlwaysTrue{},
			rows - 7: ice.GreaterThanEqual(ice.Reference("kafka_offset"), int64(7)),
		} {
			got, err := it.Scan(table.WithRowFilter(filter)).ToArrowTable(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.NumRows() != n {
				t.Errorf("%v: %d rows, want %d", filter, got.NumRows(), n)
			}
			got.Release()
		}
		st, err := tbl.Status(t.Context())
		if err != nil || st.Rows != rows || st.Files != files {
			t.Errorf("status %+v, %v; want %d rows in %d files", st, err, rows, files)
		}
	}
	for i := range int64(4) {
		mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
	}
	merge(t, l, tbl)
	want(40, 1)
	mustCommit(t, tbl, l.step(t, tbl, s, 40, 50))
	rewriteAll(t, l, tbl, s, 50) // somebody else's compaction
	want(50, 1)
	mustCommit(t, tbl, l.step(t, tbl, s, 50, 60))
	merge(t, l, tbl)
	want(60, 1)
	expire(t, l, func(string) bool { return true }) // and their expiry
	mustCommit(t, tbl, l.step(t, tbl, s, 60, 70))
	want(70, 2)
}

// rewriteAll has another writer put one file in the place of all.
func rewriteAll(t *testing.T, l *lake, tbl tables.Table, s *tables.Schema, to int64) {
	t.Helper()
	one := l.write(t, tbl, s, fmt.Sprintf("theirs-%d.parquet", to), tables.Range{From: 0, To: to})
	b, err := ice.NewDataFileBuilder(*ice.UnpartitionedSpec, ice.EntryContentData, l.store.URL(one.Path),
		ice.ParquetFile, nil, nil, nil, one.Rows, one.Size)
	if err != nil {
		t.Fatal(err)
	}
	it := theirs(t, l)
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

// TestForeignCommitInBetween changes a property of the table right before each
// of our commits and merges is decided: both go through by themselves.
func TestForeignCommitInBetween(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	n := 0
	disturb := func() {
		done := false
		l.items.Fail = func([]tables.Item) (error, error) {
			if !done {
				done = true
				n++
				_, _, err := l.again(iceberg.Options{}).cat.CommitTable(t.Context(), catalog.Identifier{"default", "orders"}, nil,
					[]metadata.Update{{Action: metadata.SetProperties, Updates: ice.Properties{"theirs": fmt.Sprint(n)}}})
				if err != nil {
					t.Error(err)
				}
			}
			return nil, nil
		}
	}
	for i := range int64(3) {
		c := l.step(t, tbl, s, i*10, i*10+10)
		disturb()
		mustCommit(t, tbl, c)
	}
	disturb()
	merge(t, l, tbl)
	wantProgress(t, tbl, upTo(30))
	wantOffsets(t, tbl, 30)
	if n != 4 {
		t.Errorf("%d foreign commits, want 4", n)
	}
}

// TestKeptExpiry: with somebody who calls Expire, commits expire nothing until
// there are twice too many.
func TestKeptExpiry(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{Kept: true, ExpireEvery: 1, KeepLast: 1, KeepFor: 1, MaxSnapshots: 1})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	snapshots := func() int {
		t.Helper()
		st, err := tbl.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st.Snapshots
	}
	at := int64(0)
	grow := func(n int) {
		t.Helper()
		for range n {
			mustCommit(t, tbl, l.step(t, tbl, s, at, at+1))
			at++
		}
	}
	if grow(12); snapshots() != 12 {
		t.Errorf("%d snapshots, want all 12", snapshots())
	}
	e, err := tbl.(tables.Maintainer).Expire(t.Context(), tables.Keep{Age: time.Hour, Last: 1, Max: 5})
	if err != nil || e.Versions != 7 || snapshots() != 5 {
		t.Errorf("%+v, %v, %d snapshots; want 7 gone and 5 left", e, err, snapshots())
	}
	if grow(5); snapshots() != 10 {
		t.Errorf("%d snapshots, want 10", snapshots())
	}
	if grow(1); snapshots() != 5 {
		t.Errorf("%d snapshots, want 5: the bound holds without a keeper", snapshots())
	}
	wantOffsets(t, tbl, at)
}
