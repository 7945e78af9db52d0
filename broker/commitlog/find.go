package commitlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Found is an offset and the timestamp its record carries.
type Found struct {
	Offset      int64
	TimestampMs int64
}

// AtTime returns the first record at or after the log start and below limit
// whose timestamp is at least ms. false if there is none. Timestamps need not
// ascend: every batch header is looked at until one reaches ms. maxBatch
// bounds decompression in bytes.
func (g *Log) AtTime(ctx context.Context, ms, limit int64, maxBatch int) (Found, bool, error) {
	start := g.Start()
	for h, err := range g.logs.cfg.Engine.Index(ctx, g.tp, start) {
		if errors.Is(err, storage.ErrNoLog) {
			return Found{}, false, nil
		}
		if err != nil {
			return Found{}, false, fmt.Errorf("%w: index of %s: %w", ErrStorage, g.tp, err)
		}
		if h.BaseOffset >= limit {
			break
		}
		if h.MaxTimestamp < ms || h.Control() || h.Count == 0 {
			continue
		}
		f, ok, err := g.scanBatch(ctx, h, maxBatch, func(r *record.Record) bool {
			return r.Offset >= start && r.Offset < limit && r.Timestamp >= ms
		})
		if err != nil || ok {
			return f, ok, err
		}
	}
	return Found{}, false, nil
}

// MaxTime returns the earliest record that carries the log's greatest
// timestamp below limit. false if the log is empty.
func (g *Log) MaxTime(ctx context.Context, limit int64, maxBatch int) (Found, bool, error) {
	for range maxTimeLooks - 1 {
		if f, there, err := g.maxTime(ctx, limit, maxBatch); err != nil || !there || f.Offset >= 0 {
			return f, there, err
		}
	}
	f, _, err := g.maxTime(ctx, limit, maxBatch)
	return f, err == nil && f.Offset >= 0, err
}

// maxTimeLooks is how often the greatest timestamp is looked for while compaction
// takes the record away between the look at headers and the reading.
const maxTimeLooks = 3

// maxTime is one look. there is false if no batch counts; the offset is -1 if the
// record that was found has gone since.
func (g *Log) maxTime(ctx context.Context, limit int64, maxBatch int) (f Found, there bool, err error) {
	start := g.Start()
	var best record.Header
	var bestMs int64
	found := false
	for h, err := range g.logs.cfg.Engine.Index(ctx, g.tp, start) {
		if errors.Is(err, storage.ErrNoLog) {
			return Found{}, false, nil
		}
		if err != nil {
			return Found{}, false, fmt.Errorf("%w: index of %s: %w", ErrStorage, g.tp, err)
		}
		if h.BaseOffset >= limit {
			break
		}
		if h.Control() || h.Count == 0 || found && h.MaxTimestamp <= bestMs {
			continue
		}
		ms := h.MaxTimestamp
		if h.BaseOffset < start || h.LastOffset() >= limit {
			// Only a part of the batch counts: its header says too much.
			f, ok, err := g.greatest(ctx, h, maxBatch, start, limit)
			if err != nil {
				return Found{}, false, err
			}
			if ms = f.TimestampMs; !ok || found && ms <= bestMs {
				continue
			}
		}
		best, bestMs, found = h, ms, true
	}
	if !found {
		return Found{}, false, nil
	}
	f, ok, err := g.scanBatch(ctx, best, maxBatch, func(r *record.Record) bool {
		return r.Offset >= start && r.Offset < limit && r.Timestamp == bestMs
	})
	if err == nil && !ok {
		f.Offset = -1
	}
	return f, true, err
}

// greatest returns the record with the greatest timestamp of a batch, of those
// from start to below limit.
func (g *Log) greatest(ctx context.Context, h record.Header, maxBatch int, start, limit int64) (best Found, found bool, err error) {
	_, _, err = g.scanBatch(ctx, h, maxBatch, func(r *record.Record) bool {
		if r.Offset >= start && r.Offset < limit && (!found || r.Timestamp > best.TimestampMs) {
			best, found = Found{Offset: r.Offset, TimestampMs: r.Timestamp}, true
		}
		return false
	})
	return best, found, err
}

// scanBatch reads the batch with header h and returns its first record that
// matches. A batch that was trimmed or compacted away meanwhile has none.
func (g *Log) scanBatch(ctx context.Context, h record.Header, maxBatch int, match func(*record.Record) bool) (Found, bool, error) {
	b, err := g.Read(ctx, h.LastOffset(), h.Size(), h.LastOffset()+1)
	if errors.Is(err, ErrRange) {
		return Found{}, false, nil
	}
	if err != nil {
		return Found{}, false, err
	}
	for batch, err := range record.Batches(b) {
		if err == nil && batch.Header.BaseOffset == h.BaseOffset {
			return scanRecords(batch.Bytes, maxBatch, match)
		}
		break
	}
	return Found{}, false, nil
}

func scanRecords(batch []byte, maxBatch int, match func(*record.Record) bool) (Found, bool, error) {
	var r record.Reader
	err := r.Reset(batch, maxBatch)
	for err == nil && r.Next() {
		if match(r.Record()) {
			return Found{Offset: r.Record().Offset, TimestampMs: r.Record().Timestamp}, true, nil
		}
	}
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return Found{}, false, fmt.Errorf("%w: stored batch at %d: %w", ErrStorage, r.Header().BaseOffset, err)
	}
	return Found{}, false, nil
}
