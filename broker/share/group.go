package share

import (
	"context"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// group is one share group in memory.
type group struct {
	c    *Coordinator
	name string

	mu       sync.Mutex // guards what follows, and the parts and sessions
	members  *members
	version  int64 // of the group's item; 0: there is none
	changed  bool  // the item is to be written
	queue    []*op // who waits for that
	lost     bool  // nobody knows what the store holds; the writer looks
	deleting bool  // an op that deletes the group is queued
	gone     bool  // no longer in the coordinator's map
	parts    map[key]*part
	sessions map[string]*session // by member id
	lastOp   opID
	touched  bool // the writer should look

	// Guarded by the coordinator's mu.
	dirty bool // in the list of what the writer looks at
	timer timer
}

// part is one share-partition. Guarded by its group's mu.
type part struct {
	key     key
	w       window
	version int64 // of its item; 0: there is none
	queue   []*op // to be written, in order
	begun   *op   // its first write, while that is under way: nothing is acquired before
	blocked bool  // an op that replaces or deletes it is queued
	stale   bool  // records were given back since it was written
	lost    bool  // nobody knows what the store holds; the writer looks
	dropped bool  // deleted; whoever finds it looks again
	waiters map[chan struct{}]struct{}

	timer timer // guarded by the coordinator's mu
}

// op is one change that has to be stored. Those of one item are written in order.
type op struct {
	id      opID    // the spans it is about; 0: none
	replace *window // instead of what is there
	del     bool
	done    chan struct{}
	code    wire.Code // set before done is closed
}

func newGroup(c *Coordinator, name string) *group {
	g := &group{
		c: c, name: name, members: &members{byID: map[string]*member{}},
		parts: map[key]*part{}, sessions: map[string]*session{},
	}
	g.timer.init(g, nil)
	return g
}

// adoptMembers takes members over from the store.
func (g *group) adoptMembers(m *members, now time.Time) {
	g.members = m
	deadline := now.Add(g.c.settings(g.name).session)
	for _, mem := range m.byID {
		mem.deadline = deadline
	}
	m.topics = m.resolve(g.c.cfg.Topics)
	m.assign()
	if len(m.byID) > 0 {
		g.c.alarm(&g.timer, deadline)
	}
}

// unlock has the writer look if there is something for it, and unlocks.
func (g *group) unlock() {
	if g.touched && !g.gone {
		g.touched = false
		g.c.mu.Lock()
		g.c.markDirty(g)
		g.c.mu.Unlock()
	}
	g.mu.Unlock()
}

// enqueue has a change of a share-partition written.
func (g *group) enqueue(p *part, o *op) *op {
	o.done = make(chan struct{})
	if o.replace != nil || o.del {
		p.blocked = true
	}
	p.queue = append(p.queue, o)
	g.touched = true
	return o
}

// save has the group's item written.
func (g *group) save() *op {
	o := &op{done: make(chan struct{})}
	g.queue = append(g.queue, o)
	g.changed, g.touched = true, true
	return o
}

// newOp numbers an op.
func (g *group) newOp() *op {
	g.lastOp++
	return &op{id: g.lastOp}
}

// finish gives an op its outcome.
func (o *op) finish(code wire.Code) {
	o.code = code
	close(o.done)
}

// wait blocks until an op has its outcome.
func (c *Coordinator) wait(ctx context.Context, o *op) (wire.Code, error) {
	select {
	case <-o.done:
		return o.code, nil
	default:
	}
	select {
	case <-o.done:
		return o.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-c.stopped:
		select {
		case <-o.done:
			return o.code, nil
		default:
			return 0, ErrStopped
		}
	}
}

// wake has those look again who wait for records of p.
func (p *part) wake() {
	for w := range p.waiters {
		signal(w)
	}
}

// touch notes that records were given back without anybody waiting for it: it is
// written soon, so that deliveries are counted after a restart.
func (g *group) touch(p *part) {
	p.stale, g.touched = true, true
	p.wake()
}

// expire gives back what is locked no longer.
func (g *group) expire(p *part, now time.Time) {
	if p.dropped || p.lost {
		return
	}
	changed, next := p.w.expire(now, g.c.settings(g.name).limit)
	if changed {
		g.touch(p)
	}
	g.c.alarm(&p.timer, next)
}

// tick lets members go that were silent for too long.
func (g *group) tick(now time.Time) {
	for _, p := range g.parts {
		g.touched = g.touched || p.lost // the writer looks again
	}
	if g.lost {
		g.touched = true
		return
	}
	out, next := g.members.due(now)
	for _, mem := range out {
		g.c.lg.Info("member of a share group is gone", "group", g.name, "member", mem.id)
		g.remove(mem.id)
	}
	if len(out) > 0 {
		g.members.bump(g.members.resolve(g.c.cfg.Topics))
		g.save()
	}
	g.c.alarm(&g.timer, next)
}

// remove takes a member out, with its session and its records. The session goes
// first, so that a fetch that waits in it acquires nothing of what is given back.
func (g *group) remove(id string) {
	delete(g.members.byID, id)
	g.members.all = nil
	g.close(g.sessions[id])
	g.releaseAll(id)
}

// releaseAll gives back all records of a member.
func (g *group) releaseAll(member string) {
	limit := g.c.settings(g.name).limit
	for _, p := range g.parts {
		if !p.lost && p.w.release(member, limit) {
			g.touch(p)
		}
	}
}

// vanish takes a deleted group out of memory.
func (g *group) vanish() {
	for _, s := range g.sessions {
		g.close(s)
	}
	for _, p := range g.parts {
		g.drop(p)
	}
	c := g.c
	c.mu.Lock()
	defer c.mu.Unlock()
	g.gone = true
	delete(c.groups, g.name)
	c.timers.set(&g.timer, time.Time{})
	c.cfg.Names.Release(g.name, Kind)
}

// drop takes a share-partition out of memory.
func (g *group) drop(p *part) {
	p.dropped = true
	delete(g.parts, p.key)
	p.wake()
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	g.c.states--
	g.c.timers.set(&p.timer, time.Time{})
}
