package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// IncrementalAlterConfigs (key 44), versions 0–1 (KIP-339): set, delete, and
// for lists append and subtract. A resource named twice is refused.

func (h *Handlers) incrementalAlterConfigs(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.IncrementalAlterConfigsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		key := func(rr *kmsg.IncrementalAlterConfigsRequestResource) string {
			return resourceKey(rr.ResourceType, rr.ResourceName)
		}
		resp.Resources = alterEach(req.Resources, key, func(rr *kmsg.IncrementalAlterConfigsRequestResource) error {
			changes, err := incrementalChanges(rr)
			if err != nil {
				return err
			}
			return h.alter(ctx, rr.ResourceType, rr.ResourceName, changes, false, req.ValidateOnly)
		}, func(rr *kmsg.IncrementalAlterConfigsRequestResource, err error) kmsg.IncrementalAlterConfigsResponseResource {
			sr := kmsg.NewIncrementalAlterConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			sr.ErrorCode, sr.ErrorMessage = h.code(err), message(err)
			return sr
		})
		return resp, nil
	}, nil
}

func incrementalChanges(rr *kmsg.IncrementalAlterConfigsRequestResource) ([]topic.Change, error) {
	var changes []topic.Change
	seen := map[string]bool{}
	for _, c := range rr.Configs {
		if seen[c.Name] {
			return nil, refuse(wire.InvalidRequest, "config %q stands twice", c.Name)
		}
		seen[c.Name] = true
		ch := topic.Change{Key: c.Name, Op: topic.Op(c.Op)}
		if ch.Op < topic.Set || ch.Op > topic.Subtract {
			return nil, refuse(wire.InvalidRequest, "operation %d on config %q is unknown", c.Op, c.Name)
		}
		if c.Value != nil {
			ch.Value = *c.Value
		} else if ch.Op != topic.Delete {
			return nil, refuse(wire.InvalidRequest, "config %q has no value", c.Name)
		}
		changes = append(changes, ch)
	}
	return changes, nil
}
