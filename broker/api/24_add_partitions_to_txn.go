package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddPartitionsToTxn (key 24), versions 0–5 (KIP-98, KIP-890). Clients of the
// older protocol send it before they produce; 4 and 5 are for brokers and
// answered alike.

func (h *Handlers) addPartitionsToTxn(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AddPartitionsToTxnRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		return h.cfg.Txns.AddPartitions(ctx, req), nil
	}, nil
}
