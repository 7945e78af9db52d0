package sink_test

import (
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/sink"
)

// TestRebuildUnderOtherSettings cuts a rebuild off at its writes, and changes what rows
// are made by: all rows are those of the new settings.
func TestRebuildUnderOtherSettings(t *testing.T) {
	between := 0
	for n := 0; ; n++ {
		w := newWorld(t)
		w.level = 12
		w.topics[0].Formats, w.topics[0].Generated = []string{"iceberg", "parquet"}, "part = 100 / (id % 2)"
		w.register("orders-value", orderV1)
		w.run()
		for id := range 8 {
			w.produce(int32(id%2), order(1, int64(id), "x"))
		}
		w.flush()
		w.check(4, 4)
		w.alter(func(topic *sink.Topic) { topic.CommitRows = 2 }) // several pieces
		w.fuse.arm(n, true, true)
		done, err := w.manager.Rebuild(t.Context(), "orders", false)
		w.halt()
		if w.fuse.heal() == "" {
			if err != nil || between < 4 {
				t.Errorf("%v; %d rebuilds were cut off between their pieces", err, between)
			}
			return
		}
		if p := done["iceberg"].Pieces; p > 0 && p < 4 {
			between++
		}
		w.topics[0].Generated = "part = 100 / (id % 2 + 1)"
		w.run()
		w.flushOn()
		if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
			t.Fatal(fmt.Errorf("cut off at write %d: %w", n, err))
		}
		w.check(8, 0)
		if t.Failed() {
			t.Fatalf("cut off at write %d", n)
		}
		w.halt()
	}
}
