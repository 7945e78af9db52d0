// Package share coordinates share groups (KIP-932): consumers that take single
// records of a partition and acknowledge each, instead of owning partitions.
//
// Two pure machines stand below: members (members.go) says who may fetch what,
// window (window.go, acquire.go) is what happens to the records of one partition
// in one group. The Coordinator around them keeps one lock a group, turns
// requests into events, makes durable what must be before it is answered, and
// runs the timers. The rules are Kafka's; which ones, and how items are stored,
// stands in README.md.
//
// Every request takes effect when its method is called, so that pipelined
// requests of one connection do so in their order; records are read and acquired
// in the Wait, which the connection's writer calls for the answer.
package share

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/storage"
)

// ErrStopped is what a Wait returns when the coordinator has stopped before the
// answer was there. What the request asked for may have happened.
var ErrStopped = errors.New("share coordinator has stopped")

// Wait gives the answer to a request. It blocks until that is decided and, if
// anything had to be stored, durable; it is called once. Its error means that
// there is no answer: ctx ended, or ErrStopped.
type Wait func(ctx context.Context) (kmsg.Response, error)

// Topics tells names, ids and sizes of topics as they are now. Its methods are
// called with locks held and must neither block nor call back.
type Topics interface {
	ByName(name string) (id storage.TopicID, partitions int32, ok bool)
	ByID(id storage.TopicID) (name string, partitions int32, ok bool)
}

// Store reads what Commit has written.
type Store interface {
	Get(ctx context.Context, key string) (storage.Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Names is the space of names that share groups have in common with others; a
// name belongs to one kind of group at a time.
type Names interface {
	Claim(name, kind string) bool
	Release(name, kind string)
	Holder(name string) string
}

// Kind is what this package claims names as, and the type of its groups in
// ListGroups.
const Kind = "share"

// Memory counts the records of one answer against the broker's budget.
type Memory interface {
	// Reserve asks for room for want bytes and returns how many there is room
	// for; it gives back what was reserved before, and never waits.
	Reserve(want int) int
	// TryExtend asks for room for n bytes in all, as one large batch needs, and
	// reports whether there is. Extend waits for it until ctx ends, and what was
	// reserved is given back meanwhile.
	TryExtend(n int) bool
	Extend(ctx context.Context, n int) bool
	// Shrink gives back what was not used.
	Shrink(used int)
}

// Config configures a Coordinator. All but the limits and Log are required.
type Config struct {
	// Commit makes a Write durable: storage.Engine.Commit, or what stands in
	// front of it.
	Commit func(ctx context.Context, w storage.Write) error
	// Store is read at Open and after a failed Commit.
	Store Store
	// Topics resolves names and ids.
	Topics Topics
	// Logs finds the log of a partition that exists.
	Logs func(ctx context.Context, tp storage.TP) (*commitlog.Log, error)
	// Configs are the settings of groups.
	Configs *groupconfig.Configs
	// Names keeps groups of all kinds apart.
	Names Names
	// Log takes rare events: lost state, failed writes. Nil drops them.
	Log *slog.Logger

	// MaxMembers bounds a group (group.share.max.size); 0 means 200.
	MaxMembers int
	// MaxSessions bounds the share sessions of the broker
	// (group.share.max.share.sessions); 0 means 2000.
	MaxSessions int
}

// Limits of this package, beside those of Config and of the groups' settings.
const (
	defaultMaxMembers  = 200
	defaultMaxSessions = 2000
	// maxGroups bounds the share groups of a broker, all of which are in memory.
	maxGroups = 10_000
	// maxStates bounds the share-partitions of a broker, all of which are in
	// memory: some 100 bytes each, and 100 bytes more for each range of records
	// in flight.
	maxStates = 100_000
	// maxGroupStates bounds those of one group, so that its deletion is one
	// Write.
	maxGroupStates = 20_000
	// maxSubscribed bounds the topics of one member's subscription, and
	// maxTopicName one topic's name, as Kafka does.
	maxSubscribed = 1000
	maxTopicName  = 249
	// maxSubscriptions bounds the names in all subscriptions of a group, in
	// bytes: they are stored in one item, of storage.MaxValueBytes at most.
	maxSubscriptions = 8 << 20
	// maxGroupID bounds a group's name, so that the keys of its items fit
	// storage.MaxKeyBytes.
	maxGroupID = 1024
	// maxMemberID is Kafka's bound of a member id, the length of a UUID.
	maxMemberID = 36
	// maxSessionParts bounds the partitions of one share session.
	maxSessionParts = 10_000
	// maxWait bounds the time a client may let a ShareFetch wait.
	maxWait = 60 * time.Second
	// maxFetchBytes is Kafka's fetch.max.bytes of a broker.
	maxFetchBytes = 55 << 20
	// readBytes is about how much is read of a log at once: few clients take
	// more records than that in one answer.
	readBytes = 1 << 20
	// maxUnpacked bounds what a batch unpacks to when a record is looked up by
	// its time.
	maxUnpacked = 64 << 20
	// maxItems is about how many items one Commit of this package writes.
	maxItems = 4096
)

func (c Config) withDefaults() Config {
	if c.MaxMembers == 0 {
		c.MaxMembers = defaultMaxMembers
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = defaultMaxSessions
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
