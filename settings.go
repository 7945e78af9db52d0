package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/topic"
)

// timeFlags say how long the broker remembers and waits.
type timeFlags struct {
	ProducerExpiry   time.Duration `name:"kafka.producer-id-expiration" default:"24h" help:"How long an idle producer's last batches are remembered."`
	TxnMaxTimeout    time.Duration `name:"kafka.transaction.max-timeout" default:"15m" help:"Longest transaction timeout that a producer may ask for; Flink asks for 1h."`
	TxnExpiry        time.Duration `name:"kafka.transaction.id-expiration" default:"168h" help:"How long an unused transactional id is remembered."`
	OffsetsRetention time.Duration `name:"kafka.group.offsets-retention" default:"168h" help:"How long offsets outlive their group's last member."`
	MinSession       time.Duration `name:"kafka.group.min-session-timeout" default:"6s" help:"Shortest session timeout of members of classic groups."`
	MaxSession       time.Duration `name:"kafka.group.max-session-timeout" default:"30m" help:"Longest session timeout of members of classic groups."`
	RetentionCheck   time.Duration `name:"kafka.retention-check" default:"5m" help:"How often old records are looked for."`
	CompactionCheck  time.Duration `name:"kafka.compaction-check" default:"15s" help:"How often logs are looked at that may be compacted."`
}

// times are the broker's, or what is wrong with the flags.
func (f *timeFlags) times() (broker.Times, error) {
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{
		{"kafka.producer-id-expiration", f.ProducerExpiry}, {"kafka.transaction.max-timeout", f.TxnMaxTimeout},
		{"kafka.transaction.id-expiration", f.TxnExpiry}, {"kafka.group.offsets-retention", f.OffsetsRetention},
		{"kafka.group.min-session-timeout", f.MinSession}, {"kafka.group.max-session-timeout", f.MaxSession},
		{"kafka.retention-check", f.RetentionCheck}, {"kafka.compaction-check", f.CompactionCheck},
	} {
		if d.value < time.Millisecond {
			return broker.Times{}, fmt.Errorf("--%s %v: must be at least 1ms", d.flag, d.value)
		}
	}
	if f.MinSession > f.MaxSession {
		return broker.Times{}, fmt.Errorf("--kafka.group.min-session-timeout %v is above the longest, which is %v", f.MinSession, f.MaxSession)
	}
	return broker.Times{
		ProducerExpiry: f.ProducerExpiry, TxnMaxTimeout: f.TxnMaxTimeout, TxnExpiry: f.TxnExpiry,
		OffsetsRetention: f.OffsetsRetention, MinSession: f.MinSession, MaxSession: f.MaxSession,
	}, nil
}

// settings shows flags as DescribeConfigs of the broker does.
func (f *timeFlags) settings() []api.BrokerConfig {
	in := func(name string, unit, value, fallback time.Duration, doc string) api.BrokerConfig {
		text := func(d time.Duration) string { return strconv.FormatInt(int64(d/unit), 10) }
		return api.BrokerConfig{Name: name, Value: text(value), Default: text(fallback), Kind: topic.Int, Doc: doc}
	}
	const ms, minute = time.Millisecond, time.Minute
	return []api.BrokerConfig{
		in("producer.id.expiration.ms", ms, f.ProducerExpiry, 24*time.Hour, "How long an idle producer's last batches are remembered (--kafka.producer-id-expiration)."),
		in("transaction.max.timeout.ms", ms, f.TxnMaxTimeout, 15*minute, "Longest transaction timeout that a producer may ask for (--kafka.transaction.max-timeout)."),
		in("transactional.id.expiration.ms", ms, f.TxnExpiry, 7*24*time.Hour, "How long an unused transactional id is remembered (--kafka.transaction.id-expiration)."),
		in("offsets.retention.minutes", minute, f.OffsetsRetention, 7*24*time.Hour, "How long offsets outlive their group's last member (--kafka.group.offsets-retention)."),
		in("group.min.session.timeout.ms", ms, f.MinSession, 6*time.Second, "Shortest session timeout of members of classic groups (--kafka.group.min-session-timeout)."),
		in("group.max.session.timeout.ms", ms, f.MaxSession, 30*minute, "Longest session timeout of members of classic groups (--kafka.group.max-session-timeout)."),
	}
}

// numbered shows a number of connections, which is 0 where the flag was not given.
func numbered(name string, value, fallback int, doc string) api.BrokerConfig {
	if value == 0 {
		value = fallback
	}
	return api.BrokerConfig{Name: name, Value: strconv.Itoa(value), Default: strconv.Itoa(fallback), Kind: topic.Int, Doc: doc}
}

// kafkaVersion is the newest that inter.broker.protocol.version can be.
const kafkaVersion = "3.9-IV0"

// settings shows the flags as DescribeConfigs of the broker does.
func (c *serveCmd) settings() []api.BrokerConfig {
	return append(append(c.timeFlags.settings(), c.connectionFlags.settings()...), []api.BrokerConfig{
		{Name: "listeners", Value: c.listenersConfig(), Default: "PLAINTEXT://127.0.0.1:9092", Doc: "Addresses of the Kafka listeners (--kafka.listen)."},
		{Name: "advertised.listeners", Value: c.KafkaAdvertise, Doc: "Address that clients are told (--kafka.advertise)."},
		{Name: "auto.create.topics.enable", Value: strconv.FormatBool(c.KafkaAutoCreate), Default: "true", Kind: topic.Bool, Doc: "Create unknown topics on first use (--kafka.auto-create)."},
		{Name: "num.partitions", Value: strconv.Itoa(int(c.KafkaPartitions)), Default: "1", Kind: topic.Int, Doc: "Partitions of a new topic (--kafka.partitions)."},
		{Name: "default.replication.factor", Value: "1", Default: "1", Kind: topic.Int, Doc: "There is one broker; any replication factor is accepted and one replica kept."},
		{Name: "group.initial.rebalance.delay.ms", Value: strconv.FormatInt(c.KafkaGroupDelay.Milliseconds(), 10), Default: "0", Kind: topic.Int, Doc: "How long an empty group waits for more members (--kafka.group.initial-rebalance-delay)."},
		{Name: "node.id", Value: strconv.Itoa(int(api.NodeID)), Default: strconv.Itoa(int(api.NodeID)), Kind: topic.Int, Doc: "There is one broker, and this is its number."},
		// Kafka UI and other consoles look here for Kafka's version, and switch off
		// quotas, documentation of settings and changes of single ones without it.
		// Kafka 4 has it no more, so this is its last value.
		{Name: "inter.broker.protocol.version", Value: kafkaVersion, Default: kafkaVersion, Doc: "What tools take for Kafka's version; there is one broker, which speaks this protocol with none."},
		{Name: "log.cleaner.enable", Value: "true", Default: "true", Kind: topic.Bool, Doc: "Compaction always runs for topics that ask for it."},
		{Name: "log.cleaner.backoff.ms", Value: strconv.FormatInt(c.CompactionCheck.Milliseconds(), 10), Default: "15000", Kind: topic.Long, Doc: "How often logs are looked at that may be compacted (--kafka.compaction-check)."},
		{Name: "log.retention.check.interval.ms", Value: strconv.FormatInt(c.RetentionCheck.Milliseconds(), 10), Default: "300000", Kind: topic.Long, Doc: "How often old records are looked for (--kafka.retention-check)."},
		{Name: "log.dirs", Value: absolute(c.Data), Default: absolute("./tarn-data"), Doc: "Data directory (--data)."},
		{Name: "connections.max.idle.ms", Value: "600000", Default: "600000", Kind: topic.Long, Doc: "How long a silent connection is kept."},
		{Name: "telemetry.max.bytes", Value: strconv.Itoa(telemetry.MaxBytes), Default: strconv.Itoa(telemetry.MaxBytes), Kind: topic.Int, Doc: "Largest push of a client's metrics."},
		{Name: "delegation.token.max.lifetime.ms", Value: strconv.FormatInt(c.TokenLifetime.Milliseconds(), 10), Default: "604800000", Kind: topic.Long, Doc: "How long a delegation token lives however often it is renewed (--auth.token.max-lifetime)."},
		{Name: "delegation.token.expiry.time.ms", Value: strconv.FormatInt(c.TokenExpiry.Milliseconds(), 10), Default: "86400000", Kind: topic.Long, Doc: "How long a delegation token lives unless it is renewed (--auth.token.expiry)."},
		{Name: "sasl.enabled.mechanisms", Value: strings.Join(c.SASLMechanisms, ","), Kind: topic.List, Doc: "How clients may sign in (--kafka.sasl.mechanisms)."},
	}...)
}
