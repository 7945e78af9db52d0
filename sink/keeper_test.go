package sink_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// many makes small files: n flushes with a record each, of both partitions, and
// a dead letter with every fifth.
func (w *world) many(id, n int) (rows, letters int64) {
	w.t.Helper()
	for i := range n {
		if i%5 == 4 {
			w.produce(int32(i%2), []byte("no record"))
			letters++
		}
		w.produce(int32(i%2), order(id, int64(i), "x"))
		rows++
		w.flush()
	}
	return rows, letters
}

// files counts the live files of a format's main table.
func (w *world) files(format string) int {
	w.t.Helper()
	all, err := w.manager.Files(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range all {
		if t.Format == format && t.Table == "orders" {
			return len(t.Files)
		}
	}
	return 0
}

// TestCompactNow merges by hand, between commits and with letters, and wants the
// tables to be what they were but for their files.
func TestCompactNow(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	rows, letters := w.many(id, 12)
	done, err := w.manager.Compact(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		if n := w.files(format); n != 1 {
			t.Errorf("%s has %d files, want 1", format, n)
		}
		if k := done[format]; k.Merged != int(rows+letters) || k.Made != 2 {
			t.Errorf("%s: %+v, want %d files merged into 2", format, k, rows+letters)
		}
	}
	w.check(rows, letters)
	more, dead := w.many(id, 3)
	w.check(rows+more, letters+dead)
	if _, err := w.manager.Expire(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	w.check(rows+more, letters+dead)
	history, err := w.manager.History(t.Context(), "orders")
	if err != nil || len(history) != 6 || !history[0].Versions[0].Current {
		t.Errorf("history of %d tables, %v; want 6", len(history), err)
	}
	st, err := w.manager.Status(t.Context(), "orders")
	if err != nil || st.Formats[0].Kept.Merged != int(rows+letters) || st.Formats[0].Kept.AtMs == 0 {
		t.Errorf("status says %+v, %v", st.Formats[0].Kept, err)
	}
	// A new process sees the same.
	w.halt()
	w.run()
	w.verify(rows+more, letters+dead)
	w.noPending()
}

// TestNoStates: a table that has only dead letters beside it has a list of states, and of
// files, that is empty and not null as JSON.
func TestNoStates(t *testing.T) {
	w := newWorld(t)
	w.register("orders-value", orderV1)
	w.run()
	w.produce(0, []byte("no record"))
	w.flush()
	history, err := w.manager.History(t.Context(), "orders")
	files, err2 := w.manager.Files(t.Context(), "orders")
	text, err3 := json.Marshal([]any{history, files})
	if err != nil || err2 != nil || err3 != nil || len(history) == 0 || len(files) == 0 || strings.Contains(string(text), "null") {
		t.Errorf("got %s, %v, %v, %v", text, err, err2, err3)
	}
}

// TestKeeperByItself has the keeper run behind commits that go on.
func TestKeeperByItself(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Compact = sink.CompactAuto
	id := w.register("orders-value", orderV1)
	cfg := w.config()
	cfg.KeepEvery = time.Millisecond
	w.manager, w.stop = w.startWith(cfg)
	rows := int64(0)
	for merged := 0; merged == 0; {
		more, _ := w.many(id, 4)
		rows += more
		st, err := w.manager.Status(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		if st.Formats[0].Kept.Merged > 0 {
			merged = st.Formats[1].Kept.Merged
		}
		if k := st.Formats[2].Kept.Merged; k != 0 {
			t.Fatalf("plain Parquet: %d files merged without being asked to", k)
		}
	}
	w.check(rows, 0)
	w.halt()
	w.run()
	w.verify(rows, 0)
}

// TestKeeperFaults cuts maintenance off at every write that it does, each way,
// as a fault and as a crash, while commits go on: nothing is lost or doubled,
// and what was left behind is swept.
func TestKeeperFaults(t *testing.T) {
	for _, crash := range []bool{false, true} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprintf("crash=%v/before=%v", crash, before), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.level = 12
				id := w.register("orders-value", orderV1)
				w.run()
				rows, letters := int64(0), int64(0)
				for n := 0; ; n++ {
					more, dead := w.many(id, 2)
					rows, letters = rows+more, letters+dead
					w.fuse.arm(n, before, crash)
					_, cerr := w.manager.Compact(t.Context(), "orders")
					_, eerr := w.manager.Expire(t.Context(), "orders")
					blown := w.fuse.heal()
					if blown == "" && (cerr != nil || eerr != nil) {
						t.Fatalf("maintenance without a fault: %v, %v", cerr, eerr)
					}
					if crash {
						w.halt()
						w.run()
					}
					w.flushOn()
					w.check(rows, letters)
					if blown == "" {
						break
					}
					// So that the next round has no more to do than this one.
					if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
						t.Fatalf("after %s: %v", blown, err)
					}
				}
				w.check(rows, letters)
				w.noPending()
			})
		}
	}
}

// TestRetentionOfRows drops whole files whose rows are past their time, and
// nothing else; verify tells them from gaps.
func TestRetentionOfRows(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.many(id, 6) // records of 2023
	fresh := func(i int64) {
		b := record.NewBuilder(record.Options{})
		b.Append(time.Now().UnixMilli(), []byte("k"), order(id, i, "fresh"))
		w.append(0, b)
		w.flush()
	}
	fresh(100)
	w.alter(func(t *sink.Topic) { t.Retention = time.Hour })
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	want := func(rows, expired int64) {
		t.Helper()
		r, err := w.manager.Verify(t.Context(), "orders")
		if err != nil || r.Verdict != sink.VerdictOK {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, f := range r.Formats {
			if f.Rows != rows || f.DeadLetters != 0 || f.Expired != expired {
				t.Errorf("%s: %d rows, %d letters, %d expired; want %d, 0, %d", f.Format, f.Rows, f.DeadLetters, f.Expired, rows, expired)
			}
		}
	}
	want(1, 7)
	fresh(101)
	want(2, 7)
	w.alter(func(t *sink.Topic) { t.Retention = 0 })
	w.many(id, 1)
	want(3, 7) // what is gone stays known as such
}

// TestSweepLeavesPending has files wait for a table that takes no commits, for
// longer than the age guard: they are not swept.
func TestSweepLeavesPending(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	m := &mishap{op: "commit", err: errFault, times: -1}
	w.wrap = func(f tables.Format) tables.Format {
		if f.Name() != "iceberg" {
			return f
		}
		return clumsyFormat{f, m}
	}
	w.topics[0].OrphanAge = time.Nanosecond
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range int64(3) {
		w.produce(0, order(id, i, "x"))
		_, _ = w.manager.Flush(t.Context(), "orders")
	}
	orphan := strings.Replace(w.anyFile("delta"), "data-", "gone-", 1)
	if err := w.store.Copy(t.Context(), w.anyFile("delta"), orphan); err != nil {
		t.Fatal(err)
	}
	if _, err := w.manager.Expire(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Get(t.Context(), orphan); err == nil {
		t.Errorf("%s is still there", orphan)
	}
	m.mu.Lock()
	m.times = 0
	m.mu.Unlock()
	w.flushOn()
	w.check(3, 0)
	w.noPending()
}

// anyFile is the key of a data file of a format.
func (w *world) anyFile(format string) string {
	w.t.Helper()
	for info, err := range w.store.List(w.t.Context(), "default/orders/"+format+"/data-") {
		if err != nil {
			w.t.Fatal(err)
		}
		return info.Key
	}
	w.t.Fatalf("%s has no data file", format)
	return ""
}
