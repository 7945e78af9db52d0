package query_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
)

// stuck is an engine whose reads take as long as they may, once it is told.
type stuck struct {
	storage.Engine
	is atomic.Bool
}

func (s *stuck) Read(ctx context.Context, tp storage.TP, offset int64, maxBytes int) ([]byte, error) {
	if s.is.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Engine.Read(ctx, tp, offset, maxBytes)
}

// TestTimeout holds that a query whose time is over says so, and what to do, wherever
// it was: reading the log, in SQLite, looking at a table.
func TestTimeout(t *testing.T) {
	store := &stuck{Engine: memory.New()}
	w := newWorldOn(t, commitlog.Config{Engine: store, TailBytes: 1}, "iceberg")
	for range 3 {
		w.produce(plain, 0, "k", []byte("v"))
	}
	if got := w.ask(`select count(*) from "my.plain"`); got != "3" {
		t.Fatalf("before: %s", got)
	}
	store.is.Store(true)
	w.lake = func(ctx context.Context, topic string) (sink.Lake, error) {
		if topic != "orders" {
			return sink.Lake{}, sink.ErrNoTable
		}
		<-ctx.Done()
		return sink.Lake{}, ctx.Err()
	}
	store.is.Store(false)
	if got := w.ask("select count(*), count(orders.kafka_offset) from log.orders"); got != "0,0" {
		t.Errorf("of the log alone, which is there: %s", got)
	}
	store.is.Store(true)
	for _, sql := range []string{
		`select count(*) from "my.plain"`,
		`select count(value), max(kafka_offset) from "my.plain"`,
		`select value || 'x' from "my.plain"`,
		`with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c`,
		`describe orders`,
		`select * from orders`,
		`select * from lake.orders`,
	} {
		_, err := w.engine.Query(t.Context(), query.Request{SQL: sql, Time: 20 * time.Millisecond})
		if !errors.Is(err, query.ErrLimit) || !strings.Contains(err.Error(), "longer than 20ms: narrow it") {
			t.Errorf("%s: %v, want a limit with what to do", sql, err)
		}
		if table := strings.Contains(sql, "from orders") || strings.Contains(sql, "lake."); table && !strings.HasSuffix(err.Error(), "on the table of orders, where log.orders can be asked without it: context deadline exceeded") {
			t.Errorf("%s: %v, want what it waited for", sql, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // the asker's own
		if _, err := w.engine.Query(ctx, query.Request{SQL: sql}); errors.Is(err, query.ErrLimit) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want that the asker has gone", sql, err)
		}
		cancel()
	}
}
