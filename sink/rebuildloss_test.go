package sink_test

import (
	"errors"
	"testing"

	"github.com/tarn-io/tarn/sink"
)

// TestRebuildOfCompactedLog: compaction has taken records from the log whose rows
// only the table has by now; a rebuild does not take them away unasked.
func TestRebuildOfCompactedLog(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"iceberg", "delta"}
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range 5 {
		w.produce(0, order(id, int64(i), "a")) // all of one key
	}
	w.verify(5, 0)
	if done := w.compact(); done.Records == 0 {
		t.Fatalf("compaction: %+v, want records to go", done)
	}
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, sink.ErrLogShort) {
		t.Errorf("a log that is compacted: %v, want ErrLogShort", err)
	}
	w.check(5, 0)
	w.produce(0, order(id, 6, "on"))
	w.verify(6, 0)
	if _, err := w.manager.Rebuild(t.Context(), "orders", true); err != nil {
		t.Fatal(err)
	}
	w.check(2, 0)
}
