package commitlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/record"
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

// snapshot is the stored form of a log's producer states and transactions: as
// of offset.
type snapshot struct {
	Offset    int64               `json:"offset"`
	Producers map[int64]*producer `json:"producers"`
	Open      map[int64]int64     `json:"open,omitempty"`
	Aborted   AbortedTxns         `json:"aborted,omitempty"`
}

// snapshotPrefix begins the keys of all producer snapshots.
const snapshotPrefix = "producers/"

// SnapshotKey is the item key of a log's producer snapshot. Whoever removes
// the log removes it.
func SnapshotKey(tp storage.TP) string { return snapshotPrefix + tp.String() }

// readStates rebuilds the states of a log: the last snapshot, then the headers
// of the batches after it, whose number it returns.
func (g *Log) readStates(ctx context.Context) (snapshot, int, error) {
	e := g.logs.cfg.Engine
	var snap snapshot
	it, err := e.Get(ctx, SnapshotKey(g.tp))
	if err != nil {
		return snap, 0, err
	}
	if it.Version > 0 {
		if err := json.Unmarshal(it.Value, &snap); err != nil {
			return snap, 0, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
	}
	if snap.Producers == nil {
		snap.Producers = map[int64]*producer{}
	}
	if snap.Open == nil {
		snap.Open = map[int64]int64{}
	}
	for id, p := range snap.Producers {
		if p == nil {
			return snap, 0, fmt.Errorf("%w: item %q: producer %d is null", storage.ErrBroken, it.Key, id)
		}
	}
	nowMs, n := g.logs.cfg.Now().UnixMilli(), 0
	for h, err := range e.Index(ctx, g.tp, snap.Offset) {
		if errors.Is(err, storage.ErrNoLog) {
			break
		}
		if err != nil {
			return snap, 0, err
		}
		n++
		if err := g.replay(ctx, &snap, h, nowMs); err != nil {
			return snap, 0, err
		}
	}
	return snap, n, nil
}

// replay brings states past a stored batch.
func (g *Log) replay(ctx context.Context, s *snapshot, h record.Header, nowMs int64) error {
	if !h.Idempotent() {
		return nil
	}
	txns := transactions{open: s.Open, aborted: s.Aborted}
	if h.Control() {
		s.Producers[h.ProducerID] = s.Producers[h.ProducerID].afterMarker(h, nowMs)
		if _, open := s.Open[h.ProducerID]; !open {
			return nil
		}
		commit, err := g.readMarker(ctx, h)
		if err != nil {
			return err
		}
		txns.end(h.ProducerID, h.BaseOffset, commit)
		s.Aborted = txns.aborted
		return nil
	}
	stampMs := int64(-1)
	if h.LogAppendTime() {
		stampMs = h.MaxTimestamp
	}
	s.Producers[h.ProducerID] = s.Producers[h.ProducerID].after(h, h.BaseOffset, stampMs, nowMs)
	if h.Transactional() {
		txns.begin(h.ProducerID, h.BaseOffset)
	}
	return nil
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
	txns := d.txns().trimmed(max(d.start, d.trim, d.cleaned))
	for id, p := range d.log.producers {
		if _, open := txns.open[id]; open || p.LastMs >= oldest {
			states[id] = p
		}
	}
	for id, p := range d.producers {
		states[id] = p
	}
	prune(states)
	v, err := json.Marshal(snapshot{Offset: d.end, Producers: states, Open: txns.open, Aborted: txns.aborted})
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
		g.mu.RLock()
		clean := !g.opened || g.unsaved == 0
		g.mu.RUnlock()
		if clean {
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

// dropSnapshots removes the snapshots and compaction states of a deleted topic's
// logs.
func (s *sequencer) dropSnapshots(ctx context.Context, topic storage.TopicID) error {
	var w storage.Write
	for it, err := range s.engine.Scan(ctx, snapshotPrefix+topic.String()+"/") {
		if err != nil {
			return fmt.Errorf("%w: list producer snapshots of %s: %w", ErrStorage, topic, err)
		}
		w.Set = append(w.Set, storage.Item{Key: it.Key, Version: storage.Any, Delete: true})
	}
	for it, err := range s.engine.Scan(ctx, compactionPrefix+topic.String()+"/") {
		if err != nil {
			return fmt.Errorf("%w: list compaction states of %s: %w", ErrStorage, topic, err)
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
