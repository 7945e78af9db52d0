package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// StreamsGroupHeartbeat (key 88), versions 0–1: the whole membership of a Kafka
// Streams application (KIP-1071). Who joins tells the topology; repartition and
// changelog topics that it needs are made here, if the client may make topics,
// before the heartbeat is taken. If they cannot be made, the answer's status
// says why. Version 1 never asks for a description of the topology (KIP-1331).

func (h *Handlers) streamsGroupHeartbeat(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.StreamsGroupHeartbeatRequest)
	if why := badTopics(req.Topology); why != "" {
		resp := req.ResponseKind().(*kmsg.StreamsGroupHeartbeatResponse)
		resp.ErrorCode, resp.ErrorMessage = int16(wire.StreamsInvalidTopology), &why
		return now(resp)
	}
	missing := h.cfg.Groups.StreamsMissing(req)
	if len(missing) == 0 {
		return Reply(h.cfg.Groups.StreamsHeartbeat(r.client(), req)), nil
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		why := h.createStreamsTopics(ctx, r, missing)
		resp, err := h.cfg.Groups.StreamsHeartbeat(r.client(), req)(ctx)
		if err == nil && why != "" {
			explain(resp.(*kmsg.StreamsGroupHeartbeatResponse), why)
		}
		return resp, err
	}, nil
}

// topologyTopics lists all topics that a topology names; nil of nil.
func topologyTopics(t *kmsg.StreamsGroupHeartbeatRequestTopology) []string {
	if t == nil {
		return nil
	}
	var names []string
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		names = append(append(names, s.SourceTopics...), s.RepartitionSinkTopics...)
		for _, list := range [][]kmsg.TopicInfo{s.RepartitionSourceTopics, s.StateChangelogTopics} {
			for j := range list {
				names = append(names, list[j].Topic)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// badTopics says which topics of a topology cannot be, or "".
func badTopics(t *kmsg.StreamsGroupHeartbeatRequestTopology) string {
	var internal, invalid []string
	for _, name := range topologyTopics(t) {
		if topic.Internal(name) {
			internal = append(internal, name)
		} else if topic.CheckName(name) != nil {
			invalid = append(invalid, name)
		}
	}
	switch {
	case len(internal) > 0:
		return fmt.Sprintf("Use of Kafka internal topics %s in a Kafka Streams topology is prohibited.", strings.Join(internal, ","))
	case len(invalid) > 0:
		return fmt.Sprintf("Topic names %s are not valid topic names.", strings.Join(invalid, ","))
	}
	return ""
}

// createStreamsTopics makes internal topics, and says why not, or "".
func (h *Handlers) createStreamsTopics(ctx context.Context, r *Request, missing []streams.InternalTopic) string {
	if !r.who.couldCluster(acl.Create) {
		var refused []string
		for _, t := range missing {
			if !r.who.may(acl.Create, acl.Topic, t.Name) {
				refused = append(refused, t.Name)
			}
		}
		if len(refused) > 0 {
			return "Unauthorized to CREATE on topics " + strings.Join(refused, ", ") + "."
		}
	}
	var failed []string
	for _, t := range missing {
		err := h.createStreamsTopic(ctx, r, t)
		if err != nil && !errors.Is(err, topic.ErrExists) { // another member was first
			failed = append(failed, fmt.Sprintf("%s (%s)", t.Name, *message(err)))
		}
	}
	if len(failed) == 0 {
		return ""
	}
	const shown = 3 // as many as Kafka names
	more := ""
	if n := len(failed) - shown; n > 0 {
		failed, more = failed[:shown], fmt.Sprintf(" and %d more", n)
	}
	return "Creation failed: " + strings.Join(failed, ", ") + more + "."
}

func (h *Handlers) createStreamsTopic(ctx context.Context, r *Request, t streams.InternalTopic) error {
	if err := h.mutate(r, t.Partitions, true); err != nil {
		return err
	}
	made, err := h.cfg.Topics.Create(ctx, topic.Spec{Name: t.Name, Partitions: t.Partitions, Configs: t.Configs})
	if err == nil {
		h.lg.Info("topic created for a streams group", "topic", made.Name, "partitions", made.Partitions)
	}
	return err
}

// explain adds to the status that internal topics are missing why that is so.
func explain(resp *kmsg.StreamsGroupHeartbeatResponse, why string) {
	if resp.ErrorCode != 0 {
		return
	}
	for i := range resp.Status {
		if s := &resp.Status[i]; s.StatusCode == streams.MissingInternal {
			s.StatusDetail += "; " + why
			return
		}
	}
}
