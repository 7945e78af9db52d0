package api_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

func describe(kind kmsg.ConfigResourceType, name string, keys []string) *kmsg.DescribeConfigsRequest {
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName, rr.ConfigNames = kind, name, keys
	req.Resources = append(req.Resources, rr)
	return req
}

// TestDescribeConfigs filters, names sources and synonyms, and documents, each
// only when asked to.
func TestDescribeConfigs(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Topics = topic.Defaults{Configs: map[string]string{"retention.ms": "1000", "segment.bytes": "2000000"}}
		c.Settings = func() []api.BrokerConfig {
			return []api.BrokerConfig{{Name: "kafka.listen", Value: "x:1", Default: "y:1", Doc: "where"}, {Name: "log.level", Value: "info", Default: "info", Doc: "how much"}}
		}
	}))
	r := dial(t, b)
	create(t, b, "t", 1, map[string]string{"retention.ms": "5"})
	for _, keys := range [][]string{nil, {}} {
		resp := do[*kmsg.DescribeConfigsResponse](r, 4, describe(kmsg.ConfigResourceTypeTopic, "t", keys))
		if got := len(resp.Resources[0].Configs); got != len(topic.Definitions()) {
			t.Errorf("names %v: %d configs, there are %d", keys, got, len(topic.Definitions()))
		}
		for _, c := range resp.Resources[0].Configs {
			if c.Value == nil || c.ConfigType == 0 || c.Documentation != nil || len(c.ConfigSynonyms) > 0 || c.IsSensitive || c.ReadOnly {
				t.Errorf("%+v", c)
			}
		}
	}
	req := describe(kmsg.ConfigResourceTypeTopic, "t", []string{"retention.ms", "segment.bytes", "cleanup.policy", "unknown"})
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	want := map[string]string{
		"retention.ms":   "5 from 1 [retention.ms=5/1 log.retention.ms=1000/4 log.retention.ms=604800000/5]",
		"segment.bytes":  "2000000 from 4 [log.segment.bytes=2000000/4 log.segment.bytes=1073741824/5]",
		"cleanup.policy": "delete from 5 [log.cleanup.policy=delete/5]",
	}
	for _, c := range do[*kmsg.DescribeConfigsResponse](r, 4, req).Resources[0].Configs {
		if got := described(c); got != want[c.Name] {
			t.Errorf("%s: %s, want %s", c.Name, got, want[c.Name])
		}
		if c.Documentation == nil || *c.Documentation == "" {
			t.Errorf("%s is not documented", c.Name)
		}
		delete(want, c.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing %v", want)
	}
	for _, c := range do[*kmsg.DescribeConfigsResponse](r, 0, describe(kmsg.ConfigResourceTypeTopic, "t", []string{"retention.ms", "cleanup.policy"})).Resources[0].Configs {
		if c.IsDefault != (c.Name == "cleanup.policy") {
			t.Errorf("v0: %s is default %v", c.Name, c.IsDefault)
		}
	}
	all := do[*kmsg.DescribeConfigsResponse](r, 4, describe(kmsg.ConfigResourceTypeBroker, "1", nil)).Resources[0].Configs
	if len(all) != len(b.Topics().DescribeDefaults())+2 {
		t.Errorf("the broker has %d configs", len(all))
	}
	req = describe(kmsg.ConfigResourceTypeBroker, "1", []string{"log.level", "kafka.listen", "log.retention.ms"})
	req.IncludeSynonyms = true
	var got []string
	for _, c := range do[*kmsg.DescribeConfigsResponse](r, 4, req).Resources[0].Configs {
		got = append(got, c.Name+" "+described(c), fmt.Sprint(c.ReadOnly))
	}
	if want := "[log.retention.ms 1000 from 4 [log.retention.ms=1000/4 log.retention.ms=604800000/5] false kafka.listen x:1 from 4 [kafka.listen=x:1/4 kafka.listen=y:1/5] true log.level info from 5 [log.level=info/5] true]"; fmt.Sprint(got) != want {
		t.Errorf("broker: %v, want %s", got, want)
	}
}

// described shows a config's value, source and synonyms.
func described(c kmsg.DescribeConfigsResponseResourceConfig) string {
	out := fmt.Sprintf("%s from %d [", *c.Value, c.Source)
	for i, s := range c.ConfigSynonyms {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%s=%s/%d", s.Name, *s.Value, s.Source)
	}
	return out + "]"
}

// TestDescribeConfigsOf looks at resources that have none, or are not there.
func TestDescribeConfigsOf(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	for _, c := range []struct {
		kind kmsg.ConfigResourceType
		name string
		code wire.Code
	}{
		{kmsg.ConfigResourceTypeTopic, "nope", wire.UnknownTopicOrPartition},
		{kmsg.ConfigResourceTypeTopic, "bad name", wire.InvalidTopicException},
		{kmsg.ConfigResourceTypeBroker, "", 0},
		{kmsg.ConfigResourceTypeBroker, "2", wire.InvalidRequest},
		{kmsg.ConfigResourceTypeBroker, "x", wire.InvalidRequest},
		{kmsg.ConfigResourceTypeBrokerLogger, "1", wire.InvalidRequest},
		{99, "x", wire.InvalidRequest},
	} {
		req := describe(c.kind, c.name, nil)
		req.Resources = append(req.Resources, req.Resources[0])
		resp := do[*kmsg.DescribeConfigsResponse](r, 4, req)
		if len(resp.Resources) != 1 || wire.Code(resp.Resources[0].ErrorCode) != c.code || len(resp.Resources[0].Configs) > 0 {
			t.Errorf("%d %q: %+v, want %v once", c.kind, c.name, resp.Resources, c.code)
		}
	}
}

// TestIncrementalAlterConfigs sets, deletes, appends and subtracts, all of a
// resource or nothing.
func TestIncrementalAlterConfigs(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "t", 1, map[string]string{"retention.ms": "5"})
	type op struct {
		name  string
		op    kmsg.IncrementalAlterConfigOp
		value *string
	}
	alter := func(kind kmsg.ConfigResourceType, name string, validateOnly bool, ops ...op) *kmsg.IncrementalAlterConfigsRequest {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.ValidateOnly = validateOnly
		rr := kmsg.NewIncrementalAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kind, name
		for _, o := range ops {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op, c.Value = o.name, o.op, o.value
			rr.Configs = append(rr.Configs, c)
		}
		req.Resources = append(req.Resources, rr)
		return req
	}
	const topicKind, brokerKind = kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker
	for i, c := range []struct {
		req  *kmsg.IncrementalAlterConfigsRequest
		code wire.Code
		want string // overrides afterwards
	}{
		{alter(topicKind, "t", true, op{"retention.ms", 0, ptr("6")}), 0, "map[retention.ms:5]"},
		{alter(topicKind, "t", false, op{"retention.ms", 0, ptr("6")}), 0, "map[retention.ms:6]"},
		{alter(topicKind, "t", false, op{"cleanup.policy", 2, ptr("compact")}), 0, "map[cleanup.policy:delete,compact retention.ms:6]"},
		{alter(topicKind, "t", false, op{"cleanup.policy", 3, ptr("delete")}, op{"retention.ms", 1, nil}), 0, "map[cleanup.policy:compact]"},
		{alter(topicKind, "t", false, op{"retention.ms", 2, ptr("6")}), wire.InvalidConfig, "map[cleanup.policy:compact]"},
		{alter(topicKind, "t", false, op{"segment.bytes", 0, ptr("9999")}, op{"retention.ms", 0, ptr("x")}), wire.InvalidConfig, "map[cleanup.policy:compact]"},
		{alter(topicKind, "t", false, op{"retention.ms", 0, nil}), wire.InvalidRequest, "map[cleanup.policy:compact]"},
		{alter(topicKind, "t", false, op{"retention.ms", 9, ptr("1")}), wire.InvalidRequest, "map[cleanup.policy:compact]"},
		{alter(topicKind, "t", false, op{"retention.ms", 0, ptr("1")}, op{"retention.ms", 1, nil}), wire.InvalidRequest, "map[cleanup.policy:compact]"},
		{alter(topicKind, "nope", false, op{"retention.ms", 0, ptr("1")}), wire.UnknownTopicOrPartition, "map[cleanup.policy:compact]"},
		{alter(brokerKind, "1", false, op{"log.level", 0, ptr("debug")}), wire.InvalidRequest, "map[cleanup.policy:compact]"},
		{alter(99, "1", false, op{"log.level", 0, ptr("debug")}), wire.InvalidRequest, "map[cleanup.policy:compact]"},
	} {
		resp := do[*kmsg.IncrementalAlterConfigsResponse](r, 1, c.req)
		if got := fmt.Sprint(b.Topics().View().ByName("t").Overrides); wire.Code(resp.Resources[0].ErrorCode) != c.code || got != c.want {
			t.Errorf("step %d: %v and %s, want %v and %s", i, wire.Code(resp.Resources[0].ErrorCode), got, c.code, c.want)
		}
		if (c.code != 0) != (resp.Resources[0].ErrorMessage != nil) {
			t.Errorf("step %d: message %v", i, resp.Resources[0].ErrorMessage)
		}
	}
	twice := alter(topicKind, "t", false, op{"retention.ms", 0, ptr("1")})
	twice.Resources = append(twice.Resources, twice.Resources[0])
	if resp := do[*kmsg.IncrementalAlterConfigsResponse](r, 1, twice); len(resp.Resources) != 1 || wire.Code(resp.Resources[0].ErrorCode) != wire.InvalidRequest {
		t.Errorf("a resource twice: %+v", resp.Resources)
	}
}

// TestAlterConfigs replaces the whole set.
func TestAlterConfigs(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	create(t, b, "t", 1, map[string]string{"retention.ms": "5", "segment.bytes": "9999"})
	alter := func(kind kmsg.ConfigResourceType, pairs ...*string) wire.Code {
		req := kmsg.NewPtrAlterConfigsRequest()
		rr := kmsg.NewAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kind, "t"
		for i := 0; i < len(pairs); i += 2 {
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name, c.Value = *pairs[i], pairs[i+1]
			rr.Configs = append(rr.Configs, c)
		}
		req.Resources = append(req.Resources, rr)
		return wire.Code(do[*kmsg.AlterConfigsResponse](r, 2, req).Resources[0].ErrorCode)
	}
	key := ptr("retention.ms")
	if c := alter(kmsg.ConfigResourceTypeTopic, key, nil); c != wire.InvalidRequest {
		t.Errorf("no value: %v", c)
	}
	if c := alter(kmsg.ConfigResourceTypeTopic, key, ptr("1"), key, ptr("2")); c != wire.InvalidConfig {
		t.Errorf("twice: %v", c)
	}
	if c := alter(kmsg.ConfigResourceTypeBroker, key, ptr("1")); c != wire.InvalidRequest {
		t.Errorf("broker: %v", c)
	}
	if c := alter(kmsg.ConfigResourceTypeTopic, key, ptr("7")); c != 0 {
		t.Errorf("good: %v", c)
	}
	if got := fmt.Sprint(b.Topics().View().ByName("t").Overrides); got != "map[retention.ms:7]" {
		t.Errorf("left is %s", got)
	}
}

// TestFindCoordinator answers itself for groups and transactions, each key of a
// list for itself.
func TestFindCoordinator(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.Listeners[0].Advertise = "broker.example:1234" }))
	r := dial(t, b)
	for kind, want := range map[int8]string{0: "1 broker.example 1234 0", 1: "1 broker.example 1234 0", 2: "-1  -1 42", 9: "-1  -1 42"} {
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, "g", []string{"g", "h"}
		for v := int16(1); v <= 6; v++ {
			resp := do[*kmsg.FindCoordinatorResponse](r, v, req)
			if v < 4 {
				if got := fmt.Sprint(resp.NodeID, " ", resp.Host, " ", resp.Port, " ", resp.ErrorCode); got != want {
					t.Errorf("type %d v%d: %q, want %q", kind, v, got, want)
				}
				continue
			}
			for i, c := range resp.Coordinators {
				if got := fmt.Sprint(c.NodeID, " ", c.Host, " ", c.Port, " ", c.ErrorCode); got != want || c.Key != []string{"g", "h"}[i] {
					t.Errorf("type %d v%d: %s is %q, want %q", kind, v, c.Key, got, want)
				}
			}
		}
	}
}

// TestFindShareCoordinator: a share-partition's key is group:topic id:partition,
// and is known from version 6.
func TestFindShareCoordinator(t *testing.T) {
	r := dial(t, brokertest.New(t))
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType = 2
	req.CoordinatorKeys = []string{"g:h:AAAAAAAAAAAAAAAAAAAAAQ:3", "g:AAAAAAAAAAAAAAAAAAAAAQ:-1", "g:AAAA:3", ":AAAAAAAAAAAAAAAAAAAAAQ:3", "g:3", "g"}
	for v, good := range map[int16]wire.Code{5: wire.InvalidRequest, 6: wire.None} {
		for i, c := range do[*kmsg.FindCoordinatorResponse](r, v, req).Coordinators {
			want := wire.InvalidRequest
			if i == 0 {
				want = good
			}
			if wire.Code(c.ErrorCode) != want || (c.NodeID == api.NodeID) != (want == wire.None) {
				t.Errorf("v%d %s: %s, node %d", v, c.Key, wire.Code(c.ErrorCode), c.NodeID)
			}
		}
	}
}

// TestDescribeCluster tells the one broker, and to whom it speaks.
func TestDescribeCluster(t *testing.T) {
	b := brokertest.New(t)
	r := dial(t, b)
	for kind, code := range map[int8]wire.Code{1: 0, 2: wire.MismatchedEndpointType, 3: wire.UnsupportedEndpointType} {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.EndpointType = kind
		resp := do[*kmsg.DescribeClusterResponse](r, 2, req)
		if wire.Code(resp.ErrorCode) != code || (code == 0) != (len(resp.Brokers) == 1) ||
			(code == 0) != (resp.ClusterID == b.ClusterID()) || (code == 0) != (resp.ControllerID == 1) {
			t.Errorf("endpoint type %d: %+v", kind, resp)
		}
	}
}
