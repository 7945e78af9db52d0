package share

import (
	"maps"
	"testing"
	"testing/synctest"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// TestView looks at a group while records are with a member, come back, and are done.
func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.kill()
		tp := storage.TP{Topic: topicID(0), Partition: 1}
		w.set("g", "share.auto.offset.reset", "earliest")
		if _, ok := w.Group(t.Context(), "g"); ok {
			t.Error("a group that nobody has joined is there")
		}
		w.beat("g", "m", 0, "t0")
		w.produce(tp, 10, record.Options{})
		w.fetch("m", fetchRequest("g", "m", 0, tp))
		look := func(what string, start, next, lag, acquired, waiting int64, deliveries map[int16]int64) {
			t.Helper()
			list, err := w.Groups(t.Context())
			if err != nil || len(list) != 1 || list[0].State != "Stable" || len(list[0].Members) != 1 {
				t.Fatalf("%s: %+v, %v", what, list, err)
			}
			m := list[0].Members[0]
			if m.ID != "m" || m.ClientID != "client" || m.Acquired != acquired || len(m.Partitions["t0"]) != 2 {
				t.Errorf("%s: member %+v, want %d acquired", what, m, acquired)
			}
			for _, p := range list[0].Partitions {
				if p.Partition != 1 {
					continue
				}
				if p.Start != start || p.Next != next || p.End != 10 || p.Lag != lag || p.Acquired != acquired || p.Waiting != waiting || !maps.Equal(p.Deliveries, deliveries) {
					t.Errorf("%s: got %+v, want start %d next %d lag %d acquired %d waiting %d deliveries %v", what, p, start, next, lag, acquired, waiting, deliveries)
				}
				return
			}
			t.Errorf("%s: %+v has no partition 1", what, list[0].Partitions)
		}
		look("taken", 0, 10, 10, 10, 0, map[int16]int64{1: 10})
		w.ack(ackRequest("g", "m", 1, tp, 0, 1, 1))
		look("two accepted", 2, 10, 8, 8, 0, map[int16]int64{1: 8})
		w.ack(ackRequest("g", "m", 2, tp, 4, 6, 2))
		look("three given back", 2, 10, 8, 5, 3, map[int16]int64{1: 8})
		w.ack(ackRequest("g", "m", 3, tp, 8, 8, 3))
		look("one rejected", 2, 10, 7, 4, 3, map[int16]int64{1: 7})
		w.fetch("m", fetchRequest("g", "m", 4))
		look("taken again", 2, 10, 7, 7, 0, map[int16]int64{1: 4, 2: 3})
	})
}
