package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeShareGroupOffsets (key 90), versions 0–1 (KIP-932; lag from version 1
// on, KIP-1226).

func (h *Handlers) describeShareGroupOffsets(_ context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.DescribeOffsets(r.Body.(*kmsg.DescribeShareGroupOffsetsRequest))), nil
}
