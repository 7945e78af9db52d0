package sink_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/layout"
)

// cutRebuild has a rebuild die at a write, and starts a new process.
func (w *world) cutRebuild(match string, before bool) {
	w.t.Helper()
	w.fuse.armAt(match, before, true)
	_, err := w.manager.Rebuild(w.t.Context(), "orders", false)
	w.halt()
	if w.fuse.heal() == "" || err == nil {
		w.t.Fatalf("the rebuild met no fault at %q: %v", match, err)
	}
	w.run()
}

// holds expects every format to have rows and letters, and to be in order.
func (w *world) holds(want map[string][2]int64) {
	w.t.Helper()
	r, err := w.manager.Verify(w.t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictOK {
		w.t.Fatalf("verification: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		if got := [2]int64{f.Rows, f.DeadLetters}; got != want[f.Format] {
			w.t.Errorf("%s: rows and letters %v, want %v", f.Format, got, want[f.Format])
		}
		if got := len(w.rowIDs(f.Format)); int64(got) != f.Rows+f.DeadLetters {
			w.t.Errorf("%s: audit finds %d records, want %d", f.Format, got, f.Rows+f.DeadLetters)
		}
	}
}

// noRebuild expects that nothing of a rebuild is stored.
func (w *world) noRebuild() {
	w.t.Helper()
	for it, err := range w.items.Scan(w.t.Context(), fmt.Sprintf("sink/%s/rebuild/", orders)) {
		w.t.Errorf("left of a rebuild: %s, %v", it.Key, err)
	}
}

// dataFiles counts the files of rows in the store, whether a table names them or
// not.
func (w *world) dataFiles() (n int) {
	w.t.Helper()
	for info, err := range w.store.List(w.t.Context(), "default/") {
		if err != nil {
			w.t.Fatal(err)
		}
		if kindOf(info.Key) == "data" {
			n++
		}
	}
	return n
}

// TestRebuildAborted gives a rebuild up that was cut off: its files and what is
// stored of it go, the tables stay, and it can be begun again.
func TestRebuildAborted(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	rebuildable(w, "iceberg", "delta")
	if done, err := w.manager.AbortRebuild(t.Context(), "orders"); err != nil || len(done) > 0 {
		t.Errorf("without a rebuild: %v, %v", done, err)
	}
	before := w.dataFiles()
	w.fuse.armNth("data-", 3, true, false)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	w.fuse.heal()
	if st, err := w.manager.Status(t.Context(), "orders"); err != nil || st.Formats[0].Rebuild == nil || w.dataFiles() == before {
		t.Fatalf("%+v, %v: no rebuild was cut off", st, err)
	}
	done, err := w.manager.AbortRebuild(t.Context(), "orders")
	if d := done["iceberg"]; err != nil || len(done) != 1 || !d.Aborted || d.Done || d.Pieces == 0 {
		t.Errorf("aborted: %+v, %v", done, err)
	}
	w.noRebuild()
	if got := w.dataFiles(); got != before {
		t.Errorf("%d files of rows, want %d as before", got, before)
	}
	w.check(4, 5)
	w.produce(1, order(1, 8, "encore"))
	w.verify(5, 5)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.check(8, 2)
}

// TestRebuildAbortedCrashes lets the process die at every write of an abort, each
// way, of rebuilds that died before, at several points.
func TestRebuildAbortedCrashes(t *testing.T) {
	old, anew := [2]int64{4, 5}, [2]int64{7, 2}
	for _, tt := range []struct {
		name, match    string
		before         bool
		iceberg, delta [2]int64
	}{
		{"pieces of the first", "rebuild/iceberg/piece/0000000003", false, old, old},
		{"pieces of the second", "rebuild/delta/piece/0000000002", false, anew, old},
		{"exchange not done", "orders/delta/_delta_log", true, anew, old},
		{"exchange done", "orders/delta/_delta_log", false, anew, anew},
	} {
		for n := 0; ; n += pace {
			more := false
			for _, before := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%d/before=%v", tt.name, n, before), func(t *testing.T) {
					w := newWorld(t)
					w.level = 12
					rebuildable(w, "iceberg", "delta")
					w.cutRebuild(tt.match, tt.before)
					w.flush()
					w.fuse.arm(n, before, true)
					_, err := w.manager.AbortRebuild(t.Context(), "orders")
					w.halt()
					if blown := w.fuse.heal(); blown != "" {
						more = true
					} else if err != nil {
						t.Error(err)
					}
					w.run()
					w.flushOn()
					if _, err := w.manager.AbortRebuild(t.Context(), "orders"); err != nil {
						t.Fatal(err)
					}
					w.noRebuild()
					w.holds(map[string][2]int64{"iceberg": tt.iceberg, "delta": tt.delta})
					w.produce(0, order(1, 9, "encore"))
					w.flush()
					if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
						t.Fatal(err)
					}
					w.check(8, 2)
				})
			}
			if t.Failed() || !more {
				break
			}
		}
	}
}

// TestRebuildAbortedMeanwhile gives a rebuild up that is at work: who asked for it
// hears of it, and it does not begin again.
func TestRebuildAbortedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"delta"}
	id := w.register("orders-value", orderV1)
	var many [][]byte
	for i := range int64(300) {
		many = append(many, order(id, i, "many"))
	}
	w.produce(0, many...)
	w.run()
	w.verify(300, 0)
	w.alter(func(topic *sink.Topic) { topic.CommitRows = 1 })
	rebuilt := make(chan error, 1)
	go func() {
		_, err := w.manager.Rebuild(t.Context(), "orders", false)
		rebuilt <- err
	}()
	for {
		done, err := w.manager.AbortRebuild(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		if d := done["delta"]; d.Aborted {
			if err := <-rebuilt; !errors.Is(err, sink.ErrAborted) {
				t.Errorf("rebuild: %v, want ErrAborted", err)
			}
			break
		}
		select {
		case err := <-rebuilt: // it was quicker
			if err != nil {
				t.Error(err)
			}
		default:
			continue
		}
		break
	}
	w.noRebuild()
	w.check(300, 0)
}

// TestRebuildPartitionsCome adds a partition while a rebuild waits to go on.
func TestRebuildPartitionsCome(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	rebuildable(w, "iceberg", "delta")
	w.cutRebuild("rebuild/iceberg/piece/0000000002", false)
	w.alter(func(topic *sink.Topic) { topic.Partitions = 3 })
	w.produce(2, order(1, 8, "eight"), []byte("never"))
	w.verify(5, 6)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.check(8, 3)
}

// TestRebuildLogGoes deletes records that a rebuild has yet to read: it is refused,
// and no row goes that only the table has.
func TestRebuildLogGoes(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	rebuildable(w, "iceberg", "delta")
	w.cutRebuild("rebuild/iceberg/piece/0000000001", false)
	w.trim(0, 5)
	w.trim(1, 4)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, sink.ErrLogShort) {
		t.Errorf("a log that has gone meanwhile: %v, want ErrLogShort", err)
	}
	w.check(4, 5)
	if done, err := w.manager.AbortRebuild(t.Context(), "orders"); err != nil || !done["iceberg"].Aborted {
		t.Errorf("aborted: %+v, %v", done, err)
	}
	w.produce(1, order(1, 8, "encore"))
	w.verify(5, 5)
}

// TestRebuildLayoutChanges partitions a table otherwise while a rebuild waits to go
// on: each file stays what it was made as.
func TestRebuildLayoutChanges(t *testing.T) {
	for _, formats := range [][]string{{"iceberg"}, {"delta"}} {
		t.Run(formats[0], func(t *testing.T) {
			w := newWorld(t)
			w.level = 12
			rebuildable(w, "iceberg", "delta")
			w.alter(func(topic *sink.Topic) { topic.Formats = formats })
			w.cutRebuild("rebuild/"+formats[0]+"/piece/0000000002", false)
			var next layout.Want
			if formats[0] == "iceberg" {
				next = partitionBy("identity", "item")
			} else {
				next.Sort = []layout.Order{{Column: "id"}}
			}
			w.alter(func(topic *sink.Topic) { topic.Layout = next })
			w.produce(0, order(1, 8, "eight"))
			w.flush()
			if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
				t.Fatal(err)
			}
			w.check(8, 2)
			if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
				t.Fatal(err)
			}
			w.produce(0, order(1, 9, "nine"))
			w.verify(9, 2)
		})
	}
}

// TestRebuildAbortedElsewhere gives a rebuild up in another process: the one that
// was at it leaves nothing that a later rebuild could take for its own.
func TestRebuildAbortedElsewhere(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	rebuildable(w, "iceberg", "delta")
	w.fuse.armNth("data-", 2, true, false)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	w.fuse.heal()
	second, stop := w.start()
	if done, err := second.AbortRebuild(t.Context(), "orders"); err != nil || !done["iceberg"].Aborted {
		t.Fatalf("aborted: %+v, %v", done, err)
	}
	stop()
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err == nil {
		t.Error("a rebuild that is gone goes on")
	}
	w.noRebuild()
	w.flushOn()
	w.check(4, 5)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.check(7, 2)
}

// TestRebuildTableSetBack restores a table to an earlier state, before offsets that
// a rebuild has written anew already: it catches up first, and no row stands twice.
func TestRebuildTableSetBack(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Formats = []string{"delta"}
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range int64(4) {
		w.produce(0, order(id, 2*i, "even"), order(id, 2*i+1, "odd"))
		w.flush()
	}
	w.alter(func(topic *sink.Topic) { topic.CommitRows = 2 })
	w.cutRebuild("rebuild/delta/piece/0000000004", false)
	w.halt()
	var versions []string
	for info, err := range w.store.List(t.Context(), "default/orders/delta/_delta_log/0") {
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, info.Key)
	}
	if err := w.store.Delete(t.Context(), versions[len(versions)-2:]...); err != nil {
		t.Fatal(err)
	}
	if p, err := w.table("delta").Progress(t.Context()); err != nil || p.Offsets[0] != 4 {
		t.Fatalf("progress %v, %v: the table is not set back to 4", p, err)
	}
	w.alter(func(topic *sink.Topic) { topic.CommitRows = 0 }) // nothing but a flush asks for a cut
	w.run()
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.verify(8, 0)
}
