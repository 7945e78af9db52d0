package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// DeleteTopics (key 20), versions 0–6; by id from version 6 (KIP-516). Parked
// fetches and producers of the topic end with its error; its logs, offsets of
// groups and producer states go with it. A topic named twice is refused.

func (h *Handlers) deleteTopics(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DeleteTopicsRequest)
	asked := req.Topics
	if req.Version < 6 {
		for i := range req.TopicNames {
			rt := kmsg.NewDeleteTopicsRequestTopic()
			rt.Topic = &req.TopicNames[i]
			asked = append(asked, rt)
		}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
		resp.Topics = []kmsg.DeleteTopicsResponseTopic{}
		names := countNames(asked, deletionKey)
		for i := range asked {
			rt := &asked[i]
			first, err := names.take(deletionKey(rt))
			if !first {
				continue
			}
			st := kmsg.NewDeleteTopicsResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			if err == nil {
				err = h.deleteTopic(ctx, r, rt, &st)
			}
			st.ErrorCode, st.ErrorMessage = h.code(err), message(err)
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

// deletionKey tells what a request asks to delete apart; no name begins with a
// slash.
func deletionKey(rt *kmsg.DeleteTopicsRequestTopic) string {
	if rt.Topic != nil {
		return *rt.Topic
	}
	return fmt.Sprintf("/%x", rt.TopicID)
}

func (h *Handlers) deleteTopic(ctx context.Context, r *Request, rt *kmsg.DeleteTopicsRequestTopic, st *kmsg.DeleteTopicsResponseTopic) error {
	name := ""
	if rt.Topic != nil {
		if name = *rt.Topic; rt.TopicID != [16]byte{} {
			return refuse(wire.InvalidRequest, "give a topic's name or its id, not both")
		}
	} else if rt.TopicID == ([16]byte{}) {
		return refuse(wire.InvalidRequest, "give a topic's name or its id")
	}
	t, err := h.lookup(name, rt.TopicID, rt.Topic == nil)
	if err != nil {
		return err
	}
	st.Topic, st.TopicID = &t.Name, t.ID
	if err := h.mutate(r, t.Partitions, r.Body.GetVersion() >= 5); err != nil {
		return err
	}
	if err := h.removeTopic(ctx, t); err != nil {
		if h.cfg.Topics.View().ByID(t.ID) != nil {
			h.cfg.Logs.Recall(t.ID) // it stays: producers and consumers go on
		}
		return err
	}
	h.lg.Info("topic deleted", "topic", t.Name)
	if err := h.cfg.Groups.DropTopic(ctx, t.ID); err != nil {
		// The topic is gone all the same; the next start drops the offsets.
		h.lg.Warn("offsets of a deleted topic are left until the next start", "topic", t.Name, "error", err)
	}
	if err := h.cfg.Shares.DropTopic(ctx, t.ID); err != nil {
		h.lg.Warn("states of share groups of a deleted topic are left until the next start", "topic", t.Name, "error", err)
	}
	return nil
}

// removeTopic closes the topic's logs and removes it with them.
func (h *Handlers) removeTopic(ctx context.Context, t *topic.Topic) error {
	if err := h.cfg.Logs.Forget(ctx, t.ID); err != nil {
		return fmt.Errorf("close the logs of topic %q: %w", t.Name, err)
	}
	return h.cfg.Topics.Delete(ctx, t.ID)
}
