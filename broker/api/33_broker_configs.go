package api

import (
	"context"
	"strconv"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// alterBroker changes the broker's own configs, of which one can be changed
// while it runs: advertised.listeners, as in Kafka (KIP-226), which lasts.
func (h *Handlers) alterBroker(ctx context.Context, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	const advertised = "advertised.listeners"
	if id, err := strconv.ParseInt(name, 10, 32); err != nil || int32(id) != NodeID {
		return refuse(wire.InvalidRequest, "broker %q is not this one, which is %d, and nothing can be set for all", name, NodeID)
	}
	text, change := "", replaceAll
	for _, c := range changes {
		switch {
		case c.Key != advertised || h.cfg.Advertise == nil:
			return refuse(wire.InvalidRequest, "config %q comes from flags, environment or tarn.yaml; change it there and restart", c.Key)
		case c.Op == topic.Set && c.Value == "":
			return refuse(wire.InvalidConfig, "%s is empty", advertised)
		case c.Op != topic.Set && c.Op != topic.Delete:
			return refuse(wire.InvalidConfig, "%s is set as a whole", advertised)
		}
		if change = true; c.Op == topic.Set {
			text = c.Value
		}
	}
	if !change || h.cfg.Advertise == nil {
		return nil
	}
	return h.cfg.Advertise(ctx, text, validateOnly)
}
