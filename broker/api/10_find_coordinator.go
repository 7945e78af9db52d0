package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// FindCoordinator (key 10), versions 0–6; a list of keys from version 4
// (KIP-699). This broker coordinates every group and every transaction.

func (h *Handlers) findCoordinator(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.FindCoordinatorRequest)
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	keys := req.CoordinatorKeys
	if req.Version < 4 {
		keys = []string{req.CoordinatorKey}
	}
	for _, key := range keys {
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Host, c.Port = key, NodeID, r.Conn.Host, r.Conn.Port
		if req.CoordinatorType != 0 && req.CoordinatorType != 1 {
			err := refuse(wire.InvalidRequest, "coordinator type %d is not served", req.CoordinatorType)
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
