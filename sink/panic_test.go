package sink_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// TestPanics lets a panic happen at every write, before it and behind it; the same
// manager goes on, and the tables have every row once.
func TestPanics(t *testing.T) {
	sweep(t, false, func(w *world) {
		w.fuse.mu.Lock()
		w.fuse.panics = true
		w.fuse.mu.Unlock()
		tell(w, w.flushOn)
		finale(w)
	})
}

// trap panics in the tables of one name, while it is set.
type trap struct {
	mu  sync.Mutex
	set bool // guarded by mu
}

func (p *trap) arm(set bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = set
}

func (p *trap) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set {
		panic("the floor gives way")
	}
}

type trappedFormat struct {
	tables.Format
	trap *trap
}

func (f trappedFormat) Open(ctx context.Context, s tables.Spec) (tables.Table, error) {
	t, err := f.Format.Open(ctx, s)
	if err != nil || s.Name != "orders" {
		return t, err
	}
	return trappedTable{t, f.trap}, nil
}

type trappedTable struct {
	tables.Table
	trap *trap
}

func (t trappedTable) Commit(ctx context.Context, c tables.Commit) error {
	t.trap.step()
	return t.Table.Commit(ctx, c)
}

// TestDeletedTopicIsNoFault: while a topic is deleted its sink finds the log gone
// before it is told to end. Nobody has to look.
func TestDeletedTopicIsNoFault(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"delta"}
	var lines bytes.Buffer
	cfg := w.config()
	cfg.Log = slog.New(slog.NewTextHandler(&lines, nil))
	w.manager, w.stop = w.startWith(cfg)
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.produce(0, order(id, 2, "b"))
	if err := w.logs.Forget(t.Context(), orders); err != nil {
		t.Fatal(err)
	}
	if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, commitlog.ErrGone) {
		t.Errorf("flush: %v, want %v", err, commitlog.ErrGone)
	}
	w.halt()
	if got := lines.String(); strings.Contains(got, "level=ERROR") || !strings.Contains(got, "its topic is being deleted") {
		t.Errorf("want the end of the sink without an error in\n%s", got)
	}
}

// TestPanicStalls: a panic stalls the topic's tables and says so; other topics go
// on, and a flush resumes once the reason is gone.
func TestPanicStalls(t *testing.T) {
	w := newWorld(t)
	p := &trap{}
	w.wrap = func(f tables.Format) tables.Format { return trappedFormat{f, p} }
	w.topics[0].Formats = []string{"delta"}
	bills := storage.TopicID{8}
	w.topics = append(w.topics, sink.Topic{
		ID: bills, Name: "bills", Partitions: 1, Table: "bills", Formats: []string{"delta"},
		CommitInterval: w.topics[0].CommitInterval, ValueAs: "binary",
	})
	var lines bytes.Buffer
	cfg := w.config()
	cfg.Log = slog.New(slog.NewTextHandler(&lines, nil))
	w.manager, w.stop = w.startWith(cfg)
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)

	p.arm(true)
	w.produce(0, order(id, 2, "b"))
	for range 2 {
		st := w.state(sink.Stalled)
		if want := "panic: the floor gives way"; !strings.Contains(st.Message, want) {
			t.Errorf("message %q, want %q in it", st.Message, want)
		}
		last := st.Formats[0].LastError
		if last == nil || !strings.Contains(last.Message, "the floor") || !strings.Contains(last.Fix, "tarn table flush") {
			t.Errorf("last error %+v names neither the panic nor what to do", last)
		}
	}
	b := record.NewBuilder(record.Options{})
	b.Append(1700000000000, nil, []byte("a bill"))
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ParseHeader(raw)
	if err != nil {
		t.Fatal(err)
	}
	wait, err := w.logs.Append(t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{TP: storage.TP{Topic: bills}, Bytes: raw, Header: h}}})
	if err == nil {
		_, err = wait(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if f, err := w.manager.Flush(t.Context(), "bills"); err != nil || f.Rows != 1 {
		t.Errorf("flush of the other topic: %+v, %v", f, err)
	}

	p.arm(false)
	w.verify(2, 0)
	w.halt()
	if n := strings.Count(lines.String(), "trappedTable"); n != 1 {
		t.Errorf("the log has the stack %d times, want once:\n%s", n, lines.String())
	}
}
