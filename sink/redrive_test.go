package sink_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// withLetters fills a world with rows and letters of which some become valid
// once the second version of the schema, with id 2, is registered. It returns
// what to do then.
func withLetters(w *world) (mend func()) {
	w.t.Helper()
	id := w.register("orders-value", orderV1)
	w.run()
	coupon := func(n int64) []byte { return append(order(2, n, "later"), 2, 2, 'c') }
	b := record.NewBuilder(record.Options{})
	b.Append(1700000000123, []byte("key"), coupon(1), record.RecordHeader{Key: "h", Value: []byte("x")}, record.RecordHeader{Key: "none"})
	b.Append(1700000000124, nil, order(id, 2, "now"))
	b.Append(1700000000125, nil, []byte("never"))
	w.append(0, b)
	w.flush()
	w.produce(1, coupon(3), order(id, 4, "now"), coupon(5))
	w.flush()
	w.produce(1, []byte("never"))
	w.flush()
	w.check(2, 5)
	return func() {
		if got := w.register("orders-value", orderV2); got != 2 {
			w.t.Fatalf("the second version has id %d, want 2", got)
		}
	}
}

func (w *world) redrive() string {
	w.t.Helper()
	done, err := w.manager.Redrive(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	first := done[w.topics[0].Formats[0]]
	for format, d := range done {
		if d != first {
			w.t.Errorf("%s: %+v, others %+v", format, d, first)
		}
	}
	return fmt.Sprintf("%d of %d, %d left", first.Rows, first.Letters, first.Left)
}

// TestRedrive brings letters in that a schema has made valid, once, and leaves
// the others.
func TestRedrive(t *testing.T) {
	w := newWorld(t)
	mend := withLetters(w)
	want := func(what, want string) {
		t.Helper()
		if got := w.redrive(); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	want("before the schema is mended", "0 of 5, 5 left")
	w.check(2, 5)
	mend()
	want("afterwards", "3 of 5, 2 left")
	w.check(5, 2)
	want("once more", "0 of 2, 2 left")
	w.produce(0, order(2, 9, "on")[:0], append(order(2, 9, "on"), 0))
	w.verify(6, 3)
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	w.check(6, 3)
	w.halt()
	w.run()
	want("in another process", "0 of 3, 3 left")
	w.check(6, 3)
}

// TestRedriveInPieces: a file of letters that is too much at a time.
func TestRedriveInPieces(t *testing.T) {
	w := newWorld(t)
	mend := withLetters(w)
	w.alter(func(topic *sink.Topic) { topic.CommitRows = 1 })
	mend()
	if got := w.redrive(); got != "3 of 5, 2 left" {
		t.Errorf("redriven %s", got)
	}
	w.check(5, 2)
}

// TestRedriveTrimmed: the sum of rows and letters is what it was.
func TestRedriveTrimmed(t *testing.T) {
	w := newWorld(t)
	w.topics[0].TrimLog = true
	mend := withLetters(w)
	mend()
	w.redrive()
	w.check(5, 2)
}

// TestRedriveCrashes lets the process die at every write of a redrive, in pairs;
// a second redrive brings what is missing, and nothing twice.
func TestRedriveCrashes(t *testing.T) {
	for n := 0; ; n += pace {
		more := false
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/before=%v", n, before), func(t *testing.T) {
				w := newWorld(t)
				w.level = 12
				mend := withLetters(w)
				mend()
				w.fuse.arm(n, before, true)
				_, err := w.manager.Redrive(t.Context(), "orders")
				w.halt()
				blown := w.fuse.heal()
				if more = blown != ""; more == (err == nil) {
					t.Errorf("redrive: %v, fault at %q", err, blown)
				}
				w.run()
				w.flushOn()
				w.redriveOn()
				w.check(5, 2)
				w.produce(0, order(1, 9, "encore"))
				w.flushOn()
				w.check(6, 2)
				if t.Failed() {
					t.Logf("fault at %s", blown)
				}
			})
		}
		if t.Failed() {
			return
		}
		if !more {
			if n < 15 {
				t.Errorf("only %d writes met a fault", n)
			}
			return
		}
	}
}

// TestRedriveLosesFiles: a redrive is cut off, and somebody takes its staged files for
// left-overs, as earlier releases did after a day. Letters come in by another redrive,
// or go if their rows are in.
func TestRedriveLosesFiles(t *testing.T) {
	for _, at := range []string{"redrive/parquet", "put-if-absent default/orders/parquet/_tarn/", "put-if-absent default/orders__dead_letters/parquet/_tarn/"} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/before=%v", strings.ReplaceAll(at, "/", "."), before), func(t *testing.T) {
				w := newWorld(t)
				w.topics[0].Formats = []string{"parquet"}
				w.level = slog.LevelError
				mend := withLetters(w)
				mend()
				w.fuse.armAt(at, before, true)
				if _, err := w.manager.Redrive(t.Context(), "orders"); err == nil {
					t.Error("redrive: want an error, its process died")
				}
				w.halt()
				if blown := w.fuse.heal(); blown == "" {
					t.Fatalf("no write at %s", at)
				}
				for _, name := range []string{"orders", "orders__dead_letters"} { // what was committed is no more staged
					if _, err := formatsOver(w.store, w.items)["parquet"].Open(t.Context(), tables.Spec{Namespace: "default", Name: name}); err != nil {
						t.Fatal(err)
					}
				}
				for info, err := range w.store.List(t.Context(), "default/") {
					if err == nil && strings.Contains(info.Key, "/staged/") {
						err = w.store.Delete(t.Context(), info.Key)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				w.run()
				w.flushOn()
				w.redriveOn()
				w.check(5, 2)
				w.produce(0, order(1, 9, "encore"))
				w.flushOn()
				w.check(6, 2)
			})
		}
	}
}

// redriveOn redrives, and must succeed.
func (w *world) redriveOn() {
	w.t.Helper()
	if _, err := w.manager.Redrive(w.t.Context(), "orders"); err != nil {
		w.t.Fatal(err)
	}
}

// TestRedriveFaults has single writes fail, of each kind that a redrive makes,
// and the same process go on.
func TestRedriveFaults(t *testing.T) {
	for _, at := range []string{"redrive/iceberg", "redrive/delta", "data-", "letters-", "delta/_delta_log", "parquet/_tarn", "iceberg/table", "metadata/"} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/before=%v", strings.ReplaceAll(at, "/", "."), before), func(t *testing.T) {
				w := newWorld(t)
				w.level = 12
				mend := withLetters(w)
				mend()
				w.fuse.armAt(at, before, false)
				_, err := w.manager.Redrive(t.Context(), "orders")
				if blown := w.fuse.heal(); blown == "" {
					t.Fatalf("no write at %s", at)
				}
				for range maxFlushes {
					if err == nil {
						break
					}
					_, err = w.manager.Redrive(t.Context(), "orders")
				}
				if err != nil {
					t.Errorf("redrive still fails: %v", err)
				}
				w.flushOn()
				w.check(5, 2)
			})
		}
	}
}
