package sink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// story is a day in a sink's life: tables are made, rows and dead letters come,
// the schema changes, progress moves without rows. Each act ends with a flush,
// which may fail.
var story = []func(w *world){
	func(w *world) {
		id := w.register("orders-value", orderV1)
		w.produce(0, order(id, 1, "a"), order(id, 2, "b"))
		w.produce(1, order(id, 3, "c"))
	},
	func(w *world) {
		w.produce(1, []byte("no order"), order(1, 4, "d"))
	},
	func(w *world) {
		id := w.register("orders-value", orderV2)
		w.produce(0, append(order(id, 5, "e"), 2, 2, 'c'), nil)
	},
}

// Rows and dead letters at the story's end.
const storyRows, storyLetters = 6, 1

// tell plays the story with a fault in it. recover is called whenever a flush
// has failed.
func tell(w *world, recover func()) {
	w.run()
	for _, act := range story {
		act(w)
		if _, err := w.manager.Flush(w.t.Context(), "orders"); err != nil {
			recover()
		}
	}
}

// finale heals what is left, and expects the whole story in the tables.
func finale(w *world) {
	w.t.Helper()
	w.fuse.heal()
	w.flushOn()
	w.check(storyRows, storyLetters)
	w.noPending()
	w.produce(0, order(1, 9, "encore"))
	w.flushOn()
	w.check(storyRows+1, storyLetters)
}

// sweep runs test with a fault at each write in turn, in pairs: failed and not
// persisted, failed but persisted. It ends when the story has no more writes.
func sweep(t *testing.T, crash bool, test func(w *world)) {
	t.Helper()
	for n := 0; ; n += pace {
		more := false
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/before=%v", n, before), func(t *testing.T) {
				w := newWorld(t)
				w.level = 12 // faults are expected: no log
				w.fuse.arm(n, before, crash)
				test(w)
				blown := w.fuse.heal()
				more = blown != ""
				if t.Failed() {
					t.Logf("fault at %s", blown)
				}
			})
		}
		if !more {
			if n < 20 {
				t.Errorf("only %d writes met a fault", n)
			}
			t.Logf("%d of %d writes met a fault each way", n/pace, n)
			return
		}
		if t.Failed() {
			return
		}
	}
}

// TestFaults lets every write fail once; the same manager goes on.
func TestFaults(t *testing.T) { faults(t, layout.Want{}) }

// TestFaultsPartitioned does the same where each entry has files of several
// partitions.
func TestFaultsPartitioned(t *testing.T) { faults(t, byID) }

// byID puts orders into two buckets, sorted.
var byID = layout.Want{
	Partition: []layout.Term{{Transform: tables.Transform{Name: tables.Bucket, N: 2}, Column: "id"}},
	Sort:      []layout.Order{{Column: "item", Desc: true}},
}

func faults(t *testing.T, l layout.Want) {
	sweep(t, false, func(w *world) {
		w.topics[0].Layout = l
		tell(w, w.flushOn)
		blown := w.fuse.heal()
		finale(w)
		// A removal that fails leaves its file, and so does a write of a
		// format that fails after it was persisted; data files do not stay.
		if left := w.orphans(); left != nil && !strings.HasPrefix(blown, "delete") {
			w.t.Errorf("files that nobody refers to: %v, after a fault at %s", left, blown)
		}
	})
}

// TestCrashes lets the process die at every write; a new one takes over.
func TestCrashes(t *testing.T) { crashes(t, layout.Want{}) }

// TestCrashesPartitioned does the same with files of several partitions.
func TestCrashesPartitioned(t *testing.T) { crashes(t, byID) }

func crashes(t *testing.T, l layout.Want) {
	sweep(t, true, func(w *world) {
		w.topics[0].Layout = l
		again := func() {
			w.halt()
			w.fuse.heal()
			w.run()
			w.flushOn()
		}
		tell(w, again)
		finale(w)
	})
}

// TestStops lets the sink be stopped, in order, around every write: the context
// of what is under way ends.
func TestStops(t *testing.T) {
	for n := 0; n < 45; n += pace {
		w := newWorld(t)
		w.level = 12
		there := make(chan struct{})
		count := 0
		w.fuse.gamble(func(string) (bool, bool) {
			if count++; count == n+1 {
				close(there)
			}
			return false, false
		})
		id := w.register("orders-value", orderV1)
		w.produce(0, order(id, 1, "a"), order(id, 2, "b"), []byte("bad"))
		w.run()
		ended := make(chan struct{})
		go func(stop func()) {
			defer close(ended)
			select {
			case <-there:
				stop()
			case <-t.Context().Done():
			}
		}(w.stop)
		_, err := w.manager.Flush(t.Context(), "orders")
		if err != nil && !errors.Is(err, sink.ErrStopped) && !errors.Is(err, context.Canceled) {
			t.Fatalf("stop at write %d: %v", n, err)
		}
		w.fuse.heal()
		w.halt()
		w.run()
		w.verify(2, 1)
		w.noPending()
		w.halt()
		if left := w.orphans(); left != nil {
			t.Errorf("stop at write %d: files that nobody refers to: %v", n, left)
		}
	}
}

// mishap makes a format's calls fail: the next n of those that match.
type mishap struct {
	mu    sync.Mutex
	op    string // "open", "progress", "commit"
	after bool   // of commits: it is persisted
	err   error
	skip  int // calls that go through first
	times int
}

func (f *mishap) strikes(op string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.op != op || f.times == 0 {
		return nil
	}
	if f.skip > 0 {
		f.skip--
		return nil
	}
	f.times--
	return f.err
}

type clumsyFormat struct {
	tables.Format
	mishap *mishap
}

func (f clumsyFormat) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	if err := f.mishap.strikes("open"); err != nil {
		return nil, err
	}
	t, err := f.Format.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return clumsyTable{t, f.mishap}, nil
}

type clumsyTable struct {
	tables.Table
	mishap *mishap
}

func (t clumsyTable) Progress(ctx context.Context) (tables.Progress, error) {
	if err := t.mishap.strikes("progress"); err != nil {
		return tables.Progress{}, err
	}
	return t.Table.Progress(ctx)
}

func (t clumsyTable) Commit(ctx context.Context, c tables.Commit) error {
	err := t.mishap.strikes("commit")
	if err != nil && !t.mishap.after {
		return err
	}
	if real := t.Table.Commit(ctx, c); real != nil {
		return real
	}
	return err
}

// TestTableFaults lets a format's calls fail one by one, for a while: commits
// that were refused, that failed, and that failed but are in the table.
func TestTableFaults(t *testing.T) {
	for _, c := range []struct {
		op    string
		after bool
		err   error
	}{
		{"open", false, errFault},
		{"progress", false, errFault},
		{"commit", false, errFault},
		{"commit", true, errFault},
		{"commit", false, tables.ErrConflict},
		{"commit", true, tables.ErrConflict},
		{"commit", true, context.DeadlineExceeded},
		{"commit", true, tables.ErrFile},
	} {
		for skip := range 6 {
			t.Run(fmt.Sprintf("%s/after=%v/%v/%d", c.op, c.after, c.err, skip), func(t *testing.T) {
				w := newWorld(t)
				w.level = 12
				w.wrap = func(f tables.Format) tables.Format {
					if f.Name() != "delta" {
						return f
					}
					return clumsyFormat{f, &mishap{op: c.op, after: c.after, err: c.err, skip: skip, times: 1 + skip%3}}
				}
				tell(w, w.flushOn)
				finale(w)
			})
		}
	}
}

// TestOneFormatFails wants the others to go on while one does not, with the
// commits for it waiting, until there are too many; and to catch up later.
func TestOneFormatFails(t *testing.T) {
	for _, op := range []string{"open", "progress", "commit"} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			w.level = 12
			m := &mishap{op: op, err: errFault, times: -1}
			w.wrap = func(f tables.Format) tables.Format {
				if f.Name() != "iceberg" {
					return f
				}
				return clumsyFormat{f, m}
			}
			id := w.register("orders-value", orderV1)
			w.run()
			const rounds = 70 // more than may wait
			for i := range rounds {
				w.produce(int32(i%2), order(id, int64(i), "x"))
				if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
					t.Fatalf("flush: %v, want the fault", err)
				}
			}
			st, err := w.manager.Status(t.Context(), "orders")
			if err != nil || st.State != sink.Stalled || st.Formats[0].State != sink.Stalled || st.Formats[1].State != sink.Running {
				t.Errorf("status %+v, %v; want iceberg stalled and delta running", st, err)
			}
			for _, format := range []string{"delta", "parquet"} {
				if got := len(w.rowIDs(format)); got < rounds-1 {
					t.Errorf("%s has %d rows while iceberg fails, want about %d", format, got, rounds)
				}
			}
			m.mu.Lock()
			m.times = 0
			m.mu.Unlock()
			w.flushOn()
			w.check(rounds, 0)
			w.noPending()
		})
	}
}

// TestUnsupported has a format that cannot express the schema: it alone stays
// behind.
func TestUnsupported(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.wrap = func(f tables.Format) tables.Format {
		if f.Name() == "delta" {
			return pickyFormat{f}
		}
		return f
	}
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "x"))
	if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, tables.ErrUnsupported) {
		t.Errorf("flush: %v, want ErrUnsupported", err)
	}
	_, _ = w.manager.Flush(t.Context(), "orders")
	for format, want := range map[string]int{"delta": 0, "iceberg": 1, "parquet": 1} {
		if got := len(w.rowIDs(format)); got != want {
			t.Errorf("%s has %d rows, want %d", format, got, want)
		}
	}
}

type pickyFormat struct{ tables.Format }

func (f pickyFormat) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t, err := f.Format.Open(ctx, s)
	return pickyTable{t}, err
}

type pickyTable struct{ tables.Table }

func (pickyTable) Physical(*tables.Schema) (*tables.Schema, error) {
	return nil, tables.ErrUnsupported
}
