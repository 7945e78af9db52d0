package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeCluster (key 60), versions 0–2 (KIP-700, KIP-919).

func (h *Handlers) describeCluster(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeClusterRequest)
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.EndpointType = 1
	resp.ClusterAuthorizedOperations, resp.ControllerID = noOperations, -1
	if req.Version >= 1 && req.EndpointType != 1 {
		err := refuse(wire.MismatchedEndpointType, "this is a broker endpoint, type 1")
		if req.EndpointType != 2 {
			err = refuse(wire.UnsupportedEndpointType, "endpoint type %d is unknown", req.EndpointType)
		}
		resp.ErrorCode, resp.ErrorMessage = h.code(err), message(err)
		return now(resp)
	}
	resp.ClusterID, resp.ControllerID = h.cfg.ClusterID, NodeID
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	b := kmsg.NewDescribeClusterResponseBroker()
	b.NodeID = NodeID
	b.Host, b.Port = r.Conn.Address()
	resp.Brokers = []kmsg.DescribeClusterResponseBroker{b}
	return now(resp)
}
