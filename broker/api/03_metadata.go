package api

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Metadata (key 3), versions 0–13. Version 0 reads an empty list as all topics,
// later ones null. A topic that is not there is made if both the request (from
// version 4) and the broker allow it, and is ready in the same answer. From
// version 12 topics may be asked for by id (KIP-516). A topic that is asked for
// several times is answered once.

// noOperations says that authorised operations were not asked for.
const noOperations = -2147483648

func (h *Handlers) metadata(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.MetadataRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID = NodeID
		b.Host, b.Port = r.Conn.Address()
		resp.Brokers = []kmsg.MetadataResponseBroker{b}
		resp.ClusterID, resp.ControllerID = &h.cfg.ClusterID, NodeID
		resp.AuthorizedOperations = noOperations
		if req.IncludeClusterAuthorizedOperations {
			resp.AuthorizedOperations = clusterOperations
		}
		resp.Topics = []kmsg.MetadataResponseTopic{}
		if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
			for _, t := range h.cfg.Topics.View().All() {
				resp.Topics = append(resp.Topics, describeTopic(t, req))
			}
			return resp, nil
		}
		seen := make(map[metadataKey]bool, len(req.Topics))
		for i := range req.Topics {
			rt := &req.Topics[i]
			if k := keyOfMetadata(req, rt); !seen[k] {
				seen[k] = true
				resp.Topics = append(resp.Topics, h.metadataTopic(ctx, req, rt))
			}
		}
		return resp, nil
	}, nil
}

// metadataKey is what a topic is asked for by.
type metadataKey struct {
	name string
	id   [16]byte
	byID bool
}

func keyOfMetadata(req *kmsg.MetadataRequest, rt *kmsg.MetadataRequestTopic) metadataKey {
	if rt.Topic == nil || req.Version >= 12 && rt.TopicID != [16]byte{} {
		return metadataKey{id: rt.TopicID, byID: true}
	}
	return metadataKey{name: *rt.Topic}
}

func (h *Handlers) metadataTopic(ctx context.Context, req *kmsg.MetadataRequest, rt *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	k := keyOfMetadata(req, rt)
	t, err := h.lookup(k.name, k.id, k.byID)
	if err != nil && !k.byID {
		if nameErr := topic.CheckName(k.name); nameErr != nil {
			err = nameErr
		} else if h.cfg.AutoCreate && (req.Version < 4 || req.AllowAutoTopicCreation) {
			t, err = h.autoCreate(ctx, k.name)
		}
	}
	if err != nil {
		st := kmsg.NewMetadataResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		st.ErrorCode = h.code(err)
		st.AuthorizedOperations = noOperations
		st.Partitions = []kmsg.MetadataResponseTopicPartition{}
		return st
	}
	return describeTopic(t, req)
}

// autoCreate makes a topic with the broker's defaults. Another client may have
// made it in between, which is as good.
func (h *Handlers) autoCreate(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := h.cfg.Topics.Create(ctx, topic.Spec{Name: name, Partitions: h.cfg.Partitions})
	if errors.Is(err, topic.ErrExists) {
		if t := h.cfg.Topics.View().ByName(name); t != nil {
			return t, nil
		}
		return nil, refuse(wire.LeaderNotAvailable, "topic %q is being made", name)
	}
	if codeOf(err) == wire.UnknownServerError {
		h.code(err) // a client gives up on that code, and tries again on this
		return nil, refuse(wire.LeaderNotAvailable, "topic %q could not be made", name)
	}
	if err == nil {
		h.lg.Info("topic created on first use", "topic", name, "partitions", t.Partitions)
	}
	return t, err
}

func describeTopic(t *topic.Topic, req *kmsg.MetadataRequest) kmsg.MetadataResponseTopic {
	st := kmsg.NewMetadataResponseTopic()
	st.Topic, st.TopicID, st.IsInternal = &t.Name, t.ID, topic.Internal(t.Name)
	st.AuthorizedOperations = noOperations
	if req.IncludeTopicAuthorizedOperations {
		st.AuthorizedOperations = topicOperations
	}
	st.Partitions = make([]kmsg.MetadataResponseTopicPartition, t.Partitions)
	for i := range st.Partitions {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = int32(i), NodeID, leaderEpoch
		p.Replicas, p.ISR, p.OfflineReplicas = []int32{NodeID}, []int32{NodeID}, []int32{}
		st.Partitions[i] = p
	}
	return st
}

// Operations as bits (Kafka's AclOperation): without authorisation every
// operation of a resource is allowed.
const (
	// clusterOperations: create, alter, describe, cluster action, describe and
	// alter configs, idempotent write, alter and describe client quotas.
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
	// topicOperations: read, write, create, delete, alter, describe, describe
	// and alter configs.
	topicOperations = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
)
