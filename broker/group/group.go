// Package group coordinates classic, consumer and streams groups, with the
// offsets they commit. A group is a pure state machine (machine.go, join.go, sync.go,
// leave.go), and the Coordinator around it keeps one lock a group, turns
// requests into events, makes durable what must be before it is answered, and
// runs the timers.
//
// Every request takes effect when its method is called, so that pipelined
// requests of one connection do so in their order; the method returns a Wait,
// which the connection's writer calls later for the answer. The rules are
// Kafka's; which ones, and how items are stored, stands in README.md.
package group

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/streams"
)

// ErrStopped is what a Wait returns when the coordinator has stopped before
// the answer was there. What the request asked for may have happened.
var ErrStopped = errors.New("group coordinator has stopped")

// Wait gives the answer to a request. It blocks until that is decided and, if
// anything had to be stored, durable; it is called once. Its error means that
// there is no answer: ctx ended, or ErrStopped.
type Wait func(ctx context.Context) (kmsg.Response, error)

// Client is who sent a request, for descriptions.
type Client struct {
	ID   string // client id of the request header
	Host string // "/" and the address without port
	// Principal is who the client is to access rules; "" without rules.
	Principal string
}

// Access tells which topics a client may know of. Its methods are called with
// locks held and must neither block nor call back.
type Access interface {
	MayDescribe(principal, host, topic string) bool
	// Mark is a value that compares unequal after rules changed.
	Mark() any
}

// Topics tells names, ids and sizes of topics as they are now. Its methods are
// called with locks held and must neither block nor call back.
type Topics interface {
	ByName(name string) (id storage.TopicID, partitions int32, ok bool)
	ByID(id storage.TopicID) (name string, partitions int32, ok bool)
	// Names lists all names in order; the caller may not change it.
	Names() []string
	// Mark is a value that compares unequal after topics were made, deleted or
	// grown.
	Mark() any
}

// Store reads what Commit has written.
type Store interface {
	Get(ctx context.Context, key string) (storage.Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Config configures a Coordinator. Zero values are Kafka's defaults.
type Config struct {
	// Commit makes a Write durable: storage.Engine.Commit, or what stands in
	// front of it. Required.
	Commit func(ctx context.Context, w storage.Write) error
	// Store is read at Open and after a failed Commit. Required.
	Store Store
	// Topics resolves names and ids. Required.
	Topics Topics
	// Access limits what patterns match to what their members may know of; nil
	// does not.
	Access Access
	// Log takes rare events: lost groups, failed writes. Nil drops them.
	Log *slog.Logger

	// MinSessionTimeout and MaxSessionTimeout bound what members may ask for
	// (group.min.session.timeout.ms 6 s, group.max.session.timeout.ms 30 min).
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// InitialRebalanceDelay is how long a group that was empty waits for more
	// members (group.initial.rebalance.delay.ms). 0 means 3 s, below 0 none.
	InitialRebalanceDelay time.Duration
	// ConsumerTimes gives a consumer group's session timeout and heartbeat
	// interval as they are now (consumer.session.timeout.ms,
	// consumer.heartbeat.interval.ms). It must not block. Nil: 45 s and 5 s.
	ConsumerTimes func(group string) (session, heartbeat time.Duration)
	// StreamsSettings gives a streams group's settings as they are now
	// (streams.session.timeout.ms and others). It must not block. Nil: Kafka's
	// defaults.
	StreamsSettings func(group string) streams.Settings
	// MaxMembers bounds a group (group.max.size); 0 means DefaultMaxMembers.
	MaxMembers int
	// OffsetsRetention is how long offsets outlive their group's last member
	// (offsets.retention.minutes, 7 days).
	OffsetsRetention time.Duration
	// OffsetsCheckInterval is how often expired offsets are looked for
	// (offsets.retention.check.interval.ms, 10 min).
	OffsetsCheckInterval time.Duration
	// MaxOffsetMetadata bounds the text beside an offset, in bytes
	// (offset.metadata.max.bytes, 4096).
	MaxOffsetMetadata int
	// NewMemberID makes the unique part of member ids; nil means random.
	NewMemberID func() string
}

// Limits of this package, beside those of Config.
const (
	// DefaultMaxMembers bounds a group unless Config says otherwise. Kafka has
	// no limit; a rebalance's work and its stored item grow with the members.
	DefaultMaxMembers = 10_000
	// maxGroups bounds the groups of a broker: each is kept in memory for as
	// long as it has offsets.
	maxGroups = 100_000
	// maxGroupID bounds a group's name, so that the keys of its items fit
	// storage.MaxKeyBytes.
	maxGroupID = 1024
	// maxQueued bounds the writes of one group that wait for the store; a
	// client that commits faster than the store writes is told to come back.
	maxQueued = 4096
	// maxItems is about how many items one Commit of this package writes, so
	// that a burst of offset commits does not become one huge transaction.
	maxItems = 4096
)

// The group types of this package (KIP-848, KIP-1071). The second and third are
// what a protocol type is called too.
const (
	typeClassic  = "classic"
	typeConsumer = consumerType
	typeStreams  = "streams"
)

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.MinSessionTimeout, 6*time.Second)
	set(&c.MaxSessionTimeout, 30*time.Minute)
	set(&c.InitialRebalanceDelay, 3*time.Second)
	set(&c.OffsetsRetention, 7*24*time.Hour)
	set(&c.OffsetsCheckInterval, 10*time.Minute)
	if c.ConsumerTimes == nil {
		c.ConsumerTimes = func(string) (time.Duration, time.Duration) { return 45 * time.Second, 5 * time.Second }
	}
	if c.StreamsSettings == nil {
		c.StreamsSettings = func(string) streams.Settings {
			return streams.Settings{Session: 45 * time.Second, Heartbeat: 5 * time.Second, InitialDelay: 3 * time.Second}
		}
	}
	if c.MaxMembers == 0 {
		c.MaxMembers = DefaultMaxMembers
	}
	if c.MaxOffsetMetadata == 0 {
		c.MaxOffsetMetadata = 4096
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) rules() rules {
	return rules{
		minSession: c.MinSessionTimeout, maxSession: c.MaxSessionTimeout,
		initialDelay: max(c.InitialRebalanceDelay, 0), maxMembers: c.MaxMembers,
	}
}
