package sink_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// retold is a world of latest values: keys that come again and go again in other
// pieces of the log, and letters of which one has become valid since.
func retold(k *keyed) {
	k.t.Helper()
	k.id = k.register("orders-value", orderV1)
	k.topics[0].Layout = byID
	k.run()
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		k.put(key, "first")
	}
	k.spoil(0, []byte("d"), append(order(2, 9, "of a schema that comes later"), 0))
	k.put("a", "second")
	k.put("c", "")
	k.spoil(1, nil, nil)
	k.put("f", "")
	k.flush()
	k.put("f", "again")
	k.put("b", "")
	k.put("never", "")
	k.put("a", "third")
	k.flush()
	k.checkKeys()
	k.alter(func(topic *sink.Topic) { topic.CommitRows = 2 }) // several pieces
	k.register("orders-value", orderV2)
}

// mended is the model once the letter of retold that is valid by now is a row.
func (k *keyed) mended() {
	k.live["d"] = tables.RowID{Partition: 0, Offset: 3}
	k.letters--
}

// TestRebuildLatest writes a table of latest values anew: one row a key, none of
// those that were deleted, and a letter that is valid by now is its key's row.
func TestRebuildLatest(t *testing.T) {
	k := newKeyed(t)
	retold(k)
	done, err := k.manager.Rebuild(t.Context(), "orders", false)
	if err != nil {
		t.Fatal(err)
	}
	k.mended()
	for format, d := range done {
		if !d.Done || d.Rows != int64(len(k.live)) || d.DeadLetters != k.letters || d.Pieces < 6 || d.Behind != 0 {
			t.Errorf("%s: %+v, want %d rows and %d letters in several pieces", format, d, len(k.live), k.letters)
		}
	}
	k.checkKeys()
	k.noKeyFiles()
	k.put("a", "")
	k.put("c", "back")
	k.put("e", "second")
	k.flush()
	k.checkKeys()
	if _, err := k.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	k.checkKeys()
	if _, err := k.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	k.halt()
	k.run()
	k.put("c", "")
	k.flush()
	k.checkKeys()
	if st, err := k.manager.Status(t.Context(), "orders"); err != nil || st.Formats[0].Rebuild != nil {
		t.Errorf("status %+v, %v, want no rebuild", st.Formats[0].Rebuild, err)
	}
}

// TestRebuildLatestCrashes lets the process die at every write of a rebuild, in
// pairs: the tables are the old ones or the new ones, and it goes on where it was.
func TestRebuildLatestCrashes(t *testing.T) { rebuildLatestFaults(t, true) }

// TestRebuildLatestFaults lets single writes fail, and the same process go on.
func TestRebuildLatestFaults(t *testing.T) { rebuildLatestFaults(t, false) }

func rebuildLatestFaults(t *testing.T, crash bool) {
	for n := 0; ; n += 2 * pace { // one each way at every second write, for the time it takes
		more := false
		for _, before := range []bool{true, false} {
			at := n
			if before {
				at++
			}
			t.Run(fmt.Sprintf("%d/before=%v", at, before), func(t *testing.T) {
				k := newKeyed(t)
				k.level = 12
				k.topics[0].Formats = []string{[]string{"iceberg", "delta"}[n/2/pace%2]}
				retold(k)
				k.fuse.arm(at, before, crash)
				_, err := k.manager.Rebuild(t.Context(), "orders", false)
				if crash {
					k.halt()
				}
				blown := k.fuse.heal()
				if more = blown != ""; more && err == nil && crash && !strings.HasPrefix(blown, "delete") {
					t.Errorf("rebuild went through a fault at %q", blown)
				}
				if crash {
					k.run()
				}
				k.flushOn()
				if format := k.topics[0].Formats[0]; k.held(format)["d"].Offset == 3 && k.held(format)["d"].Partition == 0 {
					k.mended() // it is exchanged
					k.checkKeys()
				} else {
					k.checkKeys() // it is as it was
					k.mended()
				}
				k.put("b", "meanwhile")
				k.put("e", "")
				k.flushOn()
				if _, err := k.manager.Rebuild(t.Context(), "orders", false); err != nil {
					t.Fatal(err)
				}
				k.checkKeys()
				k.put("e", "encore")
				k.put("a", "")
				k.flushOn()
				k.checkKeys()
				k.noPending()
				k.noRebuild()
				if t.Failed() {
					t.Logf("fault at %s", blown)
				}
			})
		}
		if t.Failed() || !more {
			if n < 20 && !t.Failed() {
				t.Errorf("only %d writes met a fault", n)
			}
			return
		}
	}
}

// TestRebuildLatestAborted gives a rebuild up that has files of keys.
func TestRebuildLatestAborted(t *testing.T) {
	k := newKeyed(t)
	k.level = 12
	k.topics[0].Formats = []string{"delta"}
	retold(k)
	k.cutRebuild("orders/delta/_delta_log", true)
	if done, err := k.manager.AbortRebuild(t.Context(), "orders"); err != nil || !done["delta"].Aborted {
		t.Errorf("aborted: %+v, %v", done, err)
	}
	k.noRebuild()
	k.noKeyFiles()
	k.checkKeys()
	if _, err := k.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	k.mended()
	k.checkKeys()
}

// shrink compacts both partitions, tombstones too.
func (w *world) shrink() {
	w.t.Helper()
	for part := range int32(2) {
		tp := storage.TP{Topic: orders, Partition: part}
		for range 3 { // values, then tombstones, which wait for a look of their own
			if _, err := w.logs.Compact(w.t.Context(), tp, commitlog.Compaction{
				Head: math.MaxInt64, MaxLagMs: math.MaxInt64, DeleteRetentionMs: -1, Hold: func() int64 { return w.manager.Needs(tp) },
			}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// TestRebuildLatestCompacted: a log that is compacted by the record's key has all
// that makes a table of that key, but for a row behind which a record lies that is
// none: that row only the table has.
func TestRebuildLatestCompacted(t *testing.T) {
	k := newKeyed(t)
	k.id = k.register("orders-value", orderV1)
	k.run()
	for _, key := range []string{"a", "b", "c", "a", "b", "d", "e"} {
		k.put(key, "first")
	}
	k.put("c", "")
	k.put("a", "third")
	k.flush()
	k.put("e", "last") // compaction keeps the last batch
	k.put("d", "last")
	k.flush()
	k.checkKeys()
	k.shrink()
	if _, err := k.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	k.checkKeys()
	k.spoil(1, []byte("a"), []byte("no order"))
	k.put("e", "on")
	k.flush()
	k.shrink()
	if _, err := k.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, sink.ErrLogShort) {
		t.Errorf("a row that only the table has: %v, want ErrLogShort", err)
	}
	if held := k.held("delta"); held["a"] != k.live["a"] {
		t.Errorf("the row of a is %v, want %v", held["a"], k.live["a"])
	}
	if _, err := k.manager.Rebuild(t.Context(), "orders", true); err != nil {
		t.Fatal(err)
	}
	delete(k.live, "a")
	k.checkKeys()
}

// TestRebuildLatestByColumn: compaction by the record's key may take what deleted a
// row of a table that is keyed otherwise; a rebuild does not bring the row back
// unasked.
func TestRebuildLatestByColumn(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats, w.topics[0].Upsert = []string{"iceberg", "delta"}, []string{"id"}
	value, key := w.register("orders-value", orderV1), w.register("orders-key", orderKey)
	keyOf := func(id int64) []byte { return order(key, id, "")[:len(order(key, id, ""))-1] }
	put := func(key, value []byte) {
		b := record.NewBuilder(record.Options{})
		b.Append(1, key, value)
		w.append(0, b)
	}
	put(keyOf(7), order(value, 1, "of another key"))
	put(keyOf(2), order(value, 2, "a"))
	w.run()
	w.flush()
	rebuild := func(want error, rows int) {
		t.Helper()
		if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, want) {
			t.Errorf("rebuild: %v, want %v", err, want)
		}
		for _, format := range w.topics[0].Formats {
			if got := w.rowIDs(format); len(got) != rows {
				t.Errorf("%s holds %v, want %d rows", format, got, rows)
			}
		}
	}
	rebuild(nil, 2)
	put(keyOf(1), nil)
	w.flush()
	put(keyOf(3), order(value, 3, "b"))
	put(keyOf(4), order(value, 4, "b"))
	w.flush()
	rebuild(nil, 3)
	w.shrink()
	log, err := w.logs.Log(t.Context(), storage.TP{Topic: orders})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := log.Read(t.Context(), log.Start(), 1<<20, log.End())
	if err != nil {
		t.Fatal(err)
	}
	left := map[int64]bool{}
	for b, err := range record.Batches(raw) {
		if err != nil {
			t.Fatal(err)
		}
		left[b.Header.BaseOffset] = b.Header.Count > 0
	}
	if !left[0] || left[2] {
		t.Fatalf("the log holds %v, want the row there and the tombstone gone", left)
	}
	rebuild(sink.ErrLogShort, 3)
}

// TestRebuildLatestWidened: the way out of Delta's type widening is there for tables
// of latest values too.
func TestRebuildLatestWidened(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats, w.topics[0].Upsert = []string{"delta"}, []string{"n"}
	w.run()
	for i, typ := range []string{"int", "long"} {
		id := w.register("orders-value", `{"type":"record","name":"Order","fields":[{"name":"n","type":"`+typ+`"}]}`)
		for _, n := range []int64{1, 2, 3 + int64(i)} {
			w.produce(0, binary.AppendVarint(schema.AppendPrefix(nil, int32(id)), n))
		}
		w.flush()
	}
	notice := func() string {
		t.Helper()
		st, err := w.manager.Status(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		return st.Formats[0].Notice
	}
	if text := notice(); !strings.Contains(text, "tarn table rebuild orders") {
		t.Errorf("widened: %q", text)
	}
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	if text := notice(); text != "" {
		t.Errorf("rebuilt: %q", text)
	}
	w.check(4, 0)
}
