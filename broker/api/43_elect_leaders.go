package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// ElectLeaders (key 43), versions 0–2 (KIP-183, KIP-460). Every partition is
// led by this broker, so no election is needed. When all partitions are asked
// for Kafka lists only those that had an election: none.

func (h *Handlers) electLeaders(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ElectLeadersRequest)
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	resp.Topics = []kmsg.ElectLeadersResponseTopic{}
	if req.Version >= 1 && req.ElectionType != 0 && req.ElectionType != 1 {
		resp.ErrorCode = int16(wire.InvalidRequest)
		return now(resp)
	}
	for _, rt := range req.Topics {
		st := kmsg.NewElectLeadersResponseTopic()
		st.Topic = rt.Topic
		for _, n := range rt.Partitions {
			err := h.exists(rt.Topic, n)
			if err == nil {
				err = refuse(wire.ElectionNotNeeded, "broker %d leads this partition", NodeID)
			}
			sp := kmsg.NewElectLeadersResponseTopicPartition()
			sp.Partition, sp.ErrorCode, sp.ErrorMessage = n, h.code(err), message(err)
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return now(resp)
}
