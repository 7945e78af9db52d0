package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteShareGroupOffsets (key 92), version 0 (KIP-932): of empty groups.

func (h *Handlers) deleteShareGroupOffsets(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.DeleteOffsets(r.Body.(*kmsg.DeleteShareGroupOffsetsRequest))), nil
}
