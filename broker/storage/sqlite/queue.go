package sqlite

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	// maxGroupBytes is where a transaction stops taking up Writes. One larger
	// makes commits slower and the WAL longer, and no faster overall.
	maxGroupBytes = 8 << 20
	// maxGroupWrites bounds what one transaction makes wait for each other.
	maxGroupWrites = 4096
	// calmYields is how often the committer yields without a new request coming
	// before it begins a transaction, about a microsecond.
	calmYields = 4
)

// request is a Commit on its way through the committer.
type request struct {
	write    storage.Write
	run      func() error // instead of write: something else to do between transactions
	versions []int64      // for write.Set, once staged
	alone    bool
	size     int
	taken    atomic.Bool // by the committer, or back by a caller whose context ended
	done     chan error  // receives the outcome once
}

// queue is where Commits wait for the committer.
type queue struct {
	wake chan struct{} // holds a token when there is something to do

	mu      sync.Mutex
	waiting []*request
	closed  bool
}

func (q *queue) init() { q.wake = make(chan struct{}, 1) }

// put queues a request, or says that the engine is closed.
func (q *queue) put(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return storage.ErrClosed
	}
	q.waiting = append(q.waiting, r)
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close refuses what comes later and wakes the committer.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// gather lets callers that are about to run put their requests first, as long
// as more keep coming. Without it those who were just answered and come again
// miss the next transaction, and every other one is half empty: twice the
// flushes. It costs a lone caller nothing that can be measured.
func (q *queue) gather() {
	n := q.len()
	for calm := 0; n > 0 && calm < calmYields; calm++ {
		runtime.Gosched()
		if now := q.len(); now != n {
			n, calm = now, 0
		}
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// take appends the next group to group: as many requests as one transaction
// should have. It reports whether the queue is closed and empty.
func (q *queue) take(group []*request) ([]*request, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, n := 0, 0
	for n < len(q.waiting) {
		r := q.waiting[n]
		if len(group) > 0 && (r.alone || size+r.size > maxGroupBytes || len(group) == maxGroupWrites) {
			break
		}
		n++
		if !r.taken.CompareAndSwap(false, true) {
			continue
		}
		group = append(group, r)
		size += r.size
		if r.alone {
			break
		}
	}
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return group, q.closed && rest == 0 && len(group) == 0
}

// Commit implements storage.Engine. Concurrent calls are merged into one
// transaction, in the order they came.
func (e *Engine) Commit(ctx context.Context, w storage.Write) error {
	if err := w.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{write: w, alone: alone(&w), done: make(chan error, 1)}
	for i := range w.Append {
		r.size += len(w.Append[i].Batches)
	}
	for i := range w.Set {
		r.size += len(w.Set[i].Value)
	}
	if err := e.queue.put(r); err != nil {
		return err
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		return <-r.done
	}
}

// do runs f on the committer, between transactions.
func (e *Engine) do(f func() error) error {
	r := &request{run: f, alone: true, done: make(chan error, 1)}
	if err := e.queue.put(r); err != nil {
		return err
	}
	return <-r.done
}
