package commitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

var tp0 = storage.TP{Topic: storage.TopicID{1}, Partition: 0}

// start runs Logs on an engine until the test ends; stop ends it before.
func start(t *testing.T, e storage.Engine, change func(*Config)) (l *Logs, stop func()) {
	t.Helper()
	cfg := Config{Engine: e}
	if change != nil {
		change(&cfg)
	}
	l = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

type options = record.Options

// batch builds one batch with n records "v0", "v1", ….
func batch(t *testing.T, tp storage.TP, n int, o options) Batch {
	t.Helper()
	b := record.NewBuilder(o)
	for i := range n {
		b.Append(1000+int64(i), nil, fmt.Appendf(nil, "v%d", i))
	}
	bytes, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	h, err := record.ParseHeader(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return Batch{TP: tp, Bytes: bytes, Header: h}
}

func idempotent(id int64, epoch int16, seq int32) options {
	return options{Producer: &record.Producer{ID: id, Epoch: epoch, BaseSequence: seq}}
}

// put appends and waits.
func put(t *testing.T, l *Logs, b ...Batch) ([]Appended, error) {
	t.Helper()
	w, err := l.Append(t.Context(), Entry{Batches: b})
	if err != nil {
		return nil, err
	}
	return w(t.Context())
}

func mustPut(t *testing.T, l *Logs, b ...Batch) Appended {
	t.Helper()
	a, err := put(t, l, b...)
	if err != nil {
		t.Fatal(err)
	}
	return a[0]
}

// offsets reads the whole log from offset in reads of at most size bytes.
func offsets(t *testing.T, l *Logs, tp storage.TP, from int64, size int) []int64 {
	t.Helper()
	g, err := l.Log(t.Context(), tp)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for from < g.End() {
		b, err := g.Read(t.Context(), from, size, g.End())
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			t.Fatalf("nothing at %d, log ends at %d", from, g.End())
		}
		for part, err := range record.Batches(b) {
			if err != nil {
				t.Fatal(err)
			}
			if err := record.CheckCRC(part.Bytes); err != nil {
				t.Fatal(err)
			}
			out = append(out, part.Header.BaseOffset)
			from = part.Header.LastOffset() + 1
		}
	}
	return out
}

func TestAppendGivesOffsetsInOrder(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	tp1 := storage.TP{Topic: tp0.Topic, Partition: 1}
	for i, want := range []int64{0, 3, 6} {
		if got := mustPut(t, l, batch(t, tp0, 3, options{})); got.Base != want || got.TimestampMs != -1 {
			t.Errorf("append %d: got %+v, want base %d", i, got, want)
		}
	}
	if got := mustPut(t, l, batch(t, tp1, 1, options{})); got.Base != 0 {
		t.Errorf("other partition began at %d", got.Base)
	}
	for _, size := range []int{1, 100, 1 << 20} {
		if got := offsets(t, l, tp0, 0, size); fmt.Sprint(got) != "[0 3 6]" {
			t.Errorf("read by %d bytes: batches at %v", size, got)
		}
	}
	if got := offsets(t, l, tp0, 4, 1<<20); fmt.Sprint(got) != "[3 6]" {
		t.Errorf("read from inside a batch: batches at %v", got)
	}
}

func TestReadBounds(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	mustPut(t, l, batch(t, tp0, 3, options{}))
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{-1, 4} {
		if _, err := g.Read(t.Context(), off, 100, g.End()); !errors.Is(err, ErrRange) {
			t.Errorf("read at %d: got %v, want ErrRange", off, err)
		}
	}
	if b, err := g.Read(t.Context(), 3, 100, g.End()); err != nil || len(b) != 0 {
		t.Errorf("read at the end: got %d bytes, %v", len(b), err)
	}
	if b, err := g.Read(t.Context(), 0, 100, 0); err != nil || len(b) != 0 {
		t.Errorf("read below limit 0: got %d bytes, %v", len(b), err)
	}
}

// TestEngineAndTailAgree reads the same log from memory and from the engine.
func TestEngineAndTailAgree(t *testing.T) {
	e := memory.New()
	var got [2][]byte
	for i, tail := range []int64{1, 1 << 20} {
		l := New(Config{Engine: e, TailBytes: tail})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		tp := storage.TP{Topic: storage.TopicID{9}, Partition: int32(i)}
		for n := range 20 {
			mustPut(t, l, batch(t, tp, n+1, options{}))
		}
		g, err := l.Log(t.Context(), tp)
		if err != nil {
			t.Fatal(err)
		}
		for off := int64(0); off < g.End(); {
			b, err := g.Read(t.Context(), off, 500, g.End())
			if err != nil {
				t.Fatal(err)
			}
			got[i] = append(got[i], b...)
			for part := range record.Batches(b) {
				off = part.Header.LastOffset() + 1
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if len(got[0]) == 0 || !bytes.Equal(got[0], got[1]) {
		t.Errorf("engine gave %d bytes, tail %d, and they differ", len(got[0]), len(got[1]))
	}
}

func TestIdempotence(t *testing.T) {
	e := memory.New()
	l, stop := start(t, e, nil)
	type step struct {
		name  string
		o     options
		n     int
		base  int64
		dup   bool
		wants error
	}
	steps := []step{
		{"any first sequence is taken", idempotent(7, 0, 40), 2, 0, false, nil},
		{"the next one", idempotent(7, 0, 42), 1, 2, false, nil},
		{"a duplicate gets its offset", idempotent(7, 0, 40), 2, 0, true, nil},
		{"a gap", idempotent(7, 0, 44), 1, 0, false, ErrSequence},
		{"a part of a duplicate", idempotent(7, 0, 41), 1, 0, false, ErrSequence},
		{"a new epoch must begin at 0", idempotent(7, 1, 5), 1, 0, false, ErrSequence},
		{"a new epoch", idempotent(7, 1, 0), 1, 3, false, nil},
		{"the old epoch is fenced", idempotent(7, 0, 43), 1, 0, false, ErrFenced},
		{"sequences wrap", idempotent(8, 0, 1<<31-2), 3, 4, false, nil},
		{"after the wrap", idempotent(8, 0, 1), 1, 7, false, nil},
	}
	for _, s := range steps {
		a, err := put(t, l, batch(t, tp0, s.n, s.o))
		if !errors.Is(err, s.wants) {
			t.Errorf("%s: got %v, want %v", s.name, err, s.wants)
		} else if err == nil && (a[0].Base != s.base || a[0].Duplicate != s.dup) {
			t.Errorf("%s: got %+v, want base %d duplicate %v", s.name, a[0], s.base, s.dup)
		}
	}

	stop() // states outlive a restart
	l, stop = start(t, e, nil)
	if a := mustPut(t, l, batch(t, tp0, 1, idempotent(7, 1, 0))); a.Base != 3 || !a.Duplicate {
		t.Errorf("after a restart: got %+v, want the duplicate at 3", a)
	}
	stop()
	// …and the loss of the snapshot: headers tell.
	if err := e.Commit(t.Context(), storage.Write{Set: []storage.Item{{Key: SnapshotKey(tp0), Version: storage.Any, Delete: true}}}); err != nil {
		t.Fatal(err)
	}
	l, _ = start(t, e, nil)
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := g.Duplicate(t.Context(), batch(t, tp0, 1, idempotent(8, 0, 1)).Header); !ok || a.Base != 7 {
		t.Errorf("duplicate from headers: got %+v %v, want base 7", a, ok)
	}
	if _, err := put(t, l, batch(t, tp0, 1, idempotent(7, 0, 43))); !errors.Is(err, ErrFenced) {
		t.Errorf("old epoch after a restart: got %v, want ErrFenced", err)
	}
}

// TestSameProducerInOneRound pipelines batches that one commit takes together.
func TestSameProducerInOneRound(t *testing.T) {
	hold := &held{Engine: memory.New(), begun: make(chan struct{}, 1), release: make(chan struct{})}
	l, _ := start(t, hold, nil)
	first, err := l.Append(t.Context(), Entry{Batches: []Batch{batch(t, tp0, 1, options{})}})
	if err != nil {
		t.Fatal(err)
	}
	<-hold.begun // the pool fills behind this commit
	var waits []Wait
	for _, seq := range []int32{0, 1, 2, 1, 5} {
		w, err := l.Append(t.Context(), Entry{Batches: []Batch{batch(t, tp0, 1, idempotent(3, 0, seq))}})
		if err != nil {
			t.Fatal(err)
		}
		waits = append(waits, w)
	}
	close(hold.release)
	if _, err := first(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"1 false <nil>", "2 false <nil>", "3 false <nil>", "2 true <nil>", "sequence"}
	for i, w := range waits {
		a, err := w(t.Context())
		got := "sequence"
		if err == nil {
			got = fmt.Sprintf("%d %v %v", a[0].Base, a[0].Duplicate, err)
		} else if !errors.Is(err, ErrSequence) {
			got = err.Error()
		}
		if got != want[i] {
			t.Errorf("batch %d: got %q, want %q", i, got, want[i])
		}
	}
	if hold.commits != 2 {
		t.Errorf("%d commits, want 2: the second takes the whole pool", hold.commits)
	}
}

// held is an engine whose first Commit waits.
type held struct {
	storage.Engine
	begun   chan struct{}
	release chan struct{}
	commits int // owned by the sequencer until the test has waited
}

func (h *held) Commit(ctx context.Context, w storage.Write) error {
	if h.commits++; h.commits == 1 {
		h.begun <- struct{}{}
		<-h.release
	}
	return h.Engine.Commit(ctx, w)
}

func TestItemsAndChecks(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	items := []storage.Item{{Key: "a", Value: []byte("1")}}
	if err := l.Commit(t.Context(), items, nil); err != nil {
		t.Fatal(err)
	}
	v := items[0].Version
	if v == 0 {
		t.Fatal("the item got no version")
	}
	if err := l.Commit(t.Context(), []storage.Item{{Key: "a", Value: []byte("2")}}, nil); !errors.Is(err, ErrConflict) {
		t.Errorf("second creation: got %v, want ErrConflict", err)
	}
	// An entry is all or nothing: the batch of a refused entry is not there.
	w, err := l.Append(t.Context(), Entry{
		Batches: []Batch{batch(t, tp0, 1, options{})},
		Checks:  []storage.Check{{Key: "a", Version: v + 1000}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("wrong check: got %v, want ErrConflict", err)
	}
	if a := mustPut(t, l, batch(t, tp0, 1, options{})); a.Base != 0 {
		t.Errorf("after a refused entry the log began at %d", a.Base)
	}
}

func TestTrimAndForget(t *testing.T) {
	e := memory.New()
	l, _ := start(t, e, nil)
	mustPut(t, l, batch(t, tp0, 3, idempotent(5, 0, 0)))
	mustPut(t, l, batch(t, tp0, 3, idempotent(5, 0, 3)))
	low, err := l.Trim(t.Context(), tp0, 4)
	if err != nil || low != 4 {
		t.Fatalf("trim: got %d, %v", low, err)
	}
	g, _ := l.Log(t.Context(), tp0)
	if _, err := g.Read(t.Context(), 3, 100, 6); !errors.Is(err, ErrRange) {
		t.Errorf("read below the start: got %v", err)
	}
	if got := offsets(t, l, tp0, 4, 1<<20); fmt.Sprint(got) != "[3]" {
		t.Errorf("batches at %v, want the one that holds offset 4", got)
	}
	if _, err := l.Trim(t.Context(), tp0, 7); !errors.Is(err, ErrRange) {
		t.Errorf("trim above the end: got %v", err)
	}

	w := NewWaiter()
	g.Watch(w)
	if err := l.Forget(t.Context(), tp0.Topic); err != nil {
		t.Fatal(err)
	}
	<-w.C
	if _, err := g.Read(t.Context(), 4, 100, 6); !errors.Is(err, ErrGone) {
		t.Errorf("read of a forgotten log: got %v", err)
	}
	if _, err := put(t, l, batch(t, tp0, 1, options{})); !errors.Is(err, ErrGone) {
		t.Errorf("append to a forgotten log: got %v", err)
	}
	for it := range e.Scan(t.Context(), "producers/") {
		t.Errorf("item %q is left behind", it.Key)
	}
}

func TestLogAppendTime(t *testing.T) {
	l, _ := start(t, memory.New(), func(c *Config) { c.Now = func() time.Time { return time.UnixMilli(77_000) } })
	b := batch(t, tp0, 2, options{})
	b.Stamp = true
	if a := mustPut(t, l, b); a.TimestampMs != 77_000 {
		t.Errorf("stamped %d", a.TimestampMs)
	}
	g, _ := l.Log(t.Context(), tp0)
	f, ok, err := g.AtTime(t.Context(), 70_000, g.End(), 1<<20)
	if err != nil || !ok || f.Offset != 0 || f.TimestampMs != 77_000 {
		t.Errorf("found %+v %v %v", f, ok, err)
	}
}

func TestFindByTime(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	for _, times := range [][]int64{{100, 300}, {50, 200}, {300, 400, 400}} {
		b := record.NewBuilder(options{})
		for _, ms := range times {
			b.Append(ms, nil, []byte("x"))
		}
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		h, _ := record.ParseHeader(raw)
		mustPut(t, l, Batch{TP: tp0, Bytes: raw, Header: h})
	}
	g, _ := l.Log(t.Context(), tp0)
	for _, c := range []struct{ ms, want int64 }{{0, 0}, {101, 1}, {300, 1}, {301, 5}, {401, -1}} {
		f, ok, err := g.AtTime(t.Context(), c.ms, g.End(), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			f.Offset = -1
		}
		if f.Offset != c.want {
			t.Errorf("first at or after %d: got %d, want %d", c.ms, f.Offset, c.want)
		}
	}
	if f, ok, err := g.MaxTime(t.Context(), g.End(), 1<<20); err != nil || !ok || f.Offset != 5 || f.TimestampMs != 400 {
		t.Errorf("maximum: got %+v %v %v, want offset 5 at 400", f, ok, err)
	}
}

func TestPoolIsBounded(t *testing.T) {
	hold := &held{Engine: memory.New(), begun: make(chan struct{}, 1), release: make(chan struct{})}
	l, _ := start(t, hold, func(c *Config) { c.PoolBytes = 4 * entryOverhead })
	if _, err := l.Append(t.Context(), Entry{Batches: []Batch{batch(t, tp0, 1, options{})}}); err != nil {
		t.Fatal(err)
	}
	<-hold.begun
	// A full pool looks at ctx, one with room does not.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for ; n < 100; n++ {
		_, err := l.Append(ctx, Entry{Batches: []Batch{batch(t, tp0, 10, options{})}})
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 || n > 3 {
		t.Errorf("%d entries were let into a pool for less than four", n)
	}
	close(hold.release)
	// All room comes back, whatever became of the entries.
	if err := l.pool.budget.Acquire(t.Context(), 4*entryOverhead); err != nil {
		t.Error(err)
	}
}

// TestManyProducers appends from many goroutines and looks for every record.
func TestManyProducers(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	const producers, each = 16, 50
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				tp := storage.TP{Topic: tp0.Topic, Partition: int32(i % 3)}
				if _, err := put(t, l, batch(t, tp, 2, options{})); err != nil {
					t.Errorf("producer %d: %v", p, err)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for p := range int32(3) {
		tp := storage.TP{Topic: tp0.Topic, Partition: p}
		for i, off := range offsets(t, l, tp, 0, 4096) {
			if off != int64(2*i) {
				t.Fatalf("partition %d: batch %d at %d", p, i, off)
			}
			total++
		}
	}
	if total != producers*each {
		t.Errorf("found %d batches, want %d", total, producers*each)
	}
}
