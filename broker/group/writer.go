package group

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

const (
	// lookAgain is the pause between looks at a store that could not be read.
	lookAgain = time.Second
	// lookTimeout bounds one such look, so that one group's trouble does not
	// keep the others from being written.
	lookTimeout = 5 * time.Second
)

// batch is what one Write does to one group: its ops, folded together.
type batch struct {
	e       *entry
	ops     []*op
	version int64                 // expected of the group's item
	changed bool                  // the group's item is written
	group   *groupItem            // its new value; nil: deleted
	ahead   func() *groupItem     // gives it, of a group whose memory is ahead of the store
	value   []byte                // the same, encoded by addTo
	offsets map[offsetKey]*offset // nil: deleted
}

// runWriter writes what groups have queued until ctx ends, and then once more.
// One goroutine for all groups: what comes in while the store is busy goes into
// the next Commit together.
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
	for _, e := range list {
		e.dirty = false
	}
	c.mu.Unlock()
	var batches []*batch
	items := 0
	for _, e := range list {
		if items >= maxItems {
			e.mu.Lock()
			c.settle(e) // not this time
			e.mu.Unlock()
			continue
		}
		if b := c.gather(ctx, e); b != nil {
			batches = append(batches, b)
			items += 1 + len(b.offsets)
		}
	}
	c.commit(ctx, batches)
	return len(list) > 0
}

// gather takes a group's queue for writing, and with it the right to write the
// group. It gives nil if there is nothing to write, or if the end of a
// transaction writes the group: that lets go by settling it again.
func (c *Coordinator) gather(ctx context.Context, e *entry) *batch {
	select {
	case e.writing <- struct{}{}:
	default:
		return nil
	}
	c.look(ctx, e)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.trust == unsure && slices.ContainsFunc(e.queue, func(o *op) bool { return o.snapshot != nil }):
		c.lose(e, wire.CoordinatorNotAvailable) // what memory says will not be stored
	case e.trust != sure:
		c.failQueue(e, wire.CoordinatorNotAvailable)
	}
	if len(e.queue) == 0 || e.gone {
		c.letGo(e)
		return nil
	}
	ops := e.queue
	e.queue = nil
	e.flying = true
	return e.fold(ops, time.Now())
}

// letGo gives up the right to write. e.mu is held.
func (c *Coordinator) letGo(e *entry) {
	<-e.writing
	e.flying = false
	if !e.gone {
		c.settle(e)
	}
}

// fold works out the items after ops. e.mu is held.
func (e *entry) fold(ops []*op, now time.Time) *batch {
	b := &batch{e: e, ops: ops, version: e.version, offsets: map[offsetKey]*offset{}}
	for _, o := range ops {
		switch {
		case o.snapshot != nil:
			b.changed, b.ahead = true, o.snapshot
		case o.group != nil:
			b.changed, b.group, b.ahead = true, o.group, nil
		case o.delete:
			b.changed, b.group, b.ahead = e.version != 0, nil, nil
			clear(b.offsets)
			for k := range e.offsets {
				b.offsets[k] = nil
			}
		case o.topic != nil:
			b.dropTopic(*o.topic)
		}
		for k, v := range o.set {
			b.offsets[k] = &v
		}
		for _, k := range o.del {
			b.delete(k)
		}
	}
	if b.ahead != nil {
		b.group = b.ahead()
	}
	b.ensureGroup(now)
	return b
}

// ensureGroup writes the group's item with its first offsets: no offset is
// without a group.
func (b *batch) ensureGroup(now time.Time) {
	if b.changed || b.version != 0 {
		return
	}
	for _, o := range b.offsets {
		if o != nil {
			b.changed, b.group = true, &groupItem{Type: typeClassic, SinceMs: now.UnixMilli()}
			return
		}
	}
}

func (b *batch) delete(k offsetKey) {
	if _, ok := b.e.offsets[k]; ok {
		b.offsets[k] = nil
		return
	}
	delete(b.offsets, k) // written by this batch only
}

func (b *batch) dropTopic(id storage.TopicID) {
	for k := range b.offsets {
		if k.topic == id {
			b.delete(k)
		}
	}
	for k := range b.e.offsets {
		if k.topic == id {
			b.offsets[k] = nil
		}
	}
}

// addTo puts the batch into w. Every Write of a group states the version of
// the group's item, so that one who lost the group to another writer can
// change nothing of it.
func (b *batch) addTo(w *storage.Write) error {
	key := keyGroup + b.e.name
	switch {
	case !b.changed:
		w.Check = append(w.Check, storage.Check{Key: key, Version: b.version})
	case b.group == nil:
		w.Set = append(w.Set, storage.Item{Key: key, Version: b.version, Delete: true})
	default:
		var err error
		if b.value, err = json.Marshal(b.group); err != nil {
			return fmt.Errorf("%w: encode group: %w", storage.ErrInvalid, err)
		}
		w.Set = append(w.Set, storage.Item{Key: key, Value: b.value, Version: b.version})
	}
	return addOffsets(w, b.e.name, b.offsets)
}

func addOffsets(w *storage.Write, group string, offsets map[offsetKey]*offset) error {
	for k, o := range offsets {
		it := storage.Item{Key: k.key(group), Version: storage.Any, Delete: o == nil}
		if o != nil {
			var err error
			if it.Value, err = json.Marshal(o); err != nil {
				return fmt.Errorf("%w: encode offset: %w", storage.ErrInvalid, err)
			}
		}
		w.Set = append(w.Set, it)
	}
	return nil
}

// commit writes batches together and settles each, whatever comes of it.
func (c *Coordinator) commit(ctx context.Context, batches []*batch) {
	for len(batches) > 0 {
		var conflict *storage.Conflict
		w, err := merge(batches)
		if err == nil {
			err = c.cfg.Commit(ctx, w)
		}
		switch {
		case err == nil:
			versions := make(map[string]int64, len(w.Set))
			for _, it := range w.Set {
				versions[it.Key] = it.Version
			}
			for _, b := range batches {
				c.succeed(b, versions[keyGroup+b.e.name])
			}
			return
		case errors.As(err, &conflict):
			rest := c.fence(ctx, batches, conflict)
			if len(rest) == len(batches) {
				c.failAll(ctx, batches, err) // it names nothing of ours
				return
			}
			batches = rest // the others did nothing wrong
		case errors.Is(err, storage.ErrInvalid) && len(batches) > 1:
			for _, b := range batches { // find the one that is too large
				c.commit(ctx, []*batch{b})
			}
			return
		default:
			c.failAll(ctx, batches, err)
			return
		}
	}
}

// merge builds one Write of all batches.
func merge(batches []*batch) (storage.Write, error) {
	var w storage.Write
	for _, b := range batches {
		if err := b.addTo(&w); err != nil {
			return w, err
		}
	}
	return w, nil
}

// succeed takes over what is durable now.
func (c *Coordinator) succeed(b *batch, version int64) {
	e := b.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.adopt(b, version)
	b.finish(time.Now(), wire.None)
	c.letGo(e)
}

// adopt assigns what b wrote. e.mu is held.
func (e *entry) adopt(b *batch, version int64) {
	if b.changed {
		e.version = version
	}
	for k, o := range b.offsets {
		if o == nil {
			delete(e.offsets, k)
		} else {
			e.offsets[k] = *o
		}
	}
}

// finish tells everybody whose change was in b. e.mu is held.
func (b *batch) finish(now time.Time, code wire.Code) {
	for _, o := range b.ops {
		o.then(now, code)
	}
}

// failAll answers for a Commit that was refused, or failed: then what came of
// it is looked up first.
func (c *Coordinator) failAll(ctx context.Context, batches []*batch, err error) {
	code, refused := wire.CoordinatorNotAvailable, true
	switch {
	case errors.Is(err, storage.ErrInvalid):
		code = wire.UnknownServerError // would be refused again: not retriable
	case errors.Is(err, storage.ErrFull):
	case errors.Is(err, storage.ErrClosed):
		code = wire.NotCoordinator
	default:
		refused = false
	}
	c.lg.Error("group write did not succeed", "groups", len(batches), "refused", refused, "error", err)
	for _, b := range batches {
		if slices.ContainsFunc(b.ops, func(o *op) bool { return o.snapshot != nil }) {
			c.reload(ctx, b, code)
			continue
		}
		if !refused {
			c.distrust(ctx, b)
		}
		b.e.mu.Lock()
		b.finish(time.Now(), code)
		c.letGo(b.e)
		b.e.mu.Unlock()
	}
}

// failQueue answers everything that waits to be written. e.mu is held.
func (c *Coordinator) failQueue(e *entry, code wire.Code) {
	for len(e.queue) > 0 {
		ops := e.queue
		e.queue = nil
		for _, o := range ops {
			o.then(time.Now(), code)
		}
	}
}
