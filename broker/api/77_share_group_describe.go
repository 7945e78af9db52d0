package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareGroupDescribe (key 77), version 1 (KIP-932).

func (h *Handlers) shareGroupDescribe(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.Describe(r.Body.(*kmsg.ShareGroupDescribeRequest))), nil
}
