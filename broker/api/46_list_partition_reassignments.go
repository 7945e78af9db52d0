package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments (key 46), version 0 (KIP-455): none is ever under
// way.

func (h *Handlers) listPartitionReassignments(_ context.Context, r *Request) (Reply, error) {
	resp := r.Body.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
	return now(resp)
}
