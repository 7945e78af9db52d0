package commitlog

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/tarn-io/tarn/broker/storage"
)

// entryOverhead is what an entry costs besides its bytes: promise, queue slot,
// headers. It also bounds how many entries without bytes the pool holds.
const entryOverhead = 512

// pending is an entry in the pool, and the promise given for it.
type pending struct {
	Entry
	trim   *storage.Trim
	forget *storage.TopicID
	load   *storage.TP // open this log
	save   *saveStates
	size   int64
	pool   *pool // set by add

	done   chan struct{}
	result []Appended // set before done is closed
	err    error      // set before done is closed
}

func newPending() *pending { return &pending{size: entryOverhead, done: make(chan struct{})} }

// wait is the Wait of p.
func (p *pending) wait(ctx context.Context) ([]Appended, error) {
	select {
	case <-p.done:
		return p.result, p.err
	default:
	}
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish fulfils the promise and gives its room in the pool back. Called once,
// by the sequencer.
func (p *pending) finish(err error) {
	if p.err = err; err != nil {
		p.result = nil
	}
	close(p.done)
	p.pool.budget.Release(p.size)
}

// pool is a bounded queue between the connections and the sequencer. An entry
// holds its share of the budget from add until it is finished, whether it
// waits, is being committed, or was put back.
type pool struct {
	max    int64
	budget *semaphore.Weighted // fair, so that large entries are not starved

	mu      sync.Mutex
	entries []*pending    // guarded by mu, in order of arrival
	closed  bool          // guarded by mu: nothing is let in any more
	ready   chan struct{} // has an element when entries may be there
}

func newPool(max int64) *pool {
	return &pool{max: max, budget: semaphore.NewWeighted(max), ready: make(chan struct{}, 1)}
}

// add appends p to the queue; it blocks while the pool is full. An entry larger
// than the whole pool is let in when the pool is empty.
func (q *pool) add(ctx context.Context, p *pending) error {
	p.pool, p.size = q, min(p.size, q.max)
	if !q.budget.TryAcquire(p.size) {
		if err := q.budget.Acquire(ctx, p.size); err != nil {
			return err
		}
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		q.budget.Release(p.size)
		return ErrClosed
	}
	q.entries = append(q.entries, p)
	q.mu.Unlock()
	q.signal()
	return nil
}

func (q *pool) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for entries and removes up to maxBytes of them, at least one. Once
// ctx has ended nothing more is let in: take hands out what is left, and then
// ErrClosed.
func (q *pool) take(ctx context.Context, maxBytes int64) ([]*pending, error) {
	for {
		q.mu.Lock()
		if ctx.Err() != nil {
			q.closed = true
		}
		if out := q.head(maxBytes); len(out) > 0 || q.closed {
			q.mu.Unlock()
			if len(out) == 0 {
				return nil, ErrClosed
			}
			return out, nil
		}
		q.mu.Unlock()
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

// head removes the first entries. Called with mu held.
func (q *pool) head(maxBytes int64) []*pending {
	n, size := 0, int64(0)
	for n < len(q.entries) && (n == 0 || size+q.entries[n].size <= maxBytes) {
		size += q.entries[n].size
		n++
	}
	if n == len(q.entries) {
		out := q.entries
		q.entries = nil
		return out
	}
	out := append([]*pending(nil), q.entries[:n]...)
	clear(q.entries[:n])
	q.entries = q.entries[n:]
	q.signal()
	return out
}

// putBack returns entries to the head of the queue, in order.
func (q *pool) putBack(entries []*pending) {
	if len(entries) == 0 {
		return
	}
	q.mu.Lock()
	q.entries = append(entries[:len(entries):len(entries)], q.entries...)
	q.mu.Unlock()
	q.signal()
}

// close refuses what is queued and all that comes.
func (q *pool) close() {
	q.mu.Lock()
	q.closed = true
	left := q.entries
	q.entries = nil
	q.mu.Unlock()
	for _, p := range left {
		p.finish(ErrClosed)
	}
}
