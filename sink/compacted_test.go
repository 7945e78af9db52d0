package sink_test

import (
	"math"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
)

// compact compacts partition 0 as far as the sink lets it.
func (w *world) compact() commitlog.Compacted {
	w.t.Helper()
	tp := storage.TP{Topic: orders, Partition: 0}
	done, err := w.logs.Compact(w.t.Context(), tp, commitlog.Compaction{
		Head: math.MaxInt64, MaxLagMs: math.MaxInt64, Hold: func() int64 { return w.manager.Needs(tp) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// TestCompactedLog: a table has every record, for compaction waits for it, and
// verification takes what compaction took for no fault.
func TestCompactedLog(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"), order(id, 3, "c")) // all of one key
	w.flush()
	w.produce(0, order(id, 4, "d"))
	w.produce(0, order(id, 5, "e"))
	if done := w.compact(); done.To != 3 || done.Records != 2 {
		t.Errorf("compaction before the tables had all: %+v, want it to end at 3", done)
	}
	w.verify(5, 0)
	if done := w.compact(); done.To != 5 || done.Records != 2 {
		t.Errorf("compaction: %+v, want it to end at 5", done)
	}
	w.produce(0, order(id, 6, "f"), []byte("no order"))
	w.verify(6, 1)
	w.compact()
	if r := w.check(6, 1); r.Formats[0].Records != 1 {
		t.Errorf("the log has %d records below the table's progress, want the last one", r.Formats[0].Records)
	}
}

// TestTableOfCompactedLog: a table that begins when the log is compacted has what
// is left, at the offsets where it is.
func TestTableOfCompactedLog(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	for i := range 5 {
		w.produce(0, order(id, int64(i), "a"), order(id, int64(i), "b"))
	}
	tp := storage.TP{Topic: orders, Partition: 0}
	all := commitlog.Compaction{Head: math.MaxInt64, MaxLagMs: math.MaxInt64}
	if _, err := w.logs.Compact(t.Context(), tp, all); err != nil {
		t.Fatal(err)
	}
	w.produce(0, order(id, 9, "c"))
	w.run()
	w.verify(2, 0)
	for id := range w.rowIDs("iceberg") {
		if id.Offset != 9 && id.Offset != 10 {
			t.Errorf("a row at %d, want 9 and 10", id.Offset)
		}
	}
}
