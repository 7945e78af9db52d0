package api_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
	"github.com/tarn-io/tarn/broker/wire"
)

// admin is an admin client of a broker, and what reads a topic's config as text.
func admin(t *testing.T, b *brokertest.Broker) *kadm.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kadm.NewClient(c)
}

// TestDynamicDefaults sets defaults of topics while the broker runs: they hold at
// once, for topics that set nothing themselves, and after a restart.
func TestDynamicDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	b := brokertest.New(t, brokertest.WithEngine(e))
	adm := admin(t, b)
	create(t, b, "plain", 1, nil)
	create(t, b, "own", 1, map[string]string{"retention.ms": "5"})
	set := func(broker []int32, name, value string) error {
		op := kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value}
		if value == "" {
			op.Op, op.Value = kadm.DeleteConfig, nil
		}
		rs, err := adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{op}, broker...)
		if err != nil {
			return err
		}
		return rs[0].Err
	}
	show := func(name string) string {
		t.Helper()
		rs, err := adm.DescribeTopicConfigs(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		out := ""
		for _, c := range rs[0].Configs {
			if c.Key == "retention.ms" {
				out = *c.Value
				for _, s := range c.Synonyms {
					out += fmt.Sprintf(" %s=%s/%d", s.Key, *s.Value, s.Source)
				}
			}
		}
		return out
	}
	want := func(name, want string) {
		t.Helper()
		if got := show(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if err := set(nil, "log.retention.ms", "7000"); err != nil {
		t.Fatal(err)
	}
	want("plain", "7000 log.retention.ms=7000/3 log.retention.ms=604800000/5")
	if err := set([]int32{1}, "log.retention.ms", "8000"); err != nil {
		t.Fatal(err)
	}
	want("plain", "8000 log.retention.ms=8000/2 log.retention.ms=7000/3 log.retention.ms=604800000/5")
	want("own", "5 retention.ms=5/1 log.retention.ms=8000/2 log.retention.ms=7000/3 log.retention.ms=604800000/5")
	if got := b.Topics().View().ByName("plain").Config.RetentionMs; got != 8000 {
		t.Errorf("in force: %d, want 8000", got)
	}
	for _, bad := range [][2]string{{"log.retention.ms", "-5"}, {"log.cleanup.policy", "burn"}, {"retention.ms", "6"}, {"num.partitions", "3"}} {
		if err := set([]int32{1}, bad[0], bad[1]); err == nil {
			t.Errorf("%s=%s was taken", bad[0], bad[1])
		}
	}
	if err := set(nil, "log.cleanup.policy", "compact,delete"); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	b = brokertest.New(t, brokertest.WithEngine(e))
	adm = admin(t, b)
	want("plain", "8000 log.retention.ms=8000/2 log.retention.ms=7000/3 log.retention.ms=604800000/5")
	create(t, b, "later", 1, nil)
	if c := b.Topics().View().ByName("later").Config; c.RetentionMs != 8000 || !c.CleanupCompact || !c.CleanupDelete {
		t.Errorf("a topic made later: %+v", c)
	}
	if err := set([]int32{1}, "log.retention.ms", ""); err != nil {
		t.Fatal(err)
	}
	want("plain", "7000 log.retention.ms=7000/3 log.retention.ms=604800000/5")
	rs, err := adm.DescribeBrokerConfigs(t.Context())
	if err != nil || len(rs) != 1 || len(rs[0].Configs) != 2 {
		t.Errorf("dynamic defaults: %+v, %v; want two", rs, err)
	}
}

// TestBrokerConfigsRefused tells a config that only the command line sets from
// one that there is not, such as those of Kafka's threads.
func TestBrokerConfigsRefused(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Settings = func() []api.BrokerConfig { return []api.BrokerConfig{{Name: "node.id", Value: "1"}} }
	}))
	adm, value := admin(t, b), "3"
	for name, want := range map[string]string{
		"node.id":        `config "node.id" comes from flags, environment or tarn.yaml; change it there and restart`,
		"num.io.threads": `this broker has no config "num.io.threads"`,
	} {
		rs, err := adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: &value}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		if rs[0].Err == nil || rs[0].ErrMessage != want {
			t.Errorf("%s: %v, %q; want %q", name, rs[0].Err, rs[0].ErrMessage, want)
		}
	}
}

// TestBrokerLogger shows and sets the level of the log.
func TestBrokerLogger(t *testing.T) {
	level := new(slog.LevelVar)
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.LogLevel = level }))
	r := dial(t, b)
	set := func(broker, name, value string, op kmsg.IncrementalAlterConfigOp) wire.Code {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		rr := kmsg.NewIncrementalAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeBrokerLogger, broker
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value, c.Op = name, &value, op
		rr.Configs = append(rr.Configs, c)
		req.Resources = append(req.Resources, rr)
		return wire.Code(do[*kmsg.IncrementalAlterConfigsResponse](r, 1, req).Resources[0].ErrorCode)
	}
	show := func() string {
		rs := do[*kmsg.DescribeConfigsResponse](r, 4, describe(kmsg.ConfigResourceTypeBrokerLogger, "1", nil)).Resources
		return fmt.Sprintln(rs[0].ErrorCode, rs[0].Configs[0].Name, *rs[0].Configs[0].Value, int(rs[0].Configs[0].Source))
	}
	if got := show(); got != "0 root INFO 6\n" {
		t.Errorf("got %s", got)
	}
	for _, c := range []struct {
		broker, name, value string
		op                  kmsg.IncrementalAlterConfigOp
		want                wire.Code
	}{
		{"1", "root", "DEBUG", 0, wire.None},
		{"2", "root", "WARN", 0, wire.InvalidRequest},
		{"1", "root", "LOUD", 0, wire.InvalidConfig},
		{"1", "kafka", "WARN", 0, wire.InvalidConfig},
		{"1", "root", "", 1, wire.InvalidRequest},
	} {
		if got := set(c.broker, c.name, c.value, c.op); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v, want DEBUG", level.Level())
	}
	for name, want := range map[string]slog.Level{"TRACE": -4, "INFO": 0, "WARN": 4, "ERROR": 8, "FATAL": 8} {
		if set("1", "root", name, 0); level.Level() != want {
			t.Errorf("%s: the level is %v, want %v", name, level.Level(), want)
		}
	}
}
