package main

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// maxUnpackedBatch bounds what one stored batch may unpack to; batches were held to
// a tighter limit when they came in.
const maxUnpackedBatch = 1 << 30

// partitionLag is how far a group is behind on a partition.
type partitionLag struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Committed int64  `json:"committed"` // -1: nothing yet
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	// Seconds is the time from the first record that is not committed to the last
	// one: how far behind in the records' own time. 0 where the group is at the end.
	Seconds float64 `json:"lag_seconds"`
	// CommitMs is when the offset was committed, Unix ms.
	CommitMs int64  `json:"commit_ms"`
	Member   string `json:"member,omitempty"`
	Client   string `json:"client,omitempty"`
	Host     string `json:"host,omitempty"`
}

// lagOf works out how far a group is behind on the topics that wanted takes; with
// times it reads two records of each partition that is behind. Of a topic where it
// has committed anything, all partitions count.
func (n *node) lagOf(ctx context.Context, g *group.Summary, times bool, wanted func(topic string) bool) []partitionLag {
	view, out := n.broker.Topics().View(), []partitionLag{}
	committed := map[storage.TopicID]map[int32]group.OffsetSummary{}
	for _, o := range g.Offsets {
		if committed[o.Topic] == nil {
			committed[o.Topic] = map[int32]group.OffsetSummary{}
		}
		committed[o.Topic][o.Partition] = o
	}
	for id, offsets := range committed {
		t := view.ByID(id)
		if t == nil || !wanted(t.Name) {
			continue
		}
		for p := range t.Partitions {
			o, ok := offsets[p]
			if !ok {
				o = group.OffsetSummary{Topic: id, Partition: p, Offset: -1}
			}
			if one, ok := n.partitionLag(ctx, g, t.Name, o, times); ok {
				out = append(out, one)
			}
		}
	}
	return out
}

func (n *node) partitionLag(ctx context.Context, g *group.Summary, name string, o group.OffsetSummary, times bool) (partitionLag, bool) {
	one := partitionLag{Topic: name, Partition: o.Partition, Committed: o.Offset, CommitMs: o.CommitMs}
	log, err := n.broker.Logs().Log(ctx, storage.TP{Topic: o.Topic, Partition: o.Partition})
	if err != nil {
		return one, false // deleted a moment ago
	}
	one.Start, one.End = log.Bounds()
	from := max(o.Offset, one.Start)
	one.Lag = max(0, one.End-from)
	if times && one.Lag > 0 {
		one.Seconds = lagSeconds(ctx, log, from, one.End)
	}
	for _, m := range g.Members {
		if slices.Contains(m.Partitions[name], o.Partition) {
			one.Member, one.Client, one.Host = m.ID, m.ClientID, m.ClientHost
		}
	}
	return one, true
}

// lagSeconds is the time between the record at an offset and the last one below end.
func lagSeconds(ctx context.Context, log *commitlog.Log, from, end int64) float64 {
	first, ok := timeAt(ctx, log, from)
	last, ok2 := timeAt(ctx, log, end-1)
	if !ok || !ok2 || last <= first {
		return 0
	}
	return float64(last-first) / float64(time.Second/time.Millisecond)
}

// timeAt is the timestamp, Unix ms, of the first record at or after an offset in its
// batch; that of the batch where compaction has left none. false if it cannot be read.
func timeAt(ctx context.Context, log *commitlog.Log, offset int64) (int64, bool) {
	raw, err := log.Read(ctx, offset, 1, log.End())
	if err != nil || len(raw) == 0 {
		return 0, false
	}
	h, err := record.ParseHeader(raw)
	if err != nil {
		return 0, false
	}
	var rd record.Reader
	if h.Control() || rd.Reset(raw[:h.Size()], maxUnpackedBatch) != nil {
		return h.MaxTimestamp, true
	}
	for rd.Next() {
		if rec := rd.Record(); rec.Offset >= offset {
			return rec.Timestamp, true
		}
	}
	return h.MaxTimestamp, true
}

// lagOfAll is what all groups together are behind on a topic.
type lagOfAll struct {
	lag    int64
	groups int
}

// topicLags adds up the lag of the groups that whoever asks may describe, by topic.
func (n *node) topicLags(r *http.Request) map[string]lagOfAll {
	out := map[string]lagOfAll{}
	for _, g := range n.broker.Groups().Groups() {
		if !n.allowed(r, acl.Describe, acl.Group, g.Name, true) {
			continue
		}
		seen := map[string]bool{}
		for _, p := range n.lagOf(r.Context(), &g, false, func(string) bool { return true }) {
			t := out[p.Topic]
			t.lag += p.Lag
			if !seen[p.Topic] {
				t.groups++
			}
			seen[p.Topic], out[p.Topic] = true, t
		}
	}
	return out
}
