package txn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Coordinator holds all transactional ids of a broker. Methods may be called
// concurrently; changes of one id take turns. Changes need the log's sequencer
// to run.
type Coordinator struct {
	cfg Config
	lg  *slog.Logger

	mu         sync.RWMutex // taken after an entry's mu, never before it
	ids        map[string]*entry
	byProducer map[int64]*entry
}

// entry is one transactional id in memory.
type entry struct {
	id string
	// turn is held (by a send) while a change is decided and written. Never
	// taken with mu held.
	turn chan struct{}

	mu      sync.Mutex // guards what follows
	txn     *txn
	version int64 // of the item; 0: there is none
	doubt   bool  // a write failed and nobody could look yet what came of it
	gone    bool  // no longer in the coordinator's map
}

// Open reads all transactional ids. Transactions under way go on; their
// offsets are pending in their groups again.
func Open(ctx context.Context, cfg Config) (*Coordinator, error) {
	if cfg.Append == nil || cfg.Store == nil || cfg.Groups == nil || cfg.Topics == nil || cfg.NextID == nil {
		return nil, errors.New("transaction coordinator needs Append, Store, Groups, Topics and NextID")
	}
	cfg = cfg.withDefaults()
	c := &Coordinator{cfg: cfg, lg: cfg.Log, ids: map[string]*entry{}, byProducer: map[int64]*entry{}}
	for it, err := range cfg.Store.Scan(ctx, keyTxn) {
		if err != nil {
			return nil, fmt.Errorf("read transactions: %w", err)
		}
		id, t, err := decode(it)
		if err != nil {
			return nil, err
		}
		e := newEntry(id, t)
		e.version = it.Version
		c.ids[id], c.byProducer[t.producerID] = e, e
		if code := c.noteOffsets(t); code != wire.None {
			c.lg.Warn("pending offsets of a transaction are not shown yet", "transactional_id", id, "code", code)
		}
	}
	return c, nil
}

func newEntry(id string, t *txn) *entry {
	return &entry{id: id, txn: t, turn: make(chan struct{}, 1)}
}

// noteOffsets makes a transaction's offsets pending in its groups. Doing it
// again changes nothing.
func (c *Coordinator) noteOffsets(t *txn) wire.Code {
	for name, offsets := range t.groups {
		if len(offsets) == 0 {
			continue
		}
		if code := c.cfg.Groups.AddPending(name, t.producerID, list(offsets)); code != wire.None {
			return code
		}
	}
	return wire.None
}

// Run ends transactions that take too long and forgets ids that nobody uses,
// until ctx ends. It is called once.
func (c *Coordinator) Run(ctx context.Context) error {
	ticker := time.NewTicker(c.cfg.CheckInterval)
	defer ticker.Stop()
	for {
		c.sweep(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep lets every id do what its time has come for.
func (c *Coordinator) sweep(ctx context.Context) {
	for _, e := range c.due() {
		if ctx.Err() != nil {
			return
		}
		p, err := c.change(ctx, e, func(t *txn, nowMs, _ int64) plan {
			return t.tick(nowMs, c.cfg.Expiry.Milliseconds())
		})
		switch {
		case err != nil || p.code != wire.None:
			c.lg.Warn("transaction could not be ended, will be tried again", "transactional_id", e.id, "error", err, "code", p.code)
		case p.ending != nil:
			c.lg.Info("transaction ended by the broker", "transactional_id", e.id, "state", p.next.state)
		}
	}
}

// due lists the ids that tick has something to do for, or that are in doubt.
func (c *Coordinator) due() []*entry {
	nowMs := c.cfg.Now().UnixMilli()
	var out []*entry
	c.mu.RLock()
	all := make([]*entry, 0, len(c.ids))
	for _, e := range c.ids {
		all = append(all, e)
	}
	c.mu.RUnlock()
	for _, e := range all {
		e.mu.Lock()
		if e.doubt || e.txn.epoch != none && e.txn.tick(nowMs, c.cfg.Expiry.Milliseconds()).next != nil {
			out = append(out, e)
		}
		e.mu.Unlock()
	}
	return out
}

// find returns the entry of an id, or makes it; nil if there is none, or too
// many to make one.
func (c *Coordinator) find(id string, create bool) *entry {
	c.mu.RLock()
	e := c.ids[id]
	c.mu.RUnlock()
	if e != nil || !create {
		return e
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e = c.ids[id]; e == nil && len(c.ids) < maxIDs {
		e = newEntry(id, newTxn())
		c.ids[id] = e
	}
	return e
}

// adopt makes t what e is. e.mu is held.
func (c *Coordinator) adopt(e *entry, t *txn, version int64) {
	before := e.txn.producerID
	e.txn, e.version, e.doubt = t, version, false
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byProducer[before] == e {
		delete(c.byProducer, before)
	}
	switch {
	case t.state == dead || t.epoch == none:
		e.gone = true
		delete(c.ids, e.id)
	default:
		c.byProducer[t.producerID] = e
	}
}

// reload reads e from the store. e's turn is held.
func (c *Coordinator) reload(ctx context.Context, e *entry) error {
	it, err := c.cfg.Store.Get(ctx, keyTxn+e.id)
	t := newTxn()
	if err == nil && it.Version > 0 {
		_, t, err = decode(it)
	}
	if err != nil {
		return fmt.Errorf("read transactional id %q: %w", e.id, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.txn, e.doubt = t, false
	e.version = it.Version
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.epoch != none {
		c.byProducer[t.producerID] = e
	}
	return nil
}

// open reports whether the transaction of a producer takes a batch for tp.
func (c *Coordinator) open(tp storage.TP, producerID int64) (t *txn, ok bool) {
	c.mu.RLock()
	e := c.byProducer[producerID]
	c.mu.RUnlock()
	if e == nil {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.txn, e.txn.producerID == producerID && !e.doubt && e.txn.state == ongoing && e.txn.has(tp)
}
