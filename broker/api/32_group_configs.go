package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Configs of groups, resource type GROUP (32), in DescribeConfigs (key 32),
// AlterConfigs (33) and IncrementalAlterConfigs (44): of consumer groups (KIP-848),
// share groups (KIP-932, KIP-1240) and streams groups (KIP-1071). A group need not exist to have them, and
// one without any shows the defaults, as in Kafka.

func (h *Handlers) groupConfigs(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	if rr.ResourceName == "" {
		return nil, refuse(wire.InvalidRequest, "name a group: there are no defaults for all groups")
	}
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range groupconfig.Definitions() {
		if !asked(rr, string(d.Key)) {
			continue
		}
		value, set := h.cfg.GroupConfigs.Value(rr.ResourceName, d.Key)
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.ConfigType = string(d.Key), &value, kmsg.ConfigType(d.Kind)
		c.Source, c.IsDefault = kmsg.ConfigSourceDefaultConfig, !set
		if set {
			c.Source = kmsg.ConfigSourceGroupConfig
		}
		if req.IncludeSynonyms && set {
			y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			y.Name, y.Value, y.Source = c.Name, &value, kmsg.ConfigSourceGroupConfig
			c.ConfigSynonyms = append(c.ConfigSynonyms, y)
		}
		if req.IncludeSynonyms {
			y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			y.Name, y.Value, y.Source = "group."+c.Name, &d.Default, kmsg.ConfigSourceDefaultConfig
			c.ConfigSynonyms = append(c.ConfigSynonyms, y)
		}
		if req.IncludeDocumentation {
			c.Documentation = &d.Doc
		}
		out = append(out, c)
	}
	return out, nil
}

// alterGroup changes a group's configs.
func (h *Handlers) alterGroup(ctx context.Context, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	if name == "" {
		return refuse(wire.InvalidRequest, "name a group: there are no defaults for all groups")
	}
	all := make([]groupconfig.Change, len(changes))
	for i, c := range changes {
		if c.Op != topic.Set && c.Op != topic.Delete {
			return refuse(wire.InvalidConfig, "config %q is no list to append to or subtract from", c.Key)
		}
		all[i] = groupconfig.Change{Key: c.Key, Value: c.Value, Delete: c.Op == topic.Delete}
	}
	return h.cfg.GroupConfigs.Alter(ctx, name, all, replaceAll, validateOnly)
}
