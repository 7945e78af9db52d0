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
	g.mu.RLock()
	out := make([]ProducerState, 0, len(g.producers))
	for id, p := range g.producers {
		out = append(out, p.state(id, g.txns.open))
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
	g.mu.RLock()
	defer g.mu.RUnlock()
	p := g.producers[id]
	_, open := g.txns.open[id]
	return p.state(id, g.txns.open), p != nil || open
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
