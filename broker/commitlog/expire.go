package commitlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/storage"
)

// Expired returns the offset below which the log may go by retention: whole
// batches from the start whose records are all older than beforeMs (Unix ms;
// below 0: no limit), and as many more as bring the log down to maxBytes (below
// 0: no limit). It is at least the log start. Timestamps are the records' own,
// as in Kafka, so one record from the future holds what lies behind it.
func (g *Log) Expired(ctx context.Context, beforeMs, maxBytes int64) (int64, error) {
	start, end := g.Bounds()
	var size int64
	if maxBytes >= 0 {
		var err error
		if size, err = g.Bytes(ctx); err != nil {
			return start, err
		}
	}
	offset := start
	for h, err := range g.logs.cfg.Engine.Index(ctx, g.tp, start) {
		if errors.Is(err, storage.ErrNoLog) {
			return start, nil
		}
		if err != nil {
			return start, fmt.Errorf("%w: index of %s: %w", ErrStorage, g.tp, err)
		}
		old := beforeMs >= 0 && h.MaxTimestamp < beforeMs
		over := maxBytes >= 0 && size-int64(h.Size()) >= maxBytes
		if !old && !over || h.LastOffset() >= end {
			break
		}
		size -= int64(h.Size())
		offset = h.LastOffset() + 1
	}
	return offset, nil
}
