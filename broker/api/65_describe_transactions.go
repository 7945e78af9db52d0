package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTransactions (key 65), version 0 (KIP-664).

func (h *Handlers) describeTransactions(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeTransactionsRequest)
	return func(context.Context) (kmsg.Response, error) { return h.cfg.Txns.DescribeTransactions(req), nil }, nil
}
