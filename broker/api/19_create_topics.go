package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// CreateTopics (key 19), versions 0–7. Partitions and replication factor -1
// mean the defaults (KIP-464). Any replication factor is taken and one replica
// is kept: many clients ask for three and mean "the usual". Version 5 answers
// the topic's configs, version 7 its id.

func (h *Handlers) createTopics(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.CreateTopicsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		resp.Topics = []kmsg.CreateTopicsResponseTopic{}
		names := countNames(req.Topics, func(rt *kmsg.CreateTopicsRequestTopic) string { return rt.Topic })
		for i := range req.Topics {
			rt := &req.Topics[i]
			first, err := names.take(rt.Topic)
			if !first {
				continue // answered already
			}
			st := kmsg.NewCreateTopicsResponseTopic()
			st.Topic, st.NumPartitions, st.ReplicationFactor = rt.Topic, -1, -1
			var t *topic.Topic
			if err == nil {
				t, err = h.createTopic(ctx, r, rt)
			}
			if st.ErrorCode, st.ErrorMessage = h.code(err), message(err); err == nil {
				if !req.ValidateOnly {
					st.TopicID = t.ID
				}
				st.NumPartitions, st.ReplicationFactor = t.Partitions, 1
				st.Configs = h.createdConfigs(t)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) createTopic(ctx context.Context, r *Request, rt *kmsg.CreateTopicsRequestTopic) (*topic.Topic, error) {
	req := r.Body.(*kmsg.CreateTopicsRequest)
	validateOnly := req.ValidateOnly
	spec := topic.Spec{Name: rt.Topic, Partitions: rt.NumPartitions, ValidateOnly: validateOnly, Configs: map[string]string{}}
	if len(rt.ReplicaAssignment) > 0 {
		if rt.NumPartitions != -1 || rt.ReplicationFactor != -1 {
			return nil, refuse(wire.InvalidRequest, "give either an assignment or partitions and replication factor, not both")
		}
		if err := checkAssignment(rt.ReplicaAssignment); err != nil {
			return nil, err
		}
		spec.Partitions = int32(len(rt.ReplicaAssignment))
	} else if rt.ReplicationFactor == 0 || rt.ReplicationFactor < -1 {
		return nil, refuse(wire.InvalidReplicationFactor, "replication factor %d: must be positive, or -1 for the default", rt.ReplicationFactor)
	}
	if spec.Partitions == -1 {
		spec.Partitions = h.cfg.Partitions
	}
	for _, c := range rt.Configs {
		if _, twice := spec.Configs[c.Name]; twice {
			return nil, refuse(wire.InvalidConfig, "config %q stands twice", c.Name)
		}
		if c.Value == nil {
			return nil, refuse(wire.InvalidConfig, "config %q has no value", c.Name)
		}
		spec.Configs[c.Name] = *c.Value
	}
	if !validateOnly && h.cfg.Topics.View().ByName(rt.Topic) == nil {
		if err := h.mutate(r, spec.Partitions, req.Version >= 6); err != nil {
			return nil, err
		}
	}
	t, err := h.cfg.Topics.Create(ctx, spec)
	if err == nil && !validateOnly {
		h.lg.Info("topic created", "topic", t.Name, "partitions", t.Partitions)
	}
	return t, err
}

// checkAssignment takes partitions 0..n-1, each with this broker as a replica.
func checkAssignment(as []kmsg.CreateTopicsRequestTopicReplicaAssignment) error {
	seen := map[int32]bool{}
	for _, a := range as {
		if a.Partition < 0 || int(a.Partition) >= len(as) || seen[a.Partition] {
			return refuse(wire.InvalidReplicaAssignment, "partitions must be 0 to %d, each once", len(as)-1)
		}
		seen[a.Partition] = true
		if err := checkReplicas(a.Partition, a.Replicas); err != nil {
			return err
		}
	}
	return nil
}

// checkReplicas takes one replica, on this broker.
func checkReplicas(partition int32, ids []int32) error {
	switch {
	case len(ids) == 0:
		return refuse(wire.InvalidReplicaAssignment, "partition %d has no replicas", partition)
	case ids[0] != NodeID:
		return refuse(wire.InvalidReplicaAssignment, "broker %d is not there; the only one is %d", ids[0], NodeID)
	case len(ids) > 1:
		return refuse(wire.InvalidReplicaAssignment, "partition %d has %d replicas, there is one broker, %d", partition, len(ids), NodeID)
	}
	return nil
}

func (h *Handlers) createdConfigs(t *topic.Topic) []kmsg.CreateTopicsResponseTopicConfig {
	var out []kmsg.CreateTopicsResponseTopicConfig
	for _, e := range h.cfg.Topics.Describe(t.Overrides) {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.Source = e.Name, &e.Value, int8(e.Source)
		out = append(out, c)
	}
	return out
}
