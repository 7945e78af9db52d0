package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// alterLimits sets NAME=VALUE, or takes NAME back, as an admin client does.
func alterLimits(ctx context.Context, b *brokertest.Broker, ids []int32, words ...string) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		return err
	}
	defer c.Close()
	var ops []kadm.AlterConfig
	for _, w := range words {
		name, value, set := strings.Cut(w, "=")
		op := kadm.AlterConfig{Op: kadm.DeleteConfig, Name: name}
		if set {
			op.Op, op.Value = kadm.SetConfig, &value
		}
		ops = append(ops, op)
	}
	rs, err := kadm.NewClient(c).AlterBrokerConfigs(ctx, ops, ids...)
	if err != nil {
		return err
	}
	return rs[0].Err
}

// shownLimits are the limits as DescribeConfigs has them, with all places that
// give them.
func shownLimits(t *testing.T, b *brokertest.Broker, ids ...int32) string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rs, err := kadm.NewClient(c).DescribeBrokerConfigs(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range rs[0].Configs {
		if !strings.Contains(e.Key, "max.connection") {
			continue
		}
		s := e.Key + " " + e.MaybeValue() + " " + e.Source.String()
		for _, y := range e.Synonyms {
			s += fmt.Sprintf(" %s:%s", *y.Value, y.Source)
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

// TestLimitsAtRunTime sets limits of connections while the broker runs (KIP-402,
// KIP-612): they hold at once and after a restart, and are shown with where they
// come from.
func TestLimitsAtRunTime(t *testing.T) {
	e := memory.New()
	b := brokertest.New(t, brokertest.WithEngine(e))
	own := []int32{1}
	if err := alterLimits(t.Context(), b, nil, "max.connections.per.ip=50", "max.connections=90"); err != nil {
		t.Fatal(err)
	}
	if err := alterLimits(t.Context(), b, own, "max.connections=80", "listener.name.plaintext.max.connections=70"); err != nil {
		t.Fatal(err)
	}
	const dynamic = kmsg.ConfigSourceDynamicBrokerConfig
	wantAll := strings.Join([]string{
		"max.connections 80 DYNAMIC_BROKER_CONFIG 80:DYNAMIC_BROKER_CONFIG 90:DYNAMIC_DEFAULT_BROKER_CONFIG 2147483647:DEFAULT_CONFIG",
		"max.connections.per.ip 50 DYNAMIC_DEFAULT_BROKER_CONFIG 50:DYNAMIC_DEFAULT_BROKER_CONFIG 2147483647:DEFAULT_CONFIG",
		"listener.name.plaintext.max.connections 70 " + dynamic.String() + " 70:DYNAMIC_BROKER_CONFIG 2147483647:DEFAULT_CONFIG",
	}, "\n")
	if got := shownLimits(t, b, 1); got != wantAll {
		t.Errorf("shown:\n%s\nwant:\n%s", got, wantAll)
	}
	if got := shownLimits(t, b); strings.Contains(got, " 80 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("of all brokers:\n%s", got)
	}
	b.Stop()
	b = brokertest.New(t, brokertest.WithEngine(e))
	if got := shownLimits(t, b, 1); got != wantAll {
		t.Errorf("after a restart:\n%s\nwant:\n%s", got, wantAll)
	}
	// None may come from here, and this connection may stay and take it back.
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	set := func(changes ...topic.Change) {
		t.Helper()
		if err := b.AlterLimits(t.Context(), false, changes, false, false); err != nil {
			t.Fatal(err)
		}
	}
	set(topic.Change{Key: "max.connections.per.ip.overrides", Op: topic.Set, Value: "127.0.0.1:0"})
	mustClose(t, "one that may not come", socket(t, b))
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
	set(topic.Change{Key: "max.connections.per.ip.overrides", Op: topic.Delete})
	// Who waits for a place gets it when there may be more.
	n := len(b.Clients())
	set(topic.Change{Key: "max.connections", Op: topic.Set, Value: fmt.Sprint(n)})
	waiting := socket(t, b)
	sendTo(t, waiting, frame(1, kmsg.NewPtrApiVersionsRequest()))
	set(topic.Change{Key: "max.connections", Op: topic.Delete})
	if id, _ := receiveFrom(t, waiting); id != 1 {
		t.Errorf("correlation id %d", id)
	}
}

// TestLimitsRefused changes nothing of a request with anything wrong in it.
func TestLimitsRefused(t *testing.T) {
	b := brokertest.New(t)
	before := shownLimits(t, b, 1)
	for _, bad := range []string{
		"max.connections=0", "max.connections=many", "max.connections=", "max.connections=2147483648",
		"max.connection.creation.rate=-1", "max.connections.per.ip=0", "max.connections.per.ip.overrides=localhost:5",
		"max.connections.per.ip.overrides=127.0.0.1", "max.connections.per.ip.overrides=::1:5,[::1]:6",
		"listener.name.other.max.connections=5", "listener.name.plaintext.max.connections.per.ip=5", "num.io.threads=5",
	} {
		if err := alterLimits(t.Context(), b, []int32{1}, "max.connections=30", "log.retention.ms=5000", bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
		if got := shownLimits(t, b, 1); got != before {
			t.Fatalf("after %s:\n%s", bad, got)
		}
	}
	for _, e := range b.Topics().DescribeDefaults() {
		if e.Name == "log.retention.ms" && e.Value == "5000" {
			t.Error("a default of topics was set beside what was refused")
		}
	}
	err := b.AlterLimits(t.Context(), true, []topic.Change{{Key: "max.connections", Op: topic.Append, Value: "5"}}, false, false)
	if !errors.Is(err, api.ErrConfig) {
		t.Errorf("appended: %v", err)
	}
}

// FuzzIPLimits reads limits of addresses: refused, or usual forms of addresses
// with numbers.
func FuzzIPLimits(f *testing.F) {
	for _, s := range []string{"", "127.0.0.1:0", "[::1]:5,10.0.0.1:6", "::1:5", "a:1", "1.2.3.4:x", ":", "::ffff:1.2.3.4:7", "fe80::1%eth0:3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all, err := broker.ParseIPLimits(s)
		if err != nil {
			return
		}
		var words []string
		for a, n := range all {
			words = append(words, fmt.Sprintf("[%s]:%d", a, n))
		}
		again, err := broker.ParseIPLimits(strings.Join(words, ","))
		if err != nil || len(again) != len(all) {
			t.Errorf("%q is %v, read again %v, %v", s, all, again, err)
		}
	})
}
