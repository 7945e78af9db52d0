package commitlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/storage"
)

// maxUntimed bounds how many batches without a timestamp one look goes through in
// search of an old one behind them; from there on only Limits.Seen tells.
const maxUntimed = 10_000

// Limits say what of a log may go by retention.
type Limits struct {
	BeforeMs int64 // what is older may go (Unix ms); below 0: nothing by age
	MaxBytes int64 // the log need not be larger; below 0: any size
	// Seen is an offset below which all was in the log before BeforeMs: that is
	// the age of records without a timestamp.
	Seen int64
}

// Expired returns the offset below which the log may go by retention: whole
// batches from the start whose records are all too old, and as many more as bring
// the log down to its size. It is at least the log start. Timestamps are the
// records' own, as in Kafka, so one record from the future holds what lies behind
// it. A batch without any, which clients of before 0.10 write, is as old as its
// place in the log says: it goes below lim.Seen, or with an old one behind it.
// untimed reports that one is left at the start: when it came should be noted.
func (g *Log) Expired(ctx context.Context, lim Limits) (to int64, untimed bool, err error) {
	start, end := g.Bounds()
	var size int64
	if lim.MaxBytes >= 0 {
		if size, err = g.Bytes(ctx); err != nil {
			return start, false, err
		}
	}
	to = start
	passed := 0
	for h, err := range g.logs.cfg.Engine.Index(ctx, g.tp, start) {
		if errors.Is(err, storage.ErrNoLog) {
			return start, false, nil
		}
		if err != nil {
			return start, false, fmt.Errorf("%w: index of %s: %w", ErrStorage, g.tp, err)
		}
		if h.LastOffset() >= end {
			break
		}
		size -= int64(h.Size())
		over := lim.MaxBytes >= 0 && size >= lim.MaxBytes
		if lim.BeforeMs >= 0 && h.MaxTimestamp < 0 && h.LastOffset() >= lim.Seen && !over {
			untimed = true // what lies behind it may tell
			if passed++; passed == maxUntimed {
				break
			}
			continue
		}
		if !over && (lim.BeforeMs < 0 || h.MaxTimestamp >= lim.BeforeMs) {
			break
		}
		to, untimed, passed = h.LastOffset()+1, false, 0
	}
	return to, untimed, nil
}
