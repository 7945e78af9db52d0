package commitlog

import (
	"cmp"
	"slices"
)

// ProducerState is what a log knows of one producer (KIP-664).
type ProducerState struct {
	ID    int64
	Epoch int16
	// LastSequence is of its last record; -1 if it has none in this epoch.
	LastSequence int32
	// LastMs is when the log last heard of it, in Unix ms; -1 if it is not
	// remembered.
	LastMs int64
	// TxnStart is the first offset of its open transaction; -1 if it has none.
	TxnStart int64
}

// Producers lists the producers that the log remembers, by id.
func (g *Log) Producers() []ProducerState {
	nowMs := g.logs.cfg.Now().UnixMilli()
	g.mu.RLock()
	out := make([]ProducerState, 0, len(g.producers))
	for id := range g.producers {
		if p := g.remembered(id, nowMs, g.txns.open); p != nil {
			out = append(out, p.state(id, g.txns.open))
		}
	}
	for id := range g.txns.open {
		if g.producers[id] == nil {
			out = append(out, (*producer)(nil).state(id, g.txns.open))
		}
	}
	g.mu.RUnlock()
	slices.SortFunc(out, func(a, b ProducerState) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Producer returns what the log knows of one producer; ok is false if nothing.
func (g *Log) Producer(id int64) (s ProducerState, ok bool) {
	nowMs := g.logs.cfg.Now().UnixMilli()
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := g.remembered(id, nowMs, g.txns.open)
	_, open := g.txns.open[id]
	return p.state(id, g.txns.open), p != nil || open
}

// remembered is what the log knows of a producer: nil also for one that has been
// idle for longer than producers are remembered and has nothing open. Its memory is
// freed later, by the next snapshot. The sequencer calls it, or who holds mu.
func (g *Log) remembered(id, nowMs int64, open map[int64]int64) *producer {
	p := g.producers[id]
	if p == nil {
		return nil
	}
	if _, is := open[id]; !is && p.LastMs < nowMs-g.logs.cfg.ProducerExpiry.Milliseconds() {
		return nil
	}
	return p
}

func (p *producer) state(id int64, open map[int64]int64) ProducerState {
	s := ProducerState{ID: id, Epoch: -1, LastSequence: -1, LastMs: -1, TxnStart: -1}
	if first, ok := open[id]; ok {
		s.TxnStart = first
	}
	if p != nil {
		s.Epoch, s.LastMs = p.Epoch, p.LastMs
		if n := len(p.Last); n > 0 {
			s.LastSequence = p.Last[n-1].LastSeq
		}
	}
	return s
}
