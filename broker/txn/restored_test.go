package txn

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestRestored: on a restored store nobody goes on who had a transactional id
// before, whatever the state it was in, and a new producer does.
func TestRestored(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(w *world, o *owner)
		stable int64 // last stable offset of tp1, in the end
	}{
		{"idle", func(*world, *owner) {}, 0},
		{"committed", func(w *world, o *owner) {
			w.begin(*o, 0, 30)
			if code := w.end(o, 5, true); code != wire.None {
				t.Fatal(code)
			}
		}, 2},
		{"under way", func(w *world, o *owner) { w.begin(*o, 0, 30) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := memory.New()
			w := newWorld(t, e)
			o := w.init()
			tt.before(w, &o)
			w.stop()

			next := int64(9000)
			fresh := func(context.Context) (int64, error) { next++; return next, nil }
			if err := Restored(t.Context(), e, fresh, time.UnixMilli(1_000_000)); err != nil {
				t.Fatal(err)
			}
			w = newWorld(t, e)
			w.sweep(t.Context())
			if stable, end, _ := w.log(tp1); stable != tt.stable || end != tt.stable {
				t.Errorf("last stable offset %d of %d, want %d", stable, end, tt.stable)
			}
			if offset, code := w.fetched(); code != wire.None || (offset == 30) != (tt.name == "committed") {
				t.Errorf("the group's offset: %d, %v", offset, code)
			}
			if err := w.Join(t.Context(), "x", o.id, o.epoch, []storage.TP{tp1}); err == nil {
				t.Error("who had the id before begins a transaction")
			}
			if err := w.put(tp1, o, 0); !errors.Is(err, commitlog.ErrNoTransaction) && !errors.Is(err, commitlog.ErrFenced) {
				t.Errorf("who had the id before writes: %v", err)
			}
			if code := w.end(&o, 5, true); code == wire.None {
				t.Error("who had the id before commits")
			}
			req := kmsg.NewPtrInitProducerIDRequest()
			req.Version, req.TransactionalID, req.TransactionTimeoutMillis = 5, kmsg.StringPtr("x"), 60_000
			req.ProducerID, req.ProducerEpoch = o.id, o.epoch
			if code := wire.Code(w.InitProducerID(t.Context(), req).ErrorCode); code != wire.ProducerFenced {
				t.Errorf("who had the id before goes on: %s, want PRODUCER_FENCED", code)
			}
			n := w.init()
			if n.id != 9001 {
				t.Errorf("a new producer has id %d, want 9001", n.id)
			}
			w.begin(n, 0, 40)
			if code := w.end(&n, 5, true); code != wire.None {
				t.Errorf("a new producer commits: %s", code)
			}
			if offset, code := w.fetched(); offset != 40 || code != wire.None {
				t.Errorf("the group's offset: %d, %v; want 40", offset, code)
			}
		})
	}
}

// TestRestoredMany: more ids than one write takes.
func TestRestoredMany(t *testing.T) {
	e := memory.New()
	const n = maxRestored + 7
	for i := range n {
		it, err := (&txn{producerID: int64(i), epoch: 3, prevID: none, prevEpoch: none, nextID: none, state: prepareCommit}).encode(fmt.Sprint("id", i), 0)
		if err == nil {
			err = e.Commit(t.Context(), storage.Write{Set: []storage.Item{it}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	next := int64(9000)
	if err := Restored(t.Context(), e, func(context.Context) (int64, error) { next++; return next, nil }, time.UnixMilli(1)); err != nil {
		t.Fatal(err)
	}
	seen := map[int64]bool{}
	for it, err := range e.Scan(t.Context(), keyTxn) {
		if err != nil {
			t.Fatal(err)
		}
		id, got, err := decode(it)
		if err != nil || got.state != prepareCommit || got.epoch != 3 || got.nextID <= 9000 || seen[got.nextID] {
			t.Fatalf("%s: %+v, %v; want its end as decided, and an id of its own after it", id, got, err)
		}
		seen[got.nextID] = true
	}
	if len(seen) != n {
		t.Errorf("%d ids, want %d", len(seen), n)
	}
}
