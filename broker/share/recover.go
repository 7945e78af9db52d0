package share

import (
	"context"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// look reads one item, for no longer than lookTimeout.
func (c *Coordinator) look(ctx context.Context, key string) (storage.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return c.cfg.Store.Get(ctx, key)
}

// lookAll reads anew what of a group is lost. As after a restart, members have
// to say that they are there, and nothing is locked: what was acquired is
// delivered again. If the store cannot be read it is tried again later. Called by
// the writer.
func (c *Coordinator) lookAll(ctx context.Context, g *group) {
	g.mu.Lock()
	lost := g.lost
	var parts []*part
	for _, p := range g.parts {
		if p.lost {
			parts = append(parts, p)
		}
	}
	g.mu.Unlock()
	var failed error
	if lost {
		failed = c.lookGroup(ctx, g)
	}
	for _, p := range parts {
		if failed == nil {
			failed = c.lookPart(ctx, g, p)
		}
	}
	if failed != nil {
		c.lg.Error("share group cannot be read", "group", g.name, "error", failed)
		c.alarmBefore(&g.timer, time.Now().Add(lookAgain))
	}
}

func (c *Coordinator) lookGroup(ctx context.Context, g *group) error {
	it, err := c.look(ctx, keyGroup+g.name)
	if err != nil {
		return fmt.Errorf("read share group: %w", err)
	}
	now := time.Now()
	m := &members{byID: map[string]*member{}}
	if it.Version != 0 {
		if _, m, err = restoreMembers(it, now); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.unlock()
	g.lost, g.version = false, it.Version
	g.adoptMembers(m, now)
	if it.Version == 0 {
		g.changed, g.touched = true, true // it is a group still, without members
	}
	return nil
}

func (c *Coordinator) lookPart(ctx context.Context, g *group, p *part) error {
	it, err := c.look(ctx, p.key.item(g.name))
	if err != nil {
		return fmt.Errorf("read share-partition: %w", err)
	}
	var w window
	if it.Version != 0 {
		if w, err = decode(it.Value); err != nil {
			return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
	}
	g.mu.Lock()
	defer g.unlock()
	p.lost, p.version, p.w = false, it.Version, w
	if it.Version == 0 && !p.dropped {
		g.drop(p)
	}
	p.wake()
	return nil
}
