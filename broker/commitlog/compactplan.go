package commitlog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// plan finds out what a pass would compact and whether it is due: by the share
// of the log that is not compacted, by the age of the first such record, or
// because tombstones may go.
func (p *pass) plan(ctx context.Context) (bool, error) {
	g := p.log
	it, err := p.engine.Get(ctx, CompactionKey(g.tp))
	if err != nil {
		return false, fmt.Errorf("%w: read compaction of %s: %w", ErrStorage, g.tp, err)
	}
	if p.version = it.Version; it.Version > 0 {
		if err := json.Unmarshal(it.Value, &p.state); err != nil {
			return false, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
	}
	start, end := g.Bounds()
	p.dirty = max(p.state.To, start)
	p.to = p.dirty
	limit := min(g.LastStable(), end, p.cfg.Head)
	if p.cfg.Hold != nil {
		hold := p.cfg.Hold()
		if hold < p.dirty {
			return false, nil // what was compacted already is needed as it is now
		}
		limit = min(limit, hold)
	}
	due := p.state.DueMs > 0 && p.state.DueMs <= p.nowMs
	if limit <= p.dirty {
		return due, nil
	}
	part, err := p.measure(ctx, limit)
	if err != nil || part.cleanable == 0 {
		return due && err == nil, err
	}
	total, err := g.Bytes(ctx)
	if err != nil {
		return false, fmt.Errorf("%w: bounds of %s: %w", ErrStorage, g.tp, err)
	}
	clean := max(0, total-part.dirty)
	ratio := float64(part.cleanable) / float64(clean+part.cleanable)
	late := p.cfg.MaxLagMs < math.MaxInt64 && part.firstMs >= 0 && p.nowMs-part.firstMs > p.cfg.MaxLagMs
	if ratio <= p.cfg.DirtyRatio && !late {
		return due, nil // and then only below what is compacted already
	}
	p.to = part.end
	return true, nil
}

// dirtyPart describes what of a log is not compacted.
type dirtyPart struct {
	dirty     int64 // its bytes
	cleanable int64 // bytes of those that may be compacted now
	end       int64 // where these end
	firstMs   int64 // the first batch's time
}

// measure looks at the headers of what is not compacted. From the first batch
// that is too young on nothing may be.
func (p *pass) measure(ctx context.Context, limit int64) (dirtyPart, error) {
	out := dirtyPart{firstMs: -1}
	open := true
	for h, err := range p.engine.Index(ctx, p.log.tp, p.dirty) {
		if errors.Is(err, storage.ErrNoLog) {
			break
		}
		if err != nil {
			return out, fmt.Errorf("%w: index of %s: %w", ErrStorage, p.log.tp, err)
		}
		young := p.cfg.MinLagMs > 0 && h.MaxTimestamp > p.nowMs-p.cfg.MinLagMs
		open = open && !young && h.LastOffset() < limit
		out.dirty += int64(h.Size())
		if !open {
			continue
		}
		if out.cleanable == 0 {
			out.firstMs = h.MaxTimestamp
		}
		out.cleanable += int64(h.Size())
		out.end = h.LastOffset() + 1
	}
	return out, nil
}

// keyHash stands for a key. Two keys that met in it would lose a record, so it
// is cut from a hash for which nobody can make them meet.
type keyHash [16]byte

func hashKey(key []byte) keyHash {
	sum := sha256.Sum256(key)
	return keyHash(sum[:])
}

// learn reads the dirty part and notes each key's last offset. When the table is
// full the pass ends before the batch that filled it, unless that is the first;
// what was noted of it is true and may stay.
func (p *pass) learn(ctx context.Context) error {
	p.latest = map[keyHash]int64{}
	for pos := p.dirty; pos < p.to; {
		begun := time.Now()
		b, err := p.read(ctx, pos)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			break
		}
		for batch, err := range record.Batches(b) {
			if err != nil {
				return err
			}
			full, err := p.learnBatch(batch)
			if err != nil {
				return err
			}
			if full && batch.Header.BaseOffset > p.dirty {
				p.to = batch.Header.BaseOffset
				return nil
			}
			pos = batch.Header.LastOffset() + 1
		}
		if err := rest(ctx, time.Since(begun)); err != nil {
			return err
		}
	}
	return nil
}

// learnBatch notes the keys of one batch and reports whether they are too many.
func (p *pass) learnBatch(b record.Batch) (full bool, err error) {
	h := b.Header
	if h.Control() || h.Count == 0 || p.isAborted(h) {
		return false, nil
	}
	if err := p.reader.Reset(b.Bytes, maxCompactionUnpacked); err != nil {
		return false, fmt.Errorf("batch at %d: %w", h.BaseOffset, err)
	}
	first := h.BaseOffset <= p.dirty
	for p.reader.Next() {
		r := p.reader.Record()
		if r.Key == nil {
			continue
		}
		k := hashKey(r.Key)
		if _, known := p.latest[k]; !known && len(p.latest) >= p.maxKeys && !first {
			return true, nil
		}
		p.latest[k] = r.Offset
	}
	if err := p.reader.Err(); err != nil {
		return false, fmt.Errorf("batch at %d: %w", h.BaseOffset, err)
	}
	return false, nil
}

// read returns some batches from pos, below the end of the pass.
func (p *pass) read(ctx context.Context, pos int64) ([]byte, error) {
	b, err := p.engine.Read(ctx, p.log.tp, pos, compactionStep)
	if err != nil {
		return nil, fmt.Errorf("read at %d: %w", pos, err)
	}
	return below(b, p.to), nil
}

// isAborted reports whether a batch belongs to an aborted transaction.
func (p *pass) isAborted(h record.Header) bool {
	return AbortedTxns(p.aborted[h.ProducerID]).Holds(h)
}
