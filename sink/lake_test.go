package sink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// blindFormat opens tables whose files cannot be listed.
type blindFormat struct {
	tables.Format
	why *atomic.Pointer[error] // nil: they can
}

func (f blindFormat) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t, err := f.Format.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return blindTable{t.(tables.Maintainer), f}, nil
}

type blindTable struct {
	tables.Maintainer
	f blindFormat
}

func (t blindTable) Live(ctx context.Context) ([]tables.LiveFile, error) {
	if err := t.f.why.Load(); err != nil {
		return nil, *err
	}
	return t.Maintainer.Live(ctx)
}

// TestBlindLake asks for the files of a table that fails: those of another format stand
// for it, but where the store does not answer, in which they lie, too.
func TestBlindLake(t *testing.T) {
	w := newWorld(t)
	var why atomic.Pointer[error]
	w.wrap = func(f tables.Format) tables.Format {
		if f.Name() == "iceberg" {
			return blindFormat{f, &why}
		}
		return f
	}
	id := w.register("orders-value", orderV1)
	m := w.run()
	w.produce(0, order(id, 1, "x"))
	if _, err := m.Flush(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	if l, err := m.Lake(t.Context(), "orders"); err != nil || l.Format != "iceberg" {
		t.Errorf("at first: %s, %v", l.Format, err)
	}
	why.Store(&errFault)
	if l, err := m.Lake(t.Context(), "orders"); err != nil || l.Format != "delta" || len(l.Rows) != 1 {
		t.Errorf("a table that fails: %s, %v", l.Format, err)
	}
	silent := fmt.Errorf("get x: bucket %w: nobody listens", blob.ErrUnreachable)
	why.Store(&silent)
	if _, err := m.Lake(t.Context(), "orders"); !errors.Is(err, blob.ErrUnreachable) || strings.Contains(err.Error(), "delta") {
		t.Errorf("a store that does not answer: %v", err)
	}
}
