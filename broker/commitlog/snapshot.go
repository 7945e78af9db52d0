package commitlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	// snapshotEvery is how many batches a log takes between two snapshots of
	// its producers: start-up reads at most that many batch headers of a
	// partition before its first append.
	snapshotEvery = 20_000
	// maxProducers is how many producers one log remembers; those silent for
	// longest are forgotten first. Their snapshot stays below
	// storage.MaxValueBytes: one takes at most 450 bytes.
	maxProducers = 30_000
	// slackProducers may come on top until the next snapshot.
	slackProducers = 5_000
	// saveTimeout bounds the snapshots of a shutdown.
	saveTimeout = 5 * time.Second
	// saveLogs bounds the logs, and saveBytes the values, of one commit of
	// snapshots at shutdown.
	saveLogs  = 1000
	saveBytes = 8 << 20
)

// snapshot is the stored form of a log's producer states: as of offset.
type snapshot struct {
	Offset    int64               `json:"offset"`
	Producers map[int64]*producer `json:"producers"`
}

// snapshotPrefix begins the keys of all producer snapshots.
const snapshotPrefix = "producers/"

// SnapshotKey is the item key of a log's producer snapshot. Whoever removes
// the log removes it.
func SnapshotKey(tp storage.TP) string { return snapshotPrefix + tp.String() }

// loadProducers rebuilds the producer states of a log before its first append:
// the last snapshot, then the headers of the batches after it. Called by the
// sequencer. The error wraps ErrStorage.
func (g *Log) loadProducers(ctx context.Context) error {
	if g.producersLoaded {
		return nil
	}
	snap, n, err := g.readProducers(ctx)
	if err != nil {
		return fmt.Errorf("%w: load producers of %s: %w", ErrStorage, g.tp, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.producers, g.producersLoaded, g.unsaved = snap, true, n
	return nil
}

// readProducers returns the states, and how many headers it read for them.
func (g *Log) readProducers(ctx context.Context) (map[int64]*producer, int, error) {
	e := g.logs.cfg.Engine
	it, err := e.Get(ctx, SnapshotKey(g.tp))
	if err != nil {
		return nil, 0, err
	}
	var snap snapshot
	if it.Version > 0 {
		if err := json.Unmarshal(it.Value, &snap); err != nil {
			return nil, 0, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
	}
	states := snap.Producers
	if states == nil {
		states = map[int64]*producer{}
	}
	for id, p := range states {
		if p == nil {
			return nil, 0, fmt.Errorf("%w: item %q: producer %d is null", storage.ErrBroken, it.Key, id)
		}
	}
	nowMs, n := g.logs.cfg.Now().UnixMilli(), 0
	for h, err := range e.Index(ctx, g.tp, snap.Offset) {
		if errors.Is(err, storage.ErrNoLog) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		n++
		if !h.Idempotent() || h.Control() {
			continue
		}
		stampMs := int64(-1)
		if h.LogAppendTime() {
			stampMs = h.MaxTimestamp
		}
		states[h.ProducerID] = states[h.ProducerID].after(h, h.BaseOffset, stampMs, nowMs)
	}
	return states, n, nil
}

// snapshotDue reports whether n more batches call for a snapshot.
func (g *Log) snapshotDue(n int) bool {
	return g.unsaved+n >= snapshotEvery || len(g.producers) > maxProducers+slackProducers
}

// addSnapshot writes the producer states as of d into the round, without those
// that are to be forgotten. The log has them once the round is published.
func (r *round) addSnapshot(d *draft) {
	states := make(map[int64]*producer, len(d.log.producers)+len(d.producers))
	oldest := r.nowMs - d.log.logs.cfg.ProducerExpiry.Milliseconds()
	for id, p := range d.log.producers {
		if p.LastMs >= oldest {
			states[id] = p
		}
	}
	for id, p := range d.producers {
		states[id] = p
	}
	prune(states)
	v, err := json.Marshal(snapshot{Offset: d.end, Producers: states})
	if err != nil || len(v) > storage.MaxValueBytes {
		return // rebuilt from headers instead: a snapshot only saves time
	}
	d.snapshot = states
	r.items[SnapshotKey(d.log.tp)] = len(r.write.Set)
	r.write.Set = append(r.write.Set, storage.Item{Key: SnapshotKey(d.log.tp), Value: v, Version: storage.Any})
}

// prune leaves the maxProducers that were heard of last.
func prune(states map[int64]*producer) {
	if len(states) <= maxProducers {
		return
	}
	ids := make([]int64, 0, len(states))
	for id := range states {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(states[b].LastMs, states[a].LastMs) })
	for _, id := range ids[maxProducers:] {
		delete(states, id)
	}
}

// saveProducers writes snapshots of the logs that have none of late, so that
// the next start reads few headers. What goes wrong is only logged.
func (s *sequencer) saveProducers() {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	r, size := newRound(s.logs.cfg.Now().UnixMilli(), nil), 0
	for _, g := range s.logs.all() {
		if !g.producersLoaded || g.unsaved == 0 {
			continue
		}
		d := newDraft(g)
		if r.addSnapshot(d); d.snapshot == nil {
			continue
		}
		// An append of nothing states the end: another owner's snapshot stays.
		r.write.Append = append(r.write.Append, storage.Append{TP: g.tp, Expect: d.end, Epoch: d.epoch, End: d.end})
		size += len(r.write.Set[len(r.write.Set)-1].Value)
		if len(r.write.Set) == saveLogs || size > saveBytes {
			s.save(ctx, r.write)
			r, size = newRound(r.nowMs, nil), 0
		}
	}
	s.save(ctx, r.write)
}

// save commits snapshots, without those of logs that another owner has.
func (s *sequencer) save(ctx context.Context, w storage.Write) {
	err := s.engine.Commit(ctx, w)
	if conflict := (*storage.Conflict)(nil); errors.As(err, &conflict) {
		for _, l := range conflict.Logs {
			w.Append = slices.DeleteFunc(w.Append, func(a storage.Append) bool { return a.TP == l.TP })
			w.Set = slices.DeleteFunc(w.Set, func(it storage.Item) bool { return it.Key == SnapshotKey(l.TP) })
		}
		err = s.engine.Commit(ctx, w)
	}
	if err != nil {
		s.logs.lg.Warn("producer snapshots were not written; the next start reads headers instead", "error", err)
	}
}

// dropSnapshots removes the snapshots of a deleted topic's logs.
func (s *sequencer) dropSnapshots(ctx context.Context, topic storage.TopicID) error {
	var w storage.Write
	for it, err := range s.engine.Scan(ctx, snapshotPrefix+topic.String()+"/") {
		if err != nil {
			return fmt.Errorf("%w: list producer snapshots of %s: %w", ErrStorage, topic, err)
		}
		w.Set = append(w.Set, storage.Item{Key: it.Key, Version: storage.Any, Delete: true})
	}
	if len(w.Set) == 0 {
		return nil
	}
	if err := s.engine.Commit(ctx, w); err != nil {
		return fmt.Errorf("%w: remove producer snapshots of %s: %w", ErrStorage, topic, err)
	}
	return nil
}
