// Package txn coordinates Kafka transactions: one state machine per
// transactional id, in both protocols, TV1 (KIP-98, KIP-360, KIP-447) and TV2
// (KIP-890). A transaction ends in one write: the markers of all its partitions,
// the offsets of its groups and its own state, so no crash leaves it half ended.
package txn

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/group"
)

// Limits.
const (
	// DefaultMaxTimeout is Kafka's transaction.max.timeout.ms.
	DefaultMaxTimeout = 15 * time.Minute
	// DefaultExpiry is Kafka's transactional.id.expiration.ms.
	DefaultExpiry = 7 * 24 * time.Hour
	// DefaultCheckInterval is how often timeouts are looked for; timeouts are
	// seconds at least. Kafka looks every ten.
	DefaultCheckInterval = time.Second
	// maxIDs bounds the ids kept in memory, a few hundred bytes each: as many
	// as groups.
	maxIDs = 100_000
	// maxIDBytes bounds the length of an id: it is part of an item's key.
	maxIDBytes = 1024
	// maxPartitions bounds the partitions of one transaction: each gets a
	// marker in the one write that ends it.
	maxPartitions = 10_000
	// maxItemBytes bounds the item of one id, which holds a transaction's
	// partitions and offsets: half of what the store takes.
	maxItemBytes = 8 << 20
	// maxAttempts bounds how often a write is repeated at once because a topic
	// was deleted or a group had changed.
	maxAttempts = 3
)

// ErrStopped says that the coordinator has stopped.
var ErrStopped = errors.New("transaction coordinator has stopped")

// Config configures a Coordinator. Zero values are defaults, where there are.
type Config struct {
	// Append puts markers, offsets and state into the log's pool
	// (commitlog.Logs.Append). Required.
	Append func(context.Context, commitlog.Entry) (commitlog.Wait, error)
	// Store reads what Append has written. Required.
	Store group.Store
	// Groups hold the offsets that transactions commit. Required.
	Groups *group.Coordinator
	// Topics tell which topics there are. Required.
	Topics group.Topics
	// NextID returns a producer id never used before. Required.
	NextID func(context.Context) (int64, error)
	// MaxTimeout is the longest timeout a producer may ask for.
	MaxTimeout time.Duration
	// Expiry is how long an unused id is remembered.
	Expiry time.Duration
	// CheckInterval is how often timeouts are looked for.
	CheckInterval time.Duration
	Log           *slog.Logger
	Now           func() time.Time
}

func (c Config) withDefaults() Config {
	if c.MaxTimeout == 0 {
		c.MaxTimeout = DefaultMaxTimeout
	}
	if c.Expiry == 0 {
		c.Expiry = DefaultExpiry
	}
	if c.CheckInterval == 0 {
		c.CheckInterval = DefaultCheckInterval
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
