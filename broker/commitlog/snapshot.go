package commitlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// snapshotEvery is how many batches a log takes between two snapshots of its
// producers: start-up reads at most that many batch headers of a partition
// before its first append.
const snapshotEvery = 20_000

// snapshot is the stored form of a log's producer states: as of offset.
type snapshot struct {
	Offset    int64               `json:"offset"`
	Producers map[int64]*producer `json:"producers"`
}

// SnapshotKey is the item key of a log's producer snapshot. Whoever removes
// the log removes it.
func SnapshotKey(tp storage.TP) string { return "producers/" + tp.String() }

// loadProducers rebuilds the producer states of a log before its first append:
// the last snapshot, then the headers of the batches after it. Called by the
// sequencer.
func (g *Log) loadProducers(ctx context.Context) error {
	if g.producersLoaded {
		return nil
	}
	snap := snapshot{Producers: map[int64]*producer{}}
	it, err := g.logs.cfg.Engine.Get(ctx, SnapshotKey(g.tp))
	if err != nil {
		return err
	}
	if it.Version > 0 {
		if err := json.Unmarshal(it.Value, &snap); err != nil {
			return fmt.Errorf("%w: producer snapshot of %s: %w", storage.ErrBroken, g.tp, err)
		}
	}
	if snap.Producers == nil {
		snap.Producers = map[int64]*producer{}
	}
	nowMs := g.logs.cfg.Now().UnixMilli()
	n := 0
	for h, err := range g.logs.cfg.Engine.Index(ctx, g.tp, snap.Offset) {
		if errors.Is(err, storage.ErrNoLog) {
			break
		}
		if err != nil {
			return err
		}
		g.epoch = max(g.epoch, h.LeaderEpoch)
		if h.BaseOffset < snap.Offset || !h.Idempotent() || h.Control() {
			continue
		}
		stampMs := int64(-1)
		if h.LogAppendTime() {
			stampMs = h.MaxTimestamp
		}
		snap.Producers[h.ProducerID] = snap.Producers[h.ProducerID].after(h, h.BaseOffset, stampMs, nowMs)
		n++
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.producers, g.producersLoaded, g.unsaved = snap.Producers, true, n
	return nil
}

// snapshotDue reports whether n more batches call for a snapshot.
func (g *Log) snapshotDue(n int) bool { return g.unsaved+n >= snapshotEvery }

// addSnapshot writes the producer states as of d into the round.
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
	d.log.expire(oldest)
	v, err := json.Marshal(snapshot{Offset: d.end, Producers: states})
	if err != nil || len(v) > storage.MaxValueBytes {
		return // rebuilt from headers instead: a snapshot only saves time
	}
	d.log.unsaved = -d.batches
	r.items[SnapshotKey(d.log.tp)] = len(r.write.Set)
	r.write.Set = append(r.write.Set, storage.Item{Key: SnapshotKey(d.log.tp), Value: v, Version: storage.Any})
}

// expire forgets producers that have been silent since before oldestMs.
func (g *Log) expire(oldestMs int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id, p := range g.producers {
		if p.LastMs < oldestMs {
			delete(g.producers, id)
		}
	}
}

// saveTimeout bounds the snapshots of a shutdown.
const saveTimeout = 5 * time.Second

// saveProducers writes snapshots of the logs that have none of late, so that
// the next start reads few headers.
func (s *sequencer) saveProducers() error {
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	r := &round{nowMs: s.logs.cfg.Now().UnixMilli(), items: map[string]int{}}
	for _, g := range s.logs.all() {
		if g.producersLoaded && g.unsaved > 0 && len(g.producers) > 0 {
			r.addSnapshot(&draft{log: g, end: g.End(), trim: -1})
		}
	}
	if len(r.write.Set) == 0 {
		return nil
	}
	if err := s.engine.Commit(ctx, r.write); err != nil {
		s.logs.lg.Warn("producer snapshots were not written; the next start reads headers instead", "error", err)
	}
	return nil
}

// dropSnapshots removes the snapshots of a deleted topic's logs.
func (s *sequencer) dropSnapshots(ctx context.Context, topic storage.TopicID) error {
	var w storage.Write
	for it, err := range s.engine.Scan(ctx, "producers/"+topic.String()+"/") {
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
