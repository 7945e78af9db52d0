package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
)

// testAtomic refuses Writes for one wrong part among many right ones and looks
// for traces of the others.
func testAtomic(t *testing.T, open Open) {
	eng, reopen := open(t)
	sparse(t, eng, tp(0), 10)
	mustCommit(t, eng, storage.Write{Set: []storage.Item{{Key: "a", Value: []byte("old")}}})
	_ = wantConflict(t, eng, storage.Write{
		Append:  []storage.Append{appendOf(tp(1), 0, Batch(0, 1, 100)), appendOf(tp(0), 100, Batch(100, 1, 100))},
		Replace: []storage.Replace{replaceOf(tp(0), 20, 40, 2)},
		Trim:    []storage.Trim{{TP: tp(0), Start: 10}},
		Set:     []storage.Item{{Key: "a", Version: storage.Any}, {Key: "b"}},
		Check:   []storage.Check{{Key: "a", Version: 99}},
	})
	if reopen != nil {
		eng = reopen()
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 100, Bytes: 10_000})
	if got := len(bases(t, eng, tp(0), 0)); got != 10 {
		t.Errorf("after a refused Write: got %d batches, want 10", got)
	}
	if a, b := value(t, eng, "a"), value(t, eng, "b"); string(a.Value) != "old" || b.Version != 0 {
		t.Errorf("after a refused Write: got %+v and %+v", a, b)
	}
	if _, err := eng.Bounds(t.Context(), tp(1)); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("after a refused Write: got %v, want ErrNoLog", err)
	}
	// The same parts, all right, take effect in order.
	mustCommit(t, eng, storage.Write{
		Append:  []storage.Append{appendOf(tp(0), 100, Batch(100, 10, 1000))},
		Replace: []storage.Replace{replaceOf(tp(0), 20, 40, 2, Batch(35, 5, 500))},
		Trim:    []storage.Trim{{TP: tp(0), Start: 38}},
	})
	if reopen != nil {
		eng = reopen()
	}
	wantBounds(t, eng, tp(0), storage.Bounds{Start: 38, End: 110, Bytes: 7500})
	if got := bases(t, eng, tp(0), 0); len(got) != 8 || got[0] != 35 || got[7] != 100 {
		t.Errorf("after the Write: got %v", got)
	}
}

// testAliasing changes what it passed in and what it got out.
func testAliasing(t *testing.T, open Open) {
	eng, _ := open(t)
	want := Batch(0, 1, 300)
	w := storage.Write{
		Append: []storage.Append{appendOf(tp(0), 0, want)},
		Set:    []storage.Item{{Key: "a", Value: []byte("value")}},
	}
	mustCommit(t, eng, w)
	clear(w.Append[0].Batches)
	clear(w.Set[0].Value)
	for range 2 {
		b, it := read(t, eng, tp(0), 0, 1000), value(t, eng, "a")
		if !bytes.Equal(b, want) || string(it.Value) != "value" {
			t.Fatalf("the store changed with the caller's bytes: %q", it.Value)
		}
		clear(b)
		clear(it.Value)
		for it, err := range eng.Scan(t.Context(), "a") {
			if err != nil {
				t.Fatalf("Scan: %v", err)
			}
			clear(it.Value)
		}
	}
}

// testRace lets many writers try the same end: exactly one wins each time.
func testRace(t *testing.T, open Open) {
	eng, reopen := open(t)
	const writers, rounds = 16, 20
	for round := range int64(rounds) {
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				err := eng.Commit(t.Context(), storage.Write{
					Append: []storage.Append{appendOf(tp(0), round, Batch(round, 1, 100+i))},
					Set:    []storage.Item{{Key: fmt.Sprint("writer", i), Version: storage.Any, Value: []byte{byte(round)}}},
				})
				var c *storage.Conflict
				switch {
				case err == nil:
					won.Add(1)
				case errors.As(err, &c) && len(c.Logs) == 1 && c.Logs[0].GotEnd == round+1:
					lost.Add(1)
				default:
					t.Errorf("round %d: got %v", round, err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != writers-1 {
			t.Fatalf("round %d: %d won and %d lost", round, won.Load(), lost.Load())
		}
	}
	if reopen != nil {
		eng = reopen()
	}
	if got := len(bases(t, eng, tp(0), 0)); got != rounds {
		t.Errorf("got %d batches, want %d", got, rounds)
	}
}

// testMerged sends many Writes at once, one of them wrong: the engine may merge
// them, but only the wrong one is refused.
func testMerged(t *testing.T, open Open) {
	eng, reopen := open(t)
	const writers, rounds = 24, 15
	var hot atomic.Int64
	for round := range int64(rounds) {
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				b := Batch(round, 1, 200)
				w := storage.Write{Append: []storage.Append{appendOf(tp(i), round, b)},
					Set: []storage.Item{{Key: "hot", Version: storage.Any, Value: []byte{byte(i)}}}}
				if wrong := i == int(round)%writers; wrong {
					w.Check = []storage.Check{{Key: "hot", Version: 1 << 40}}
					var c *storage.Conflict
					if err := eng.Commit(t.Context(), w); !errors.As(err, &c) || len(c.Items) != 1 {
						t.Errorf("round %d: the wrong Write got %v", round, err)
					}
					w.Check = nil
				}
				if err := eng.Commit(t.Context(), w); err != nil {
					t.Errorf("round %d, writer %d: %v", round, i, err)
				}
				for v := w.Set[0].Version; ; {
					if old := hot.Load(); v <= old || hot.CompareAndSwap(old, v) {
						break
					}
				}
			})
		}
		wg.Wait()
	}
	if reopen != nil {
		eng = reopen()
	}
	for i := range writers {
		if got := len(bases(t, eng, tp(i), 0)); got != rounds {
			t.Errorf("log %d: got %d batches, want %d", i, got, rounds)
		}
	}
	if got := value(t, eng, "hot"); got.Version != hot.Load() {
		t.Errorf("hot item: got version %d, the highest given was %d", got.Version, hot.Load())
	}
}

// testReadersAndWriters reads while others append, trim and replace: what is
// read must always be whole batches in order.
func testReadersAndWriters(t *testing.T, open Open) {
	eng, _ := open(t)
	const batches = 300
	mustAppend(t, eng, tp(0), 0, Batch(0, 10, 1000))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Go(func() {
			for offset := int64(0); ; offset = (offset + 71) % (batches * 10) {
				select {
				case <-done:
					return
				default:
				}
				readOnce(t, eng, offset, 500*(r+1)*(r+1))
			}
		})
	}
	for i := int64(1); i < batches; i++ {
		w := storage.Write{Append: []storage.Append{appendOf(tp(0), i*10, Batch(i*10, 10, 1000))}}
		if i%10 == 0 {
			w.Trim = []storage.Trim{{TP: tp(0), Start: i * 5}}
		}
		if i%15 == 0 {
			w.Replace = []storage.Replace{replaceOf(tp(0), i*10-20, i*10, 2, Batch(i*10-15, 15, 2000))}
		}
		mustCommit(t, eng, w)
	}
	close(done)
	wg.Wait()
}

func readOnce(t *testing.T, eng storage.Engine, offset int64, maxBytes int) {
	b, err := eng.Read(t.Context(), tp(0), offset, maxBytes)
	if err != nil {
		t.Errorf("Read at %d: %v", offset, err)
		return
	}
	n, next := 0, int64(0)
	for h, data := range storage.Batches(b) {
		if h.BaseOffset < next || h.LastOffset() < offset {
			t.Errorf("Read at %d: batch at %d after %d", offset, h.BaseOffset, next)
		}
		n, next = n+len(data), h.LastOffset()+1
	}
	if n != len(b) {
		t.Errorf("Read at %d: %d bytes, %d in whole batches", offset, len(b), n)
	}
	last := int64(-1)
	for h, err := range eng.Index(t.Context(), tp(0), offset) {
		if err != nil || h.BaseOffset <= last {
			t.Errorf("Index from %d: batch at %d after %d, %v", offset, h.BaseOffset, last, err)
			return
		}
		last = h.LastOffset()
	}
}

func testContext(t *testing.T, open Open) {
	eng, _ := open(t)
	mustAppend(t, eng, tp(0), 0, Batch(0, 1, 100))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := eng.Commit(ctx, storage.Write{Append: []storage.Append{appendOf(tp(0), 1, Batch(1, 1, 100))}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: got %v, want the context's error", err)
	}
	if _, err := eng.Read(ctx, tp(0), 0, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: got %v, want the context's error", err)
	}
	wantBounds(t, eng, tp(0), storage.Bounds{End: 1, Bytes: 100})
}

func testClosed(t *testing.T, open Open) {
	eng, _ := open(t)
	mustAppend(t, eng, tp(0), 0, Batch(0, 1, 100))
	if err := eng.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if err := eng.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	ctx := t.Context()
	errs := map[string]error{"Commit": eng.Commit(ctx, storage.Write{Set: []storage.Item{{Key: "a"}}})}
	_, errs["Read"] = eng.Read(ctx, tp(0), 0, 100)
	_, errs["Bounds"] = eng.Bounds(ctx, tp(0))
	_, errs["Get"] = eng.Get(ctx, "a")
	for _, err := range eng.Index(ctx, tp(0), 0) {
		errs["Index"] = err
	}
	for _, err := range eng.Scan(ctx, "") {
		errs["Scan"] = err
	}
	for _, name := range []string{"Commit", "Read", "Bounds", "Get", "Index", "Scan"} {
		if !errors.Is(errs[name], storage.ErrClosed) {
			t.Errorf("%s after Close: got %v, want ErrClosed", name, errs[name])
		}
	}
}

func testReopen(t *testing.T, open Open) {
	eng, reopen := open(t)
	if reopen == nil {
		return
	}
	want := map[int][]byte{}
	for n := range 12 {
		for _, b := range sparse(t, eng, tp(n), 5+n) {
			want[n] = append(want[n], b...)
		}
	}
	mustCommit(t, eng, storage.Write{Set: []storage.Item{{Key: "a", Value: []byte("1")}}})
	for range 3 {
		eng = reopen()
		for n, b := range want {
			if got := read(t, eng, tp(n), 0, 1<<20); !bytes.Equal(got, b) {
				t.Errorf("log %d after reopening: got %d bytes, want %d", n, len(got), len(b))
			}
		}
		if got := value(t, eng, "a"); string(got.Value) != "1" {
			t.Errorf("item after reopening: got %+v", got)
		}
	}
}
