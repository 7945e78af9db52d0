package api

import (
	"context"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// ListConfigResources (key 74), versions 0–1: what has configs (KIP-1142).
// Version 0 is ListClientMetricsResources (KIP-714).
// No types means all of them.

func (h *Handlers) listConfigResources(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ListConfigResourcesRequest)
	resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
	resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
	const topics, brokers, loggers, metrics, groups = int8(kmsg.ConfigResourceTypeTopic), int8(kmsg.ConfigResourceTypeBroker),
		int8(kmsg.ConfigResourceTypeBrokerLogger), int8(kmsg.ConfigResourceTypeClientMetrics), int8(kmsg.ConfigResourceTypeGroupConfig)
	all := []int8{groups, metrics, loggers, brokers, topics}
	types := req.ResourceTypes
	if req.Version == 0 {
		types = []int8{metrics}
	} else if len(types) == 0 {
		types = all
	}
	for _, kind := range all {
		if !slices.Contains(types, kind) {
			continue
		}
		var names []string
		switch kind {
		case topics:
			for _, t := range h.cfg.Topics.View().All() {
				names = append(names, t.Name)
			}
		case brokers:
			names = []string{strconv.Itoa(int(NodeID))}
		case loggers:
			if h.cfg.LogLevel != nil {
				names = []string{strconv.Itoa(int(NodeID))}
			}
		case metrics:
			names = h.cfg.Telemetry.Names()
		case groups:
			names = h.cfg.GroupConfigs.Names()
		}
		for _, name := range names {
			c := kmsg.NewListConfigResourcesResponseConfigResource()
			c.Name, c.Type = name, kind
			resp.ConfigResources = append(resp.ConfigResources, c)
		}
	}
	for _, kind := range types {
		if !slices.Contains(all, kind) {
			resp.ConfigResources = resp.ConfigResources[:0]
			resp.ErrorCode = int16(wire.UnsupportedVersion)
		}
	}
	return now(resp)
}
