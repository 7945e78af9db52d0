package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

// DeleteAcls (key 31), versions 0–3 (KIP-140, KIP-290): removes the rules that
// filters choose, in one commit, and says which they were.

func (h *Handlers) deleteACLs(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DeleteACLsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
		outcome := make([]error, len(req.Filters))
		var filters []acl.Filter
		var places []int
		for i, rf := range req.Filters {
			f, err := filterOf(req.Version, int8(rf.ResourceType), rf.ResourceName, int8(rf.ResourcePatternType),
				rf.Principal, rf.Host, int8(rf.Operation), int8(rf.PermissionType))
			if h.cfg.Rules == nil {
				err = errNoRules()
			}
			if outcome[i] = err; err == nil {
				filters, places = append(filters, f), append(places, i)
			}
		}
		gone := make([][]acl.Binding, len(req.Filters))
		if len(filters) > 0 {
			chosen, err := h.cfg.Rules.Delete(ctx, filters)
			for i, at := range places {
				if outcome[at] = err; err == nil {
					gone[at] = chosen[i]
				}
			}
		}
		for i, err := range outcome {
			resp.Results = append(resp.Results, h.deletedACLs(err, gone[i]))
		}
		return resp, nil
	}, nil
}

func (h *Handlers) deletedACLs(err error, gone []acl.Binding) kmsg.DeleteACLsResponseResult {
	s := kmsg.NewDeleteACLsResponseResult()
	s.ErrorCode, s.ErrorMessage = h.code(err), message(err)
	for _, b := range gone {
		m := kmsg.NewDeleteACLsResponseResultMatchingACL()
		m.ResourceType, m.ResourceName, m.ResourcePatternType = kmsg.ACLResourceType(b.Resource), b.Name, kmsg.ACLResourcePatternType(b.Pattern)
		m.Principal, m.Host = b.Principal, b.Host
		m.Operation, m.PermissionType = kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
		s.MatchingACLs = append(s.MatchingACLs, m)
	}
	return s
}
