package sink_test

import (
	"context"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestAbortedNeverBecomeRows: rows come from committed transactions and from
// records outside of any, up to the first one that is still open.
func TestAbortedNeverBecomeRows(t *testing.T) {
	w := newWorld(t)
	w.logs = commitlog.New(commitlog.Config{
		Engine: memory.New(), Admit: func(storage.TP, record.Header) error { return nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.logs.Run(ctx) }()
	t.Cleanup(func() {
		w.halt()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	id := w.register("orders-value", orderV1)
	w.run()
	seq := map[int64]int32{}
	put := func(producer int64, item string) {
		b := record.NewBuilder(record.Options{
			Transactional: true, Producer: &record.Producer{ID: producer, BaseSequence: seq[producer]},
		})
		seq[producer]++
		b.Append(1700000000000, []byte("k"), order(id, producer, item))
		w.append(0, b)
	}
	end := func(producer int64, commit bool) {
		b, err := record.Marker{ProducerID: producer, Commit: commit}.Batch()
		if err != nil {
			t.Fatal(err)
		}
		w.appendBatch(0, b)
	}
	put(1, "aborted")
	put(2, "committed")
	w.produce(0, order(id, 9, "plain"))
	end(2, true)
	w.verify(0, 0) // all behind the open transaction of 1
	end(1, false)
	w.verify(2, 0)
	put(1, "committed")
	put(2, "aborted")
	end(1, true)
	w.produce(0, order(id, 9, "plain"))
	end(2, false)
	w.verify(4, 0)
	put(1, "open")
	w.produce(0, order(id, 9, "behind"))
	w.verify(4, 0)
	end(1, true)
	w.verify(6, 0)
}
