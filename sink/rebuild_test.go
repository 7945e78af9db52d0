package sink_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
)

// rebuildable is a world with rows, letters, and a schema that has made some of
// the letters valid since.
func rebuildable(w *world, formats ...string) {
	w.t.Helper()
	w.topics[0].Formats = formats
	withLetters(w)()
	w.produce(0, append(order(2, 6, "six"), 0), append(order(2, 7, "seven"), 0))
	w.flush()
	w.check(4, 5)
	w.alter(func(topic *sink.Topic) { topic.CommitRows = 2 }) // several pieces
}

// TestRebuild writes tables anew from the log: letters that are valid by now are
// rows, and nothing stands twice or is missing.
func TestRebuild(t *testing.T) {
	w := newWorld(t)
	rebuildable(w, "iceberg", "delta", "parquet")
	done, err := w.manager.Rebuild(t.Context(), "orders", false)
	if err != nil {
		t.Fatal(err)
	}
	for format, d := range done {
		if !d.Done || d.Rows != 7 || d.DeadLetters != 2 || d.Pieces < 4 || d.Behind != 0 {
			t.Errorf("%s: %+v, want 7 rows and 2 letters in several pieces", format, d)
		}
	}
	w.check(7, 2)
	w.produce(1, append(order(2, 8, "eight"), 0), []byte("never"))
	w.verify(8, 3)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.check(8, 3)
	w.halt()
	w.run()
	w.produce(1, append(order(2, 9, "nine"), 0))
	w.verify(9, 3)
	if st, err := w.manager.Status(t.Context(), "orders"); err != nil || st.Formats[0].Rebuild != nil {
		t.Errorf("status %+v, %v, want no rebuild", st.Formats[0].Rebuild, err)
	}
}

// TestRebuildRefused: a log that no longer reaches back, and a table that has
// nothing yet.
func TestRebuildRefused(t *testing.T) {
	w := newWorld(t)
	rebuildable(w, "iceberg", "parquet")
	w.trim(0, 2)
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, sink.ErrLogShort) {
		t.Errorf("a log that is trimmed: %v, want ErrLogShort", err)
	}
	w.check(4, 5)
	if _, err := w.manager.Rebuild(t.Context(), "orders", true); err != nil {
		t.Fatal(err)
	}
	w.check(5, 2) // two records of partition 0 are gone
	empty := newWorld(t)
	empty.topics[0].Formats = []string{"parquet"}
	empty.register("orders-value", orderV1)
	empty.run()
	if done, err := empty.manager.Rebuild(t.Context(), "orders", true); !errors.Is(err, sink.ErrNoRebuild) {
		t.Errorf("a table without commits: %+v, %v, want ErrNoRebuild", done, err)
	}
}

// TestRebuildCrashes lets the process die at every write of a rebuild, in pairs;
// it goes on where it was.
func TestRebuildCrashes(t *testing.T) { rebuildCrashes(t, "iceberg", "delta") }

// TestRebuildCrashesPlain does the same to plain Parquet.
func TestRebuildCrashesPlain(t *testing.T) { rebuildCrashes(t, "parquet") }

func rebuildCrashes(t *testing.T, formats ...string) {
	for n := 0; ; n += 2 * pace { // one each way at every second write, for the time it takes
		more := false
		for _, before := range []bool{true, false} {
			at := n
			if before {
				at++
			}
			t.Run(fmt.Sprintf("%d/before=%v", at, before), func(t *testing.T) {
				w := newWorld(t)
				w.level = 12
				rebuildable(w, formats...)
				w.fuse.arm(at, before, true)
				_, err := w.manager.Rebuild(t.Context(), "orders", false)
				w.halt()
				blown := w.fuse.heal()
				if more = blown != ""; more && err == nil {
					t.Errorf("rebuild went through a fault at %q", blown)
				}
				w.run()
				w.produce(1, append(order(2, 8, "meanwhile"), 0), []byte("never"))
				w.flushOn()
				rows, letters := int64(5), int64(6)
				if r, err := w.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictOK {
					t.Errorf("after the crash: %+v, %v", r, err)
				}
				if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
					t.Fatal(err)
				}
				rows, letters = rows+3, letters-3
				w.check(rows, letters)
				w.produce(0, order(1, 9, "encore"))
				w.flushOn()
				w.check(rows+1, letters)
				if t.Failed() {
					t.Logf("fault at %s", blown)
				}
			})
		}
		if t.Failed() {
			return
		}
		if !more {
			if n < 20 {
				t.Errorf("only %d writes met a fault", n)
			}
			return
		}
	}
}

// TestRebuildWidened: a Delta table whose columns have widened says which readers it
// asks for, and what to do; rebuilt, it asks for none.
func TestRebuildWidened(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"iceberg", "delta"}
	narrow := w.register("orders-value", `{"type":"record","name":"Order","fields":[{"name":"n","type":"int"}]}`)
	w.run()
	notice := func() (features, notice string) {
		t.Helper()
		st, err := w.manager.Status(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range st.Formats {
			if f.Format == "delta" {
				return strings.Join(f.Features, " "), f.Notice
			}
		}
		return "none", ""
	}
	value := func(id, n int) []byte {
		return binary.AppendVarint(schema.AppendPrefix(nil, int32(id)), int64(n))
	}
	w.produce(0, value(narrow, 1), value(narrow, 2))
	w.flush()
	if features, text := notice(); features+text != "" {
		t.Errorf("before: %q, %q", features, text)
	}
	wide := w.register("orders-value", `{"type":"record","name":"Order","fields":[{"name":"n","type":"long"}]}`)
	w.produce(0, value(wide, 1<<40), value(narrow, 3))
	w.flush()
	if features, text := notice(); features != "typeWidening" || !strings.Contains(text, "tarn table rebuild orders") {
		t.Errorf("widened: %q, %q", features, text)
	}
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	if features, text := notice(); features+text != "" {
		t.Errorf("rebuilt: %q, %q", features, text)
	}
	w.produce(0, value(narrow, 4), value(wide, 5))
	w.verify(6, 0)
	if features, text := notice(); features+text != "" {
		t.Errorf("after more rows: %q, %q", features, text)
	}
}
