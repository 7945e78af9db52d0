package delta

import (
	"fmt"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// TestForeignAppends lets others bring rows and take some away: the status names
// them, before and after the log that says so is cleaned up, and maintenance is
// none of it.
func TestForeignAppends(t *testing.T) {
	store := blob.NewMemory()
	table := open(t, store, Config{CheckpointEvery: 4})
	commitRows(t, store, table, 5)
	told := func(table tables.Table, commits int64, version, operation string) {
		t.Helper()
		st, err := table.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := tables.Foreign{}
		if st.Foreign != nil {
			got = *st.Foreign
		}
		if got.Commits != commits || got.Version != version || got.Operation != operation || (got.TimeMs != 0) != (commits > 0) {
			t.Errorf("told of %+v, want %d commits, the last %s %s", got, commits, version, operation)
		}
	}
	if err := store.Copy(t.Context(), table.DataPath("c0"), table.DataPath("theirs")); err != nil {
		t.Fatal(err)
	}
	size, nowMs := table.state.adds[0].Size, time.Now().UnixMilli()
	write := func(v int64, operation, actions string) {
		foreign(t, store, v, fmt.Sprintf(`{"commitInfo":{"timestamp":%d,"operation":%q,"engineInfo":"delta-rs:1.2"}}`+"\n%s\n", nowMs+v, operation, actions))
	}
	add := func(path string, change bool) string {
		return fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":%d,"dataChange":%v,"stats":"{\"numRecords\":5}"}}`, path, size, nowMs, change)
	}
	told(table, 0, "", "")
	write(2, "OPTIMIZE", add("c0.parquet", false))
	told(table, 0, "", "")
	write(3, "WRITE", add("theirs.parquet", true))
	told(table, 1, "3", "WRITE")
	told(open(t, store, Config{}), 1, "3", "WRITE")
	write(4, "DELETE", fmt.Sprintf(`{"remove":{"path":"theirs.parquet","deletionTimestamp":%d,"dataChange":true}}`, nowMs))
	told(table, 2, "4", "DELETE")
	commitRows(t, store, table, 1) // version 5, and a checkpoint
	told(open(t, store, Config{}), 2, "4", "")
	if err := store.Delete(t.Context(), version(0), version(1), version(2), version(3), version(4)); err != nil {
		t.Fatal(err)
	}
	commitRows(t, store, table, 1)
	told(table, 2, "4", "DELETE")
	again := open(t, store, Config{})
	told(again, 2, "4", "")
	write(7, "RESTORE", add("theirs.parquet", true))
	told(again, 3, "7", "RESTORE")
	if got := count(t, again); got != 12 {
		t.Errorf("%d rows, want 12", got)
	}
}

// TestForeignBehindCheckpoint lets others write a checkpoint behind a version of
// theirs, before we have looked.
func TestForeignBehindCheckpoint(t *testing.T) {
	store := blob.NewMemory()
	table, other := open(t, store, Config{CheckpointEvery: 100}), open(t, store, Config{CheckpointEvery: 1})
	commitRows(t, store, table, 5)
	if err := store.Copy(t.Context(), table.DataPath("c0"), table.DataPath("theirs")); err != nil {
		t.Fatal(err)
	}
	foreign(t, store, 2, fmt.Sprintf(`{"commitInfo":{"timestamp":1,"operation":"WRITE"}}
{"add":{"path":"theirs.parquet","partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}
`, table.state.adds[0].Size))
	if _, err := other.Progress(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.state.foreign = outsiders{} // a writer that keeps no count
	if err := other.checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	foreign(t, store, 3, `{"commitInfo":{"timestamp":2,"operation":"OPTIMIZE"}}`+"\n")
	st, err := table.Status(t.Context())
	if err != nil || st.Foreign == nil || st.Foreign.Commits != 1 || st.Foreign.Version != "2" {
		t.Errorf("told of %+v, %v, want version 2", st.Foreign, err)
	}
}
