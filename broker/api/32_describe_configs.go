package api

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// DescribeConfigs (key 32), versions 0–4: every known config of a topic or of
// the broker, with defaults; synonyms and documentation when asked for
// (KIP-133, KIP-226, KIP-569). A null or empty list of names asks for all, as in
// Kafka. Resource "" of type broker means the dynamic defaults: what was set for
// all brokers while they ran. A resource that is asked for several times is
// answered once.

func (h *Handlers) describeConfigs(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeConfigsRequest)
	return func(context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		resp.Resources = []kmsg.DescribeConfigsResponseResource{}
		seen := map[resource]bool{}
		for i := range req.Resources {
			rr := &req.Resources[i]
			if k := (resource{rr.ResourceType, rr.ResourceName}); !seen[k] {
				seen[k] = true
				resp.Resources = append(resp.Resources, h.describeResource(req, rr))
			}
		}
		return resp, nil
	}, nil
}

// resource names what has configs.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

func (h *Handlers) describeResource(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource) kmsg.DescribeConfigsResponseResource {
	sr := kmsg.NewDescribeConfigsResponseResource()
	sr.ResourceType, sr.ResourceName = rr.ResourceType, rr.ResourceName
	var err error
	switch rr.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		sr.Configs, err = h.topicConfigs(req, rr)
	case kmsg.ConfigResourceTypeBroker:
		sr.Configs, err = h.brokerConfigs(req, rr)
	case kmsg.ConfigResourceTypeBrokerLogger:
		sr.Configs, err = h.loggerConfigs(rr)
	case kmsg.ConfigResourceTypeGroupConfig:
		sr.Configs, err = h.groupConfigs(req, rr)
	case kmsg.ConfigResourceTypeClientMetrics:
		sr.Configs, err = h.metricsConfigs(req, rr)
	default:
		err = refuse(wire.InvalidRequest, "resource type %d has no configs here", rr.ResourceType)
	}
	sr.ErrorCode, sr.ErrorMessage = h.code(err), message(err)
	return sr
}

// asked reports whether a config is among those asked for.
func asked(rr *kmsg.DescribeConfigsRequestResource, name string) bool {
	return len(rr.ConfigNames) == 0 || slices.Contains(rr.ConfigNames, name)
}

func (h *Handlers) topicConfigs(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	if err := topic.CheckName(rr.ResourceName); err != nil {
		return nil, err
	}
	t, err := h.lookup(rr.ResourceName, [16]byte{}, false)
	if err != nil {
		return nil, err
	}
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range h.cfg.Topics.Describe(t.Overrides) {
		if !asked(rr, e.Name) {
			continue
		}
		c := describedEntry(req, &e)
		c.IsDefault = e.Source != topic.SourceTopic
		out = append(out, c)
	}
	return out, nil
}

// describedEntry is one config as the answer shows it.
func describedEntry(req *kmsg.DescribeConfigsRequest, e *topic.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value = e.Name, &e.Value
	c.Source, c.IsDefault = kmsg.ConfigSource(e.Source), e.Source == topic.SourceDefault
	c.ConfigType = kmsg.ConfigType(e.Kind)
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			y.Name, y.Value, y.Source = s.Name, &s.Value, kmsg.ConfigSource(s.Source)
			c.ConfigSynonyms = append(c.ConfigSynonyms, y)
		}
	}
	if req.IncludeDocumentation {
		doc := e.Help()
		c.Documentation = &doc
	}
	return c
}

// defaultConfigs are the broker configs that give topics their defaults; only
// those set for all brokers, if that is asked for.
func (h *Handlers) defaultConfigs(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource, cluster bool) []kmsg.DescribeConfigsResponseResourceConfig {
	var out []kmsg.DescribeConfigsResponseResourceConfig
	for _, e := range h.cfg.Topics.DescribeDefaults() {
		if !asked(rr, e.Name) {
			continue
		}
		if cluster {
			i := slices.IndexFunc(e.Synonyms, func(s topic.Synonym) bool { return s.Source == topic.SourceDynamicDefault })
			if i < 0 {
				continue
			}
			e.Synonyms = e.Synonyms[i:]
			e.Value, e.Source = e.Synonyms[0].Value, e.Synonyms[0].Source
		}
		out = append(out, describedEntry(req, &e))
	}
	return out
}

func (h *Handlers) brokerConfigs(req *kmsg.DescribeConfigsRequest, rr *kmsg.DescribeConfigsRequestResource) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	cluster := rr.ResourceName == ""
	if id, err := strconv.ParseInt(rr.ResourceName, 10, 32); !cluster && (err != nil || int32(id) != NodeID) {
		return nil, refuse(wire.InvalidRequest, "broker %q is not this one, which is %d", rr.ResourceName, NodeID)
	}
	out := h.defaultConfigs(req, rr, cluster)
	if h.cfg.BrokerConfigs == nil {
		return out, nil
	}
	for _, b := range h.cfg.BrokerConfigs() {
		if !asked(rr, b.Name) || cluster && b.DynamicDefault == nil {
			continue
		}
		if cluster {
			b.Dynamic = nil
		}
		c := kmsg.NewDescribeConfigsResponseResourceConfig()
		c.Name, c.ReadOnly, c.ConfigType = b.Name, !b.Settable, kmsg.ConfigType(b.Kind)
		if b.Kind == 0 {
			c.ConfigType = kmsg.ConfigTypeString
		}
		synonyms := brokerSynonyms(b)
		c.Value, c.Source = synonyms[0].Value, synonyms[0].Source
		c.IsDefault = c.Source == kmsg.ConfigSourceDefaultConfig
		if req.IncludeSynonyms {
			c.ConfigSynonyms = synonyms
		}
		if req.IncludeDocumentation {
			c.Documentation = &b.Doc
		}
		out = append(out, c)
	}
	return out, nil
}

// brokerSynonyms are the places that give a broker's setting, the one in force
// first.
func brokerSynonyms(b BrokerConfig) []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	var out []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym
	add := func(value *string, source kmsg.ConfigSource) {
		y := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		y.Name, y.Value, y.Source = b.Name, value, source
		out = append(out, y)
	}
	if b.Dynamic != nil {
		add(b.Dynamic, kmsg.ConfigSourceDynamicBrokerConfig)
	}
	if b.DynamicDefault != nil {
		add(b.DynamicDefault, kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	}
	if b.Value != b.Default {
		add(&b.Value, kmsg.ConfigSourceStaticBrokerConfig)
	}
	add(&b.Default, kmsg.ConfigSourceDefaultConfig)
	return out
}
