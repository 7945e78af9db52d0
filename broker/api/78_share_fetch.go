package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ShareFetch (key 78), versions 1–2 (KIP-932, KIP-1206, KIP-1222): acknowledges
// and acquires records within a share session, which ends with the connection. It
// waits as Fetch does, and its records count against the same budget.

func (h *Handlers) shareFetch(ctx context.Context, r *Request) (Reply, error) {
	return Reply(h.cfg.Shares.Fetch(ctx, r.Body.(*kmsg.ShareFetchRequest), shareMemory{h, r})), nil
}

// shareMemory counts the records of a ShareFetch.
type shareMemory struct {
	h *Handlers
	r *Request
}

func (m shareMemory) Reserve(want int) int { return m.r.held.reserve(m.h.answers, want) }
func (m shareMemory) Shrink(used int)      { m.r.held.shrink(used) }
