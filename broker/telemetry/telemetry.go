// Package telemetry takes the metrics that clients push (KIP-714): who is to
// push what and how often is set by subscriptions, Kafka's config resource
// CLIENT_METRICS (16); the last push of each client is kept in memory for
// whoever asks.
//
//	keys.go       the three settings of a subscription
//	store.go      subscriptions, one item each
//	instances.go  clients: their requests, held to Kafka's rules
//	otlp.go       OpenTelemetry's metrics, as far as names and numbers go
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Limits.
const (
	// MaxBytes bounds a push, packed and unpacked; Kafka's telemetry.max.bytes.
	MaxBytes = 1 << 20
	// maxInstances bounds the clients that are remembered, as in Kafka. The one
	// that has been silent longest goes for a new one.
	maxInstances = 16384
	// maxKept bounds the memory of all clients' metrics together, counted
	// roughly; those of whoever has been silent longest go first.
	maxKept = 32 << 20
	// maxPoints bounds the numbers of one push that are kept. A Java consumer
	// with a hundred partitions pushes about a thousand.
	maxPoints = 5000
	// minSilence is how long a client is remembered at least, three intervals
	// otherwise: both as in Kafka.
	minSilence = time.Minute
	// maxSubscriptions bounds the subscriptions: each new client is held
	// against all of them.
	maxSubscriptions = 1000
	// maxName and maxValue bound a subscription's name and settings in bytes.
	maxName  = 255
	maxValue = 16 << 10
)

// Refusals of clients' requests.
var (
	// ErrTooSoon refuses a request before its time; Kafka's
	// THROTTLING_QUOTA_EXCEEDED.
	ErrTooSoon = errors.New("the push interval is not over")
	// ErrSubscription refuses a push by a subscription that is no longer the
	// client's: it has to ask again.
	ErrSubscription = errors.New("this is not the client's subscription now")
	// ErrEnded refuses a push after the one that the client called its last, and
	// one without an id.
	ErrEnded = errors.New("a push that cannot be the client's")
	// ErrCodec refuses an unknown codec.
	ErrCodec = errors.New("unknown compression type")
	// ErrTooLarge refuses a push above MaxBytes, packed or unpacked.
	ErrTooLarge = fmt.Errorf("more than %d bytes of metrics", MaxBytes)
	// ErrMetrics refuses what is no OpenTelemetry metrics.
	ErrMetrics = errors.New("not OpenTelemetry metrics")
)

// Store is where subscriptions are kept; a storage.Engine is one.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Get(ctx context.Context, key string) (storage.Item, error)
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Telemetry is the subscriptions and the clients. Safe for concurrent use.
type Telemetry struct {
	store Store
	now   func() time.Time

	writing sync.Mutex // held over a change, with its Commit; taken before mu

	mu            sync.Mutex
	subscriptions map[string]*subscription // guarded by mu; their values are never written to
	version       int64                    // guarded by mu: of subscriptions
	instances     instances                // guarded by mu
}

// Open reads the subscriptions. A nil now means time.Now.
func Open(ctx context.Context, store Store, now func() time.Time) (*Telemetry, error) {
	if now == nil {
		now = time.Now
	}
	t := &Telemetry{store: store, now: now, subscriptions: map[string]*subscription{}}
	for it, err := range store.Scan(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("read subscriptions of client metrics: %w", err)
		}
		s, err := decode(it)
		if err != nil {
			return nil, err
		}
		t.subscriptions[nameOf(it.Key)] = s
	}
	return t, nil
}
