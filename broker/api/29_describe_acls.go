package api

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeAcls (key 29), versions 0–3 (KIP-140, KIP-290): the rules that a
// filter chooses, by resource. Version 0 knows literal names only. Rules about
// subjects of the registry are not for this protocol, which has no number for
// them. Without rules in force the answer is SECURITY_DISABLED, as in Kafka.

// errNoRules says that nobody is judged here.
func errNoRules() error { return refuse(wire.SecurityDisabled, "No Authorizer is configured.") }

func (h *Handlers) describeACLs(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeACLsRequest)
	return func(context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
		resp.Resources = []kmsg.DescribeACLsResponseResource{}
		f, err := filterOf(req.Version, int8(req.ResourceType), req.ResourceName, int8(req.ResourcePatternType),
			req.Principal, req.Host, int8(req.Operation), int8(req.PermissionType))
		if h.cfg.Rules == nil {
			err = errNoRules()
		}
		if err != nil {
			resp.ErrorCode, resp.ErrorMessage = h.code(err), message(err)
			return resp, nil
		}
		for _, b := range h.cfg.Rules.List(f) {
			if b.Resource == acl.Subject || req.Version == 0 && b.Pattern != acl.Literal {
				continue
			}
			n := len(resp.Resources)
			if n == 0 || resp.Resources[n-1].ResourceName != b.Name || int8(resp.Resources[n-1].ResourceType) != int8(b.Resource) ||
				int8(resp.Resources[n-1].ResourcePatternType) != int8(b.Pattern) {
				sr := kmsg.NewDescribeACLsResponseResource()
				sr.ResourceType, sr.ResourceName = kmsg.ACLResourceType(b.Resource), b.Name
				sr.ResourcePatternType = kmsg.ACLResourcePatternType(b.Pattern)
				resp.Resources = append(resp.Resources, sr)
				n++
			}
			sa := kmsg.NewDescribeACLsResponseResourceACL()
			sa.Principal, sa.Host = b.Principal, b.Host
			sa.Operation, sa.PermissionType = kmsg.ACLOperation(b.Operation), kmsg.ACLPermissionType(b.Permission)
			resp.Resources[n-1].ACLs = append(resp.Resources[n-1].ACLs, sa)
		}
		return resp, nil
	}, nil
}

// filterOf reads a filter; number 0 is Kafka's UNKNOWN, which it refuses.
func filterOf(version int16, kind int8, name *string, pattern int8, principal, host *string, op, permission int8) (acl.Filter, error) {
	if version == 0 {
		pattern = int8(acl.Literal)
	}
	f := acl.Filter{
		Resource: acl.Resource(kind), Name: name, Pattern: acl.Pattern(pattern), Principal: principal, Host: host,
		Operation: acl.Operation(op), Permission: acl.Permission(permission),
	}
	if kind < 1 || kind > int8(acl.User) || pattern < 1 || pattern > int8(acl.Prefixed) || op < 1 || op > int8(acl.DescribeTokens) ||
		permission < 1 || permission > int8(acl.Allow) {
		return f, refuse(wire.InvalidRequest, "the filter has an unknown resource, pattern, operation or permission")
	}
	return f, nil
}

// ruleError maps what the rules say.
func ruleError(err error) error {
	if errors.Is(err, acl.ErrInvalid) {
		return refuse(wire.InvalidRequest, "%s", err)
	}
	return err
}
