package sink

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/tarn-io/tarn/broker/storage"
)

// needs is what a sink still needs of its log, for retention to ask.
type needs struct {
	mu    sync.Mutex
	below offsets // guarded by mu; nil: not known yet, all of it
}

func (n *needs) set(o offsets) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.below = o
}

func (n *needs) get(partition int32) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.below[partition]
}

// noteNeeds works out how far every format has come: what lies below is in the
// tables, or in files that are durable and will be.
func (s *sink) noteNeeds(ctx context.Context) {
	var least offsets
	for _, m := range s.members {
		if !m.known {
			s.needs.set(nil)
			return
		}
		at, err := s.position(ctx, m)
		if err != nil {
			s.needs.set(nil)
			return
		}
		if least == nil {
			least = at
			continue
		}
		for p, off := range at {
			least[p] = min(least[p], off)
		}
	}
	s.neededBy(least)
	s.needs.set(least)
}

// Needs returns the offset below which no table needs the partition's log any
// more: retention must not go beyond it. A topic without tables needs nothing;
// one whose tables cannot be read, or wait for a schema, needs everything.
func (m *Manager) Needs(tp storage.TP) (below int64) {
	m.mu.Lock()
	r, ok := m.sinks[tp.Topic]
	m.mu.Unlock()
	if ok {
		return r.needs.get(tp.Partition)
	}
	topics, _ := m.cfg.Topics()
	if slices.ContainsFunc(topics, func(t Topic) bool { return t.ID == tp.Topic }) {
		return 0 // about to start
	}
	return math.MaxInt64
}
