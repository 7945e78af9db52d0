package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TxnOffsetCommit (key 28), versions 0–6 (KIP-98, KIP-447, KIP-890): offsets that
// a group gets if the transaction commits.

func (h *Handlers) txnOffsetCommit(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.TxnOffsetCommitRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		return h.cfg.Txns.OffsetCommit(ctx, req), nil
	}, nil
}
