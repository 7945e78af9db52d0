// Package api answers Kafka requests: one file per API key, named by its
// number, so that the file list is the protocol table. A handler checks and
// sets off what the request asks for in the order of arrival, and returns a
// Reply; the connection's writer calls Replies in that order and may wait in
// them.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
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
	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of requests.
const (
	// maxWait bounds the time a client may let a Fetch wait.
	maxWait = 60 * time.Second
	// maxFetchBytes is Kafka's fetch.max.bytes of a broker.
	maxFetchBytes = 55 << 20
	// maxUnpacked bounds what a batch may unpack to, whatever the topic takes.
	maxUnpacked = 512 << 20
	// minProduceTimeout and maxProduceTimeout bound the time a client may let a
	// Produce wait: one flush of a busy disk, and no outage.
	minProduceTimeout = time.Second
	maxProduceTimeout = 2 * time.Minute
)

// NodeID is the id of this broker, the only one.
const NodeID int32 = 1

// Conn is what handlers may know of a connection.
type Conn struct {
	// Listener is the name of the listener it came in by.
	Listener string
	// Address is what clients are told that came in by that listener; it may
	// change at run time.
	Address func() (host string, port int32)
	// Remote is the client's address.
	Remote string
	// Software and SoftwareVersion are what the client said in ApiVersions;
	// owned by the connection's reader.
	Software, SoftwareVersion string
	// Auth says who the client is; never nil. Owned by the connection's reader.
	Auth *auth.Session
	// Instance is who the client said it is, or was told, about telemetry; zero if
	// it did not ask. Owned by the connection's reader.
	Instance telemetry.ID
}

// Request is one decoded request.
type Request struct {
	Conn     *Conn
	ClientID string
	Body     kmsg.Request
	// Bytes is the size of its frame.
	Bytes int

	who  *asker // nil: may do everything
	held memory // of the answer; owned by whoever runs the Reply

	// Owned by the connection's reader during Handle, then by its writer.
	user     string // whom it counts for
	throttle time.Duration
	busy     time.Duration // time of the broker's that it took
}

// Release gives back the memory that the answer was counted with. The connection
// calls it when the answer has been sent, or never will be.
func (r *Request) Release() { r.held.release() }

// Encoded gives back what only the encoded answer no longer needs. The connection
// calls it when it has encoded the answer and dropped it.
func (r *Request) Encoded() { r.held.encoded() }

// Short reports whether answers have waited for memory just now, which clients hold
// that read slowly.
func (h *Handlers) Short() bool { return h.answers.short() }

// Reply waits for what its request set off and returns the answer; nil means
// that nothing is sent (Produce with acks=0). An error closes the connection.
type Reply func(ctx context.Context) (kmsg.Response, error)

// RecordError says which record of a batch was refused, by its index from 0.
type RecordError struct {
	Index   int32
	Message string
	// Why says the same as headers of the record, where the topic keeps bad
	// records: marked, or in its dead-letter topic.
	Why []record.RecordHeader
}

// Origin says where a batch came from.
type Origin struct {
	ClientID, Software, SoftwareVersion, Remote string
}

// Validate checks the records of one batch, which rd stands before, against
// the topic's schemas. It returns the refused records in order, none if all is
// well: MaxSetAside of them if the topic does not simply refuse, else some. An
// error means that it could not be told (the registry cannot be read). It is
// called concurrently and keeps nothing of rd.
type Validate func(ctx context.Context, t *topic.Topic, rd *record.Reader, from Origin) ([]RecordError, error)

// Config is what Handlers stand on. Engine, Logs, Topics, Groups,
// GroupConfigs, Shares, Txns and Users are required.
type Config struct {
	Engine storage.Engine
	Logs   *commitlog.Logs
	Topics *topic.Topics
	Groups *group.Coordinator
	// GroupConfigs are the settings of groups of all kinds.
	GroupConfigs *groupconfig.Configs
	// Shares coordinates share groups.
	Shares    *share.Coordinator
	Txns      *txn.Coordinator
	Producers *Producers
	// Quotas limit what clients use; required.
	Quotas *quota.Quotas
	// Telemetry takes clients' metrics; required.
	Telemetry *telemetry.Telemetry
	// Users may sign in with a password.
	Users *auth.Users
	// Tokens are the delegation tokens; nil: there are none.
	Tokens *auth.Tokens
	// Rules say who may do what; nil lets everybody do everything.
	Rules *acl.Rules
	// Audit hears of refusals by rules; nil means Log.
	Audit *slog.Logger
	// ClusterID is constant for the life of the store.
	ClusterID string
	// Validate may be nil: nothing is checked then.
	Validate Validate
	// Tracer continues traces of producers; nil: nobody traces.
	Tracer *trace.Tracer
	// AnswerBytes bounds the memory for the records of answers, UnpackBytes that for
	// unpacking what is produced, and as much again for what is read; 0: as usual.
	AnswerBytes, UnpackBytes int64
	// AutoCreate makes unknown topics when a client asks for their metadata.
	AutoCreate bool
	// Partitions is the number of partitions a topic gets by default.
	Partitions int32
	// BrokerConfigs are the broker's settings as DescribeConfigs shows them.
	BrokerConfigs func() []BrokerConfig
	// Advertise sets advertised.listeners, "" takes it back; nil refuses.
	Advertise func(ctx context.Context, text string, validateOnly bool) error
	// Limits sets the limits of connections; nil refuses.
	Limits Limits
	// LogLevel is the level of the log, shown and set as that of the logger "root";
	// nil: it cannot be.
	LogLevel *slog.LevelVar
	// Disk is the size of the volume that the log lies on, and what is left of it,
	// in bytes; nil: not known.
	Disk func() (total, usable int64)
	Log  *slog.Logger
	Now  func() time.Time
}

// BrokerConfig is one setting of the broker.
type BrokerConfig struct {
	Name, Value, Default, Doc string
	// Kind is its type; 0 means a string.
	Kind topic.Kind
	// Settable says that it can be set over the protocol, Dynamic what it was
	// set to for this broker, if it was, and DynamicDefault for all of them.
	Settable                bool
	Dynamic, DynamicDefault *string
}

// Limits are the broker's limits of connections, which can be set while it runs.
// Safe for concurrent use.
type Limits interface {
	// IsLimit reports whether a broker config is one of them.
	IsLimit(name string) bool
	// AlterLimits changes them, all or none, for this broker or with cluster for
	// all. Errors: ErrConfig (refused), or the store's.
	AlterLimits(ctx context.Context, cluster bool, changes []topic.Change, replaceAll, validateOnly bool) error
}

// Handlers answer requests. Safe for concurrent use.
type Handlers struct {
	cfg      Config
	lg       *slog.Logger
	table    map[int16]handler
	guards   map[int16]guard
	readers  sync.Pool // of *record.Reader
	unpacks  Budget    // while produced batches are unpacked
	rereads  Budget    // the same of stored ones
	answers  *answers
	sessions sessions
	traffic  traffic
	loggedMs atomic.Int64 // when an internal error was logged last
}

type handler func(ctx context.Context, r *Request) (Reply, error)

// New returns Handlers.
func New(cfg Config) *Handlers {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Audit == nil {
		cfg.Audit = cfg.Log
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 1
	}
	h := &Handlers{
		cfg: cfg, lg: cfg.Log,
		unpacks: NewBudget(cmp.Or(cfg.UnpackBytes, DefaultUnpackBytes)),
		rereads: NewBudget(cmp.Or(cfg.UnpackBytes, DefaultUnpackBytes)),
		answers: newAnswers(cfg.AnswerBytes),
	}
	h.readers.New = func() any { return new(record.Reader) }
	h.table = map[int16]handler{
		0: h.produce, 1: h.fetch, 2: h.listOffsets, 3: h.metadata,
		8: h.offsetCommit, 9: h.offsetFetch, 10: h.findCoordinator,
		11: h.joinGroup, 12: h.heartbeat, 13: h.leaveGroup, 14: h.syncGroup,
		15: h.describeGroups, 16: h.listGroups, 18: h.apiVersions,
		19: h.createTopics, 20: h.deleteTopics, 21: h.deleteRecords,
		22: h.initProducerID, 23: h.offsetForLeaderEpoch, 24: h.addPartitionsToTxn,
		25: h.addOffsetsToTxn, 26: h.endTxn, 27: h.writeTxnMarkers, 28: h.txnOffsetCommit,
		32: h.describeConfigs, 33: h.alterConfigs, 37: h.createPartitions,
		34: h.alterReplicaLogDirs, 35: h.describeLogDirs, 43: h.electLeaders, 45: h.alterPartitionReassignments,
		46: h.listPartitionReassignments, 57: h.updateFeatures, 74: h.listConfigResources,
		42: h.deleteGroups, 44: h.incrementalAlterConfigs, 47: h.offsetDelete,
		48: h.describeClientQuotas, 49: h.alterClientQuotas,
		60: h.describeCluster, 61: h.describeProducers, 65: h.describeTransactions,
		66: h.listTransactions, 68: h.consumerGroupHeartbeat, 69: h.consumerGroupDescribe, 75: h.describeTopicPartitions,
		76: h.shareGroupHeartbeat, 77: h.shareGroupDescribe, 78: h.shareFetch,
		79: h.shareAcknowledge, 88: h.streamsGroupHeartbeat, 89: h.streamsGroupDescribe, 90: h.describeShareGroupOffsets,
		91: h.alterShareGroupOffsets, 92: h.deleteShareGroupOffsets,
	}
	for key, f := range map[int16]handler{
		17: h.saslHandshake, 36: h.saslAuthenticate,
		38: h.createToken, 39: h.renewToken, 40: h.expireToken, 41: h.describeTokens,
		29: h.describeACLs, 30: h.createACLs, 31: h.deleteACLs,
		50: h.describeScram, 51: h.alterScram,
		71: h.getTelemetrySubscriptions, 72: h.pushTelemetry,
	} {
		h.table[key] = f
	}
	h.guards = guards()
	if cfg.Rules == nil {
		// These answer what a client may do to a group: everything, then.
		for _, key := range []int16{15, 69, 77, 89} {
			h.table[key] = h.guarded(h.table[key])
		}
	}
	return h
}

// Keys returns the API keys that are answered.
func (h *Handlers) Keys() []int16 {
	out := make([]int16, 0, len(h.table))
	for k := range h.table {
		out = append(out, k)
	}
	return out
}

// ErrClose asks for the connection to be closed without an answer.
var ErrClose = errors.New("close the connection")

// Handle sets a request off. It is called by the connection's reader in order
// of arrival. ctx is the connection's. An error closes the connection.
func (h *Handlers) Handle(ctx context.Context, r *Request) (Reply, error) {
	key := r.Body.Key()
	if err := r.Conn.Auth.Admit(key == 17 || key == 36, key == wire.KeyApiVersions); err != nil {
		return nil, fmt.Errorf("api key %d: %w", key, err)
	}
	f, ok := h.table[key]
	if !ok {
		return nil, fmt.Errorf("api key %d is not served: %w", r.Body.Key(), ErrClose)
	}
	r.user = r.Conn.Auth.Principal().Name
	begun := time.Now()
	if r.who = h.asker(r); r.who != nil {
		f = h.guarded(f)
	}
	reply, err := f(ctx, r)
	r.busy += time.Since(begun)
	return reply, err
}

// now wraps an answer that needs no waiting.
func now(resp kmsg.Response) (Reply, error) {
	return func(context.Context) (kmsg.Response, error) { return resp, nil }, nil
}

// waiting limits ctx to the time a client gives a Produce.
func waiting(ctx context.Context, timeoutMs int32) (context.Context, context.CancelFunc) {
	d := time.Duration(timeoutMs) * time.Millisecond
	return context.WithTimeout(ctx, min(max(d, minProduceTimeout), maxProduceTimeout))
}

// unpackLimit is what a batch of the topic may unpack to: a multiple of the
// largest batch it takes.
func unpackLimit(t *topic.Topic) int {
	return int(min(t.Config.MaxMessageBytes*record.MaxDecompressRatio, maxUnpacked))
}

// log finds a partition's log by topic and number.
func (h *Handlers) log(ctx context.Context, t *topic.Topic, partition int32) (*commitlog.Log, error) {
	if t == nil || partition < 0 || partition >= t.Partitions {
		return nil, refuse(wire.UnknownTopicOrPartition, "no such topic or partition")
	}
	return h.cfg.Logs.Log(ctx, storage.TP{Topic: t.ID, Partition: partition})
}

// lookup finds a topic by name, or from the version on in which a request
// carries ids, by id. The error is the one that fits the way of asking.
func (h *Handlers) lookup(name string, id [16]byte, byID bool) (*topic.Topic, error) {
	v := h.cfg.Topics.View()
	if byID {
		if t := v.ByID(storage.TopicID(id)); t != nil {
			return t, nil
		}
		return nil, refuse(wire.UnknownTopicID, "no topic has this id")
	}
	if t := v.ByName(name); t != nil {
		return t, nil
	}
	return nil, refuse(wire.UnknownTopicOrPartition, "topic %q does not exist", name)
}

// leaderEpoch is the epoch of every partition: one broker owns them all.
const leaderEpoch int32 = 0

// checkEpoch compares the leader epoch a client believes in (KIP-320).
func checkEpoch(epoch int32) error {
	switch {
	case epoch < 0 || epoch == leaderEpoch:
		return nil
	case epoch < leaderEpoch:
		return refuse(wire.FencedLeaderEpoch, "leader epoch %d is old, now %d", epoch, leaderEpoch)
	}
	return refuse(wire.UnknownLeaderEpoch, "leader epoch %d is not known, now %d", epoch, leaderEpoch)
}
