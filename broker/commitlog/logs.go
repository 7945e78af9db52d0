// Package commitlog keeps partition logs above a storage engine: one sequencer
// gives offsets, checks producers and commits for all partitions at once;
// readers follow a published view and are served from memory near the end.
//
// Offsets are given in the sequencer and not when a batch arrives, so a failed
// commit spoils nothing that queues behind it. Nothing here assumes to own a
// partition for ever: the expected offsets in every commit do that, and a
// stale owner gets ErrNotOwner.
package commitlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of the pool and of one commit.
const (
	// defaultPoolBytes bounds what waits for the sequencer. Appends above it
	// block their connection, which is back-pressure on the producer.
	defaultPoolBytes = 64 << 20
	// maxRoundBytes bounds one commit, so that a small produce behind a large
	// backlog waits for milliseconds and not for the whole backlog.
	maxRoundBytes = 8 << 20
	// defaultTailBytes is what the tail caches of all logs hold together: a
	// second or so of a busy broker, small beside a 1 GiB machine.
	defaultTailBytes = 32 << 20
	// defaultProducerExpiry is Kafka's producer.id.expiration.ms.
	defaultProducerExpiry = 24 * time.Hour
)

// Config configures Logs. Zero values are defaults.
type Config struct {
	// Engine stores the logs. Required; the caller closes it after Run ended.
	Engine storage.Engine
	// Log receives what operators should know.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time
	// PoolBytes bounds the bytes that wait for the sequencer (default 64 MiB).
	PoolBytes int64
	// TailBytes bounds the tail caches together (default 32 MiB).
	TailBytes int64
	// ProducerExpiry is how long an idle producer is remembered (24 h).
	ProducerExpiry time.Duration
}

// Logs are all partition logs of a broker. Safe for concurrent use.
type Logs struct {
	cfg  Config
	lg   *slog.Logger
	pool *pool
	tail *tailBudget

	mu   sync.Mutex
	logs map[storage.TP]*Log          // guarded by mu
	dead map[storage.TopicID]struct{} // guarded by mu: deleted topics, whose ids never come back
}

// New makes Logs; it touches nothing until Run.
func New(cfg Config) *Logs {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.PoolBytes == 0 {
		cfg.PoolBytes = defaultPoolBytes
	}
	if cfg.TailBytes == 0 {
		cfg.TailBytes = defaultTailBytes
	}
	if cfg.ProducerExpiry == 0 {
		cfg.ProducerExpiry = defaultProducerExpiry
	}
	return &Logs{
		cfg:  cfg,
		lg:   cfg.Log,
		pool: newPool(cfg.PoolBytes),
		tail: &tailBudget{max: cfg.TailBytes},
		logs: map[storage.TP]*Log{},
		dead: map[storage.TopicID]struct{}{},
	}
}

// Log returns the log of a partition; one that nothing was appended to yet is
// empty. The caller has made sure that the partition exists. Errors: ErrGone
// if its topic was deleted, else a failed read of the engine.
func (l *Logs) Log(ctx context.Context, tp storage.TP) (*Log, error) {
	l.mu.Lock()
	if _, dead := l.dead[tp.Topic]; dead {
		l.mu.Unlock()
		return nil, ErrGone
	}
	g, ok := l.logs[tp]
	if !ok {
		g = &Log{tp: tp, logs: l}
		l.logs[tp] = g
	}
	l.mu.Unlock()
	if err := g.open(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// Batch is one record batch on its way into a log.
type Batch struct {
	storage.TP
	// Bytes is one whole batch of format v2, checked by the caller. It is read
	// until the Wait returns and never changed.
	Bytes []byte
	// Header is Bytes' header.
	Header record.Header
	// Stamp sets the broker's time on the batch (LogAppendTime).
	Stamp bool
}

// Entry is what goes into the pool: batches and items that are committed
// together or not at all. A partition stands at most once among Batches.
type Entry struct {
	Batches []Batch
	// Items are written with the batches. After the Wait returned nil each
	// Version is the one the item got.
	Items []storage.Item
	// Checks must hold, or the entry is refused with ErrConflict.
	Checks []storage.Check
}

// Appended says where a batch went.
type Appended struct {
	storage.TP
	Base int64 // offset of its first record
	// TimestampMs is the broker's time if it stamped the batch, else -1.
	TimestampMs int64
	// Start is the log's first offset.
	Start int64
	// Duplicate is set if the batch was in the log already (KIP-98); Base is
	// the offset it got then.
	Duplicate bool
}

// Wait returns when the entry it was given for is durable, with one Appended
// for each batch in order, or with the reason why it is not in the log:
// ErrFenced, ErrSequence, ErrGone, ErrNotOwner, ErrConflict, ErrClosed
// (refused), or an error that wraps ErrStorage. If ctx ends first its error is
// returned and the entry goes its way. It may be called more than once.
type Wait func(ctx context.Context) ([]Appended, error)

// Append adds an entry to the pool and returns a Wait for it. Entries take
// effect in the order of their Append calls. It blocks while the pool is full.
// Errors: ctx's, ErrClosed.
func (l *Logs) Append(ctx context.Context, e Entry) (Wait, error) {
	p := &pending{Entry: e, done: make(chan struct{})}
	for i := range e.Batches {
		p.size += int64(len(e.Batches[i].Bytes))
		if _, err := l.Log(ctx, e.Batches[i].TP); err != nil {
			return nil, err
		}
	}
	for i := range e.Items {
		p.size += int64(len(e.Items[i].Value) + len(e.Items[i].Key))
	}
	if err := l.pool.add(ctx, p); err != nil {
		return nil, err
	}
	return p.wait, nil
}

// Commit commits items and logs' trims through the sequencer, in order with
// appends, and waits for it. Errors as Wait.
func (l *Logs) Commit(ctx context.Context, items []storage.Item, checks []storage.Check) error {
	wait, err := l.Append(ctx, Entry{Items: items, Checks: checks})
	if err != nil {
		return err
	}
	_, err = wait(ctx)
	return err
}

// Forget makes the logs of a deleted topic unreachable: readers and producers
// get ErrGone from now on. It returns when no commit that touches them is
// under way, so that the caller can remove them from the engine.
func (l *Logs) Forget(ctx context.Context, topic storage.TopicID) error {
	p := &pending{forget: &topic, done: make(chan struct{})}
	if err := l.pool.add(ctx, p); err != nil {
		return err
	}
	_, err := p.wait(ctx)
	return err
}

// Trim moves a log's start to offset, which is at most its high watermark, and
// returns the start it has then. Errors: ErrRange, and as Wait.
func (l *Logs) Trim(ctx context.Context, tp storage.TP, offset int64) (int64, error) {
	g, err := l.Log(ctx, tp)
	if err != nil {
		return 0, err
	}
	p := &pending{trim: &storage.Trim{TP: tp, Start: offset}, done: make(chan struct{})}
	if err := l.pool.add(ctx, p); err != nil {
		return 0, err
	}
	if _, err := p.wait(ctx); err != nil {
		return 0, err
	}
	return g.Start(), nil
}

// Run is the sequencer. It returns when ctx ends, after what is under way was
// committed, producer snapshots were written and the rest of the pool was
// refused; or with an error that wraps storage.ErrBroken.
func (l *Logs) Run(ctx context.Context) error {
	defer l.pool.close()
	s := sequencer{logs: l, engine: l.cfg.Engine}
	for {
		entries, err := l.pool.take(ctx, maxRoundBytes)
		if err != nil {
			return s.saveProducers()
		}
		// A round that began is finished: its callers are waiting, and
		// shutdown is not a reason to leave an outcome unknown.
		rest, err := s.run(context.WithoutCancel(ctx), entries)
		l.pool.putBack(rest)
		if errors.Is(err, storage.ErrBroken) {
			return fmt.Errorf("sequencer stopped: %w", err)
		}
	}
}

// forget drops a topic's logs from the table and wakes their readers.
func (l *Logs) forget(topic storage.TopicID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead[topic] = struct{}{}
	for tp, g := range l.logs {
		if tp.Topic == topic {
			g.setGone()
			delete(l.logs, tp)
		}
	}
}

// all returns the logs that are open now.
func (l *Logs) all() []*Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*Log, 0, len(l.logs))
	for _, g := range l.logs {
		out = append(out, g)
	}
	return out
}
