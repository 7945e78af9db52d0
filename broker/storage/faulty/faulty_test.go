package faulty_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

func set(key string) storage.Write {
	return storage.Write{Set: []storage.Item{{Key: key, Version: storage.Any, Value: []byte("v")}}}
}

// there reports whether an item is in the engine within.
func there(t *testing.T, eng storage.Engine, key string) bool {
	t.Helper()
	it, err := eng.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get %q: %v", key, err)
	}
	return it.Version > 0
}

// TestSuite shows that an engine without faults behaves as the one within.
func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) (storage.Engine, func() storage.Engine) {
		return faulty.New(memory.New()), nil
	})
}

func TestFaults(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name    string
		fault   faulty.Fault
		err     error
		persist bool
		torn    bool
	}{
		{"refuse", faulty.Refuse(storage.ErrFull), storage.ErrFull, false, false},
		{"persist", faulty.Persist(boom), boom, true, false},
		{"torn before", faulty.Tear(false, boom), boom, false, true},
		{"torn after", faulty.Tear(true, boom), boom, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner := memory.New()
			e := faulty.New(inner)
			e.Next(tt.fault)
			if err := e.Commit(t.Context(), set("a")); !errors.Is(err, tt.err) {
				t.Errorf("Commit: got %v, want %v", err, tt.err)
			}
			if got := there(t, inner, "a"); got != tt.persist {
				t.Errorf("persisted: got %v, want %v", got, tt.persist)
			}
			var want error
			if tt.torn {
				want = storage.ErrClosed
			}
			if err := e.Commit(t.Context(), set("b")); !errors.Is(err, want) {
				t.Errorf("the next Commit: got %v, want %v", err, want)
			}
			if _, err := e.Get(t.Context(), "b"); !errors.Is(err, want) {
				t.Errorf("the next Get: got %v, want %v", err, want)
			}
			if got := e.Commits(); got != 2 {
				t.Errorf("commits: got %d, want 2", got)
			}
		})
	}
}

// TestPersistRefused keeps the engine's own refusal: nothing was persisted.
func TestPersistRefused(t *testing.T) {
	e := faulty.New(memory.New())
	e.Next(faulty.Persist(errors.New("boom")))
	w := set("a")
	w.Set[0].Version = 7
	var c *storage.Conflict
	if err := e.Commit(t.Context(), w); !errors.As(err, &c) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestMatching(t *testing.T) {
	e := faulty.New(memory.New())
	isB := func(w storage.Write) bool { return w.Set[0].Key == "b" }
	one, two := errors.New("one"), errors.New("two")
	e.NextMatching(isB, faulty.Refuse(one))
	e.Always(isB, faulty.Refuse(two))
	want := []struct {
		key string
		err error
	}{{"a", nil}, {"b", one}, {"a", nil}, {"b", two}, {"b", two}}
	for i, tt := range want {
		if err := e.Commit(t.Context(), set(tt.key)); !errors.Is(err, tt.err) {
			t.Errorf("commit %d: got %v, want %v", i, err, tt.err)
		}
	}
	e.Reset()
	if err := e.Commit(t.Context(), set("b")); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

func TestReadAndGet(t *testing.T) {
	e := faulty.New(memory.New())
	boom := errors.New("boom")
	tp := storage.TP{Partition: 3}
	e.NextRead(func(got storage.TP) bool { return got == tp }, boom)
	e.NextGet(nil, boom)
	if _, err := e.Read(t.Context(), storage.TP{}, 0, 1); !errors.Is(err, storage.ErrNoLog) {
		t.Errorf("Read of another log: got %v", err)
	}
	for _, want := range []error{boom, storage.ErrNoLog} {
		if _, err := e.Read(t.Context(), tp, 0, 1); !errors.Is(err, want) {
			t.Errorf("Read: got %v, want %v", err, want)
		}
	}
	for _, want := range []error{boom, nil} {
		if _, err := e.Get(t.Context(), "k"); !errors.Is(err, want) {
			t.Errorf("Get: got %v, want %v", err, want)
		}
	}
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New()
		e := faulty.New(inner)
		release := e.Hold()
		done := make(chan error, 2)
		go func() { done <- e.Commit(context.Background(), set("a")) }()
		<-e.Held()
		synctest.Wait()
		if there(t, inner, "a") {
			t.Error("a held commit was applied")
		}
		ctx, cancel := context.WithCancel(context.Background())
		go func() { done <- e.Commit(ctx, set("b")) }()
		<-e.Held()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while held: got %v", err)
		}
		release()
		release()
		if err := <-done; err != nil {
			t.Errorf("released: got %v", err)
		}
		if !there(t, inner, "a") || there(t, inner, "b") {
			t.Error("after the release: want a and not b")
		}
		if err := e.Commit(context.Background(), set("c")); err != nil {
			t.Errorf("after the release: %v", err)
		}
	})
}

func TestDelay(t *testing.T) {
	e := faulty.New(memory.New())
	ch := make(chan struct{})
	e.Next(faulty.Delay(ch))
	done := make(chan error, 1)
	go func() { done <- e.Commit(t.Context(), set("slow")) }()
	<-e.Held()
	if err := e.Commit(t.Context(), set("fast")); err != nil {
		t.Errorf("a commit beside the delayed one: %v", err)
	}
	close(ch)
	if err := <-done; err != nil || !there(t, e, "slow") {
		t.Errorf("delayed commit: got %v", err)
	}
}
