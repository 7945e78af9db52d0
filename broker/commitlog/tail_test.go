package commitlog

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestReadersFollowTheTail has readers follow a log while it grows, is evicted
// from memory and trimmed. A read below the end is never empty and skips
// nothing, whatever the tail holds at that moment: the sink relies on it.
func TestReadersFollowTheTail(t *testing.T) {
	for name, tail := range map[string]int64{"all in memory": 1 << 20, "hardly any": 600, "none": 1} {
		t.Run(name, func(t *testing.T) {
			l, _ := start(t, memory.New(), func(c *Config) { c.TailBytes = tail })
			const total = 400
			g, err := l.Log(t.Context(), tp0)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for reader := range 4 {
				wg.Go(func() { follow(t, g, total, 70+300*reader) })
			}
			for i := range total / 2 {
				mustPut(t, l, batch(t, tp0, 2, options{}))
				if i%50 == 49 {
					// Other logs push this one out.
					other := storage.TP{Topic: storage.TopicID{2}, Partition: int32(i)}
					mustPut(t, l, batch(t, other, 20, options{}))
				}
			}
			wg.Wait()
		})
	}
}

// follow reads a log in reads of at most size bytes until offset total.
func follow(t *testing.T, g *Log, total int64, size int) {
	w := NewWaiter()
	g.Watch(w)
	defer g.Unwatch(w)
	for next := int64(0); next < total; {
		end := g.End()
		if next == end {
			<-w.C
			continue
		}
		b, err := g.Read(t.Context(), next, size, end)
		if err != nil || len(b) == 0 {
			t.Errorf("read at %d of %d: %d bytes, %v", next, end, len(b), err)
			return
		}
		for part, err := range record.Batches(b) {
			if err != nil || part.Header.BaseOffset != next {
				t.Errorf("batch at %d where %d was due, %v", part.Header.BaseOffset, next, err)
				return
			}
			next = part.Header.LastOffset() + 1
		}
	}
}

// TestReadsWhileTheTailMoves reads near the end of a log all the time while
// chunks come and go.
func TestReadsWhileTheTailMoves(t *testing.T) {
	l, _ := start(t, memory.New(), func(c *Config) { c.TailBytes = 3000 })
	g, err := l.Log(t.Context(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	var wg sync.WaitGroup
	for reader := range int64(3) {
		wg.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-written:
					return
				default:
				}
				end := g.End()
				off := max(0, end-1-(i+reader)%20)
				if off == end {
					continue
				}
				b, err := g.Read(t.Context(), off, 1<<20, end)
				next := off
				for part := range record.Batches(b) {
					if part.Header.BaseOffset != next {
						err = errors.New("a batch is missing")
					}
					next = part.Header.LastOffset() + 1
				}
				if err != nil || next != end {
					t.Errorf("read from %d to %d ended at %d: %v", off, end, next, err)
					return
				}
			}
		})
	}
	for range 500 {
		mustPut(t, l, batch(t, tp0, 1, options{}))
	}
	close(written)
	wg.Wait()
}

// TestTailReads looks at the edges of reads that several chunks serve.
func TestTailReads(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	var sizes []int
	for range 5 {
		b := batch(t, tp0, 2, options{})
		sizes = append(sizes, len(b.Bytes))
		mustPut(t, l, b)
	}
	g, _ := l.Log(t.Context(), tp0)
	one := sizes[0]
	cases := []struct {
		offset, limit int64
		max           int
		want          int
	}{
		{0, 10, 1 << 20, 5 * one},
		{0, 10, 0, one},
		{0, 10, one - 1, one},
		{0, 10, 2*one - 1, one},
		{0, 10, 2 * one, 2 * one},
		{3, 10, 2 * one, 2 * one}, // inside a batch
		{0, 4, 1 << 20, 2 * one},
		{0, 5, 1 << 20, 3 * one}, // a limit inside a batch takes it
		{9, 10, 1 << 20, one},
	}
	for _, c := range cases {
		got, ok := g.readTail(c.offset, c.max, c.limit)
		if !ok || len(got) != c.want {
			t.Errorf("read at %d below %d of %d bytes: %d, %v, want %d", c.offset, c.limit, c.max, len(got), ok, c.want)
		}
		if cap(got) != len(got) {
			t.Errorf("read at %d: whoever appends to it writes into the tail", c.offset)
		}
	}
	if b, ok := g.readTail(10, 100, 20); ok {
		t.Errorf("read at the end: %d bytes", len(b))
	}
}

// TestTailBudget counts what the tail holds against what it may.
func TestTailBudget(t *testing.T) {
	l, _ := start(t, memory.New(), func(c *Config) { c.TailBytes = 4000 })
	for i := range 200 {
		tp := storage.TP{Topic: tp0.Topic, Partition: int32(i % 7)}
		mustPut(t, l, batch(t, tp, 1+i%5, options{}))
	}
	held := int64(0)
	for _, g := range l.all() {
		g.mu.RLock()
		for i, c := range g.tail {
			held += int64(cap(c.bytes)) + chunkOverhead
			if i > 0 && g.tail[i-1].end != c.base {
				t.Errorf("%s: chunk at %d follows one that ends at %d", g.tp, c.base, g.tail[i-1].end)
			}
		}
		if n := len(g.tail); n > 0 && g.tail[n-1].end != g.end {
			t.Errorf("%s: tail ends at %d, log at %d", g.tp, g.tail[n-1].end, g.end)
		}
		g.mu.RUnlock()
	}
	l.tail.mu.Lock()
	defer l.tail.mu.Unlock()
	if held == 0 || held > 4000 || held != l.tail.bytes {
		t.Errorf("tail holds %d bytes and counts %d, at most 4000", held, l.tail.bytes)
	}
}

// TestForgetRacesWithAppends deletes a topic while producers write to it: each
// append is acknowledged before or refused after, and nothing comes later.
func TestForgetRacesWithAppends(t *testing.T) {
	e := memory.New()
	l, _ := start(t, e, nil)
	var wg sync.WaitGroup
	begun := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := put(t, l, batch(t, tp0, 1, options{}))
				if i == 0 {
					begun <- struct{}{}
				}
				if errors.Is(err, ErrGone) {
					return
				}
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	for range 8 {
		<-begun
	}
	if err := l.Forget(t.Context(), tp0.Topic); err != nil {
		t.Fatal(err)
	}
	// What an engine does when the topic is deleted.
	if err := e.Commit(t.Context(), storage.Write{Trim: []storage.Trim{{TP: tp0, Forget: true}}}); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if b, err := e.Bounds(t.Context(), tp0); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("an append made the log again: %+v, %v", b, err)
	}
}

// TestRecall takes a deletion back that did not happen.
func TestRecall(t *testing.T) {
	l, _ := start(t, memory.New(), nil)
	mustPut(t, l, batch(t, tp0, 3, options{}))
	if err := l.Forget(t.Context(), tp0.Topic); err != nil {
		t.Fatal(err)
	}
	l.Recall(tp0.Topic)
	if a := mustPut(t, l, batch(t, tp0, 1, options{})); a.Base != 3 {
		t.Errorf("after Recall the log goes on at %d, want 3", a.Base)
	}
	for i := range maxDead + 10 {
		l.forget(storage.TopicID{9, byte(i), byte(i >> 8)})
	}
	if len(l.dead) != maxDead || len(l.buried) != maxDead {
		t.Errorf("%d dead topics are remembered, want %d", len(l.dead), maxDead)
	}
}

// TestShutdownCommitsThePool ends Run while entries wait: they are committed,
// and those that come later refused.
func TestShutdownCommitsThePool(t *testing.T) {
	hold := &held{Engine: memory.New(), begun: make(chan struct{}, 1), release: make(chan struct{})}
	l := New(Config{Engine: hold})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var waits []Wait
	for i := range 3 {
		w, err := l.Append(t.Context(), Entry{Batches: []Batch{batch(t, tp0, 1, options{})}})
		if err != nil {
			t.Fatal(err)
		}
		if waits = append(waits, w); i == 0 {
			<-hold.begun
		}
	}
	cancel()
	close(hold.release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i, w := range waits {
		if a, err := w(t.Context()); err != nil || a[0].Base != int64(i) {
			t.Errorf("entry %d: %v, %v", i, a, err)
		}
	}
	if _, err := l.Append(t.Context(), Entry{Batches: []Batch{batch(t, tp0, 1, options{})}}); !errors.Is(err, ErrClosed) {
		t.Errorf("append afterwards: %v", err)
	}
}
