package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

var tp0 = storage.TP{Topic: storage.TopicID{1}}

func tpOf(n int) storage.TP { return storage.TP{Topic: storage.TopicID{1}, Partition: int32(n)} }

// appendAt is a Write that appends one record of size bytes.
func appendAt(tp storage.TP, offset int64, size int) storage.Write {
	return storage.Write{Append: []storage.Append{{TP: tp, Expect: offset, End: offset + 1,
		Batches: storagetest.Batch(offset, 1, size)}}}
}

func mustCommit(t testing.TB, e *Engine, w storage.Write) {
	t.Helper()
	if err := e.Commit(context.Background(), w); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func openTemp(t testing.TB) *Engine {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "tarn.db"))
}

// together commits Writes in the given order, all in the queue before the
// committer sees the first.
func together(t *testing.T, e *Engine, writes ...storage.Write) []error {
	t.Helper()
	gate, held := make(chan struct{}), make(chan struct{})
	go e.do(func() error { close(held); <-gate; return nil })
	<-held
	done := make([]chan error, len(writes))
	for i, w := range writes {
		done[i] = make(chan error, 1)
		go func() { done[i] <- e.Commit(t.Context(), w) }()
		for e.queue.len() != i+1 {
			runtime.Gosched()
		}
	}
	close(gate)
	errs := make([]error, len(writes))
	for i := range done {
		errs[i] = <-done[i]
	}
	return errs
}

func TestMergedCommits(t *testing.T) {
	e := openTemp(t)
	item := func(version int64) storage.Write {
		return storage.Write{Set: []storage.Item{{Key: "k", Version: version, Value: []byte("v")}}}
	}
	mustCommit(t, e, item(0))
	fence := storage.Write{Check: []storage.Check{{Key: "k", Version: 1}}}
	trim := func(start int64) storage.Write {
		return storage.Write{Trim: []storage.Trim{{TP: tp0, Start: start}}}
	}
	first := e.nextChunk
	errs := together(t, e,
		appendAt(tp0, 0, 100),
		appendAt(tp0, 1, 100), // stands on the one before
		appendAt(tp0, 1, 100), // wrong now
		fence,                 // still right
		item(1),
		fence,   // wrong now
		item(1), // wrong too
		trim(1), // what this transaction appended
		trim(3), // above the end
		appendAt(tpOf(1), 0, 100),
		appendAt(tp0, 2, 100),
	)
	refused := []int{2, 5, 6, 8}
	for i, err := range errs {
		var c *storage.Conflict
		if got := errors.As(err, &c); got != slices.Contains(refused, i) || !got && err != nil {
			t.Errorf("write %d: got %v", i, err)
		}
	}
	if got := e.nextChunk - first; got != 1 {
		t.Errorf("chunks: got %d, want all in one", got)
	}
	want := storage.Bounds{Start: 1, End: 3, Bytes: 300}
	if got, err := e.Bounds(t.Context(), tp0); got != want || err != nil {
		t.Errorf("Bounds: got %+v, %v; want %+v", got, err, want)
	}
	checkAccounts(t, e)
}

// TestWithdrawn ends a context before the committer takes the Write up.
func TestWithdrawn(t *testing.T) {
	e := openTemp(t)
	gate, held := make(chan struct{}), make(chan struct{})
	go e.do(func() error { close(held); <-gate; return nil })
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Commit(ctx, appendAt(tp0, 0, 100)) }()
	for e.queue.len() == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("withdrawn: got %v, want the context's error", err)
	}
	close(gate)
	mustCommit(t, e, appendAt(tp0, 0, 200))
	if b, err := e.Bounds(t.Context(), tp0); err != nil || b.Bytes != 200 {
		t.Errorf("Bounds: got %+v, %v; want the second Write alone", b, err)
	}
}

// TestFull lets the file reach a limit: SQLite answers as it does for a full
// disk.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := open(t, path)
	mustCommit(t, e, appendAt(tp0, 0, 1000))
	limit := func(pages int) {
		t.Helper()
		err := e.do(func() error {
			var got int
			return e.w.conn.QueryRowContext(t.Context(), "pragma max_page_count="+strconv.Itoa(pages)).Scan(&got)
		})
		if err != nil {
			t.Fatalf("limit pages: %v", err)
		}
	}
	limit(40)
	var end int64 = 1
	var err error
	for err == nil {
		w := appendAt(tp0, end, 100_000)
		w.Append = append(w.Append, appendAt(tpOf(int(end)), 0, 100).Append...)
		w.Set = []storage.Item{{Key: "last", Value: []byte{byte(end)}, Version: storage.Any}}
		if err = e.Commit(t.Context(), w); err == nil {
			end++
		}
	}
	if !errors.Is(err, storage.ErrFull) || end < 2 {
		t.Fatalf("after %d commits: got %v, want ErrFull", end, err)
	}
	for range 2 {
		if b, err := e.Bounds(t.Context(), tp0); err != nil || b.End != end {
			t.Errorf("Bounds when full: got %+v, %v; want end %d", b, err, end)
		}
		if _, err := e.Bounds(t.Context(), tpOf(int(end))); !errors.Is(err, storage.ErrNoLog) {
			t.Errorf("a part of the refused Write is there: %v", err)
		}
		if it, err := e.Get(t.Context(), "last"); err != nil || int64(it.Value[0]) != end-1 {
			t.Errorf("item when full: got %+v, %v", it, err)
		}
		checkAccounts(t, e)
		// Small things still fit, and so does everything with more room.
		mustCommit(t, e, appendAt(tp0, end, 70))
		end++
		limit(4000)
		mustCommit(t, e, appendAt(tp0, end, 100_000))
		end++
		if err := e.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		e = open(t, path)
		mustCommit(t, e, storage.Write{Set: []storage.Item{{Key: "last", Value: []byte{byte(end - 1)}, Version: storage.Any}}})
		mustCommit(t, e, storage.Write{Trim: []storage.Trim{{TP: tpOf(int(end)), Forget: true}}})
	}
}
