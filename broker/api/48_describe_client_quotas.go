package api

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeClientQuotas (key 48), versions 0–1 (KIP-546): the quotas of entities
// that match all components; with strict those that have no other parts. No
// component matches everything.

func (h *Handlers) describeClientQuotas(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeClientQuotasRequest)
	return func(context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
		if err := checkComponents(req.Components); err != nil {
			resp.ErrorCode, resp.ErrorMessage = h.code(err), message(err)
			return resp, nil
		}
		resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
		for _, e := range h.cfg.Quotas.List() {
			if !matches(e.Entity, req.Components, req.Strict) {
				continue
			}
			se := kmsg.NewDescribeClientQuotasResponseEntry()
			for _, kind := range quotaTypes() {
				if m, _ := e.Part(kind); m.Given {
					p := kmsg.NewDescribeClientQuotasResponseEntryEntity()
					if p.Type = kind; !m.Default {
						p.Name = kmsg.StringPtr(m.Name)
					}
					se.Entity = append(se.Entity, p)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(e.Values)) {
				v := kmsg.NewDescribeClientQuotasResponseEntryValue()
				v.Key, v.Value = string(key), e.Values[key]
				se.Values = append(se.Values, v)
			}
			resp.Entries = append(resp.Entries, se)
		}
		return resp, nil
	}, nil
}

// quotaTypes are the types of an entity's parts, in the order of answers.
func quotaTypes() []string { return []string{quota.TypeUser, quota.TypeClient, quota.TypeIP} }

func checkComponents(all []kmsg.DescribeClientQuotasRequestComponent) error {
	seen := map[string]bool{}
	for i := range all {
		c := &all[i]
		switch {
		case c.EntityType == "":
			return refuse(wire.InvalidRequest, "a component has no entity type")
		case !slices.Contains(quotaTypes(), c.EntityType):
			return refuse(wire.UnsupportedVersion, "entity type %q is not supported", c.EntityType)
		case seen[c.EntityType]:
			return refuse(wire.InvalidRequest, "entity type %q stands twice", c.EntityType)
		case c.MatchType < 0 || c.MatchType > 2:
			return refuse(wire.InvalidRequest, "match type %d is unknown", c.MatchType)
		case (c.MatchType == 0) != (c.Match != nil):
			return refuse(wire.InvalidRequest, "an exact match has a name, and no other has")
		}
		seen[c.EntityType] = true
	}
	if seen[quota.TypeIP] && len(seen) > 1 {
		return refuse(wire.InvalidRequest, "an ip does not go together with a user or a client id")
	}
	return nil
}

// matches reports whether an entity has all the parts asked for.
func matches(e quota.Entity, all []kmsg.DescribeClientQuotasRequestComponent, strict bool) bool {
	for i := range all {
		c := &all[i]
		m, ok := e.Part(c.EntityType)
		if !ok || !m.Given {
			return false
		}
		switch c.MatchType {
		case 0:
			if m.Default || m.Name != *c.Match {
				return false
			}
		case 1:
			if !m.Default {
				return false
			}
		}
	}
	given := 0
	for _, kind := range quotaTypes() {
		if m, _ := e.Part(kind); m.Given {
			given++
		}
	}
	return !strict || given == len(all)
}
