package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/wire"
)

// AlterClientQuotas (key 49), versions 0–1 (KIP-546): sets and removes quotas of
// users, client ids, both together, addresses, and their defaults (a null
// name). Each entry is a change of its own, durable when it is answered.

func (h *Handlers) alterClientQuotas(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterClientQuotasRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
		resp.Entries = []kmsg.AlterClientQuotasResponseEntry{}
		for i := range req.Entries {
			re := &req.Entries[i]
			se := kmsg.NewAlterClientQuotasResponseEntry()
			for _, p := range re.Entity {
				sp := kmsg.NewAlterClientQuotasResponseEntryEntity()
				sp.Type, sp.Name = p.Type, p.Name
				se.Entity = append(se.Entity, sp)
			}
			err := h.alterQuota(ctx, re, req.ValidateOnly)
			se.ErrorCode, se.ErrorMessage = h.code(err), message(err)
			resp.Entries = append(resp.Entries, se)
		}
		return resp, nil
	}, nil
}

func (h *Handlers) alterQuota(ctx context.Context, re *kmsg.AlterClientQuotasRequestEntry, validateOnly bool) error {
	var e quota.Entity
	for _, p := range re.Entity {
		m, ok := e.Part(p.Type)
		switch {
		case !ok:
			return refuse(wire.InvalidRequest, "entity type %q is not supported", p.Type)
		case m.Given:
			return refuse(wire.InvalidRequest, "entity type %q stands twice", p.Type)
		case p.Name == nil:
			*m = quota.Default()
		default:
			*m = quota.Exact(*p.Name)
		}
	}
	changes := make([]quota.Change, len(re.Ops))
	seen := map[string]bool{}
	for i, op := range re.Ops {
		if seen[op.Key] {
			return refuse(wire.InvalidRequest, "quota %q stands twice", op.Key)
		}
		seen[op.Key] = true
		changes[i] = quota.Change{Key: quota.Key(op.Key), Value: op.Value, Remove: op.Remove}
	}
	return h.cfg.Quotas.Alter(ctx, e, changes, validateOnly)
}
