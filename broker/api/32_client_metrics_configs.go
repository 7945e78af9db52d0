package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Subscriptions of client metrics, resource type CLIENT_METRICS (16), in
// DescribeConfigs (key 32), AlterConfigs (33) and IncrementalAlterConfigs (44)
// (KIP-714). One that is not there shows the defaults, as in Kafka; one whose
// settings are all taken back is gone.

func (h *Handlers) metricsConfigs(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	if rr.ResourceName == "" {
		return nil, refuse(wire.InvalidRequest, "name a subscription of client metrics")
	}
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range telemetry.Definitions() {
		if !asked(rr, string(d.Key)) {
			continue
		}
		value, set := h.cfg.Telemetry.Value(rr.ResourceName, d.Key)
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.Value, c.ConfigType = string(d.Key), &value, kmsg.ConfigTypeInt
		if d.List {
			c.ConfigType = kmsg.ConfigTypeList
		}
		c.Source, c.IsDefault = kmsg.ConfigSourceDefaultConfig, !set
		if set {
			c.Source = kmsg.ConfigSourceClientMetricsConfig
		}
		if req.IncludeSynonyms {
			if set {
				c.ConfigSynonyms = append(c.ConfigSynonyms, synonym(c.Name, value, kmsg.ConfigSourceClientMetricsConfig))
			}
			c.ConfigSynonyms = append(c.ConfigSynonyms, synonym(c.Name, d.Default, kmsg.ConfigSourceDefaultConfig))
		}
		if req.IncludeDocumentation {
			c.Documentation = &d.Doc
		}
		out = append(out, c)
	}
	return out, nil
}

// synonym is one place that gives a value.
func synonym(name, value string, source kmsg.ConfigSource) kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
	y.Name, y.Value, y.Source = name, &value, source
	return y
}

// alterMetrics changes a subscription.
func (h *Handlers) alterMetrics(ctx context.Context, name string, changes []topic.Change, replaceAll, validateOnly bool) error {
	all := make([]telemetry.Change, len(changes))
	for i, c := range changes {
		// Both have IncrementalAlterConfigs' numbers.
		all[i] = telemetry.Change{Key: telemetry.Key(c.Key), Op: telemetry.Op(c.Op), Value: c.Value}
	}
	return h.cfg.Telemetry.Alter(ctx, name, all, replaceAll, validateOnly)
}
