package commitlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Log is one partition's log. Safe for concurrent use.
type Log struct {
	tp   storage.TP
	logs *Logs

	mu      sync.RWMutex
	opened  bool                 // guarded by mu
	doubts  int                  // guarded by mu: how often distrust was called
	gone    bool                 // guarded by mu
	start   int64                // guarded by mu: log start offset
	end     int64                // guarded by mu: log end offset = high watermark
	epoch   int32                // guarded by mu: leader epoch of appends
	waiters map[*Waiter]struct{} // guarded by mu
	tail    []tailChunk          // guarded by mu, ascending and contiguous, the last one ends at end

	// producers and txns are written under mu: by who opens the log, and while
	// it is open by the sequencer, which reads them without.
	producers map[int64]*producer
	txns      transactions
	unsaved   int // as producers: batches since the last snapshot
}

// open reads the log's bounds and states, once until they are doubted.
func (g *Log) open(ctx context.Context) error {
	g.mu.RLock()
	opened, gone, doubts := g.opened, g.gone, g.doubts
	g.mu.RUnlock()
	if gone {
		return ErrGone
	}
	if opened {
		return nil
	}
	b, err := g.logs.cfg.Engine.Bounds(ctx, g.tp)
	if err != nil && !errors.Is(err, storage.ErrNoLog) {
		return fmt.Errorf("%w: read bounds of %s: %w", ErrStorage, g.tp, err)
	}
	states, n, err := g.readStates(ctx)
	if err != nil {
		return fmt.Errorf("%w: load producers of %s: %w", ErrStorage, g.tp, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened || g.doubts != doubts {
		return nil // another goroutine was faster, or what we read is doubtful by now
	}
	g.start, g.end, g.epoch, g.opened = b.Start, b.End, b.Epoch, true
	g.producers, g.unsaved = states.Producers, n
	g.txns = transactions{open: states.Open, aborted: states.Aborted}
	g.wake()
	return nil
}

// distrust makes the log read its bounds and producers anew on next use: its
// memory no longer says what the engine holds. Called by the sequencer.
func (g *Log) distrust() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doubts++
	// Transactions stay until then, as the old end does: a reader that waits
	// must not take what is open for stable.
	g.opened, g.producers = false, nil
	g.tail = nil
}

// wake wakes whoever watches the log. Called with mu held.
func (g *Log) wake() {
	for w := range g.waiters {
		w.wake()
	}
}

// Start is the log start offset: the first that may be read.
func (g *Log) Start() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.start
}

// End is the log end offset, which is also the high watermark: everything
// below it is durable.
func (g *Log) End() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.end
}

// LastStable is the last stable offset: below it no transaction is open. It is
// the first offset of an open transaction, or the high watermark.
func (g *Log) LastStable() int64 {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.txns.stable(g.start, g.end)
}

// Bounds returns start and end of one moment.
func (g *Log) Bounds() (start, end int64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.start, g.end
}

// Bytes returns the stored size of the log, about right.
func (g *Log) Bytes(ctx context.Context) (int64, error) {
	b, err := g.logs.cfg.Engine.Bounds(ctx, g.tp)
	if errors.Is(err, storage.ErrNoLog) {
		return 0, nil
	}
	return b.Bytes, err
}

// Duplicate looks whether a batch is in the log already, in the published
// producer states. It lets a retry skip validation: its records were accepted
// under the schema of their time. The sequencer looks again.
func (g *Log) Duplicate(_ context.Context, h record.Header) (Appended, bool) {
	if !h.Idempotent() {
		return Appended{}, false
	}
	nowMs := g.logs.cfg.Now().UnixMilli()
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := g.remembered(h.ProducerID, nowMs, g.txns.open)
	if p == nil || p.Epoch != h.ProducerEpoch {
		return Appended{}, false
	}
	b, err := p.check(h)
	if err != nil || b == nil {
		return Appended{}, false
	}
	return Appended{TP: g.tp, Base: b.Base, TimestampMs: b.StampMs, Start: g.start, Duplicate: true}, true
}

// Read returns whole stored batches from the one that contains offset, below
// limit (a high watermark or last stable offset): at least one if there is any,
// then as many as fit maxBytes. The result may alias the tail cache and must
// not be changed. Errors: ErrRange if offset lies outside the log, ErrGone, or
// one that wraps ErrStorage.
func (g *Log) Read(ctx context.Context, offset int64, maxBytes int, limit int64) ([]byte, error) {
	g.mu.RLock()
	gone, start, end := g.gone, g.start, g.end
	g.mu.RUnlock()
	switch {
	case gone:
		return nil, ErrGone
	case offset < start || offset > end:
		return nil, fmt.Errorf("offset %d outside %d…%d: %w", offset, start, end, ErrRange)
	case offset >= min(limit, end):
		return nil, nil
	}
	if b, ok := g.readTail(offset, maxBytes, min(limit, end)); ok {
		return b, nil
	}
	b, err := g.logs.cfg.Engine.Read(ctx, g.tp, offset, maxBytes)
	if errors.Is(err, storage.ErrNoLog) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read %s at %d: %w", ErrStorage, g.tp, offset, err)
	}
	return below(b, min(limit, end)), nil
}

// below cuts b before the first batch that begins at or above limit.
func below(b []byte, limit int64) []byte {
	pos := 0
	for pos < len(b) {
		h, err := record.ParseHeader(b[pos:])
		if err != nil || h.BaseOffset >= limit {
			break
		}
		pos += h.Size()
	}
	return b[:pos:pos]
}

// Waiter is woken when a log it watches moves on. One waiter may watch many
// logs; it belongs to one goroutine.
type Waiter struct {
	// C has an element when a watched log has advanced or gone since the last
	// receive.
	C chan struct{}
}

// NewWaiter returns a waiter that watches nothing.
func NewWaiter() *Waiter { return &Waiter{C: make(chan struct{}, 1)} }

func (w *Waiter) wake() {
	select {
	case w.C <- struct{}{}:
	default:
	}
}

// Watch makes w wake when the log advances. Look at the log after Watch, not
// before, and call Unwatch in the end.
func (g *Log) Watch(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiters == nil {
		g.waiters = map[*Waiter]struct{}{}
	}
	g.waiters[w] = struct{}{}
	if g.gone {
		w.wake()
	}
}

// Unwatch ends Watch.
func (g *Log) Unwatch(w *Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiters, w)
}

// publish makes a committed draft visible: its end, its bytes and its producers
// at once, so that whoever sees the end finds the bytes. Called by the
// sequencer.
func (g *Log) publish(d *draft) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end = d.end
	if len(d.buf) > 0 {
		g.growTail(tailChunk{base: d.oldEnd, end: d.end, bytes: d.buf})
	}
	if d.trim > g.start {
		g.start = d.trim
		g.dropTailBelow(g.start)
	}
	for id, p := range d.producers {
		g.producers[id] = p
	}
	if d.changed != nil {
		g.txns = *d.changed
	}
	g.txns = g.txns.trimmed(max(g.start, d.cleaned))
	if g.unsaved += d.batches; d.snapshot != nil {
		g.producers, g.unsaved = d.snapshot, 0
	}
	g.wake()
}

func (g *Log) setGone() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
	g.tail = nil
	g.wake()
}

// TP says which partition's log this is.
func (g *Log) TP() storage.TP { return g.tp }
