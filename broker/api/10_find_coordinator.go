package api

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// FindCoordinator (key 10), versions 0–6; a list of keys from version 4
// (KIP-699). This broker coordinates every group and every transaction. Type 2,
// from version 6, is the coordinator of a share-partition's state, which only
// brokers ask for; its key is group:topic id:partition, the id in base64. As in
// Kafka, asking brings __consumer_offsets and its like into being; they stay
// empty.

func (h *Handlers) findCoordinator(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		for _, key := range keys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.NodeID = key, NodeID
			c.Host, c.Port = r.Conn.Address()
			if err := checkCoordinator(req, key); err != nil {
				c.ErrorCode, c.ErrorMessage = h.code(err), message(err)
				c.NodeID, c.Host, c.Port = -1, "", -1
			} else {
				h.createInternal(ctx, req.CoordinatorType)
			}
			resp.Coordinators = append(resp.Coordinators, c)
		}
		if req.Version < 4 {
			c := resp.Coordinators[0]
			resp.ErrorCode, resp.ErrorMessage = c.ErrorCode, c.ErrorMessage
			resp.NodeID, resp.Host, resp.Port = c.NodeID, c.Host, c.Port
		}
		return resp, nil
	}, nil
}

// createInternal makes the topic in which Kafka keeps what a coordinator of this
// type knows, as Kafka does when somebody asks for the first one. Nothing is
// ever in it, so that it cannot be made is no reason not to answer.
func (h *Handlers) createInternal(ctx context.Context, coordinator int8) {
	name := topic.GroupOffsets
	switch coordinator {
	case 1:
		name = topic.TransactionState
	case 2:
		name = topic.ShareGroupState
	}
	if h.cfg.Topics.View().ByName(name) != nil {
		return
	}
	spec := topic.Spec{Name: name, Partitions: 1, Configs: map[string]string{"cleanup.policy": "compact"}}
	if _, err := h.cfg.Topics.Create(ctx, spec); err != nil && !errors.Is(err, topic.ErrExists) {
		h.lg.Debug("an internal topic could not be made", "topic", name, "error", err)
	}
}

// checkCoordinator refuses what nobody coordinates.
func checkCoordinator(req *kmsg.FindCoordinatorRequest, key string) error {
	switch {
	case req.CoordinatorType == 0 || req.CoordinatorType == 1:
		return nil
	case req.CoordinatorType != 2 || req.Version < 6:
		return refuse(wire.InvalidRequest, "coordinator type %d is not served", req.CoordinatorType)
	}
	rest, partition, ok := cutLast(key)
	group, encoded, ok2 := cutLast(rest)
	id, err := base64.RawURLEncoding.DecodeString(encoded)
	n, err2 := strconv.ParseInt(partition, 10, 32)
	if !ok || !ok2 || group == "" || err != nil || len(id) != 16 || err2 != nil || n < 0 {
		return refuse(wire.InvalidRequest, "key %q is not group:topic id:partition", key)
	}
	return nil
}

// cutLast cuts at the last colon: a group's name may hold some.
func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
