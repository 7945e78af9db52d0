package api

import (
	"context"
	"strconv"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// advertised is the one config of the broker's own that can be set while it runs.
const advertised = "advertised.listeners"

// alterBroker changes the broker's configs that can be changed while it runs, as
// in Kafka (KIP-226), and for good: the defaults of topics, for this broker or,
// with the name "", for all; and advertised.listeners.
func (h *Handlers) alterBroker(ctx context.Context, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	cluster := name == ""
	if id, err := strconv.ParseInt(name, 10, 32); !cluster && (err != nil || int32(id) != NodeID) {
		return refuse(wire.InvalidRequest, "broker %q is not this one, which is %d", name, NodeID)
	}
	var defaults []topic.Change
	text, change := "", replaceAll && !cluster
	for _, c := range changes {
		if _, ok := topic.ByBrokerName(c.Key); ok {
			defaults = append(defaults, c)
			continue
		}
		if c.Key != advertised && c.Op == topic.Delete {
			continue // what was never set can be taken back: kafka-reassign-partitions does
		}
		switch {
		case c.Key == advertised && cluster:
			return refuse(wire.InvalidRequest, "%s is a broker's own: name the broker, which is %d", advertised, NodeID)
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
	change = change && h.cfg.Advertise != nil
	// All of a request or nothing: what may be refused is asked first.
	if change {
		if err := h.cfg.Advertise(ctx, text, true); err != nil {
			return err
		}
	}
	if len(defaults) > 0 || replaceAll {
		if err := h.cfg.Topics.AlterDefaults(ctx, cluster, defaults, replaceAll, validateOnly); err != nil {
			return err
		}
	}
	if !change || validateOnly {
		return nil
	}
	return h.cfg.Advertise(ctx, text, false)
}
