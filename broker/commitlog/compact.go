package commitlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of compaction.
const (
	// defaultCompactionKeys bounds the keys that one pass tells apart: some 60
	// MiB while it lasts. A log with more new keys takes several passes, each of
	// which reads it once.
	defaultCompactionKeys = 1 << 20
	// compactionStep is how much of a log is read, and replaced by one commit, at
	// a time: a millisecond or two, since appends wait for the commit before them.
	// Four times as much doubled the wait of an append beside it.
	compactionStep = 256 << 10
	// maxCompactionUnpacked bounds one batch's decompressed records, as Produce
	// does.
	maxCompactionUnpacked = 512 << 20
)

// Compaction says how a log is compacted. Times are its topic's configs.
type Compaction struct {
	// Head is where the part of the log begins that is left alone: batches that
	// end above it are too new.
	Head int64
	// MinLagMs keeps records of that age from compaction, MaxLagMs lets a record
	// wait no longer for it (min.compaction.lag.ms, max.compaction.lag.ms).
	MinLagMs, MaxLagMs int64
	// DeleteRetentionMs is how long tombstones stay after they were first
	// compacted (delete.retention.ms).
	DeleteRetentionMs int64
	// DirtyRatio is the share of the log not compacted yet above which it is
	// (min.cleanable.dirty.ratio).
	DirtyRatio float64
	// Hold is the lowest offset that somebody still needs as it is; nil holds
	// nothing.
	Hold func() int64
}

// Compacted says what a pass did.
type Compacted struct {
	// Ran is false if there was nothing to do.
	Ran bool
	// To is the end of what is compacted now.
	To int64
	// More is set if the keys of one pass did not suffice: call again.
	More bool
	// Records and Bytes are how many were removed.
	Records, Bytes int64
}

// errNotSaved says that a log's producer states are too large to be stored, so
// that the batches they would be rebuilt from must stay.
var errNotSaved = errors.New("producer states are too large for a snapshot")

// errMoved ends a pass: the log, or who holds it, is not what it was when the
// pass began. The next one starts from what is there.
var errMoved = errors.New("the log has changed under its compaction")

// compactionState is the stored form of how far a log is compacted. Its item's
// version is the fence of a pass: each pass writes it first, and each of its
// Replaces checks it.
type compactionState struct {
	// To is the offset below which every key stands once.
	To int64 `json:"to"`
	// DueMs is when the next tombstone or marker may go (Unix ms); 0: none.
	DueMs int64 `json:"due,omitempty"`
}

// compactionPrefix begins the keys of all compaction states.
const compactionPrefix = "compaction/"

// CompactionKey is the item key of a log's compaction state. Whoever removes the
// log removes it.
func CompactionKey(tp storage.TP) string { return compactionPrefix + tp.String() }

// saveStates asks the sequencer to store a log's producer states as of its end,
// without the aborted transactions that end below cleaned: their data is gone.
type saveStates struct {
	tp      storage.TP
	cleaned int64
}

// Compact runs one pass over a log if it is due: of each key, only the last
// record below the last stable offset stays. Offsets stay, so does the last batch
// of each live producer and of the pass, be it empty. Readers go on meanwhile; they
// see each step whole or not at all. A pass that is broken off (ctx, an error, a
// crash) has done no harm, and the next one begins anew. One call at a time for
// a log.
//
// Errors: ErrGone; ctx's; ErrNotOwner if another process compacts it too; others
// wrap ErrStorage.
func (l *Logs) Compact(ctx context.Context, tp storage.TP, c Compaction) (Compacted, error) {
	g, err := l.Log(ctx, tp)
	if err != nil {
		return Compacted{}, err
	}
	p := &pass{log: g, engine: l.cfg.Engine, cfg: c, nowMs: l.cfg.Now().UnixMilli(), maxKeys: l.cfg.CompactionKeys}
	due, err := p.plan(ctx)
	if err != nil || !due {
		return Compacted{To: p.state.To}, err
	}
	err = p.explain(p.run(ctx))
	switch {
	case errors.Is(err, errMoved):
		return Compacted{To: p.state.To}, nil
	case err != nil:
		return Compacted{}, err
	}
	return p.done, nil
}

// pass is one compaction of a log. It is owned by the goroutine that runs it.
type pass struct {
	log     *Log
	engine  storage.Engine
	cfg     Compaction
	nowMs   int64
	maxKeys int

	state   compactionState
	version int64 // of the state's item
	dirty   int64 // where what is not compacted begins
	to      int64 // the end of the pass

	latest  map[keyHash]int64       // offset of each key's last record in the dirty part
	aborted map[int64][]Aborted     // by producer id, ascending
	last    map[int64]producerBatch // last batch of each live producer
	txnData map[int64]bool          // producers with data between the last marker and here
	dueMs   int64                   // the next delete horizon met; 0: none

	reader  record.Reader
	builder record.Builder
	keep    []bool // of the records of one batch
	done    Compacted
}

// producerBatch names a producer's last batch.
type producerBatch struct {
	base  int64
	epoch int16
}

// run does a pass that plan found due.
func (p *pass) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	upTo := p.to
	if err := p.learn(ctx); err != nil {
		return err
	}
	for pos := p.log.Start(); pos < p.to; {
		if p.cfg.Hold != nil && p.cfg.Hold() < p.to {
			return errMoved
		}
		begun := time.Now()
		next, err := p.step(ctx, pos)
		if err != nil {
			return err
		}
		pos = next
		if err := rest(ctx, time.Since(begun)); err != nil {
			return err
		}
	}
	p.done.Ran, p.done.To, p.done.More = true, p.to, p.to < upTo
	return p.finish(ctx)
}

// begin stores what a restart would otherwise rebuild from the batches that go,
// forgets the aborted transactions whose data went in earlier passes, and takes
// the fence.
func (p *pass) begin(ctx context.Context) error {
	it, err := p.state.item(p.log.tp, p.version)
	if err != nil {
		return err
	}
	e := newPending()
	e.Items = []storage.Item{it}
	e.save = &saveStates{tp: p.log.tp, cleaned: p.state.To}
	if err := p.log.logs.pool.add(ctx, e); err != nil {
		return err
	}
	if _, err := e.wait(ctx); err != nil {
		return err
	}
	p.version = e.Items[0].Version
	p.log.mu.RLock()
	defer p.log.mu.RUnlock()
	p.last = make(map[int64]producerBatch, len(p.log.producers))
	for id, pr := range p.log.producers {
		b := producerBatch{base: -1, epoch: pr.Epoch}
		if n := len(pr.Last); n > 0 {
			b.base = pr.Last[n-1].Base
		}
		p.last[id] = b
	}
	p.aborted = map[int64][]Aborted{}
	for _, t := range p.log.txns.aborted {
		p.aborted[t.ProducerID] = append(p.aborted[t.ProducerID], t)
	}
	p.txnData = map[int64]bool{}
	return nil
}

// finish notes how far the log is compacted.
func (p *pass) finish(ctx context.Context) error {
	p.state = compactionState{To: p.to, DueMs: p.dueMs}
	it, err := p.state.item(p.log.tp, p.version)
	if err != nil {
		return err
	}
	return p.engine.Commit(ctx, storage.Write{Set: []storage.Item{it}})
}

func (s compactionState) item(tp storage.TP, version int64) (storage.Item, error) {
	v, err := json.Marshal(s)
	return storage.Item{Key: CompactionKey(tp), Value: v, Version: version}, err
}

// explain makes an error of a pass one of this package.
func (p *pass) explain(err error) error {
	var conflict *storage.Conflict
	switch {
	case err == nil, errors.Is(err, errMoved):
		return err
	case errors.Is(err, storage.ErrNoLog):
		return ErrGone
	case errors.As(err, &conflict) && len(conflict.Items) > 0:
		return fmt.Errorf("compact %s: %w: %w", p.log.tp, ErrNotOwner, err)
	case errors.As(err, &conflict):
		return errMoved // its start has, for example
	case errors.Is(err, ErrGone), errors.Is(err, ErrNotOwner), errors.Is(err, ErrClosed),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: compact %s: %w", ErrStorage, p.log.tp, err)
}

// rest pauses for as long as a step took, so that compaction takes half of one
// processor at most and appends pass between its commits.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
