package delta

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// restore writes a RESTORE, as another engine would, that takes files out and
// brings others back.
func restore(t *testing.T, store blob.Store, v int64, remove, add []string, size int64) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `{"commitInfo":{"timestamp":%d,"operation":"RESTORE","operationParameters":{},"engineInfo":"delta-rs:1.2"}}`+"\n", v)
	for _, name := range remove {
		fmt.Fprintf(&b, `{"remove":{"path":"%s.parquet","deletionTimestamp":%d,"dataChange":true}}`+"\n", name, v)
	}
	for _, name := range add {
		fmt.Fprintf(&b, `{"add":{"path":"%s.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", name, size)
	}
	foreign(t, store, v, b.String())
}

// at wants the progress of the table, of a writer that has it open and of one that
// opens it now. back is how far the rows of one that was set back reach, -1 if it
// was not.
func at(t *testing.T, store blob.Store, table *table, offset, back int64) {
	t.Helper()
	for who, table := range map[string]tables.Table{"open": table, "opened": open(t, store, Config{})} {
		p, err := table.Progress(t.Context())
		var rb *tables.RolledBack
		switch {
		case back < 0 && (err != nil || p.Offsets[0] != offset):
			t.Errorf("%s: at %v, %v; want offset %d", who, p, err, offset)
		case back >= 0 && (!errors.As(err, &rb) || !errors.Is(err, tables.ErrRolledBack) || rb.Rows.Offsets[0] != back):
			t.Errorf("%s: at %v, %v (%+v); want it set back to offset %d", who, p, err, rb, back)
		}
	}
}

// TestSetBack has others RESTORE the table: past rows of ours it is refused, by
// those who have it open and those who open it, until another RESTORE undoes that.
func TestSetBack(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 100})
	for range 3 {
		commitRows(t, store, table, 5) // versions 1 to 3
	}
	size := table.state.adds[0].Size
	restore(t, store, 4, []string{"c5", "c10"}, nil, size)
	at(t, store, table, 0, 5)
	_, err := table.Progress(t.Context())
	if err == nil || !strings.Contains(err.Error(), "RESTORE in version 4") || !strings.Contains(err.Error(), "to version 1;") || !strings.Contains(err.Error(), "RESTORE to version 3 ") {
		t.Errorf("%v: want who set it back, and what brings it forward", err)
	}
	add := tabletest.Write(t, store, table, "more", tables.Range{From: 15, To: 20})
	if err := table.Commit(t.Context(), tabletest.Next(table.state.progress, "more", add)); !errors.Is(err, tables.ErrConflict) {
		t.Errorf("commit as if nothing had happened: %v, want ErrConflict", err)
	}
	if err := table.Replace(t.Context(), tables.Replacement{ID: "x"}); !errors.Is(err, tables.ErrRolledBack) {
		t.Errorf("maintenance: %v, want ErrRolledBack", err)
	}
	foreign(t, store, 5, `{"commitInfo":{"timestamp":5,"operation":"OPTIMIZE"}}`+"\n")
	restore(t, store, 6, nil, []string{"c5"}, size) // to version 2: still behind
	at(t, store, table, 0, 10)
	restore(t, store, 7, []string{"c5"}, nil, size) // undone: to version 5
	at(t, store, table, 0, 5)
	restore(t, store, 8, nil, []string{"c5", "c10"}, size)
	at(t, store, table, 15, -1)
	commitRows(t, store, table, 1)
	at(t, store, table, 16, -1)
	if got := count(t, table); got != 16 {
		t.Errorf("%d rows, want 16", got)
	}
}

// TestSetBackResumed commits from where the rows of a table reach that was set
// back: that is how far the table is then.
func TestSetBackResumed(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 2})
	for range 3 {
		commitRows(t, store, table, 5)
	}
	restore(t, store, 4, []string{"c5", "c10"}, nil, table.state.adds[0].Size)
	_, err := table.Progress(t.Context())
	var rb *tables.RolledBack
	if !errors.As(err, &rb) {
		t.Fatalf("progress: %v, want ErrRolledBack", err)
	}
	add := tabletest.Write(t, store, table, "again", tables.Range{From: 5, To: 20})
	if err := table.Commit(t.Context(), tabletest.Next(rb.Rows, "again", add)); err != nil {
		t.Fatal(err)
	}
	at(t, store, table, 20, -1)
	if got := count(t, table); got != 20 {
		t.Errorf("%d rows, want 20", got)
	}
}

// TestSetBackHarmless has others RESTORE what took away nothing of ours, and what
// the log does not tell any more.
func TestSetBackHarmless(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 100})
	commitRows(t, store, table, 5) // 1
	size := table.state.adds[0].Size
	for _, name := range []string{"theirs", "merged"} {
		if err := store.Copy(t.Context(), table.DataPath("c0"), table.DataPath(name)); err != nil {
			t.Fatal(err)
		}
	}
	foreign(t, store, 2, fmt.Sprintf(`{"commitInfo":{"timestamp":2,"operation":"WRITE"}}
{"add":{"path":"theirs.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}
`, size))
	restore(t, store, 3, []string{"theirs"}, nil, size)
	at(t, store, table, 5, -1)
	foreign(t, store, 4, fmt.Sprintf(`{"commitInfo":{"timestamp":4,"operation":"OPTIMIZE"}}
{"remove":{"path":"c0.parquet","deletionTimestamp":4,"dataChange":false}}
{"add":{"path":"merged.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":false}}
`, size))
	restore(t, store, 5, []string{"merged"}, []string{"c0"}, size)
	at(t, store, table, 5, -1)
	commitRows(t, store, table, 5) // 6
	commitRows(t, store, table, 5) // 7
	if err := table.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	restore(t, store, 8, []string{"c5", "c10"}, nil, size)
	if err := store.Delete(t.Context(), version(0), version(1), version(2), version(3), version(4), version(5), version(6)); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, store, Config{}).Progress(t.Context())
	if !errors.Is(err, tables.ErrRolledBack) || !strings.Contains(err.Error(), "no longer has") {
		t.Errorf("a version that the log no longer has: %v, want ErrRolledBack", err)
	}
}
