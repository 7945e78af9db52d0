package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/quota"
)

// ShareFetch (key 78), versions 1–2 (KIP-932, KIP-1206, KIP-1222): acknowledges
// and acquires records within a share session, which ends with the connection. It
// waits as Fetch does, and its records count against the same budget and quota.
// They are sent all the same when the quota is used up, since they are locked for
// the client: it waits afterwards.

func (h *Handlers) shareFetch(ctx context.Context, r *Request) (Reply, error) {
	wait := h.cfg.Shares.Fetch(ctx, r.Body.(*kmsg.ShareFetchRequest), shareMemory{h, r})
	return func(ctx context.Context) (kmsg.Response, error) {
		resp, err := wait(ctx)
		if err != nil {
			return nil, err
		}
		n := 0
		for _, t := range resp.(*kmsg.ShareFetchResponse).Topics {
			for _, p := range t.Partitions {
				n += len(p.Records)
			}
		}
		r.slowDown(h.use(quota.FetchBytes, r, float64(n)))
		return resp, nil
	}, nil
}

// shareMemory counts the records of a ShareFetch.
type shareMemory struct {
	h *Handlers
	r *Request
}

func (m shareMemory) Reserve(want int) int {
	return m.r.held.reserve(m.h.answers, want, min(want, usualBatch))
}
func (m shareMemory) TryExtend(n int) bool                   { return m.r.held.tryExtend(n) }
func (m shareMemory) Extend(ctx context.Context, n int) bool { return m.r.held.extend(ctx, n) }
func (m shareMemory) Shrink(used int)                        { m.r.held.shrink(used) }
