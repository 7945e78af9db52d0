package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConsumerGroupDescribe (key 69), versions 0–1: consumer groups with their
// members, what these have and what they are to have (KIP-848). Version 1 says
// of each member which protocol it speaks (KIP-1099).

func (h *Handlers) consumerGroupDescribe(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Groups.ConsumerDescribe(r.Body.(*kmsg.ConsumerGroupDescribeRequest))), nil
}
