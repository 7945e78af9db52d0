package broker

import (
	"context"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// defaultRetentionCheck is Kafka's log.retention.check.interval.ms.
const defaultRetentionCheck = 5 * time.Minute

// Hold says how far a partition's log may be trimmed by retention, and compacted:
// everything below the offset is no longer needed. It is asked before each trim
// and each step of a compaction.
type Hold func(tp storage.TP) (below int64)

// maxMarks bounds the marks of a log: age is known to a share of the retention
// time as small as that.
const maxMarks = 64

// mark says that a log ended there then. Records without a timestamp have their
// age from it, since no log holds when they came. Marks are in memory: a start
// makes such records young again, as a copy of Kafka's files does.
type mark struct{ atMs, end int64 }

// retention is what the goroutine of retain owns.
type retention struct {
	b     *Broker
	marks map[storage.TP][]mark // ascending; of logs that begin without timestamps
}

// retain trims the logs of topics whose cleanup policy is delete, by time and
// by size, until ctx ends.
func (b *Broker) retain(ctx context.Context) error {
	every := b.cfg.RetentionCheck
	if every <= 0 {
		every = defaultRetentionCheck
	}
	r := &retention{b: b}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.all(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *retention) all(ctx context.Context) {
	before := r.marks
	r.marks = map[storage.TP][]mark{} // without those of topics that are gone
	for _, t := range r.b.topics.View().All() {
		c := &t.Config
		if !c.CleanupDelete || c.RetentionMs < 0 && c.RetentionBytes < 0 {
			continue
		}
		partitions, offsets := 0, int64(0)
		for p := range t.Partitions {
			tp := storage.TP{Topic: t.ID, Partition: p}
			n, err := r.log(ctx, t, tp, before[tp])
			if err != nil && ctx.Err() == nil {
				r.b.lg.Warn("retention", "topic", t.Name, "partition", p, "error", err)
			}
			if n > 0 {
				partitions, offsets = partitions+1, offsets+n
			}
		}
		if partitions > 0 {
			r.b.lg.Info("old records went by retention", "topic", t.Name, "partitions", partitions, "offsets", offsets,
				"retention.ms", c.RetentionMs, "retention.bytes", c.RetentionBytes)
		}
	}
}

// log trims one log as far as its topic's limits and the hold allow, and returns
// by how many offsets.
func (r *retention) log(ctx context.Context, t *topic.Topic, tp storage.TP, marks []mark) (int64, error) {
	b := r.b
	log, err := b.logs.Log(ctx, tp)
	if err != nil {
		return 0, err
	}
	start, end := log.Bounds()
	if start == end {
		return 0, nil
	}
	nowMs := b.cfg.Now().UnixMilli()
	lim := commitlog.Limits{BeforeMs: -1, MaxBytes: t.Config.RetentionBytes}
	if t.Config.RetentionMs >= 0 {
		lim.BeforeMs = max(0, nowMs-t.Config.RetentionMs)
	}
	// The last of those that are old enough stays: it may be needed again.
	for len(marks) > 1 && marks[1].atMs < lim.BeforeMs {
		marks = marks[1:]
	}
	if len(marks) > 0 && marks[0].atMs < lim.BeforeMs {
		lim.Seen = marks[0].end
	}
	to, untimed, err := log.Expired(ctx, lim)
	if err != nil {
		return 0, err
	}
	if untimed {
		if n := len(marks); n == 0 || nowMs-marks[n-1].atMs >= t.Config.RetentionMs/maxMarks {
			marks = append(marks, mark{nowMs, end})
		}
		r.marks[tp] = marks
	}
	if b.cfg.Hold != nil {
		if hold := b.cfg.Hold(tp); hold < to {
			to, r.marks[tp] = hold, marks
		}
	}
	if to <= start {
		return 0, nil
	}
	if _, err := b.logs.Trim(ctx, tp, to); err != nil {
		return 0, err
	}
	return to - start, nil
}
