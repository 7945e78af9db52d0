package delta

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/maintenance"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// TestExpire looks at a table's folder while time passes: what was replaced
// stays for as long as a state names it, and then goes, with the log below.
func TestExpire(t *testing.T) {
	store := blob.NewMemory()
	now := time.Now()
	table, err := New(store, Config{CheckpointEvery: 5, MinHistory: time.Minute, Now: func() time.Time { return now }}).
		Open(t.Context(), tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...)))
	if err != nil {
		t.Fatal(err)
	}
	m := table.(tables.Maintainer)
	at := tables.Progress{}
	commit := func() {
		t.Helper()
		n := at.Offsets[0]
		name := fmt.Sprintf("c%d", n)
		c := tabletest.Next(at, name, tabletest.Write(t, store, table, name, tables.Range{From: n, To: n + 1}))
		if err := table.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		at = c.Progress
	}
	for range 10 {
		commit()
	}
	live, err := m.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := maintenance.Merge(t.Context(), store, m, live); err != nil {
		t.Fatal(err)
	}
	count := func(part string) (n int) {
		t.Helper()
		for info, err := range store.List(t.Context(), "ns/orders/delta/") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(info.Key, part) && !strings.Contains(info.Key, "/compact-") {
				n++
			}
		}
		return n
	}
	expire := func(k tables.Keep, files, versions int) {
		t.Helper()
		e, err := m.Expire(t.Context(), k)
		if err != nil || e.Files != files || e.Versions != versions {
			t.Errorf("expired %+v, %v; want %d files and %d versions", e, err, files, versions)
		}
	}
	expire(tables.Keep{Age: time.Hour, Max: 1}, 0, 0) // too young whatever Max says
	now = now.Add(2 * time.Minute)
	expire(tables.Keep{Age: time.Hour, Max: 500}, 0, 0)
	if n := count("/c"); n != 10 {
		t.Errorf("%d files of commits are there, want 10", n)
	}
	// All versions are older than this. Those below the newest checkpoint, 9, go.
	expire(tables.Keep{Age: time.Minute}, 10, 9)
	if n := count("/c"); n != 0 {
		t.Errorf("%d files of commits are there, want none", n)
	}
	if n := count("_delta_log/000"); n != 4 { // 9.checkpoint.parquet and versions 9 to 11
		t.Errorf("%d log files, want 4", n)
	}
	commit()
	again, err := New(store, Config{}).Open(t.Context(), tabletest.Spec(nil))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := tabletest.ReadRows(t.Context(), again)
	if err != nil || len(rows) != 11 {
		t.Errorf("%d rows, %v; want 11", len(rows), err)
	}
	if p, err := again.Progress(t.Context()); err != nil || !p.Equal(at) {
		t.Errorf("progress %v, %v; want %v", p, err, at)
	}
}

// TestLandedAfterOptimize: a file that somebody has replaced has landed, for as
// long as its removal is remembered, past checkpoints too.
func TestLandedAfterOptimize(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 2})
	commitRows(t, store, table, 1)
	commitRows(t, store, table, 1)
	live, err := table.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := maintenance.Merge(t.Context(), store, table, live); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		commitRows(t, store, table, 1)
	}
	for name, at := range map[string]tables.Table{"same": table, "reopened": open(t, store, Config{})} {
		if landed, err := at.Landed(t.Context(), "c", live[0].Key); err != nil || !landed {
			t.Errorf("%s table: landed %v, %v; want true", name, landed, err)
		}
	}
}
