package sqlite

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// TestBatchesView holds what SQL reads out of directories against what the
// engine yields, over every layout that merging, cutting and trimming makes.
func TestBatchesView(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := open(t, path)
	db := plain(t, path)
	defer db.Close()
	logs := []storage.TP{tp0, tpOf(1), tpOf(300)}
	check := func(when string) {
		t.Helper()
		for _, tp := range logs {
			want := []string{}
			for h, err := range e.Index(t.Context(), tp, 0) {
				if err != nil {
					t.Fatalf("Index: %v", err)
				}
				want = append(want, describe(h))
			}
			if got := viewed(t, db, tp); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: got %v, want %v", when, tp, got, want)
			}
		}
	}
	for i := range int64(40) {
		mustCommit(t, e, storage.Write{Append: []storage.Append{
			appendAt(logs[0], i, 200+int(i)*90).Append[0], appendAt(logs[1], i, 300).Append[0], appendAt(logs[2], i, 70000).Append[0]}})
	}
	check("as appended")
	var wide storage.Write // more runs in a chunk than one byte counts
	for n := range 150 {
		wide.Append = append(wide.Append, appendAt(tpOf(1000+n), 0, 100).Append[0])
	}
	mustCommit(t, e, wide)
	logs = append(logs, tpOf(1000), tpOf(1149))
	check("many runs")
	mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: logs[0], Start: 7}, {TP: logs[2], Start: 40}}})
	check("trimmed")
	if err := e.do(func() error { return e.merge(thin) }); err != nil {
		t.Fatalf("merge: %v", err)
	}
	check("merged")
	tidyUp(t, e)
	check("tidied up")
}

func describe(h record.Header) string {
	return fmt.Sprint(h.BaseOffset, h.LastOffset(), h.Count, h.Size(), h.BaseTimestamp, h.MaxTimestamp)
}

func viewed(t *testing.T, db *sql.DB, tp storage.TP) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `select base_offset, last_offset, records, bytes, timestamp_ms, max_timestamp_ms
		from batches where topic = ? and partition = ?`, tp.Topic.String(), tp.Partition)
	if err != nil {
		t.Fatalf("batches: %v", err)
	}
	defer rows.Close()
	got := []string{}
	for rows.Next() {
		var v [6]int64
		if err := rows.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5]); err != nil {
			t.Fatalf("batches: %v", err)
		}
		got = append(got, fmt.Sprint(v[0], v[1], v[2], v[3], v[4], v[5]))
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("batches: %v", err)
	}
	return got
}

// TestViewsAreRenewed opens a store whose views are another version's.
func TestViewsAreRenewed(t *testing.T) {
	path := filled(t)
	edit(t, path, "drop view batches", "drop view items", "create view items as select 1 as one", "create view mine as select 2 as two")
	cfg := Config{Path: path, Views: []View{{"answers", "select 42 as answer"}}}
	for range 2 {
		e := openWith(t, cfg)
		db := plain(t, path)
		for q, want := range map[string]int{
			"select count(*) from batches": 6, "select count(*) from items": 1,
			"select two from mine": 2, "select answer from answers": 42,
		} {
			var got int
			if err := db.QueryRowContext(t.Context(), q).Scan(&got); err != nil || got != want {
				t.Errorf("%s: got %d, %v; want %d", q, got, err, want)
			}
		}
		db.Close()
		if err := e.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}
