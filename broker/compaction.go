package broker

import (
	"context"
	"errors"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

const (
	// defaultCompactionCheck is Kafka's log.cleaner.backoff.ms.
	defaultCompactionCheck = 15 * time.Second
	// compactionRetry is how long a log whose compaction failed is left alone:
	// damage does not go away, and each try reads the log.
	compactionRetry = 5 * time.Minute
)

// compaction knows when logs were looked at. It is owned by the goroutine of
// compact.
type compaction struct {
	heads  map[storage.TP]int64     // where each log ended at the last look
	failed map[storage.TP]time.Time // until when it is left alone
}

// compact compacts the logs of topics whose cleanup policy says so, one after the
// other, until ctx ends. What came since the last look stays as it is, so that a
// consumer that keeps up sees every record. Kafka's active segment does the same.
// An error means that the store is broken.
func (b *Broker) compact(ctx context.Context) error {
	every := b.cfg.CompactionCheck
	if every <= 0 {
		every = defaultCompactionCheck
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var c compaction
	for {
		select {
		case <-tick.C:
			if err := b.compactAll(ctx, &c); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *Broker) compactAll(ctx context.Context, c *compaction) error {
	old := *c
	*c = compaction{heads: map[storage.TP]int64{}, failed: map[storage.TP]time.Time{}}
	for _, t := range b.topics.View().All() {
		if !t.Config.CleanupCompact {
			continue
		}
		for p := range t.Partitions {
			tp := storage.TP{Topic: t.ID, Partition: p}
			if until := old.failed[tp]; b.cfg.Now().Before(until) {
				c.failed[tp] = until
				continue
			}
			err := b.compactLog(ctx, t, tp, old.heads[tp], c)
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, storage.ErrBroken):
				return err
			case err != nil && b.topics.View().ByID(t.ID) != nil: // else it was deleted meanwhile
				c.failed[tp] = b.cfg.Now().Add(compactionRetry)
				b.lg.Warn("compaction", "topic", t.Name, "partition", p, "error", err)
			}
		}
	}
	return nil
}

// compactLog compacts one log below head if it is due.
func (b *Broker) compactLog(ctx context.Context, t *topic.Topic, tp storage.TP, head int64, c *compaction) error {
	log, err := b.logs.Log(ctx, tp)
	if err != nil {
		return err
	}
	c.heads[tp] = log.End()
	cfg := commitlog.Compaction{
		Head: head, MinLagMs: t.Config.MinCompactionLagMs, MaxLagMs: t.Config.MaxCompactionLagMs,
		DeleteRetentionMs: t.Config.DeleteRetentionMs, DirtyRatio: t.Config.MinCleanableDirtyRatio,
	}
	if b.cfg.Hold != nil {
		cfg.Hold = func() int64 { return b.cfg.Hold(tp) }
	}
	for {
		done, err := b.logs.Compact(ctx, tp, cfg)
		if err != nil || !done.Ran {
			return err
		}
		b.lg.Debug("compaction", "topic", t.Name, "partition", tp.Partition,
			"to", done.To, "records", done.Records, "bytes", done.Bytes)
		if !done.More {
			return nil
		}
	}
}
