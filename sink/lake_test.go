package sink_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarn-io/tarn/tables"
)

// slowFormat opens tables whose files cannot be listed, after a while.
type slowFormat struct {
	tables.Format
	clock *atomic.Int64 // nanoseconds
	takes *atomic.Int64 // 0: they can
}

func (f slowFormat) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t, err := f.Format.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return slowTable{t.(tables.Maintainer), f}, nil
}

type slowTable struct {
	tables.Maintainer
	f slowFormat
}

func (t slowTable) Live(ctx context.Context) ([]tables.LiveFile, error) {
	if d := t.f.takes.Load(); d > 0 {
		t.f.clock.Add(d)
		return nil, errFault
	}
	return t.Maintainer.Live(ctx)
}

// TestSlowLake asks for the files of a table that fails: those of another format stand
// for it if it does so soon, and are not asked if not.
func TestSlowLake(t *testing.T) {
	w := newWorld(t)
	var clock, takes atomic.Int64
	w.wrap = func(f tables.Format) tables.Format {
		if f.Name() == "iceberg" {
			return slowFormat{f, &clock, &takes}
		}
		return f
	}
	id := w.register("orders-value", orderV1)
	cfg := w.config()
	begun := time.Now()
	cfg.Now = func() time.Time { return begun.Add(time.Duration(clock.Load())) }
	m, stop := w.startWith(cfg)
	defer stop()
	w.produce(0, order(id, 1, "x"))
	if _, err := m.Flush(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if l, err := m.Lake(t.Context(), "orders"); err != nil || l.Format != "iceberg" {
		t.Errorf("at first: %s, %v", l.Format, err)
	}
	takes.Store(int64(time.Second))
	if l, err := m.Lake(t.Context(), "orders"); err != nil || l.Format != "delta" || len(l.Rows) != 1 {
		t.Errorf("failed soon: %s, %v", l.Format, err)
	}
	takes.Store(int64(time.Minute))
	if _, err := m.Lake(t.Context(), "orders"); !errors.Is(err, errFault) || strings.Contains(err.Error(), "delta") {
		t.Errorf("failed late: %v", err)
	}
}
