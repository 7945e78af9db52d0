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
// All partitions of a request are trimmed in one commit, as far as it goes.

func (h *Handlers) deleteRecords(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DeleteRecordsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
		resp.Topics = make([]kmsg.DeleteRecordsResponseTopic, len(req.Topics))
		var waits []func()
		for i := range req.Topics {
			rt, st := &req.Topics[i], &resp.Topics[i]
			*st = kmsg.NewDeleteRecordsResponseTopic()
			st.Topic = rt.Topic
			st.Partitions = make([]kmsg.DeleteRecordsResponseTopicPartition, len(rt.Partitions))
			t, err := h.lookup(rt.Topic, [16]byte{}, false)
			for j, p := range rt.Partitions {
				sp := &st.Partitions[j]
				*sp = kmsg.NewDeleteRecordsResponseTopicPartition()
				sp.Partition, sp.LowWatermark = p.Partition, -1
				perr := err
				var wait commitlog.Wait
				if perr == nil {
					wait, perr = h.startTrim(ctx, t, p.Partition, p.Offset)
				}
				waits = append(waits, func() {
					if perr == nil {
						sp.LowWatermark, perr = low(wait(ctx))
					}
					sp.ErrorCode = h.code(perr)
				})
			}
		}
		for _, wait := range waits {
			wait()
		}
		return resp, nil
	}, nil
}

// low is the log start that a trim gave.
func low(done []commitlog.Appended, err error) (int64, error) {
	if err != nil {
		return -1, err
	}
	return done[0].Start, nil
}

func (h *Handlers) startTrim(ctx context.Context, t *topic.Topic, partition int32, offset int64) (commitlog.Wait, error) {
	log, err := h.log(ctx, t, partition)
	if err != nil {
		return nil, err
	}
	if t.Config.CleanupCompact && !t.Config.CleanupDelete {
		return nil, refuse(wire.PolicyViolation, "records of topic %q are deleted by compaction only (cleanup.policy)", t.Name)
	}
	if offset == -1 {
		offset = log.End()
	}
	return h.cfg.Logs.StartTrim(ctx, log.TP(), offset)
}
