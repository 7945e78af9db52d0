package group

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// fence drops the groups whose expectations were wrong: another writer has
// them. It answers all that waits in them with NOT_COORDINATOR, reads them
// anew, and returns the batches that were not concerned.
func (c *Coordinator) fence(ctx context.Context, batches []*batch, conflict *storage.Conflict) []*batch {
	wrong := make(map[string]bool, len(conflict.Items))
	for _, it := range conflict.Items {
		wrong[it.Key] = true
	}
	var rest []*batch
	for _, b := range batches {
		if !wrong[keyGroup+b.e.name] {
			rest = append(rest, b)
			continue
		}
		c.lg.Warn("group belongs to another writer", "group", b.e.name)
		c.reload(ctx, b, wire.NotCoordinator)
	}
	return rest
}

// reload answers all that waits in b's group with code and reads it anew.
// writing is held, and let go.
func (c *Coordinator) reload(ctx context.Context, b *batch, code wire.Code) {
	e := b.e
	e.mu.Lock()
	b.finish(time.Now(), code)
	c.lose(e, code)
	e.mu.Unlock()
	c.look(ctx, e)
	e.mu.Lock()
	c.letGo(e)
	e.mu.Unlock()
}

// lose drops a group's state: look reads it anew. e.mu is held, and writing.
func (c *Coordinator) lose(e *entry, code wire.Code) {
	c.failQueue(e, code)
	for to := range e.calls {
		e.resolve(to, code)
	}
	e.machine = newMachine(c.rules, time.Now())
	e.trust, e.attempt = lost, nil
}

// distrust notes that nobody knows what came of b, and looks. writing is held.
func (c *Coordinator) distrust(ctx context.Context, b *batch) {
	b.e.mu.Lock()
	b.e.trust, b.e.attempt = unsure, b
	b.e.mu.Unlock()
	c.look(ctx, b.e)
}

// look reads from the store what a failed Write came to, or all of a group
// that was lost; it does nothing for a group that is neither. If the store
// cannot be read, the group is looked at again later; until then its offsets
// cannot be fetched and nothing of it is written. writing is held.
func (c *Coordinator) look(ctx context.Context, e *entry) {
	e.mu.Lock()
	was := e.trust
	e.mu.Unlock()
	if was == sure {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	it, offsets, err := c.readGroup(ctx, e.name)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		c.lg.Error("group cannot be read", "group", e.name, "error", err)
		return
	}
	if e.trust == unsure && !ours(e, it) {
		c.lose(e, wire.NotCoordinator)
	}
	if e.trust == lost && it.Version != 0 {
		_, g, err := decodeGroup(it)
		if err != nil {
			c.lg.Error("group cannot be read", "group", e.name, "error", err)
			return
		}
		e.machine = c.revived(e.name, time.Now(), g)
	}
	e.version, e.offsets, e.trust, e.attempt = it.Version, offsets, sure, nil
}

// ours reports whether the stored item is what we knew before the failed
// Write, or what that Write made of it.
func ours(e *entry, it storage.Item) bool {
	switch b := e.attempt; {
	case it.Version == b.version:
		return true
	case !b.changed:
		return false
	case b.group == nil:
		return it.Version == 0
	default:
		return bytes.Equal(it.Value, b.value)
	}
}

func (c *Coordinator) readGroup(ctx context.Context, name string) (storage.Item, map[offsetKey]offset, error) {
	it, err := c.cfg.Store.Get(ctx, keyGroup+name)
	if err != nil {
		return it, nil, fmt.Errorf("read group: %w", err)
	}
	offsets := map[offsetKey]offset{}
	for oi, err := range c.cfg.Store.Scan(ctx, keyOffset+name+"/") {
		if err != nil {
			return it, nil, fmt.Errorf("read offsets: %w", err)
		}
		group, k, o, err := decodeOffset(oi)
		if err != nil {
			return it, nil, err
		}
		if group == name { // the prefix is that of a group "<name>/…" too
			offsets[k] = o
		}
	}
	return it, offsets, nil
}
