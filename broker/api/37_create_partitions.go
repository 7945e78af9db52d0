package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// CreatePartitions (key 37), versions 0–3 (KIP-195): only ever more. A topic
// named twice is refused.

func (h *Handlers) createPartitions(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.CreatePartitionsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
		resp.Topics = []kmsg.CreatePartitionsResponseTopic{}
		names := countNames(req.Topics, func(rt *kmsg.CreatePartitionsRequestTopic) string { return rt.Topic })
		for i := range req.Topics {
			rt := &req.Topics[i]
			first, err := names.take(rt.Topic)
			if !first {
				continue
			}
			st := kmsg.NewCreatePartitionsResponseTopic()
			st.Topic = rt.Topic
			if err == nil {
				err = h.addPartitions(ctx, r, rt)
			}
			st.ErrorCode, st.ErrorMessage = h.code(err), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) addPartitions(ctx context.Context, r *Request, rt *kmsg.CreatePartitionsRequestTopic) error {
	req := r.Body.(*kmsg.CreatePartitionsRequest)
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
	for i, a := range rt.Assignment {
		if err := checkReplicas(t.Partitions+int32(i), a.Replicas); err != nil {
			return err
		}
	}
	if !req.ValidateOnly {
		if err := h.mutate(r, rt.Count-t.Partitions, req.Version >= 3); err != nil {
			return err
		}
	}
	_, err = h.cfg.Topics.AddPartitions(ctx, rt.Topic, rt.Count, req.ValidateOnly)
	return err
}
