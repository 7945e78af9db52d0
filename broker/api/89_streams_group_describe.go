package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// StreamsGroupDescribe (key 89), versions 0–1: streams groups with their
// topologies and members, what these have and what they are to have (KIP-1071).
// Version 1 adds the assignor; descriptions of topologies are not kept.

func (h *Handlers) streamsGroupDescribe(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.StreamsDescribe(r.Body.(*kmsg.StreamsGroupDescribeRequest))), nil
}
