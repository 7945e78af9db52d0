package api

import (
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
)

// DescribeLogDirs (key 35), versions 0–5 (KIP-113, KIP-827, KIP-1066): the one
// log directory with the size of each partition's log, and the room on its
// volume. Null topics ask for all; those that are not there are left out, as in
// Kafka. Sizes are of stored batches, compressed as they are; what the engine
// needs besides, and what it has not yet given back, is not counted. Nothing lags
// and nothing is cordoned.

func (h *Handlers) describeLogDirs(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeLogDirsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
		sd := kmsg.NewDescribeLogDirsResponseDir()
		sd.Dir, _ = h.setting("log.dirs")
		sd.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
		if h.cfg.Disk != nil {
			sd.TotalBytes, sd.UsableBytes = h.cfg.Disk()
		}
		for name, partitions := range h.loggedPartitions(req) {
			st, err := h.describeLogs(ctx, name, partitions)
			if err != nil {
				sd.ErrorCode = h.code(err)
				break
			}
			if len(st.Partitions) > 0 {
				sd.Topics = append(sd.Topics, st)
			}
		}
		resp.Dirs = []kmsg.DescribeLogDirsResponseDir{sd}
		return resp, nil
	}, nil
}

// loggedPartitions yields the topics asked for with their partitions, each once;
// nil stands for all of a topic.
func (h *Handlers) loggedPartitions(req *kmsg.DescribeLogDirsRequest) func(func(string, []int32) bool) {
	return func(yield func(string, []int32) bool) {
		if req.Topics == nil {
			for _, t := range h.cfg.Topics.View().All() {
				if !yield(t.Name, nil) {
					return
				}
			}
			return
		}
		asked, names := map[string][]int32{}, []string{}
		for _, rt := range req.Topics {
			if _, again := asked[rt.Topic]; !again {
				names = append(names, rt.Topic)
				asked[rt.Topic] = []int32{}
			}
			asked[rt.Topic] = append(asked[rt.Topic], rt.Partitions...)
		}
		for _, name := range names {
			ps := asked[name]
			slices.Sort(ps)
			if !yield(name, slices.Compact(ps)) {
				return
			}
		}
	}
}

func (h *Handlers) describeLogs(ctx context.Context, name string, partitions []int32) (kmsg.DescribeLogDirsResponseDirTopic, error) {
	st := kmsg.NewDescribeLogDirsResponseDirTopic()
	st.Topic = name
	t := h.cfg.Topics.View().ByName(name)
	if t == nil {
		return st, nil
	}
	if partitions == nil {
		for p := range t.Partitions {
			partitions = append(partitions, p)
		}
	}
	for _, p := range partitions {
		if p < 0 || p >= t.Partitions {
			continue
		}
		b, err := h.cfg.Engine.Bounds(ctx, storage.TP{Topic: t.ID, Partition: p})
		if err != nil && !errors.Is(err, storage.ErrNoLog) {
			return st, err
		}
		sp := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
		sp.Partition, sp.Size = p, b.Bytes
		st.Partitions = append(st.Partitions, sp)
	}
	return st, nil
}
