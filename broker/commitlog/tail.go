package commitlog

import (
	"sync"

	"github.com/tarn-io/tarn/broker/record"
)

// tailChunk is what one commit appended to one log, kept in memory.
type tailChunk struct {
	base, end int64
	bytes     []byte // immutable
}

// tailBudget bounds the tails of all logs together. Chunks leave in the order
// in which they were committed, so each log keeps a contiguous newest part.
type tailBudget struct {
	max int64

	mu    sync.Mutex
	bytes int64     // guarded by mu
	queue []tailRef // guarded by mu, in commit order
	head  int       // guarded by mu: first live element of queue
}

type tailRef struct {
	log  *Log
	end  int64
	size int64
}

// add puts a committed chunk into g's tail and evicts the oldest chunks above
// the budget. Called by the sequencer.
func (t *tailBudget) add(g *Log, base, end int64, b []byte) {
	g.mu.Lock()
	if n := len(g.tail); n > 0 && g.tail[n-1].end != base {
		g.tail = nil // a gap: what is older cannot be joined to it
	}
	g.tail = append(g.tail, tailChunk{base: base, end: end, bytes: b})
	g.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()
	size := int64(cap(b))
	t.queue = append(t.queue, tailRef{log: g, end: end, size: size})
	t.bytes += size
	for t.bytes > t.max && t.head < len(t.queue) {
		r := t.queue[t.head]
		t.queue[t.head] = tailRef{}
		t.head++
		t.bytes -= r.size
		r.log.evict(r.end)
	}
	if t.head > 1024 && t.head > len(t.queue)/2 {
		t.queue = append([]tailRef(nil), t.queue[t.head:]...)
		t.head = 0
	}
}

// evict drops the chunks that end at or below end.
func (g *Log) evict(end int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropTailBelow(end)
}

// dropTailBelow drops whole chunks below offset. Called with mu held.
func (g *Log) dropTailBelow(offset int64) {
	n := 0
	for n < len(g.tail) && g.tail[n].end <= offset {
		n++
	}
	if n == 0 {
		return
	}
	clear(g.tail[:n])
	g.tail = g.tail[n:]
	if len(g.tail) == 0 {
		g.tail = nil
	}
}

// readTail serves a read from memory: false if the tail does not reach back to
// offset. A read that one chunk satisfies is not copied.
func (g *Log) readTail(offset int64, maxBytes int, limit int64) ([]byte, bool) {
	g.mu.RLock()
	chunks := g.tail
	g.mu.RUnlock()
	if len(chunks) == 0 || offset < chunks[0].base {
		return nil, false
	}
	lo, hi := 0, len(chunks)
	for lo < hi {
		if mid := (lo + hi) / 2; chunks[mid].end <= offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	var out []byte
	for i := lo; i < len(chunks); i++ {
		part, more := cut(chunks[i].bytes, offset, maxBytes-len(out), limit, len(out) == 0)
		if out == nil {
			out = part
		} else {
			out = append(out[:len(out):len(out)], part...)
		}
		if !more || len(out) >= maxBytes {
			break
		}
	}
	return out, true
}

// cut returns the batches of b from the one that contains offset, below limit
// and within maxBytes, at least one if first is set. more is false once a
// bound was met.
func cut(b []byte, offset int64, maxBytes int, limit int64, first bool) (part []byte, more bool) {
	from, pos := -1, 0
	for pos < len(b) {
		h, err := record.ParseHeader(b[pos:])
		if err != nil {
			return nil, false // appended by the sequencer: cannot be
		}
		if from < 0 && h.LastOffset() >= offset {
			from = pos
		}
		if from >= 0 {
			full := pos+h.Size()-from > maxBytes && (pos > from || !first)
			if h.BaseOffset >= limit || full {
				return b[from:pos:pos], false
			}
		}
		pos += h.Size()
	}
	if from < 0 {
		return nil, true
	}
	return b[from:pos:pos], true
}
