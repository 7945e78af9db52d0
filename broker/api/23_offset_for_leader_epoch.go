package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
)

// OffsetForLeaderEpoch (key 23), versions 0–4 (KIP-101, KIP-320). One owner
// has one epoch: it ends at the high watermark, and no other is known.

func (h *Handlers) offsetForLeaderEpoch(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.OffsetForLeaderEpochRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewOffsetForLeaderEpochResponseTopic()
			st.Topic = rt.Topic
			t, err := h.lookup(rt.Topic, [16]byte{}, false)
			for _, p := range rt.Partitions {
				sp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				sp.Partition, sp.LeaderEpoch, sp.EndOffset = p.Partition, -1, -1
				perr := err
				if perr == nil {
					perr = checkEpoch(p.CurrentLeaderEpoch)
				}
				var log *commitlog.Log
				if perr == nil {
					log, perr = h.log(ctx, t, p.Partition)
				}
				if perr == nil && p.LeaderEpoch == leaderEpoch {
					sp.LeaderEpoch, sp.EndOffset = leaderEpoch, log.End()
				}
				sp.ErrorCode = h.code(perr)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}
