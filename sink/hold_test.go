package sink_test

import (
	"math"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

// TestNeeds holds the log for what the tables do not have.
func TestNeeds(t *testing.T) {
	w := newWorld(t)
	tp := storage.TP{Topic: orders, Partition: 0}
	w.run()
	if got := w.manager.Needs(storage.TP{Topic: storage.TopicID{99}}); got != math.MaxInt64 {
		t.Errorf("a topic without tables needs its log from %d", got)
	}
	w.produce(0, []byte("x"))
	if _, err := w.manager.Flush(t.Context(), "orders"); err == nil {
		t.Fatal("flush without a schema: want an error")
	}
	if got := w.manager.Needs(tp); got != 0 {
		t.Errorf("tables that wait for a schema need the log from %d, want 0", got)
	}
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"))
	w.verify(2, 1)
	if got := w.manager.Needs(tp); got != 3 {
		t.Errorf("after a flush the log is needed from %d, want 3", got)
	}
}
