package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddOffsetsToTxn (key 25), versions 0–4 (KIP-98): a group's offsets are about to
// become part of a transaction. The newer protocol does without.

func (h *Handlers) addOffsetsToTxn(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AddOffsetsToTxnRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		return h.cfg.Txns.AddOffsets(ctx, req), nil
	}, nil
}
