package api

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// FindCoordinator (key 10), versions 0–6; a list of keys from version 4
// (KIP-699). This broker coordinates every group and every transaction. Type 2,
// from version 6, is the coordinator of a share-partition's state, which only
// brokers ask for; its key is group:topic id:partition, the id in base64.

func (h *Handlers) findCoordinator(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	for _, key := range keys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID = key, NodeID
		c.Host, c.Port = r.Conn.Address()
		if err := checkCoordinator(req, key); err != nil {
			c.ErrorCode, c.ErrorMessage = h.code(err), message(err)
			c.NodeID, c.Host, c.Port = -1, "", -1
		}
		resp.Coordinators = append(resp.Coordinators, c)
	}
	if req.Version < 4 {
		c := resp.Coordinators[0]
		resp.ErrorCode, resp.ErrorMessage = c.ErrorCode, c.ErrorMessage
		resp.NodeID, resp.Host, resp.Port = c.NodeID, c.Host, c.Port
	}
	return now(resp)
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
	group, topic, ok2 := cutLast(rest)
	id, err := base64.RawURLEncoding.DecodeString(topic)
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
