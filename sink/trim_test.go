package sink_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// starts are the log starts of both partitions.
func (w *world) starts() string {
	w.t.Helper()
	var out []int64
	for p := range int32(2) {
		log, err := w.logs.Log(w.t.Context(), storage.TP{Topic: orders, Partition: p})
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, log.Start())
	}
	return fmt.Sprint(out)
}

func (w *world) wantStarts(what, want string) {
	w.t.Helper()
	if got := w.starts(); got != want {
		w.t.Errorf("%s: the log starts at %s, want %s", what, got, want)
	}
}

// TestTrimLog deletes the log behind all tables, and not while one lags.
func TestTrimLog(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].TrimLog = true
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"), []byte("bad"))
	w.produce(1, order(id, 2, "b"))
	w.verify(2, 1)
	w.flush() // a step later it is trimmed
	w.wantStarts("after a commit", "[2 1]")
	w.check(2, 1)

	w.fuse.gamble(func(op string) (bool, bool) { return strings.Contains(op, "delta/_delta_log"), true })
	w.produce(0, order(id, 3, "c"))
	if _, err := w.manager.Flush(t.Context(), "orders"); err == nil {
		t.Fatal("flush with a format that fails: want an error")
	}
	w.wantStarts("while a format lags", "[2 1]")
	w.fuse.heal()
	w.verify(3, 1)
	w.flush()
	w.wantStarts("when it has caught up", "[3 1]")
	w.check(3, 1)
	// A new process knows as much, and the sum is held against the tables.
	w.halt()
	w.run()
	w.produce(1, order(id, 4, "d"))
	w.verify(4, 1)
}

// TestTrimLogCrashes lets the process die at every write of a day, with the log
// deleted behind the tables.
func TestTrimLogCrashes(t *testing.T) {
	sweep(t, true, func(w *world) {
		w.topics[0].TrimLog = true
		tell(w, func() {
			w.halt()
			w.fuse.heal()
			w.run()
			w.flushOn()
		})
		finale(w)
		w.flushOn()
		w.wantStarts("at the end", "[5 3]")
	})
}

// TestTrimmedAway: a table that was taken back, made anew, or added later than
// the log was deleted is refused, and says how to go on.
func TestTrimmedAway(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].TrimLog = true
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.flush()
	w.wantStarts("after a commit", "[1 0]")
	w.halt()
	if err := formatsOver(w.store, w.items)["delta"].Drop(t.Context(), "default", "orders"); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.produce(0, order(id, 2, "b"))
	st := w.state(sink.LogTrimmed)
	if st.Formats[0].State != sink.Running || st.Formats[1].State != sink.LogTrimmed || !strings.Contains(st.Message, "tarn.table.log=keep") {
		t.Errorf("status %+v, want delta refused, with a way on", st)
	}
	if got := len(w.rowIDs("iceberg")); got != 2 {
		t.Errorf("iceberg has %d rows, want 2: it goes on", got)
	}
	w.wantStarts("while a format is refused", "[1 0]")
	// The way on.
	w.alter(func(topic *sink.Topic) { topic.TrimLog = false })
	w.state(sink.Running)
	if got := len(w.rowIDs("delta")); got != 1 {
		t.Errorf("delta has %d rows, want what the log has: 1", got)
	}
}

// TestTrimmedPartition: one partition stands before what is said to be trimmed of it,
// after a crash and a table that was taken back; that the others are trimmed is noted
// all the same, and what was noted stays.
func TestTrimmedPartition(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].TrimLog = true
	w.topics[0].Formats = []string{"delta"}
	id := w.register("orders-value", orderV1)
	key := fmt.Sprintf("sink/%s/trimmed", orders)
	if err := w.items.Put(t.Context(), tables.Item{Key: key, Value: []byte(`{"offsets":{"1":5}}`)}); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"))
	w.produce(1, order(id, 3, "c"))
	w.verify(3, 0)
	w.flush()
	w.wantStarts("after a commit", "[2 1]")
	it, err := w.items.Get(t.Context(), key)
	if want := `{"offsets":{"0":2,"1":5}}`; string(it.Value) != want || err != nil {
		t.Errorf("trimmed: got %s, %v; want %s", it.Value, err, want)
	}
	w.halt()
	if err := formatsOver(w.store, w.items)["delta"].Drop(t.Context(), "default", "orders"); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.state(sink.LogTrimmed)
}

// TestTrimLogCounts: what the log no longer holds is held against the number of
// records that came.
func TestTrimLogCounts(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].TrimLog = true
	w.topics[0].Formats = []string{"parquet"}
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.flush()
	w.produce(0, order(id, 2, "b"), order(id, 3, "c"))
	w.flush()
	w.flush()
	w.check(3, 0)
	live, err := w.table("parquet").(tables.Maintainer).Live(t.Context())
	if err != nil || len(live) != 2 {
		t.Fatalf("%d files, %v", len(live), err)
	}
	if err := w.table("parquet").(tables.Maintainer).Replace(t.Context(), tables.Replacement{ID: "theft", Remove: []string{live[0].Key}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	r, err := w.manager.Verify(t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictBad || !strings.Contains(r.Formats[0].Message, "3 records became some") {
		t.Errorf("verification after rows were stolen: %+v, %v", r, err)
	}
}

// TestStart begins tables where they are told to.
func TestStart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		start sink.Start
		trim  int64 // of partition 0, before
		want  string
	}{
		{name: "earliest", want: "[0 1 2 3] [0 1]"},
		{name: "latest", start: sink.Start{Latest: true}, want: "[] []"},
		{name: "offset of all", start: sink.Start{Offset: 1}, want: "[1 2 3] [1]"},
		{name: "offset of one", start: sink.Start{Offsets: map[int32]int64{0: 3}}, want: "[3] [0 1]"},
		{name: "offset that is gone", start: sink.Start{Offset: 1}, trim: 2, want: "[2 3] [1]"},
		{name: "time", start: sink.Start{AtMs: 1002}, want: "[2 3] []"},
		{name: "time to come", start: sink.Start{AtMs: 5000}, want: "[] []"},
		{name: "time before", start: sink.Start{AtMs: 1}, want: "[0 1 2 3] [0 1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.topics[0].Start = tt.start
			id := w.register("orders-value", orderV1)
			for p, n := range []int64{4, 2} {
				b := record.NewBuilder(record.Options{})
				for i := range n {
					b.Append(1000+i, nil, order(id, i, "x"))
				}
				w.append(int32(p), b)
			}
			w.trim(0, tt.trim)
			w.run()
			w.flush()
			var got [2][]int64
			for p := range got {
				got[p] = []int64{}
				for off := range int64(4) {
					if w.rowIDs("delta")[tables.RowID{Partition: int32(p), Offset: off}] {
						got[p] = append(got[p], off)
					}
				}
			}
			if s := fmt.Sprint(got[0], got[1]); s != tt.want {
				t.Errorf("rows %s, want %s", s, tt.want)
			}
			w.check(int64(len(got[0])+len(got[1])), 0)
			// It is where the table begins, whatever is configured later.
			w.alter(func(topic *sink.Topic) { topic.Start = sink.Start{} })
			w.produce(0, order(id, 9, "y"))
			w.verify(int64(len(got[0])+len(got[1]))+1, 0)
		})
	}
}

// TestStartBeyond: an offset that the log does not have yet is waited for.
func TestStartBeyond(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Start = sink.Start{Offsets: map[int32]int64{0: 2}}
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 0, "x"))
	w.run()
	if st := w.state(sink.Stalled); !strings.Contains(st.Message, "offset 2 of partition 0 is beyond") {
		t.Errorf("status %+v", st)
	}
	w.produce(0, order(id, 1, "x"), order(id, 2, "x"))
	w.verify(1, 0)
}

// TestIdleUpkeep wants another look at a table to which nothing comes any more.
func TestIdleUpkeep(t *testing.T) {
	w := newWorld(t)
	w.topics[0].History, w.topics[0].HistoryMax = time.Nanosecond, 1000
	id := w.register("orders-value", orderV1)
	cfg := w.config()
	cfg.KeepEvery = time.Hour
	w.manager, w.stop = w.startWith(cfg)
	w.produce(0, order(id, 1, "a"))
	w.flush()
	if due := sink.IdleAgain(w.manager, orders, time.Now()); due.IsZero() || time.Until(due) > 7*time.Hour {
		t.Errorf("the next look is due %v", due)
	}
	if due := sink.IdleAgain(w.manager, orders, time.Now().Add(30*24*time.Hour)); !due.IsZero() {
		t.Errorf("after a month the next look is due %v, want none", due)
	}
}
