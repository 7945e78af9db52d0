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
		if h.MaxTimestamp < ms || h.Control() {
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
	start := g.Start()
	var best record.Header
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
		if !h.Control() && (!found || h.MaxTimestamp > best.MaxTimestamp) {
			best, found = h, true
		}
	}
	if !found {
		return Found{}, false, nil
	}
	return g.scanBatch(ctx, best, maxBatch, func(r *record.Record) bool {
		return r.Offset >= start && r.Timestamp == best.MaxTimestamp
	})
}

// scanBatch reads the batch with header h and returns its first record that
// matches.
func (g *Log) scanBatch(ctx context.Context, h record.Header, maxBatch int, match func(*record.Record) bool) (Found, bool, error) {
	b, err := g.Read(ctx, max(h.BaseOffset, g.Start()), h.Size(), h.LastOffset()+1)
	if err != nil || len(b) == 0 {
		return Found{}, false, err
	}
	var r record.Reader
	if err := r.Reset(b[:min(len(b), h.Size())], maxBatch); err != nil {
		return Found{}, false, fmt.Errorf("%w: batch at %d: %w", ErrStorage, h.BaseOffset, err)
	}
	for r.Next() {
		if match(r.Record()) {
			return Found{Offset: r.Record().Offset, TimestampMs: r.Record().Timestamp}, true, nil
		}
	}
	if err := r.Err(); err != nil {
		return Found{}, false, fmt.Errorf("%w: batch at %d: %w", ErrStorage, h.BaseOffset, err)
	}
	return Found{}, false, nil
}
