package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// EndTxn (key 26), versions 0–5 (KIP-98, KIP-890). The answer waits until markers,
// offsets and state are durable, in one commit. From version 5 on it gives the
// producer a new epoch.

func (h *Handlers) endTxn(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.EndTxnRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		return h.cfg.Txns.EndTxn(ctx, req), nil
	}, nil
}
