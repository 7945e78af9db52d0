package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterShareGroupOffsets (key 91), version 0 (KIP-932): of empty groups.

func (h *Handlers) alterShareGroupOffsets(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.AlterOffsets(r.Body.(*kmsg.AlterShareGroupOffsetsRequest))), nil
}
