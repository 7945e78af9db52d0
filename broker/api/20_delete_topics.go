package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
)

// DeleteTopics (key 20), versions 0–6; by id from version 6 (KIP-516). Parked
// fetches and producers of the topic end with its error; its logs, offsets of
// groups and producer states go with it.

func (h *Handlers) deleteTopics(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DeleteTopicsRequest)
	if req.Version < 6 {
		for _, name := range req.TopicNames {
			rt := kmsg.NewDeleteTopicsRequestTopic()
			rt.Topic = &name
			req.Topics = append(req.Topics, rt)
		}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
		for i := range req.Topics {
			rt := &req.Topics[i]
			st := kmsg.NewDeleteTopicsResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			name := ""
			if rt.Topic != nil {
				name = *rt.Topic
			}
			t, err := h.lookup(name, rt.TopicID, rt.Topic == nil)
			if err == nil {
				st.Topic, st.TopicID = &t.Name, t.ID
				err = h.deleteTopic(ctx, t)
			}
			st.ErrorCode, st.ErrorMessage = int16(codeOf(err)), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) deleteTopic(ctx context.Context, t *topic.Topic) error {
	if err := h.cfg.Logs.Forget(ctx, t.ID); err != nil {
		return noted(err, "close the logs of topic %q", t.Name)
	}
	if err := h.cfg.Topics.Delete(ctx, t.ID); err != nil {
		return noted(err, "delete topic %q", t.Name)
	}
	h.lg.Info("topic deleted", "topic", t.Name)
	return noted(h.cfg.Groups.DropTopic(ctx, t.ID), "drop group offsets of topic %q", t.Name)
}
