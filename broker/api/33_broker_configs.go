package api

import (
	"context"
	"strconv"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// advertised is the config of the broker's own that is one text as a whole.
const advertised = "advertised.listeners"

// alterBroker changes the broker's configs that can be changed while it runs, as
// in Kafka (KIP-226), and for good: the defaults of topics and the limits of
// connections, for this broker or, with the name "", for all; and
// advertised.listeners. All of a request holds, or nothing.
func (h *Handlers) alterBroker(ctx context.Context, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	cluster := name == ""
	if id, err := strconv.ParseInt(name, 10, 32); !cluster && (err != nil || int32(id) != NodeID) {
		return refuse(wire.InvalidRequest, "broker %q is not this one, which is %d", name, NodeID)
	}
	var defaults, limits []topic.Change
	text, advertise := "", replaceAll && !cluster
	for _, c := range changes {
		_, isDefault := topic.ByBrokerName(c.Key)
		switch {
		case isDefault:
			defaults = append(defaults, c)
		case h.cfg.Limits != nil && h.cfg.Limits.IsLimit(c.Key):
			limits = append(limits, c)
		case c.Key == advertised && h.cfg.Advertise != nil:
			if err := checkAdvertised(c, cluster); err != nil {
				return err
			}
			if advertise, text = true, c.Value; c.Op == topic.Delete {
				text = ""
			}
		case c.Op == topic.Delete:
			// What was never set can be taken back: kafka-reassign-partitions does.
		default:
			if _, ok := h.setting(c.Key); !ok {
				return refuse(wire.InvalidRequest, "this broker has no config %q", c.Key)
			}
			return refuse(wire.InvalidRequest, "config %q comes from flags, environment or tarn.yaml; change it there and restart", c.Key)
		}
	}
	set := func(validateOnly bool) error {
		if advertise && h.cfg.Advertise != nil {
			if err := h.cfg.Advertise(ctx, text, validateOnly); err != nil {
				return err
			}
		}
		if h.cfg.Limits != nil && (len(limits) > 0 || replaceAll) {
			if err := h.cfg.Limits.AlterLimits(ctx, cluster, limits, replaceAll, validateOnly); err != nil {
				return err
			}
		}
		if len(defaults) == 0 && !replaceAll {
			return nil
		}
		return h.cfg.Topics.AlterDefaults(ctx, cluster, defaults, replaceAll, validateOnly)
	}
	// What may be refused is asked first.
	if err := set(true); err != nil || validateOnly {
		return err
	}
	return set(false)
}

// checkAdvertised says what is wrong with a change of the advertised addresses;
// one that takes them back has no value.
func checkAdvertised(c topic.Change, cluster bool) error {
	switch {
	case cluster:
		return refuse(wire.InvalidRequest, "%s is a broker's own: name the broker, which is %d", advertised, NodeID)
	case c.Op == topic.Set && c.Value == "":
		return refuse(wire.InvalidConfig, "%s is empty", advertised)
	case c.Op != topic.Set && c.Op != topic.Delete:
		return refuse(wire.InvalidConfig, "%s is set as a whole", advertised)
	}
	return nil
}
