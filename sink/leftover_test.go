package sink_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
)

// stage directs what one manager's tables do.
type stage struct {
	mu       sync.Mutex
	forgets  bool                    // guarded by mu: the next Progress is that of a new table
	onCommit func(name string) error // guarded by mu: before each commit; nil: nothing
}

func (s *stage) set(forgets bool, onCommit func(name string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgets, s.onCommit = forgets, onCommit
}

type stagedFormat struct {
	tables.Format
	stage *stage
}

func (f stagedFormat) Open(ctx context.Context, spec tables.Spec) (tables.Table, error) {
	t, err := f.Format.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	return stagedTable{t, spec.Name, f.stage}, nil
}

type stagedTable struct {
	tables.Table
	name  string
	stage *stage
}

func (t stagedTable) Progress(ctx context.Context) (tables.Progress, error) {
	t.stage.mu.Lock()
	forgets := t.stage.forgets
	t.stage.forgets = false
	t.stage.mu.Unlock()
	if forgets {
		return tables.Progress{}, nil
	}
	return t.Table.Progress(ctx)
}

func (t stagedTable) Commit(ctx context.Context, c tables.Commit) error {
	t.stage.mu.Lock()
	before := t.stage.onCommit
	t.stage.mu.Unlock()
	if before != nil {
		if err := before(t.name); err != nil {
			return err
		}
	}
	return t.Table.Commit(ctx, c)
}

// gate holds the first commit to a table until it is opened.
type gate struct {
	arrived, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{arrived: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) hold(table string) func(string) error {
	return func(name string) error {
		if name == table {
			g.once.Do(func() {
				close(g.arrived)
				<-g.open
			})
		}
		return nil
	}
}

// TestTakenBack has one sink take an entry back while another one is about to
// commit it, to either of its tables, and does so before or after the range was
// committed again. Each row is there once, and no file is left that no table has.
func TestTakenBack(t *testing.T) {
	for _, format := range []string{"parquet", "delta", "iceberg"} {
		for _, table := range []string{"orders__dead_letters", "orders"} {
			for _, first := range []string{"the other", "the one"} {
				t.Run(fmt.Sprintf("%s/%s/%s first", format, table, first), func(t *testing.T) {
					takeBack(t, format, table, first == "the other")
				})
			}
		}
	}
}

func takeBack(t *testing.T, format, table string, otherFirst bool) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Formats = []string{format}
	ours, theirs := &stage{}, &stage{}
	w.wrap = func(f tables.Format) tables.Format { return stagedFormat{f, ours} }
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)

	// An entry is stored and waits, since commits fail.
	ours.set(false, func(string) error { return errFault })
	w.produce(0, order(id, 2, "b"), []byte("bad"))
	if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
		t.Fatalf("flush: %v, want the fault", err)
	}
	// The other sink takes it up and stands right before its commit.
	late := newGate()
	theirs.set(false, late.hold(table))
	w.wrap = func(f tables.Format) tables.Format { return stagedFormat{f, theirs} }
	other, stop := w.start()
	defer stop()
	taken := flushing(t, other)
	<-late.arrived

	// The one takes it back, cuts the range again, and stands before its commit.
	again := newGate()
	ours.set(true, again.hold("orders"))
	redone := flushing(t, w.manager)
	<-again.arrived
	if otherFirst {
		close(late.open)
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
		close(again.open)
		if err := <-redone; err != nil {
			t.Fatal(err)
		}
	} else {
		close(again.open)
		if err := <-redone; err != nil {
			t.Fatal(err)
		}
		w.flush() // looks again at what was left
		if left := w.orphans(); left != nil {
			t.Errorf("files that nobody refers to, before the other comes: %v", left)
		}
		close(late.open)
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
	}
	w.produce(1, order(id, 3, "c"))
	w.settle(w.manager, other)
	w.check(3, 1)
	w.noPending()
	w.noLeft()
}

// flushing flushes until it succeeds, aside.
func flushing(t *testing.T, m *sink.Manager) <-chan error {
	done := make(chan error, 1)
	go func() {
		var err error
		for range maxFlushes {
			if _, err = m.Flush(t.Context(), "orders"); err == nil {
				break
			}
		}
		done <- err
	}()
	return done
}

// settle flushes each manager until it succeeds, and once more: a flush begins
// with a look at what was left over.
func (w *world) settle(managers ...*sink.Manager) {
	w.t.Helper()
	for range 2 {
		for _, m := range managers {
			var err error
			for range maxFlushes {
				if _, err = m.Flush(w.t.Context(), "orders"); err == nil {
					break
				}
			}
			if err != nil {
				w.t.Fatalf("flush still fails: %v", err)
			}
		}
	}
}

// noLeft expects that no file waits to be judged, and that none is there that no
// table refers to.
func (w *world) noLeft() {
	w.t.Helper()
	for it, err := range w.items.Scan(w.t.Context(), fmt.Sprintf("sink/%s/left/", orders)) {
		w.t.Errorf("not judged: %s %s, %v", it.Key, it.Value, err)
	}
	if left := w.orphans(); left != nil {
		w.t.Errorf("files that nobody refers to: %v", left)
	}
}

// TestFormatTakenOff has files wait for a format that is taken off the topic:
// nobody can tell while it is off, and they go when it is back.
func TestFormatTakenOff(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Formats = []string{"delta", "parquet"}
	failing := &stage{}
	w.wrap = func(f tables.Format) tables.Format {
		if f.Name() != "delta" {
			return f
		}
		return stagedFormat{f, failing}
	}
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	failing.set(false, func(string) error { return errFault })
	w.produce(0, order(id, 2, "b"), []byte("bad"))
	if _, err := w.manager.Flush(t.Context(), "orders"); !errors.Is(err, errFault) {
		t.Fatalf("flush: %v, want the fault", err)
	}
	w.alter(func(topic *sink.Topic) { topic.Formats = []string{"parquet"} })
	w.settle(w.manager)
	w.check(2, 1)
	w.noPending()
	if left := strings.Join(w.orphans(), " "); !strings.Contains(left, "/delta/data-") {
		t.Errorf("files left: %s, want those of delta, which may yet take them", left)
	}
	failing.set(false, nil)
	w.alter(func(topic *sink.Topic) { topic.Formats = []string{"delta", "parquet"} })
	w.settle(w.manager)
	w.check(2, 1)
	w.noLeft()
}
