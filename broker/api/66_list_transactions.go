package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListTransactions (key 66), versions 0–2: all, or those of given states and
// producers (KIP-664), from version 1 on of a duration (KIP-994), from version 2
// on whose id matches a pattern (KIP-1152).

func (h *Handlers) listTransactions(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ListTransactionsRequest)
	return func(context.Context) (kmsg.Response, error) { return h.cfg.Txns.ListTransactions(req), nil }, nil
}
