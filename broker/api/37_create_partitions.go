package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// CreatePartitions (key 37), versions 0–3 (KIP-195): only ever more.

func (h *Handlers) createPartitions(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.CreatePartitionsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		seen := map[string]bool{}
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewCreatePartitionsResponseTopic()
			st.Topic = rt.Topic
			err := once(seen, rt.Topic)
			if err == nil {
				err = h.addPartitions(ctx, req.ValidateOnly, rt)
			}
			st.ErrorCode, st.ErrorMessage = int16(codeOf(err)), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) addPartitions(ctx context.Context, validateOnly bool, rt *kmsg.CreatePartitionsRequestTopic) error {
	t, err := h.lookup(rt.Topic, [16]byte{}, false)
	if err != nil {
		return err
	}
	if rt.Count <= t.Partitions {
		return refuse(wire.InvalidPartitions, "topic %q has %d partitions, %d is not more", t.Name, t.Partitions, rt.Count)
	}
	if n := len(rt.Assignment); n > 0 && int32(n) != rt.Count-t.Partitions {
		return refuse(wire.InvalidReplicaAssignment, "%d assignments for %d new partitions", n, rt.Count-t.Partitions)
	}
	for _, a := range rt.Assignment {
		for _, id := range a.Replicas {
			if id != NodeID {
				return refuse(wire.InvalidReplicaAssignment, "broker %d is not there; the only one is %d", id, NodeID)
			}
		}
	}
	_, err = h.cfg.Topics.AddPartitions(ctx, rt.Topic, rt.Count, validateOnly)
	return err
}
