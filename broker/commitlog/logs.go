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
	"slices"
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
	// maxDead is how many deleted topics are remembered, so that a request that
	// found the topic just before cannot make its log again: far more than are
	// deleted while one request lasts.
	maxDead = 10_000
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
	// Admit says whether a transactional batch may begin a transaction in a
	// partition; its error, a refusal such as ErrNoTransaction or ErrFenced, is
	// the batch's. The sequencer calls it, so it must not wait for an append.
	// nil refuses all.
	Admit func(storage.TP, record.Header) error
	// CompactionKeys bounds the keys that one pass of compaction tells apart
	// (default 1,048,576).
	CompactionKeys int
	// ProducerExpiry is how long an idle producer is remembered (24 h).
	ProducerExpiry time.Duration
}

// Logs are all partition logs of a broker. Safe for concurrent use.
type Logs struct {
	cfg  Config
	lg   *slog.Logger
	pool *pool
	tail *tailBudget

	mu     sync.RWMutex
	logs   map[storage.TP]*Log          // guarded by mu
	dead   map[storage.TopicID]struct{} // guarded by mu: deleted topics, whose ids never come back
	buried []storage.TopicID            // guarded by mu: dead in order, oldest first
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
	if cfg.CompactionKeys == 0 {
		cfg.CompactionKeys = defaultCompactionKeys
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
	g, err := l.find(ctx, tp)
	if errors.Is(err, storage.ErrBroken) {
		// Whoever notices, it is the sequencer that stops the broker.
		p, broken := newPending(), tp // a copy: tp itself need not escape
		p.load = &broken
		if poolErr := l.pool.add(ctx, p); poolErr != nil {
			err = errors.Join(err, poolErr)
		}
	}
	return g, err
}

// find is Log as the sequencer itself calls it.
func (l *Logs) find(ctx context.Context, tp storage.TP) (*Log, error) {
	l.mu.RLock()
	g := l.logs[tp]
	l.mu.RUnlock()
	if g == nil {
		if g = l.add(tp); g == nil {
			return nil, ErrGone
		}
	}
	if err := g.open(ctx); err != nil {
		return nil, err
	}
	return g, nil
}

// add returns the log of a partition and makes it if need be; nil if its topic
// was deleted.
func (l *Logs) add(tp storage.TP) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, dead := l.dead[tp.Topic]; dead {
		return nil
	}
	g := l.logs[tp]
	if g == nil {
		g = &Log{tp: tp, logs: l}
		l.logs[tp] = g
	}
	return g
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
	// Follows leaves the batch out if the entry's first batch turns out to be in
	// its log already: it came with that one then.
	Follows bool
}

// Entry is what goes into the pool: batches and items that are committed
// together or not at all. A partition stands at most once among Batches, and a
// key once among Items and Checks.
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
	// Start is the log start offset.
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
// Errors: ctx's, ErrClosed, ErrGone, one that wraps ErrStorage (a log could not
// be opened) or storage.ErrInvalid (the entry contradicts itself).
func (l *Logs) Append(ctx context.Context, e Entry) (Wait, error) {
	p := newPending()
	p.Entry = e
	if err := e.check(); err != nil {
		return nil, err
	}
	for i := range e.Batches {
		p.size += int64(len(e.Batches[i].Bytes))
		// What is broken stops the sequencer, which comes upon it as well.
		if _, err := l.find(ctx, e.Batches[i].TP); err != nil && !errors.Is(err, storage.ErrBroken) {
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

// check refuses an entry that names a log or an item twice.
func (e *Entry) check() error {
	if len(e.Batches) > 1 { // the end of a transaction may have thousands
		logs := make(map[storage.TP]bool, len(e.Batches))
		for i := range e.Batches {
			tp := e.Batches[i].TP
			if logs[tp] {
				return fmt.Errorf("%w: two batches of one entry for %s", storage.ErrInvalid, tp)
			}
			logs[tp] = true
		}
	}
	if len(e.Items)+len(e.Checks) < 2 {
		return nil
	}
	seen := make(map[string]bool, len(e.Items)+len(e.Checks))
	for i := range e.Items {
		if seen[e.Items[i].Key] {
			return fmt.Errorf("%w: item %q stands twice in one entry", storage.ErrInvalid, e.Items[i].Key)
		}
		seen[e.Items[i].Key] = true
	}
	for _, c := range e.Checks {
		if seen[c.Key] {
			return fmt.Errorf("%w: item %q is checked and named again in one entry", storage.ErrInvalid, c.Key)
		}
		seen[c.Key] = true
	}
	return nil
}

// Commit commits items through the sequencer, in order with appends, and waits
// for it. Errors as Append and Wait.
func (l *Logs) Commit(ctx context.Context, items []storage.Item, checks []storage.Check) error {
	wait, err := l.Append(ctx, Entry{Items: items, Checks: checks})
	if err != nil {
		return err
	}
	_, err = wait(ctx)
	return err
}

// Forget makes the logs of a topic that is being deleted unreachable: readers
// and producers get ErrGone from now on. It returns when no commit that touches
// them is under way, so that the caller can remove them from the engine. If
// that fails, or Forget does, Recall undoes it.
func (l *Logs) Forget(ctx context.Context, topic storage.TopicID) error {
	p := newPending()
	p.forget = &topic
	if err := l.pool.add(ctx, p); err != nil {
		return err
	}
	_, err := p.wait(ctx)
	return err
}

// Recall undoes Forget for a topic that was not deleted after all. Readers that
// were told ErrGone look up its logs again.
func (l *Logs) Recall(topic storage.TopicID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.dead, topic)
	l.buried = slices.DeleteFunc(l.buried, func(id storage.TopicID) bool { return id == topic })
}

// Trim moves a log's start to offset, which is at most its high watermark, and
// returns the start it has then: it never moves back. Errors: ErrRange, and as
// Append and Wait.
func (l *Logs) Trim(ctx context.Context, tp storage.TP, offset int64) (int64, error) {
	wait, err := l.StartTrim(ctx, tp, offset)
	if err != nil {
		return 0, err
	}
	done, err := wait(ctx)
	if err != nil {
		return 0, err
	}
	return done[0].Start, nil
}

// StartTrim is Trim in two steps, so that many logs are trimmed in one commit:
// the Wait gives one Appended, of which Start counts.
func (l *Logs) StartTrim(ctx context.Context, tp storage.TP, offset int64) (Wait, error) {
	if _, err := l.Log(ctx, tp); err != nil {
		return nil, err
	}
	p := newPending()
	p.trim = &storage.Trim{TP: tp, Start: offset}
	if err := l.pool.add(ctx, p); err != nil {
		return nil, err
	}
	return p.wait, nil
}

// Run is the sequencer. When ctx ends it lets nothing more into the pool,
// commits what is in it, writes producer snapshots and returns nil. It returns
// an error that wraps storage.ErrBroken as soon as it meets one; the rest of the
// pool is then refused with ErrClosed. It is called once.
func (l *Logs) Run(ctx context.Context) error {
	defer l.pool.close()
	s := sequencer{logs: l, engine: l.cfg.Engine}
	for {
		entries, err := l.pool.take(ctx, maxRoundBytes)
		if err != nil {
			s.saveProducers()
			return nil
		}
		// A round that began is finished: its callers are waiting, and
		// shutdown is not a reason to leave an outcome unknown.
		rest, err := s.run(context.WithoutCancel(ctx), entries)
		l.pool.putBack(rest)
		if err != nil {
			return fmt.Errorf("sequencer stopped: %w", err)
		}
	}
}

// forget drops a topic's logs from the table and wakes their readers.
func (l *Logs) forget(topic storage.TopicID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, again := l.dead[topic]; !again {
		l.dead[topic] = struct{}{}
		l.buried = append(l.buried, topic)
	}
	if len(l.buried) > maxDead {
		delete(l.dead, l.buried[0])
		l.buried = l.buried[1:]
	}
	for tp, g := range l.logs {
		if tp.Topic == topic {
			g.setGone()
			delete(l.logs, tp)
		}
	}
}

// all returns the logs that are open now.
func (l *Logs) all() []*Log {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]*Log, 0, len(l.logs))
	for _, g := range l.logs {
		out = append(out, g)
	}
	return out
}
