package commitlog

import (
	"context"
	"sync"

	"github.com/tarn-io/tarn/broker/storage"
)

// pending is an entry in the pool, and the promise given for it.
type pending struct {
	Entry
	trim   *storage.Trim
	forget *storage.TopicID
	load   *Log // read its producer states
	size   int64

	done   chan struct{}
	result []Appended // set before done is closed
	err    error      // set before done is closed
}

// wait is the Wait of p.
func (p *pending) wait(ctx context.Context) ([]Appended, error) {
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// finish fulfils the promise. Called once, by the sequencer.
func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// pool is a bounded queue between the connections and the sequencer.
type pool struct {
	max int64

	mu      sync.Mutex
	entries []*pending    // guarded by mu, in order of arrival
	bytes   int64         // guarded by mu
	closed  bool          // guarded by mu
	ready   chan struct{} // has an element when entries may be there
	room    chan struct{} // closed and replaced when bytes fell
}

func newPool(max int64) *pool {
	return &pool{max: max, ready: make(chan struct{}, 1), room: make(chan struct{})}
}

// add appends p to the queue; it blocks while the pool is full. An entry larger
// than the whole pool is let in when the pool is empty.
func (q *pool) add(ctx context.Context, p *pending) error {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return ErrClosed
		}
		if q.bytes == 0 || q.bytes+p.size <= q.max {
			q.entries = append(q.entries, p)
			q.bytes += p.size
			q.mu.Unlock()
			q.signal()
			return nil
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *pool) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take waits for entries and removes up to maxBytes of them, at least one.
func (q *pool) take(ctx context.Context, maxBytes int64) ([]*pending, error) {
	for {
		q.mu.Lock()
		n, size := 0, int64(0)
		for n < len(q.entries) && (n == 0 || size+q.entries[n].size <= maxBytes) {
			size += q.entries[n].size
			n++
		}
		if n > 0 {
			out := append([]*pending(nil), q.entries[:n]...)
			clear(q.entries[:n])
			q.entries = q.entries[n:]
			if len(q.entries) == 0 {
				q.entries = nil
			} else {
				q.signal()
			}
			q.bytes -= size
			close(q.room)
			q.room = make(chan struct{})
			q.mu.Unlock()
			return out, nil
		}
		q.mu.Unlock()
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// putBack returns entries to the head of the queue, in order.
func (q *pool) putBack(entries []*pending) {
	if len(entries) == 0 {
		return
	}
	q.mu.Lock()
	q.entries = append(append([]*pending(nil), entries...), q.entries...)
	for _, p := range entries {
		q.bytes += p.size
	}
	q.mu.Unlock()
	q.signal()
}

// close refuses what is queued and all that comes.
func (q *pool) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, p := range q.entries {
		p.finish(ErrClosed)
	}
	q.entries, q.bytes = nil, 0
	close(q.room)
	q.room = make(chan struct{})
}
