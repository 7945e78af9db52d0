package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/wire"
)

// TestClientMetricsConfigs sets, shows, lists and takes back a subscription.
func TestClientMetricsConfigs(t *testing.T) {
	r := dial(t, brokertest.New(t))
	const kind = kmsg.ConfigResourceTypeClientMetrics
	set := func(name, config string, op kmsg.IncrementalAlterConfigOp, value string) wire.Code {
		return alterMetrics(r, name, config, op, value)
	}
	shown := func() string {
		req := describe(kind, "s", []string{"metrics"})
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		c := do[*kmsg.DescribeConfigsResponse](r, 4, req).Resources[0].Configs[0]
		names := ""
		for _, version := range []int16{0, 1} {
			for _, l := range do[*kmsg.ListConfigResourcesResponse](r, version, kmsg.NewPtrListConfigResourcesRequest()).ConfigResources {
				if version == 0 || l.Type == int8(kind) {
					names += " " + l.Name
				}
			}
		}
		return fmt.Sprintf("%s %s%s", described(c), c.ConfigType, names)
	}
	for i, s := range []struct {
		code wire.Code // of the change; the first makes none
		do   func() wire.Code
		want string
	}{
		{0, func() wire.Code { return 0 }, " from 5 [metrics=/5] LIST"},
		{0, func() wire.Code { return set("s", "metrics", 0, "a") }, "a from 7 [metrics=a/7 metrics=/5] LIST s s"},
		{0, func() wire.Code { return set("s", "metrics", 2, "b") }, "a,b from 7 [metrics=a,b/7 metrics=/5] LIST s s"},
		{wire.InvalidRequest, func() wire.Code { return set("s", "interval.ms", 0, "1") }, "a,b from 7 [metrics=a,b/7 metrics=/5] LIST s s"},
		{wire.InvalidConfig, func() wire.Code { return set("s", "match", 0, "x=y") }, "a,b from 7 [metrics=a,b/7 metrics=/5] LIST s s"},
		{wire.InvalidRequest, func() wire.Code { return set("s", "unknown", 0, "1") }, "a,b from 7 [metrics=a,b/7 metrics=/5] LIST s s"},
		{wire.InvalidRequest, func() wire.Code { return set("", "metrics", 0, "1") }, "a,b from 7 [metrics=a,b/7 metrics=/5] LIST s s"},
		{0, func() wire.Code { return set("s", "metrics", 1, "") }, " from 5 [metrics=/5] LIST"},
	} {
		if code := s.do(); code != s.code {
			t.Errorf("step %d: code %s, want %s", i, code, s.code)
		}
		if got := shown(); got != s.want {
			t.Errorf("step %d: got %s, want %s", i, got, s.want)
		}
	}
	if code := do[*kmsg.DescribeConfigsResponse](r, 4, describe(kind, "", nil)).Resources[0].ErrorCode; wire.Code(code) != wire.InvalidRequest {
		t.Errorf("subscription without a name: %s", wire.Code(code))
	}
}

func alterMetrics(r *raw, name, config string, op kmsg.IncrementalAlterConfigOp, value string) wire.Code {
	r.t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeClientMetrics, name
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = config, op, &value
	rr.Configs = append(rr.Configs, c)
	req.Resources = append(req.Resources, rr)
	return wire.Code(do[*kmsg.IncrementalAlterConfigsResponse](r, 1, req).Resources[0].ErrorCode)
}

// TestTelemetry asks and pushes over the protocol; broker/telemetry has the
// rules.
func TestTelemetry(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	if code := alterMetrics(r, "s", "metrics", 0, "*"); code != 0 {
		t.Fatal(code)
	}
	if code := alterMetrics(r, "s", "match", 0, "client_id=raw,client_source_address=127.0.0.1"); code != 0 {
		t.Fatal(code)
	}
	told := do[*kmsg.GetTelemetrySubscriptionsResponse](r, 0, kmsg.NewPtrGetTelemetrySubscriptionsRequest())
	if got := fmt.Sprint(told.RequestedMetrics, told.AcceptedCompressionTypes, told.PushIntervalMillis, told.TelemetryMaxBytes, told.DeltaTemporality); got != "[*] [4 3 1 2] 300000 1048576 false" {
		t.Errorf("told %s", got)
	}
	again := kmsg.NewPtrGetTelemetrySubscriptionsRequest()
	again.ClientInstanceID = told.ClientInstanceID
	if code := do[*kmsg.GetTelemetrySubscriptionsResponse](r, 0, again).ErrorCode; wire.Code(code) != wire.ThrottlingQuotaExceeded {
		t.Errorf("asked again: %s", wire.Code(code))
	}
	push := func(id [16]byte, subscription int32, last bool, codec int8, metrics []byte) wire.Code {
		t.Helper()
		req := kmsg.NewPtrPushTelemetryRequest()
		req.ClientInstanceID, req.SubscriptionID, req.Terminating = id, subscription, last
		req.CompressionType, req.Metrics = codec, metrics
		return wire.Code(do[*kmsg.PushTelemetryResponse](r, 0, req).ErrorCode)
	}
	for i, s := range []struct {
		got, want wire.Code
	}{
		{push([16]byte{}, 0, false, 0, nil), wire.InvalidRequest},
		{push(told.ClientInstanceID, told.SubscriptionID, false, 0, []byte{0x0a, 0}), 0},
		{push(told.ClientInstanceID, told.SubscriptionID, false, 0, nil), wire.ThrottlingQuotaExceeded},
		{push([16]byte{9}, told.SubscriptionID, false, 0, nil), wire.UnknownSubscriptionID},
		{push(told.ClientInstanceID, told.SubscriptionID, true, 7, nil), wire.UnsupportedCompressionType},
		{push(told.ClientInstanceID, told.SubscriptionID, true, 0, nil), wire.InvalidRequest},
	} {
		if s.got != s.want {
			t.Errorf("push %d: got %s, want %s", i, s.got, s.want)
		}
	}
	all := b.Telemetry().Instances()
	found := false
	for _, in := range all {
		found = found || in.ID == telemetry.ID(told.ClientInstanceID) && in.Client.ID == "raw" && in.Host == "127.0.0.1" && !in.Pushed.IsZero()
	}
	if !found {
		t.Errorf("the client is not among %+v", all)
	}
}
