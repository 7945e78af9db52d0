package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareAcknowledge (key 79), versions 1–2 (KIP-932, KIP-1222).

func (h *Handlers) shareAcknowledge(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.Acknowledge(r.Body.(*kmsg.ShareAcknowledgeRequest))), nil
}
