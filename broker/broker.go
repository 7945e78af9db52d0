// Package broker is the running Kafka broker: listeners and connections above
// the handlers of broker/api, and the goroutines of logs and groups. Schemas,
// sinks and HTTP are not its business: what they need to do here enters as
// function values and views.
package broker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/group"
	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/share"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/telemetry"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/broker/txn"
)

// Config configures a Broker. Engine is required.
type Config struct {
	// Engine keeps everything; the caller closes it after Run has returned.
	Engine storage.Engine
	// Listeners are where clients connect; at least one.
	Listeners []Listener
	// Times say how long things last.
	Times Times
	// Topics are the broker's defaults for topics.
	Topics topic.Defaults
	// NoAutoCreate refuses unknown topics instead of making them on first use
	// (auto.create.topics.enable=false).
	NoAutoCreate bool
	// GroupInitialDelay is group.initial.rebalance.delay.ms; 0 means Kafka's
	// 3 s, below 0 none.
	GroupInitialDelay time.Duration
	// Validate checks records against schemas; nil checks nothing.
	Validate api.Validate
	// TailBytes bounds the memory for recent records; 0 means the default.
	TailBytes int64
	// AnswerBytes bounds the memory for the records of answers that clients have
	// not read yet; 0 means 192 MiB. A larger batch is let in alone.
	AnswerBytes int64
	// HeapBytes is how large the heap should stay; 0: it does not matter. Below
	// 2 GiB what clients may have the broker hold shrinks with it: answers, large
	// requests and what is unpacked have a half of it together.
	HeapBytes int64
	// RetentionCheck is how often old records are looked for; 0 means 5 min.
	RetentionCheck time.Duration
	// CompactionCheck is how often logs are looked at that may be compacted; 0
	// means 15 s. A record is left alone for that long.
	CompactionCheck time.Duration
	// Hold keeps records from retention and compaction that somebody still needs;
	// nil holds nothing.
	Hold Hold
	// MaxConnections bounds the connections of all listeners (max.connections);
	// 0 means 20,000. Further ones wait until one ends.
	MaxConnections int
	// ConnectionRate is how many may come a second, to all listeners
	// (max.connection.creation.rate); 0 is no limit. Further ones wait.
	ConnectionRate float64
	// MaxConnectionsPerIP bounds those of one address (max.connections.per.ip);
	// 0 does not. Further ones are closed.
	MaxConnectionsPerIP int
	// IPConnections are the limits of single addresses instead, by the address in
	// its usual form (max.connections.per.ip.overrides); 0 lets none in.
	IPConnections map[string]int
	// TxnCheckInterval is how often transactions that take too long are looked
	// for; 0 means the default.
	TxnCheckInterval time.Duration
	// Tracer continues traces of producers; nil: nobody traces. The caller runs it.
	Tracer *trace.Tracer
	// LogLevel is the level of Log, for clients to see and to set; nil: they
	// cannot.
	LogLevel *slog.LevelVar
	// Disk is the size of the volume that the log lies on, and what is left of it,
	// in bytes; nil: not known.
	Disk func() (total, usable int64)
	// Settings are shown by DescribeConfigs of the broker.
	Settings func() []api.BrokerConfig
	// Users may sign in with a password; nil are those of the store.
	Users *auth.Users
	// Tokens are the delegation tokens, which sign in by SCRAM; nil: there are
	// none. Run deletes those that expire.
	Tokens *auth.Tokens
	// Rules say who may do what; nil lets everybody do everything.
	Rules *acl.Rules
	// Faults says what goes wrong with a request, for tests of clients; nil: nothing.
	// It is called by many goroutines.
	Faults func(Asked) Fault
	// Log receives what operators should know; nil discards it.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Listener is an address to listen on.
type Listener struct {
	// Name tells listeners apart, such as EXTERNAL; "" stands for PLAINTEXT.
	Name string
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// Socket is already bound to Addr, for who keeps an address over several brokers.
	// The broker closes it; nil binds Addr.
	Socket net.Listener
	// Advertise is the host:port that clients are told to connect to; empty
	// means the address listened on. Port 0 stands for the one taken.
	Advertise string
	// TLS makes the listener speak TLS; nil leaves it plain.
	TLS *auth.TLS
	// SASL makes clients authenticate; nil asks nobody. Users may be left out.
	SASL *auth.SASL
	// MaxConnections and ConnectionRate are those of Config for this listener
	// alone, besides; 0 is no limit of its own.
	MaxConnections int
	ConnectionRate float64
}

// Broker is a broker. Open makes it, Run runs it, once.
type Broker struct {
	cfg          Config
	lg           *slog.Logger
	logs         *commitlog.Logs
	topics       *topic.Topics
	groups       *group.Coordinator
	groupConfigs *groupconfig.Configs
	shares       *share.Coordinator
	txns         *txn.Coordinator
	quotas       *quota.Quotas
	telemetry    *telemetry.Telemetry
	handlers     *api.Handlers
	clusterID    string
	incarn       string
	listeners    []*listener // set by Open, closed by Run

	advertising sync.Mutex             // held over a change of addresses
	override    atomic.Pointer[string] // addresses as they were set at run time, "" if they were not

	tuning sync.Mutex            // held over a change of limits
	tuned  atomic.Pointer[tuned] // limits as they were set at run time

	peers        peers
	lost         lost
	warnedMs     atomic.Int64 // when a connection without a place was logged last
	door         door
	requests     requestMeters
	requestBytes api.Budget // large requests that are not answered yet
	// strangerBytes is the same of clients that have not said who they are.
	strangerBytes   api.Budget
	requestElements *semaphore.Weighted // of requests that are not answered yet
}

// Open reads the broker's state from its engine and begins to listen, so that
// addresses are known and a taken port is an error here. Nothing is accepted
// before Run.
func Open(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = MaxConnections
	}
	b := &Broker{
		cfg: cfg, lg: cfg.Log,
		door:         door{max: cfg.MaxConnections, pace: quota.NewPace(cfg.ConnectionRate)},
		requestBytes: api.NewBudget(cfg.budget(maxRequestBytes)), strangerBytes: api.NewBudget(cfg.budget(maxStrangerBytes)),
		requestElements: semaphore.NewWeighted(maxWaitingElements),
		peers:           peers{limit: cfg.MaxConnectionsPerIP, limits: cfg.IPConnections},
	}
	var err error
	if b.clusterID, err = identity(ctx, cfg.Engine, "cluster-id"); err != nil {
		return nil, err
	}
	producers := api.NewProducers(cfg.Engine)
	if b.incarn, err = incarnation(ctx, cfg, producers); err != nil {
		return nil, err
	}
	if b.topics, err = topic.Open(ctx, cfg.Engine, cfg.Topics); err != nil {
		return nil, fmt.Errorf("read topics: %w", err)
	}
	b.logs = commitlog.New(commitlog.Config{
		Engine: cfg.Engine, Log: cfg.Log.With("component", "log"), Now: cfg.Now, TailBytes: cfg.TailBytes, ProducerExpiry: cfg.Times.ProducerExpiry,
		Admit: func(tp storage.TP, h record.Header) error { return b.txns.Admit(tp, h) },
	})
	if b.groupConfigs, err = groupconfig.Open(ctx, cfg.Engine); err != nil {
		return nil, err
	}
	if b.groups, err = b.openGroups(ctx); err != nil {
		return nil, fmt.Errorf("read groups: %w", err)
	}
	if b.shares, err = b.openShares(ctx); err != nil {
		return nil, fmt.Errorf("read share groups: %w", err)
	}
	if b.cfg.Users == nil {
		if b.cfg.Users, err = auth.OpenUsers(ctx, cfg.Engine, nil); err != nil {
			return nil, err
		}
	}
	if b.txns, err = b.openTxns(ctx, producers); err != nil {
		return nil, fmt.Errorf("read transactions: %w", err)
	}
	if b.quotas, err = quota.Open(ctx, cfg.Engine, cfg.Now); err != nil {
		return nil, err
	}
	if b.telemetry, err = telemetry.Open(ctx, cfg.Engine, cfg.Now); err != nil {
		return nil, err
	}
	partitions := cfg.Topics.Partitions
	b.handlers = api.New(api.Config{
		Engine: cfg.Engine, Logs: b.logs, Topics: b.topics, Groups: b.groups, GroupConfigs: b.groupConfigs, Shares: b.shares,
		Txns: b.txns, Producers: producers, Quotas: b.quotas, Telemetry: b.telemetry, Users: b.cfg.Users, Tokens: cfg.Tokens, Rules: cfg.Rules, Audit: cfg.Log.With("component", "audit"), ClusterID: b.clusterID,
		Validate: cfg.Validate, Tracer: cfg.Tracer, AnswerBytes: cfg.budget(cmp.Or(cfg.AnswerBytes, api.DefaultAnswerBytes)), UnpackBytes: cfg.budget(api.DefaultUnpackBytes), AutoCreate: !cfg.NoAutoCreate, Partitions: partitions,
		BrokerConfigs: b.settings, Advertise: b.Advertise, Limits: b, Disk: cfg.Disk, LogLevel: cfg.LogLevel, Log: cfg.Log.With("component", "kafka"), Now: cfg.Now,
	})
	for _, l := range cfg.Listeners {
		ln, err := b.listen(ctx, l)
		if err != nil {
			b.close()
			return nil, err
		}
		b.listeners = append(b.listeners, ln)
	}
	if len(b.listeners) == 0 {
		return nil, errors.New("a broker needs at least one listener")
	}
	if err := errors.Join(b.loadAdvertised(ctx), b.loadLimits(ctx)); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// incarnationKey is the item that names this history of the logs; tarn restore
// leaves it out.
const incarnationKey = "incarnation"

// Restored reports whether a store is new or was restored, and no broker was opened
// on it since: what was given away since its backup, ids above all, must not be
// given again then. Open does that for all of the broker's own. Errors are the
// engine's.
func Restored(ctx context.Context, e storage.Engine) (bool, error) {
	it, err := e.Get(ctx, incarnationKey)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", incarnationKey, err)
	}
	return it.Version == 0, nil
}

// incarnation reads which log this is. In a restored store, producer ids that were
// given away since its backup are left out, and nobody keeps a transactional id:
// first, so that a crash in between does it again.
func incarnation(ctx context.Context, cfg Config, producers *api.Producers) (string, error) {
	restored, err := Restored(ctx, cfg.Engine)
	if err != nil {
		return "", err
	}
	if restored {
		if err := producers.Restored(ctx); err != nil {
			return "", fmt.Errorf("leave out producer ids: %w", err)
		}
		if err := txn.Restored(ctx, cfg.Engine, producers.Next, cfg.Now()); err != nil {
			return "", fmt.Errorf("after a restore: %w", err)
		}
	}
	return identity(ctx, cfg.Engine, incarnationKey)
}

// identity reads an identifier of the store, or makes it: 16 random bytes in
// base64, as Kafka writes cluster ids.
func identity(ctx context.Context, e storage.Engine, key string) (string, error) {
	it, err := e.Get(ctx, key)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	if it.Version > 0 {
		return string(it.Value), nil
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("make %s: %w", key, err)
	}
	s := base64.RawURLEncoding.EncodeToString(id[:])
	if err := e.Commit(ctx, storage.Write{Set: []storage.Item{{Key: key, Value: []byte(s)}}}); err != nil {
		return "", fmt.Errorf("store %s: %w", key, err)
	}
	return s, nil
}

// Run serves until ctx ends, then closes listeners and connections and commits
// what is under way. It returns nil after ctx ended, or what broke.
func (b *Broker) Run(ctx context.Context) error {
	// Connections end first, then the sequencer: what they handed over is
	// committed or refused, never left hanging.
	logsCtx, stopLogs := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLogs()
	g, ctx := errgroup.WithContext(ctx)
	logs := make(chan error, 1)
	broken := make(chan struct{}) // closed when the sequencer has ended
	go func() {
		logs <- b.logs.Run(logsCtx)
		close(broken)
	}()
	for _, ln := range b.listeners {
		g.Go(func() error { return b.serve(ctx, ln) })
	}
	g.Go(func() error { return ended(ctx, b.groups.Run(ctx)) })
	g.Go(func() error { return b.shares.Run(ctx) })
	g.Go(func() error { return b.txns.Run(ctx) })
	if b.cfg.Tokens != nil {
		g.Go(func() error { return b.cfg.Tokens.Run(ctx) })
	}
	g.Go(func() error { return b.watchLost(ctx) })
	g.Go(func() error { return b.retain(ctx) })
	g.Go(func() error { return b.compact(ctx) })
	g.Go(func() error {
		select {
		case <-broken:
			return errLogs
		case <-ctx.Done():
			return nil
		}
	})
	err := g.Wait()
	stopLogs()
	if errors.Is(err, errLogs) {
		return <-logs
	}
	return errors.Join(err, <-logs)
}

// errLogs ends everything else when the sequencer has ended by itself; its own
// error says why.
var errLogs = errors.New("logs have stopped")

// ended drops the error that only says that ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

func (b *Broker) close() {
	for _, ln := range b.listeners {
		ln.Close()
	}
}

// Addr is the address that the first listener listens on.
func (b *Broker) Addr() net.Addr { return b.listeners[0].Addr() }

// Advertised is the host:port that the first listener tells clients.
func (b *Broker) Advertised() string {
	return b.listeners[0].advertised.Load().String()
}

// AdvertisedByListener are the addresses that clients of each listener are told,
// HOST:PORT, in the order in which the listeners were given.
func (b *Broker) AdvertisedByListener() []string {
	out := make([]string, len(b.listeners))
	for i, ln := range b.listeners {
		out[i] = ln.advertised.Load().String()
	}
	return out
}

// ClusterID is constant for the life of the store.
func (b *Broker) ClusterID() string { return b.clusterID }

// Incarnation names this history of the logs: a store restored from a backup
// gets a new one, so that tables see that offsets may mean other records.
func (b *Broker) Incarnation() string { return b.incarn }

// Logs are the broker's partition logs.
func (b *Broker) Logs() *commitlog.Logs { return b.logs }

// Topics are the broker's topics.
func (b *Broker) Topics() *topic.Topics { return b.topics }

// Telemetry is what clients push about themselves.
func (b *Broker) Telemetry() *telemetry.Telemetry { return b.telemetry }

// Groups are the broker's consumer groups.
func (b *Broker) Groups() *group.Coordinator { return b.groups }

// Shares returns the share groups, to be looked at. Safe for concurrent use.
func (b *Broker) Shares() *share.Coordinator { return b.shares }
