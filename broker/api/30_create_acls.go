package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

// CreateAcls (key 30), versions 0–3 (KIP-140, KIP-290): adds rules; those that
// are taken are one commit. One that is there already is no error.

func (h *Handlers) createACLs(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.CreateACLsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
		outcome := make([]error, len(req.Creations))
		if h.cfg.Rules == nil {
			for i := range outcome {
				outcome[i] = errNoRules()
			}
		} else {
			outcome = h.cfg.Rules.Create(ctx, bindings(req))
		}
		for _, err := range outcome {
			err = ruleError(err)
			s := kmsg.NewCreateACLsResponseResult()
			s.ErrorCode, s.ErrorMessage = h.code(err), message(err)
			resp.Results = append(resp.Results, s)
		}
		return resp, nil
	}, nil
}

func bindings(req *kmsg.CreateACLsRequest) []acl.Binding {
	out := make([]acl.Binding, len(req.Creations))
	for i, c := range req.Creations {
		out[i] = acl.Binding{
			Resource: acl.Resource(c.ResourceType), Name: c.ResourceName, Pattern: acl.Pattern(c.ResourcePatternType),
			Principal: c.Principal, Host: c.Host, Operation: acl.Operation(c.Operation), Permission: acl.Permission(c.PermissionType),
		}
		if req.Version == 0 {
			out[i].Pattern = acl.Literal
		}
	}
	return out
}
