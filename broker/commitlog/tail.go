package commitlog

import (
	"sort"
	"sync"

	"github.com/tarn-io/tarn/broker/record"
)

// tailChunk is what one commit appended to one log, kept in memory.
type tailChunk struct {
	base, end int64
	bytes     []byte // immutable
}

// chunkOverhead is what a chunk costs besides its bytes, here and in the
// budget's queue.
const chunkOverhead = 96

// tailBudget bounds the tails of all logs together. Chunks leave in the order
// in which they were committed, so each log keeps a contiguous newest part.
// What a log drops by itself (a trim, a deletion) stays charged until its turn.
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

// charge counts a chunk that was put into g's tail and evicts the oldest chunks
// above the budget. Called by the sequencer.
func (t *tailBudget) charge(g *Log, c tailChunk) {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := int64(cap(c.bytes)) + chunkOverhead
	t.queue = append(t.queue, tailRef{log: g, end: c.end, size: size})
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

// growTail adds a chunk. Called with mu held.
func (g *Log) growTail(c tailChunk) {
	if n := len(g.tail); n > 0 && g.tail[n-1].end != c.base {
		g.tail = nil // a gap: what is older cannot be joined to it
	}
	g.tail = append(g.tail, c)
}

// dropTailBelow drops whole chunks below offset. Called with mu held.
func (g *Log) dropTailBelow(offset int64) {
	n := 0
	for n < len(g.tail) && g.tail[n].end <= offset {
		n++
	}
	clear(g.tail[:n])
	if g.tail = g.tail[n:]; len(g.tail) == 0 {
		g.tail = nil
	}
}

// dropTailUnder drops the chunks that begin below offset: compaction has changed
// what lies there.
func (g *Log) dropTailUnder(offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for n < len(g.tail) && g.tail[n].base < offset {
		n++
	}
	clear(g.tail[:n])
	if g.tail = g.tail[n:]; len(g.tail) == 0 {
		g.tail = nil
	}
}

// readTail serves a read from memory: false if the tail does not hold offset.
// A read that one chunk satisfies is not copied.
func (g *Log) readTail(offset int64, maxBytes int, limit int64) ([]byte, bool) {
	var room [4][]byte
	pieces, total := room[:0], 0
	for _, c := range g.tailFrom(offset, maxBytes, limit) {
		part, more := c.bytes[:len(c.bytes):len(c.bytes)], true
		if c.base < offset || c.end > limit || total+len(part) > maxBytes {
			part, more = cut(part, offset, maxBytes-total, limit, total == 0)
		}
		if len(part) > 0 {
			pieces, total = append(pieces, part), total+len(part)
		}
		if !more || total >= maxBytes {
			break
		}
	}
	switch len(pieces) {
	case 0:
		return nil, false
	case 1:
		return pieces[0], true
	}
	out := make([]byte, 0, total)
	for _, p := range pieces {
		out = append(out, p...)
	}
	return out, true
}

// tailFrom copies the list of the chunks that a read may touch: the slice
// itself belongs to the log and changes, the bytes do not.
func (g *Log) tailFrom(offset int64, maxBytes int, limit int64) []tailChunk {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if len(g.tail) == 0 || offset < g.tail[0].base {
		return nil
	}
	from := sort.Search(len(g.tail), func(i int) bool { return g.tail[i].end > offset })
	// The first chunk may hold any share of itself at or after offset, so only
	// those after it count.
	to, size := from, 0
	for to < len(g.tail) && g.tail[to].base < limit && (to == from || size < maxBytes) {
		if to > from {
			size += len(g.tail[to].bytes)
		}
		to++
	}
	return append([]tailChunk(nil), g.tail[from:to]...)
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
