package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeProducers (key 61), version 0 (KIP-664): the producers that a
// partition remembers, and where their open transactions begin. The coordinator
// epoch is the one that this broker's markers carry.

func (h *Handlers) describeProducers(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeProducersRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		resp.Topics = []kmsg.DescribeProducersResponseTopic{}
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewDescribeProducersResponseTopic()
			st.Topic = rt.Topic
			for _, n := range rt.Partitions {
				st.Partitions = append(st.Partitions, h.describeProducersOf(ctx, rt.Topic, n))
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) describeProducersOf(ctx context.Context, name string, partition int32) kmsg.DescribeProducersResponseTopicPartition {
	sp := kmsg.NewDescribeProducersResponseTopicPartition()
	sp.Partition = partition
	sp.ActiveProducers = []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
	t, err := h.lookup(name, [16]byte{}, false)
	if err == nil {
		log, logErr := h.log(ctx, t, partition)
		if err = logErr; err == nil {
			for _, s := range log.Producers() {
				a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
				a.ProducerID, a.ProducerEpoch, a.LastSequence = s.ID, int32(s.Epoch), s.LastSequence
				a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = s.LastMs, 0, s.TxnStart
				sp.ActiveProducers = append(sp.ActiveProducers, a)
			}
		}
	}
	sp.ErrorCode, sp.ErrorMessage = h.code(err), message(err)
	return sp
}
