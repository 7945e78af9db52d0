package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// AlterConfigs (key 33), versions 0–2: the older call, which replaces a topic's
// whole set of configs. The broker's own configs come from its flags and are
// not altered over the protocol.

func (h *Handlers) alterConfigs(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.AlterConfigsRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
		for i := range req.Resources {
			rr := &req.Resources[i]
			var changes []topic.Change
			for _, c := range rr.Configs {
				ch := topic.Change{Key: c.Name, Op: topic.Delete}
				if c.Value != nil {
					ch.Op, ch.Value = topic.Set, *c.Value
				}
				changes = append(changes, ch)
			}
			err := h.alter(ctx, rr.ResourceType, rr.ResourceName, changes, true, req.ValidateOnly)
			sr := kmsg.NewAlterConfigsResponseResource()
			sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
			sr.ErrorCode, sr.ErrorMessage = int16(codeOf(err)), message(err)
			resp.Resources = append(resp.Resources, sr)
		}
		return resp, nil
	}, nil
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
	case kmsg.ConfigResourceTypeBroker:
		return refuse(wire.InvalidRequest, "the broker's configs are its flags, environment and tarn.yaml; change them there and restart")
	}
	return refuse(wire.InvalidRequest, "resource type %d has no configs here", kind)
}
