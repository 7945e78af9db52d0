package iceberg_test

import (
	"slices"
	"testing"

	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// TestLandedBehindForeignRewrite has somebody rewrite the table and expire
// snapshots: the file of a commit has landed for as long as any snapshot names
// it, be it not the commit's own and not the current one.
func TestLandedBehindForeignRewrite(t *testing.T) {
	l := newLake(blob.NewMemory(), iceberg.Options{})
	s := tabletest.Schema(t, tabletest.SmallFields()...)
	tbl := l.open(t, s)
	for i := range int64(4) {
		mustCommit(t, tbl, l.step(t, tbl, s, i*10, i*10+10))
	}
	rewrite(t, l, tbl, s)
	mustCommit(t, tbl, l.step(t, tbl, s, 40, 50))
	landed := func(id, name string, want bool) {
		t.Helper()
		if got, err := tbl.Landed(t.Context(), id, tbl.DataPath(name)); err != nil || got != want {
			t.Errorf("file %s of commit %s landed: %v, %v; want %v", name, id, got, err, want)
		}
	}
	landed("c20", "10-20.parquet", true)
	// Only the commit's own snapshot goes: two others before the rewrite stay.
	expire(t, l, func(id string) bool { return id == "c20" })
	landed("c20", "10-20.parquet", true)
	landed("never", "other.parquet", false)
	landed("c50", "40-50.parquet", true)
	expire(t, l, func(id string) bool { return id == "c50" })
	// Then all that came before the rewrite: nothing names the file any more
	// but the rewrite itself, as one that it removed.
	expire(t, l, func(id string) bool { return slices.Contains([]string{"c10", "c30", "c40"}, id) })
	landed("c20", "10-20.parquet", true)
	// And that too. What is left are the rows, in other files.
	expire(t, l, func(id string) bool { return id == "" })
	landed("c20", "10-20.parquet", false)
	wantOffsets(t, tbl, 50)
}

// expire removes the snapshots whose commit id is gone, but for the current
// one, as a foreign expiry would.
func expire(t *testing.T, l *lake, gone func(commit string) bool) {
	t.Helper()
	ident := catalog.Identifier{"default", "orders"}
	now, err := l.cat.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, snap := range now.Metadata.Snapshots {
		if snap != now.Metadata.Current() && gone(snap.Summary["tarn.commit-id"]) {
			ids = append(ids, snap.ID)
		}
	}
	if len(ids) == 0 {
		return
	}
	if _, _, err := l.cat.CommitTable(t.Context(), ident, nil,
		[]metadata.Update{{Action: metadata.RemoveSnapshots, SnapshotIDs: ids}}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.ice.LoadTable(t.Context(), table.Identifier{"default", "orders"}); err != nil {
		t.Fatal(err)
	}
}
