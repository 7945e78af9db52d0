package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// DeleteRecords (key 21), versions 0–2: moves a log's start. Offset -1 is the
// high watermark; beyond it is out of range. The start may lie inside a batch.

func (h *Handlers) deleteRecords(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DeleteRecordsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewDeleteRecordsResponseTopic()
			st.Topic = rt.Topic
			t, err := h.lookup(rt.Topic, [16]byte{}, false)
			for _, p := range rt.Partitions {
				sp := kmsg.NewDeleteRecordsResponseTopicPartition()
				sp.Partition, sp.LowWatermark = p.Partition, -1
				perr := err
				if perr == nil {
					sp.LowWatermark, perr = h.trim(ctx, t, p.Partition, p.Offset)
				}
				sp.ErrorCode = int16(codeOf(perr))
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) trim(ctx context.Context, t *topic.Topic, partition int32, offset int64) (int64, error) {
	log, err := h.log(ctx, t, partition)
	if err != nil {
		return -1, err
	}
	if t.Config.CleanupCompact && !t.Config.CleanupDelete {
		return -1, refuse(wire.PolicyViolation, "records of topic %q are deleted by compaction only (cleanup.policy)", t.Name)
	}
	if offset == -1 {
		offset = log.End()
	}
	if offset < 0 {
		return -1, commitlog.ErrRange
	}
	low, err := h.cfg.Logs.Trim(ctx, log.TP(), offset)
	if err != nil {
		return -1, err
	}
	return low, nil
}
