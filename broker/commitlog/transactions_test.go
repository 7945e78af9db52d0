package commitlog

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// transactional is idempotent in a transaction.
func transactional(id int64, epoch int16, seq int32) options {
	o := idempotent(id, epoch, seq)
	o.Transactional = true
	return o
}

func marker(t *testing.T, tp storage.TP, id int64, epoch int16, commit bool) Batch {
	t.Helper()
	b, err := record.Marker{ProducerID: id, ProducerEpoch: epoch, Commit: commit, Timestamp: 5}.Batch()
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	return Batch{TP: tp, Bytes: b, Header: h}
}

// admitAll stands for a coordinator whose transactions are open everywhere.
func admitAll(c *Config) {
	c.Admit = func(storage.TP, record.Header) error { return nil }
}

// TestLastStable follows two transactions through a log, and through a second
// process that reads the log's headers.
func TestLastStable(t *testing.T) {
	e := memory.New()
	l, stop := start(t, e, admitAll)
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		b    Batch
		want int64
	}{
		{batch(t, tp0, 1, options{}), 1},              // 0
		{batch(t, tp0, 2, transactional(1, 0, 0)), 1}, // 1, 2
		{batch(t, tp0, 1, transactional(2, 0, 0)), 1}, // 3
		{batch(t, tp0, 1, options{}), 1},              // 4
		{marker(t, tp0, 1, 0, false), 3},              // 5
		{batch(t, tp0, 1, transactional(1, 0, 2)), 3}, // 6
		{marker(t, tp0, 2, 1, true), 6},               // 7
		{marker(t, tp0, 1, 0, true), 9},               // 8
		{batch(t, tp0, 1, transactional(2, 1, 0)), 9}, // 9
		{marker(t, tp0, 3, 0, false), 9},              // 10: of a producer with nothing here
	} {
		mustPut(t, l, step.b)
		if got := g.LastStable(); got != step.want {
			t.Errorf("log ends at %d: last stable offset %d, want %d", g.End(), got, step.want)
		}
	}
	check := func(g *Log) {
		t.Helper()
		if got := g.LastStable(); got != 9 {
			t.Errorf("last stable offset %d, want 9", got)
		}
		want := AbortedTxns{{ProducerID: 1, First: 1, Last: 5}}
		for _, r := range [][2]int64{{0, 11}, {1, 2}, {2, 3}, {5, 6}} {
			if got := g.Aborted(r[0]).Below(r[1]); !slices.Equal(got, want) {
				t.Errorf("aborted in %v: %v, want %v", r, got, want)
			}
		}
		for _, r := range [][2]int64{{0, 1}, {6, 11}} {
			if got := g.Aborted(r[0]).Below(r[1]); len(got) > 0 {
				t.Errorf("aborted in %v: %v, want none", r, got)
			}
		}
		var hidden []int64
		for h, err := range e.Index(t.Context(), tp0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if want.Holds(h) {
				hidden = append(hidden, h.BaseOffset)
			}
		}
		if !slices.Equal(hidden, []int64{1}) {
			t.Errorf("hidden batches at %v, want at 1 only", hidden)
		}
	}
	check(g)
	again, _ := start(t, e, admitAll) // from headers alone
	g2, err := again.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	check(g2)
	stop() // writes a snapshot
	if it, err := e.Get(t.Context(), SnapshotKey(tp0)); err != nil || it.Version == 0 {
		t.Fatalf("no snapshot: %v", err)
	}
	third, _ := start(t, e, admitAll)
	g3, err := third.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	check(g3)
	// The transaction that was open goes on, and ends.
	mustPut(t, third, batch(t, tp0, 1, transactional(2, 1, 1)))
	mustPut(t, third, marker(t, tp0, 2, 1, false))
	if got := g3.LastStable(); got != g3.End() {
		t.Errorf("last stable offset %d, want the end %d", got, g3.End())
	}
	// Trimming forgets what lies below, and keeps what reaches above.
	if _, err := third.Trim(t.Context(), tp0, 10); err != nil {
		t.Fatal(err)
	}
	if got := g3.Aborted(0).Below(100); len(got) != 1 || got[0].First != 9 {
		t.Errorf("after the trim: %v, want the one that began at 9", got)
	}
}

// TestTransactionRules: what may come when (I3, I7, T8).
func TestTransactionRules(t *testing.T) {
	var refuse error
	l, _ := start(t, memory.New(), func(c *Config) {
		c.Admit = func(storage.TP, record.Header) error { return refuse }
	})
	for i, step := range []struct {
		admit error
		b     Batch
		want  error
	}{
		{ErrNoTransaction, batch(t, tp0, 1, transactional(1, 0, 0)), ErrNoTransaction},
		{ErrFenced, batch(t, tp0, 1, transactional(1, 0, 0)), ErrFenced},
		{nil, batch(t, tp0, 1, transactional(1, 0, 0)), nil},
		// Once open, nobody is asked again.
		{ErrNoTransaction, batch(t, tp0, 1, transactional(1, 0, 1)), nil},
		{nil, batch(t, tp0, 1, idempotent(1, 0, 2)), ErrTransactionOpen},
		{nil, batch(t, tp0, 1, options{}), nil},
		{nil, marker(t, tp0, 1, 1, false), nil},
		// The marker's epoch fences the one before it, and begins at 0.
		{nil, batch(t, tp0, 1, transactional(1, 0, 2)), ErrFenced},
		{nil, batch(t, tp0, 1, transactional(1, 1, 2)), ErrSequence},
		{nil, batch(t, tp0, 1, transactional(1, 1, 0)), nil},
		{nil, marker(t, tp0, 1, 1, true), nil},
		// An epoch that stays goes on with its sequence; what was sent twice
		// is known though its transaction is over.
		{ErrNoTransaction, batch(t, tp0, 1, transactional(1, 1, 0)), nil},
		{nil, batch(t, tp0, 1, transactional(1, 1, 1)), nil},
	} {
		refuse = step.admit
		if _, err := put(t, l, step.b); !errors.Is(err, step.want) {
			t.Errorf("step %d: got %v, want %v", i, err, step.want)
		}
	}
	none, _ := start(t, memory.New(), nil)
	if _, err := put(t, none, batch(t, tp0, 1, transactional(1, 0, 0))); !errors.Is(err, ErrNoTransaction) {
		t.Errorf("without a coordinator: %v", err)
	}
}

// TestMarkerWakes: a marker wakes who waits for the last stable offset.
func TestMarkerWakes(t *testing.T) {
	l, _ := start(t, memory.New(), admitAll)
	mustPut(t, l, batch(t, tp0, 1, transactional(1, 0, 0)))
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	w := NewWaiter()
	g.Watch(w)
	defer g.Unwatch(w)
	mustPut(t, l, marker(t, tp0, 1, 0, true))
	select {
	case <-w.C:
	case <-time.After(10 * time.Second):
		t.Error("nobody was woken")
	}
}

// TestStableInDoubt: while a log is to be read anew, its open transactions hold
// for who has it in hand.
func TestStableInDoubt(t *testing.T) {
	e, tp1 := faulty.New(memory.New()), storage.TP{Topic: tp0.Topic, Partition: 1}
	l, _ := start(t, e, admitAll)
	mustPut(t, l, batch(t, tp0, 1, options{}), batch(t, tp1, 1, options{}))
	mustPut(t, l, batch(t, tp0, 1, transactional(1, 0, 0)))
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	e.Next(faulty.Refuse(errors.New("the disk went away")))
	if _, err := put(t, l, batch(t, tp0, 1, transactional(1, 0, 1))); !errors.Is(err, ErrStorage) {
		t.Fatalf("got %v, want ErrStorage", err)
	}
	if got := g.LastStable(); got != 1 {
		t.Errorf("last stable offset %d, want 1", got)
	}
	mustPut(t, l, batch(t, tp0, 1, transactional(1, 0, 1)), marker(t, tp1, 1, 0, true))
	if got := g.LastStable(); got != 1 {
		t.Errorf("last stable offset %d, want 1", got)
	}
	mustPut(t, l, marker(t, tp0, 1, 0, true))
	if got := g.LastStable(); got != 4 {
		t.Errorf("last stable offset %d, want 4", got)
	}
}

// TestForeignMarker: a marker that another coordinator wrote is read, since its
// header alone does not tell.
func TestForeignMarker(t *testing.T) {
	e := memory.New()
	l, _ := start(t, e, admitAll)
	mustPut(t, l, batch(t, tp0, 1, transactional(1, 0, 0)))
	b, err := record.Marker{ProducerID: 1, Commit: true, CoordinatorEpoch: 7, Timestamp: 5}.Batch()
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, l, Batch{TP: tp0, Bytes: b, Header: h})
	again, _ := start(t, e, admitAll)
	g, err := again.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Aborted(0).Below(9); len(got) != 0 || g.LastStable() != 2 {
		t.Errorf("aborted %v, last stable offset %d; want a commit and 2", got, g.LastStable())
	}
}
