package broker

import (
	"context"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// defaultRetentionCheck is Kafka's log.retention.check.interval.ms.
const defaultRetentionCheck = 5 * time.Minute

// Hold says how far a partition's log may be trimmed by retention, and compacted:
// everything below the offset is no longer needed. It is asked before each trim
// and each step of a compaction.
type Hold func(tp storage.TP) (below int64)

// retain trims the logs of topics whose cleanup policy is delete, by time and
// by size, until ctx ends.
func (b *Broker) retain(ctx context.Context) error {
	every := b.cfg.RetentionCheck
	if every <= 0 {
		every = defaultRetentionCheck
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.retainAll(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *Broker) retainAll(ctx context.Context) {
	for _, t := range b.topics.View().All() {
		c := &t.Config
		if !c.CleanupDelete || c.RetentionMs < 0 && c.RetentionBytes < 0 {
			continue
		}
		for p := range t.Partitions {
			if err := b.retainLog(ctx, t, storage.TP{Topic: t.ID, Partition: p}); err != nil && ctx.Err() == nil {
				b.lg.Warn("retention", "topic", t.Name, "partition", p, "error", err)
			}
		}
	}
}

// retainLog trims one log as far as its topic's limits and the hold allow.
func (b *Broker) retainLog(ctx context.Context, t *topic.Topic, tp storage.TP) error {
	log, err := b.logs.Log(ctx, tp)
	if err != nil {
		return err
	}
	if start, end := log.Bounds(); start == end {
		return nil
	}
	beforeMs := int64(-1)
	if t.Config.RetentionMs >= 0 {
		beforeMs = max(0, b.cfg.Now().UnixMilli()-t.Config.RetentionMs)
	}
	to, err := log.Expired(ctx, beforeMs, t.Config.RetentionBytes)
	if err != nil {
		return err
	}
	if b.cfg.Hold != nil {
		to = min(to, b.cfg.Hold(tp))
	}
	start := log.Start()
	if to <= start {
		return nil
	}
	if _, err := b.logs.Trim(ctx, tp, to); err != nil {
		return err
	}
	b.lg.Debug("retention", "topic", t.Name, "partition", tp.Partition, "from", start, "to", to)
	return nil
}
