package group

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Coordinator holds all groups of a broker. Methods may be called concurrently.
// What has to be stored waits until Run runs.
type Coordinator struct {
	cfg     Config
	lg      *slog.Logger
	rules   rules
	stopped chan struct{} // closed when Run has ended
	names   *Names
	kinds   []Kind // set before Run

	mu     sync.Mutex // taken after an entry's mu, never before it
	groups map[string]*entry
	timers timers
	dirty  []*entry

	writeC chan struct{} // of size 1: there is something in dirty
	timerC chan struct{} // of size 1: the first timer has changed
}

// Open reads all groups and offsets from the store. Offsets of topics that are
// gone are dropped: a topic may have been deleted just before a crash.
func Open(ctx context.Context, cfg Config) (*Coordinator, error) {
	if cfg.Commit == nil || cfg.Store == nil || cfg.Topics == nil {
		return nil, errors.New("group coordinator needs Commit, Store and Topics")
	}
	cfg = cfg.withDefaults()
	if cfg.NewMemberID == nil {
		cfg.NewMemberID = randomID
	}
	c := &Coordinator{
		cfg: cfg, lg: cfg.Log, rules: cfg.rules(), stopped: make(chan struct{}), groups: map[string]*entry{},
		names:  new(Names),
		writeC: make(chan struct{}, 1), timerC: make(chan struct{}, 1),
	}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// randomID makes a UUID. crypto/rand never fails.
func randomID() string {
	var id uuid.UUID
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

func (c *Coordinator) load(ctx context.Context) error {
	now := time.Now()
	for it, err := range c.cfg.Store.Scan(ctx, keyGroup) {
		if err != nil {
			return fmt.Errorf("read groups: %w", err)
		}
		name, g, err := decodeGroup(it)
		if err != nil {
			return err
		}
		if g.Type != typeClassic && g.Type != typeConsumer && g.Type != typeStreams {
			return errType(name, g.Type)
		}
		c.names.Claim(name, coordinated) // the first to do so: nobody else has it
		e := newEntry(name, c.revived(name, now, g))
		e.version = it.Version
		c.groups[name] = e
	}
	for it, err := range c.cfg.Store.Scan(ctx, keyOffset) {
		if err != nil {
			return fmt.Errorf("read offsets: %w", err)
		}
		name, k, o, err := decodeOffset(it)
		if err != nil {
			return err
		}
		e := c.groups[name]
		if e == nil {
			return fmt.Errorf("%w: item %q belongs to no group", storage.ErrBroken, it.Key)
		}
		e.offsets[k] = o
	}
	for _, e := range c.groups {
		e.mu.Lock()
		c.dropUnknown(e)
		c.settle(e)
		e.mu.Unlock()
	}
	return nil
}

// Run writes what groups have to store and runs their timers, until ctx ends.
// It then writes what still waits, and Waits without an answer get ErrStopped.
// It is called once.
func (c *Coordinator) Run(ctx context.Context) error {
	var writer sync.WaitGroup
	writer.Go(func() { c.runWriter(ctx) })
	defer func() {
		writer.Wait()
		close(c.stopped)
	}()
	sweep := time.NewTicker(c.cfg.OffsetsCheckInterval)
	defer sweep.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(c.runTimers(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-c.timerC:
		case <-sweep.C:
			c.sweep()
		}
	}
}

// acquire finds a group and locks it, or makes it. The code is
// GROUP_ID_NOT_FOUND if there is none or another kind has the name, INVALID_GROUP_ID if its name is too
// long, COORDINATOR_NOT_AVAILABLE if there are too many, and
// COORDINATOR_LOAD_IN_PROGRESS while the group has to be read anew.
func (c *Coordinator) acquire(name string, create bool) (*entry, wire.Code) {
	for {
		e, code := c.find(name, create)
		if code != wire.None {
			return nil, code
		}
		e.mu.Lock()
		if !e.gone && e.trust != lost {
			return e, wire.None
		}
		gone := e.gone
		e.mu.Unlock()
		if !gone {
			return nil, wire.CoordinatorLoadInProgress
		}
	}
}

func (c *Coordinator) find(name string, create bool) (*entry, wire.Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.groups[name]
	switch {
	case e != nil:
		return e, wire.None
	case !create:
		return nil, wire.GroupIDNotFound
	case len(name) > maxGroupID:
		return nil, wire.InvalidGroupID
	case len(c.groups) >= maxGroups:
		c.lg.Error("too many groups", "limit", maxGroups, "refused", name)
		return nil, wire.CoordinatorNotAvailable
	}
	if !c.names.Claim(name, coordinated) {
		return nil, wire.GroupIDNotFound
	}
	e = newEntry(name, newMachine(c.rules, time.Now()))
	c.groups[name] = e
	return e, wire.None
}

// all lists the groups as they are now, in no order.
func (c *Coordinator) all() []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*entry, 0, len(c.groups))
	for _, e := range c.groups {
		list = append(list, e)
	}
	return list
}

// release settles a group after an event and unlocks it.
func (c *Coordinator) release(e *entry) {
	c.settle(e)
	e.mu.Unlock()
}

// settle carries out what the machine asked for, and sees to it that writer
// and timers look at the group in time. e.mu is held.
func (c *Coordinator) settle(e *entry) {
	e.carryOut(e.machine)
	if m, ok := e.machine.(*modern); ok && m.successor != nil {
		e.machine = m.successor
		c.lg.Info("consumer group becomes a classic group", "group", e.name, "members", len(m.members))
	}
	if e.disposable() {
		c.forget(e)
		return
	}
	wake := e.machine.deadline()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.trust != sure {
		wake = time.Now().Add(lookAgain)
		if e.index >= 0 && e.when.Before(wake) {
			wake = e.when
		}
	}
	if len(e.queue) > 0 {
		c.markDirty(e)
	}
	if c.timers.set(e, wake) {
		signal(c.timerC)
	}
}

// carryOut does what a machine asks for. m is the entry's, or was it when it
// asked for what has an outcome now. e.mu is held.
func (e *entry) carryOut(m membership) {
	for _, f := range m.take() {
		switch {
		case f.store == nil && f.snapshot == nil:
			e.resolve(f.to, f.answer)
		case m == e.machine:
			e.queue = append(e.queue, &op{group: f.store, snapshot: f.snapshot, then: func(now time.Time, code wire.Code) {
				f.then(now, code)
				e.carryOut(m)
			}})
		}
	}
}

// markDirty has the writer look at a group. mu is held.
func (c *Coordinator) markDirty(e *entry) {
	if !e.dirty {
		e.dirty = true
		c.dirty = append(c.dirty, e)
		signal(c.writeC)
	}
}

// forget takes a group out of memory. e.mu is held.
func (c *Coordinator) forget(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.gone = true
	delete(c.groups, e.name)
	c.names.Release(e.name, coordinated)
	c.timers.set(e, time.Time{})
}

// signal wakes the one who waits on c, if he is not awake yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// runTimers lets every group do what is due and says how long until the next.
func (c *Coordinator) runTimers(now time.Time) time.Duration {
	for {
		e, until := c.nextDue(now)
		if e == nil {
			return until
		}
		e.mu.Lock()
		if !e.gone {
			e.machine.tick(now)
			if e.trust != sure {
				c.mu.Lock()
				c.markDirty(e)
				c.mu.Unlock()
			}
			c.settle(e)
		}
		e.mu.Unlock()
	}
}

// nextDue takes out a group whose time has come, or says when that will be.
func (c *Coordinator) nextDue(now time.Time) (*entry, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return nil, time.Hour // whoever sets a timer wakes us
	}
	e := c.timers[0]
	if until := e.when.Sub(now); until > 0 {
		return nil, until
	}
	c.timers.set(e, time.Time{})
	return e, 0
}
