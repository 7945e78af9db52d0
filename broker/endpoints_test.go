package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/wire"
)

// told asks one listener where the broker is, in every way there is to ask.
func told(t *testing.T, addr string) string {
	t.Helper()
	// A client would go on to the address it is told; this one stays.
	stay := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.Dialer(stay))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), c.SeedBrokers()[0])
	if err != nil {
		t.Fatal(err)
	}
	d, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(t.Context(), c.SeedBrokers()[0])
	if err != nil {
		t.Fatal(err)
	}
	f := kmsg.NewPtrFindCoordinatorRequest()
	f.CoordinatorKey, f.CoordinatorKeys = "g", []string{"g"}
	fc, err := f.RequestWith(t.Context(), c.SeedBrokers()[0])
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(m.Brokers[0].Host, ":", m.Brokers[0].Port)
	for _, also := range []string{
		fmt.Sprint(d.Brokers[0].Host, ":", d.Brokers[0].Port),
		fmt.Sprint(fc.Coordinators[0].Host, ":", fc.Coordinators[0].Port),
	} {
		if also != got {
			t.Errorf("Metadata says %s, another answer %s", got, also)
		}
	}
	return got
}

// TestEndpoints has listeners of their own names and addresses, changes what
// they advertise while clients are connected, and keeps it across a restart.
func TestEndpoints(t *testing.T) {
	e := memory.New()
	defer e.Close()
	open := func() *brokertest.Broker {
		return brokertest.New(t, brokertest.WithEngine(e), brokertest.WithConfig(func(c *broker.Config) {
			c.Listeners = []broker.Listener{
				{Addr: "127.0.0.1:0"},
				{Name: "EXTERNAL", Addr: "127.0.0.1:0", Advertise: "kafka.example:9094"},
				{Name: "external", Addr: "127.0.0.1:0", Advertise: "0.0.0.0:0"},
			}
			c.Settings = func() []api.BrokerConfig { return []api.BrokerConfig{{Name: "advertised.listeners"}} }
		}))
	}
	b := open()
	check := func(want ...string) {
		t.Helper()
		for i, ep := range b.Endpoints() {
			w := want[i]
			if w == "" {
				w = ep.Addr.String()
			}
			if ep.Advertised != w || told(t, ep.Addr.String()) != w {
				t.Errorf("%s advertises %s and tells %s, want %s", ep.Name, ep.Advertised, told(t, ep.Addr.String()), w)
			}
		}
	}
	var names []string
	for _, ep := range b.Endpoints() {
		names = append(names, ep.Name)
	}
	if got := strings.Join(names, " "); got != "PLAINTEXT EXTERNAL external_2" {
		t.Errorf("names %q", got)
	}
	check("", "kafka.example:9094", "")
	for _, bad := range []string{"EXTERNAL://nowhere", "EXTERNAL://a:b", "EXTERNAL://http://a:1", "EXTERNAL://a b:1", "EXTERNAL://" + strings.Repeat("a", 256) + ":1", "OTHER://a:1", "a:1", "EXTERNAL://a:1,external://b:2", ","} {
		if err := b.Advertise(t.Context(), bad, false); !errors.Is(err, api.ErrConfig) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	check("", "kafka.example:9094", "")

	alter, shown := brokerConfig(t, b)
	if code := alter(advertised, "EXTERNAL://other.example:1,external_2://third.example:0", kmsg.IncrementalAlterConfigOpSet); code != wire.None {
		t.Fatal(code)
	}
	third := "third.example:" + strings.TrimPrefix(b.Endpoints()[2].Addr.String(), "127.0.0.1:")
	check("", "other.example:1", third)
	if got, source := shown(); !strings.Contains(got, "EXTERNAL://other.example:1") || source != kmsg.ConfigSourceDynamicBrokerConfig {
		t.Errorf("shown %q, source %d", got, source)
	}
	for value, op := range map[string]kmsg.IncrementalAlterConfigOp{"": kmsg.IncrementalAlterConfigOpSet, "OTHER://a:1": kmsg.IncrementalAlterConfigOpSet, "EXTERNAL://a:1": kmsg.IncrementalAlterConfigOpAppend} {
		if code := alter(advertised, value, op); code != wire.InvalidConfig {
			t.Errorf("%q, operation %d: %v", value, op, code)
		}
	}
	const other = "leader.replication.throttled.rate"
	if code := alter(other, "", kmsg.IncrementalAlterConfigOpDelete); code != wire.None {
		t.Errorf("taking back what was never set: %v", code)
	}
	if code := alter(other, "1", kmsg.IncrementalAlterConfigOpSet); code != wire.InvalidRequest {
		t.Errorf("setting what cannot be: %v", code)
	}
	b.Stop()
	b = open()
	third = "third.example:" + strings.TrimPrefix(b.Endpoints()[2].Addr.String(), "127.0.0.1:")
	check("", "other.example:1", third)
	if err := b.Advertise(t.Context(), "", false); err != nil {
		t.Fatal(err)
	}
	check("", "kafka.example:9094", "")
	b.Stop()
	b = open()
	check("", "kafka.example:9094", "")
}

const advertised = "advertised.listeners"

// brokerConfig changes and shows configs of the broker, as kafka-configs does.
func brokerConfig(t *testing.T, b *brokertest.Broker) (alter func(name, value string, op kmsg.IncrementalAlterConfigOp) wire.Code, shown func() (string, kmsg.ConfigSource)) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	alter = func(name, value string, op kmsg.IncrementalAlterConfigOp) wire.Code {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		rr := kmsg.NewIncrementalAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
		cfg := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		cfg.Name, cfg.Value, cfg.Op = name, &value, op
		rr.Configs = append(rr.Configs, cfg)
		req.Resources = append(req.Resources, rr)
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return wire.Code(resp.Resources[0].ErrorCode)
	}
	shown = func() (string, kmsg.ConfigSource) {
		req := kmsg.NewPtrDescribeConfigsRequest()
		rr := kmsg.NewDescribeConfigsRequestResource()
		rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeBroker, "1", []string{advertised}
		req.Resources = append(req.Resources, rr)
		resp, err := req.RequestWith(t.Context(), c)
		if err != nil || len(resp.Resources[0].Configs) != 1 || resp.Resources[0].Configs[0].ReadOnly {
			t.Fatalf("%+v, %v", resp, err)
		}
		return *resp.Resources[0].Configs[0].Value, resp.Resources[0].Configs[0].Source
	}
	return alter, shown
}
