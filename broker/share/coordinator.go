package share

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/groupconfig"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// Coordinator holds all share groups of a broker. Methods may be called
// concurrently. What has to be stored waits until Run runs.
type Coordinator struct {
	cfg     Config
	lg      *slog.Logger
	stopped chan struct{} // closed when Run has ended

	mu       sync.Mutex // taken after a group's mu, never before it
	groups   map[string]*group
	sessions int // of all groups
	states   int // of all groups
	timers   timers
	dirty    []*group

	writeC chan struct{} // of size 1: there is something in dirty
	timerC chan struct{} // of size 1: the first timer has changed
}

// Open reads all share groups and their states from the store. States of topics
// that are gone are dropped: a topic may have been deleted just before a crash.
func Open(ctx context.Context, cfg Config) (*Coordinator, error) {
	if cfg.Commit == nil || cfg.Store == nil || cfg.Topics == nil || cfg.Logs == nil || cfg.Configs == nil || cfg.Names == nil {
		return nil, errors.New("share coordinator needs Commit, Store, Topics, Logs, Configs and Names")
	}
	cfg = cfg.withDefaults()
	c := &Coordinator{
		cfg: cfg, lg: cfg.Log, stopped: make(chan struct{}), groups: map[string]*group{},
		writeC: make(chan struct{}, 1), timerC: make(chan struct{}, 1),
	}
	if err := c.load(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Coordinator) load(ctx context.Context) error {
	now := time.Now()
	for it, err := range c.cfg.Store.Scan(ctx, keyGroup) {
		if err != nil {
			return fmt.Errorf("read share groups: %w", err)
		}
		name, m, err := restoreMembers(it, now)
		if err != nil {
			return err
		}
		if !c.cfg.Names.Claim(name, Kind) {
			return fmt.Errorf("%w: group %q is a share group and one of another kind", storage.ErrBroken, name)
		}
		g := newGroup(c, name)
		g.adoptMembers(m, now)
		g.version = it.Version
		c.groups[name] = g
	}
	for it, err := range c.cfg.Store.Scan(ctx, keyState) {
		if err != nil {
			return fmt.Errorf("read states of share groups: %w", err)
		}
		if err := c.loadState(it); err != nil {
			return err
		}
	}
	for _, g := range c.groups {
		g.mu.Lock()
		for k, p := range g.parts {
			if _, n, ok := c.cfg.Topics.ByID(k.topic); !ok || k.partition >= n {
				g.enqueue(p, &op{del: true})
			}
		}
		g.unlock()
	}
	return nil
}

func (c *Coordinator) loadState(it storage.Item) error {
	name, k, ok := parseKey(it.Key)
	g := c.groups[name]
	if !ok || g == nil {
		return fmt.Errorf("%w: item %q belongs to no share group", storage.ErrBroken, it.Key)
	}
	w, err := decode(it.Value)
	if err != nil {
		return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
	}
	p := &part{key: k, w: w, version: it.Version, waiters: map[chan struct{}]struct{}{}}
	p.timer.init(g, p)
	g.parts[k] = p
	c.states++
	return nil
}

// Run writes what groups have to store and runs their timers, until ctx ends. It
// then writes what still waits, and Waits without an answer get ErrStopped. It is
// called once.
func (c *Coordinator) Run(ctx context.Context) error {
	var writer sync.WaitGroup
	writer.Go(func() { c.runWriter(ctx) })
	defer func() {
		writer.Wait()
		close(c.stopped)
	}()
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		clock.Reset(c.runTimers(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		case <-c.timerC:
		}
	}
}

// acquire finds a group and locks it: GROUP_ID_NOT_FOUND if there is none,
// COORDINATOR_NOT_AVAILABLE while it is being deleted.
func (c *Coordinator) acquire(name string) (*group, wire.Code) {
	for {
		c.mu.Lock()
		g := c.groups[name]
		c.mu.Unlock()
		if g == nil {
			return nil, wire.GroupIDNotFound
		}
		g.mu.Lock()
		switch {
		case g.gone:
			g.mu.Unlock()
		case g.deleting:
			g.mu.Unlock()
			return nil, wire.CoordinatorNotAvailable
		default:
			return g, wire.None
		}
	}
}

// create finds a group or makes it, and locks it. The code is GROUP_ID_NOT_FOUND
// if another kind of group has the name.
func (c *Coordinator) create(name string) (*group, wire.Code) {
	for {
		if g, code := c.acquire(name); code != wire.GroupIDNotFound {
			return g, code
		}
		if code := c.make(name); code != wire.None {
			return nil, code
		}
	}
}

func (c *Coordinator) make(name string) wire.Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.groups[name] != nil:
		return wire.None
	case len(name) > maxGroupID:
		return wire.InvalidGroupID
	case len(c.groups) >= maxGroups:
		c.lg.Error("too many share groups", "limit", maxGroups, "refused", name)
		return wire.CoordinatorNotAvailable
	case !c.cfg.Names.Claim(name, Kind):
		return wire.GroupIDNotFound
	}
	c.groups[name] = newGroup(c, name)
	return wire.None
}

// all lists the groups as they are now, in no order.
func (c *Coordinator) all() []*group {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*group, 0, len(c.groups))
	for _, g := range c.groups {
		list = append(list, g)
	}
	return list
}

// settings are a group's, as they are now.
type settings struct {
	session, heartbeat, lock time.Duration
	limit                    int16 // deliveries
	locks                    int64 // records in flight
	reset                    string
	committed                bool // share.isolation.level=read_committed
	renew                    bool
}

func (c *Coordinator) settings(name string) settings {
	s := c.cfg.Configs
	level, _ := s.Value(name, groupconfig.ShareIsolationLevel)
	reset, _ := s.Value(name, groupconfig.ShareAutoOffsetReset)
	return settings{
		session:   s.Duration(name, groupconfig.ShareSessionTimeoutMs),
		heartbeat: s.Duration(name, groupconfig.ShareHeartbeatIntervalMs),
		lock:      s.Duration(name, groupconfig.ShareRecordLockDurationMs),
		limit:     int16(s.Int(name, groupconfig.ShareDeliveryCountLimit)),
		locks:     s.Int(name, groupconfig.SharePartitionMaxRecordLocks),
		reset:     reset,
		committed: level == groupconfig.ReadCommitted,
		renew:     s.Bool(name, groupconfig.ShareRenewAcknowledgeEnable),
	}
}

// markDirty has the writer look at a group. c.mu is held.
func (c *Coordinator) markDirty(g *group) {
	if !g.dirty {
		g.dirty = true
		c.dirty = append(c.dirty, g)
		signal(c.writeC)
	}
}

// signal wakes the one who waits on c, if he is not awake yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
