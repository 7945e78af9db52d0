package sink_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/blob"
)

// stuckStore takes no file once it is armed, until whoever writes one gives up.
type stuckStore struct {
	blob.Store
	entered chan struct{} // closed when somebody waits
	once    *sync.Once
	armed   chan struct{} // closed: nothing is taken any more
}

func (s stuckStore) stuck(ctx context.Context) error {
	select {
	case <-s.armed:
	default:
		return nil
	}
	s.once.Do(func() { close(s.entered) })
	<-ctx.Done()
	return ctx.Err()
}

// Put implements blob.Store.
func (s stuckStore) Put(ctx context.Context, key string, data []byte) error {
	if err := s.stuck(ctx); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, data)
}

// TestRebuildOfDeletedTopic deletes a topic while its tables are rebuilt: who asked is
// told that the sink has stopped, and no file stays that nobody refers to.
func TestRebuildOfDeletedTopic(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"parquet"}
	id := w.register("orders-value", orderV1)
	cfg := w.config()
	store := stuckStore{cfg.Store, make(chan struct{}), &sync.Once{}, make(chan struct{})}
	cfg.Store = store
	w.manager, w.stop = w.startWith(cfg)
	w.produce(0, order(id, 1, "one"), order(id, 2, "two"))
	w.flush()
	close(store.armed)
	answer := make(chan error, 1)
	go func() {
		_, err := w.manager.Rebuild(t.Context(), "orders", false)
		answer <- err
	}()
	<-store.entered
	w.mu.Lock()
	there := w.topics
	w.topics = nil
	close(w.changed)
	w.changed = make(chan struct{})
	w.mu.Unlock()
	if err := <-answer; !errors.Is(err, sink.ErrStopped) {
		t.Errorf("got %v, want %v", err, sink.ErrStopped)
	}
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); !errors.Is(err, sink.ErrNoTable) {
		t.Errorf("asked again: got %v, want %v", err, sink.ErrNoTable)
	}
	w.halt()
	w.topics = there
	w.noLeft()
}
