package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// AlterConfigs (key 33), versions 0–2: the older call, which replaces a topic's
// whole set of configs. Of the broker's own configs the defaults of topics and the
// addresses that clients are told are altered over the protocol
// (33_broker_configs.go). A resource named twice is refused.

func (h *Handlers) alterConfigs(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterConfigsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
		key := func(rr *kmsg.AlterConfigsRequestResource) string {
			return resourceKey(rr.ResourceType, rr.ResourceName)
		}
		resp.Resources = alterEach(req.Resources, key, func(rr *kmsg.AlterConfigsRequestResource) error {
			changes, err := replacement(rr)
			if err != nil {
				return err
			}
			return h.alter(ctx, rr.ResourceType, rr.ResourceName, changes, true, req.ValidateOnly)
		}, func(rr *kmsg.AlterConfigsRequestResource, err error) kmsg.AlterConfigsResponseResource {
			sr := kmsg.NewAlterConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			sr.ErrorCode, sr.ErrorMessage = h.code(err), message(err)
			return sr
		})
		return resp, nil
	}, nil
}

// alterEach alters the resources of a request one by one and answers each, in
// order; one that is named more than once is refused, once.
func alterEach[R, A any](resources []R, key func(*R) string, alter func(*R) error, answer func(*R, error) A) []A {
	out := []A{}
	names := countNames(resources, key)
	for i := range resources {
		r := &resources[i]
		first, err := names.take(key(r))
		if !first {
			continue
		}
		if err == nil {
			err = alter(r)
		}
		out = append(out, answer(r, err))
	}
	return out
}

// resourceKey tells resources of a request apart.
func resourceKey(kind kmsg.ConfigResourceType, name string) string {
	return fmt.Sprintf("%d/%s", kind, name)
}

func replacement(rr *kmsg.AlterConfigsRequestResource) ([]topic.Change, error) {
	changes := make([]topic.Change, 0, len(rr.Configs))
	for _, c := range rr.Configs {
		if c.Value == nil {
			return nil, refuse(wire.InvalidRequest, "config %q has no value", c.Name)
		}
		changes = append(changes, topic.Change{Key: c.Name, Op: topic.Set, Value: *c.Value})
	}
	return changes, nil
}

// alter changes one resource's configs.
func (h *Handlers) alter(ctx context.Context, kind kmsg.ConfigResourceType, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if _, err := h.lookup(name, [16]byte{}, false); err != nil {
			return err
		}
		_, err := h.cfg.Topics.Alter(ctx, name, changes, replaceAll, validateOnly)
		return err
	case kmsg.ConfigResourceTypeGroupConfig:
		return h.alterGroup(ctx, name, changes, replaceAll, validateOnly)
	case kmsg.ConfigResourceTypeClientMetrics:
		return h.alterMetrics(ctx, name, changes, replaceAll, validateOnly)
	case kmsg.ConfigResourceTypeBrokerLogger:
		return h.alterLogger(name, changes, replaceAll, validateOnly)
	case kmsg.ConfigResourceTypeBroker:
		return h.alterBroker(ctx, name, changes, replaceAll, validateOnly)
	}
	return refuse(wire.InvalidRequest, "resource type %d has no configs here", kind)
}
