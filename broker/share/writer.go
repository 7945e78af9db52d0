package share

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

const (
	// lookAgain is the pause between looks at a store that could not be read.
	lookAgain = time.Second
	// lookTimeout bounds one such look.
	lookTimeout = 5 * time.Second
)

// cell is one item in a Write: a group's (p is nil) or a share-partition's.
type cell struct {
	g    *group
	p    *part
	ops  []*op
	item storage.Item // as it is written, with the version expected
}

// runWriter writes what groups have queued until ctx ends, and then once more.
// One goroutine for all groups, and the only one that writes: what comes in while
// the store is busy goes into the next Commit together.
func (c *Coordinator) runWriter(ctx context.Context) {
	// A Commit is not cut short by the end of ctx: its outcome would be unknown.
	writeCtx := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			for c.flush(writeCtx) {
			}
			return
		case <-c.writeC:
			for c.flush(writeCtx) {
			}
		}
	}
}

// flush writes what is queued, at most about maxItems, and reports whether it
// found anything to do.
func (c *Coordinator) flush(ctx context.Context) bool {
	c.mu.Lock()
	list := c.dirty
	c.dirty = nil
	for _, g := range list {
		g.dirty = false
	}
	c.mu.Unlock()
	var cells []cell
	for _, g := range list {
		if len(cells) >= maxItems {
			c.mu.Lock()
			c.markDirty(g) // not this time
			c.mu.Unlock()
			continue
		}
		c.lookAll(ctx, g)
		g.mu.Lock()
		cells = append(cells, g.gather()...)
		g.unlock()
	}
	c.commit(ctx, cells)
	return len(list) > 0
}

// gather takes what a group has to write. A group's cells go into one Write.
func (g *group) gather() (cells []cell) {
	if g.gone || g.lost {
		g.failAll(wire.KafkaStorageError)
		return nil
	}
	if g.changed {
		it := storage.Item{Key: keyGroup + g.name, Version: g.version, Delete: g.deleting}
		var err error
		if it.Value, err = g.members.item(); err != nil {
			g.failAll(wire.UnknownServerError)
			return nil
		}
		cells = append(cells, cell{g: g, ops: g.queue, item: it})
		g.changed, g.queue = false, nil
	}
	for _, p := range g.parts {
		switch {
		case g.deleting && len(cells) > 0:
			p.queue = append(p.queue, &op{del: true, done: make(chan struct{})})
			if p.lost {
				p.version = storage.Any // whatever it is
			}
		case p.lost:
			p.fail(wire.KafkaStorageError)
			continue
		case len(p.queue) == 0 && !p.stale:
			continue
		}
		cells = append(cells, cell{g: g, p: p, ops: p.queue, item: p.item(g.name)})
		p.queue, p.stale = nil, false
	}
	return cells
}

// item is what a share-partition is to be stored as after its queue.
func (p *part) item(group string) storage.Item {
	it := storage.Item{Key: p.key.item(group), Version: p.version}
	w := &p.w
	for _, o := range p.queue {
		it.Delete = it.Delete || o.del
		if o.replace != nil {
			w = o.replace
		}
	}
	if !it.Delete {
		it.Value = w.encode()
	}
	return it
}

// failAll answers all that waits to be written in a group.
func (g *group) failAll(code wire.Code) {
	for _, o := range g.queue {
		o.finish(code)
	}
	g.queue, g.deleting = nil, false
	for _, p := range g.parts {
		p.fail(code)
	}
}

func (p *part) fail(code wire.Code) {
	ops := p.queue
	p.queue = nil
	p.settle(ops, code)
}

// commit writes cells together and settles each, whatever comes of it.
func (c *Coordinator) commit(ctx context.Context, cells []cell) {
	for len(cells) > 0 {
		w := storage.Write{Set: make([]storage.Item, 0, len(cells))}
		for i := range cells {
			if cells[i].item.Version != 0 || !cells[i].item.Delete {
				w.Set = append(w.Set, cells[i].item)
			}
		}
		err := c.cfg.Commit(ctx, w)
		var conflict *storage.Conflict
		switch {
		case err == nil:
			versions := make(map[string]int64, len(w.Set))
			for _, it := range w.Set {
				versions[it.Key] = it.Version
			}
			for i := range cells {
				cells[i].settle(wire.None, versions[cells[i].item.Key])
			}
			return
		case errors.As(err, &conflict):
			rest := c.fence(ctx, cells, conflict)
			if len(rest) == len(cells) {
				c.refuse(ctx, cells, err) // it names nothing of ours
				return
			}
			cells = rest // the others did nothing wrong
		case errors.Is(err, storage.ErrInvalid) && cells[0].g != cells[len(cells)-1].g:
			for len(cells) > 0 { // find the group that is too large
				n := slices.IndexFunc(cells, func(cl cell) bool { return cl.g != cells[0].g })
				if n < 0 {
					n = len(cells)
				}
				c.commit(ctx, cells[:n])
				cells = cells[n:]
			}
			return
		default:
			c.refuse(ctx, cells, err)
			return
		}
	}
}

// fence answers for the groups whose expectations were wrong: another writer has
// them. It reads them anew and returns the cells of the others.
func (c *Coordinator) fence(ctx context.Context, cells []cell, conflict *storage.Conflict) (rest []cell) {
	wrong := map[string]bool{}
	for _, it := range conflict.Items {
		wrong[it.Key] = true
	}
	groups := map[*group]bool{}
	for i := range cells {
		if wrong[cells[i].item.Key] {
			groups[cells[i].g] = true
		}
	}
	for i := range cells {
		if !groups[cells[i].g] {
			rest = append(rest, cells[i])
			continue
		}
		cells[i].settle(wire.NotLeaderOrFollower, -1)
	}
	for g := range groups {
		c.lg.Warn("share group belongs to another writer", "group", g.name)
		c.lookAll(ctx, g)
	}
	return rest
}

// refuse answers for a Commit that was refused, or failed: then what came of it
// is looked up first.
func (c *Coordinator) refuse(ctx context.Context, cells []cell, err error) {
	code, refused := wire.KafkaStorageError, true
	switch {
	case errors.Is(err, storage.ErrInvalid):
		code = wire.UnknownServerError // would be refused again: not retriable
	case errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrClosed):
	default:
		refused = false
	}
	c.lg.Error("share group write did not succeed", "items", len(cells), "refused", refused, "error", err)
	for i := range cells {
		cl := &cells[i]
		if refused {
			cl.settle(code, cl.item.Version)
			continue
		}
		it, err := c.look(ctx, cl.item.Key)
		switch {
		case err != nil:
			cl.settle(code, -1)
		case it.Version == cl.item.Version && !(it.Version == 0 && cl.item.Delete):
			cl.settle(code, it.Version)
		case cl.item.Delete && it.Version == 0, !cl.item.Delete && bytes.Equal(it.Value, cl.item.Value):
			cl.settle(wire.None, it.Version)
		default:
			cl.settle(wire.NotLeaderOrFollower, -1)
		}
	}
}

// settle ends a cell's ops. version is the item's now; -1: nobody knows.
func (cl *cell) settle(code wire.Code, version int64) {
	g := cl.g
	g.mu.Lock()
	defer g.unlock()
	if cl.p != nil {
		cl.p.lost = cl.p.lost || version < 0
		if cl.p.lost {
			g.touched = true
		} else {
			cl.p.version = version
		}
		switch {
		case cl.p.settle(cl.ops, code) && !cl.p.dropped:
			g.drop(cl.p)
		case code != wire.None:
			g.c.alarmBefore(&cl.p.timer, time.Now()) // locks may have ended meanwhile
		}
		return
	}
	g.lost = g.lost || version < 0
	deleted := cl.item.Delete
	switch {
	case g.lost:
		g.touched, g.deleting = true, false
	case code != wire.None:
		g.deleting = g.deleting && !deleted
		g.version = version
		g.changed = !deleted // with the next write
	default:
		g.version = version
		if deleted {
			g.vanish()
		}
	}
	for _, o := range cl.ops {
		o.finish(code)
	}
}

// settle ends ops of a share-partition, and reports whether it is to be dropped.
func (p *part) settle(ops []*op, code wire.Code) (drop bool) {
	for _, o := range ops {
		switch {
		case o.replace != nil || o.del:
			p.blocked = false
			if code == wire.None && o.replace != nil {
				p.w = *o.replace
			}
			drop = drop || o.del && code == wire.None
		case o.id != 0:
			p.w.settle(o.id, code == wire.None)
		}
		if o == p.begun {
			p.begun = nil
			drop = drop || code != wire.None && !p.lost // as if it had never begun
		}
		o.finish(code)
	}
	p.wake()
	return drop
}
