package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// sweep looks at all groups for offsets that have expired or whose topic is
// gone, and deletes empty groups that have none left.
func (c *Coordinator) sweep() {
	for _, e := range c.all() {
		e.mu.Lock()
		if !e.gone && e.quiet() {
			c.dropUnknown(e)
			c.expire(e, time.Now())
			c.settle(e)
		}
		e.mu.Unlock()
	}
}

// expire deletes what an empty group need not keep any longer (KIP-211, G9).
// An offset's time runs from the moment that the group became empty or it was
// committed, whichever is later. e.mu is held, and nothing is queued.
func (c *Coordinator) expire(e *entry, now time.Time) {
	if !e.machine.idle() || len(e.queue) > 0 {
		return
	}
	var expired []offsetKey
	for _, k := range sortedKeys(e.offsets) {
		if !e.pendingOn(k) && c.expired(e, e.offsets[k], now) {
			expired = append(expired, k)
		}
	}
	switch {
	case len(expired) == len(e.offsets) && len(e.txns) == 0:
		c.deleteEntry(e, func(wire.Code) {})
	case len(expired) > 0:
		e.queue = append(e.queue, &op{del: expired, then: func(time.Time, wire.Code) {}})
	}
}

func (c *Coordinator) expired(e *entry, o offset, now time.Time) bool {
	if o.ExpireMs != 0 {
		return now.UnixMilli() >= o.ExpireMs
	}
	base := max(o.CommitMs, e.machine.emptySince().UnixMilli())
	return now.UnixMilli()-base >= c.cfg.OffsetsRetention.Milliseconds()
}

// deleteEntry queues the deletion of an empty group and all it has. Until that is
// durable the group is out of service. e.mu is held.
func (c *Coordinator) deleteEntry(e *entry, done func(wire.Code)) {
	m := e.machine
	m.die(time.Now())
	e.queue = append(e.queue, &op{delete: true, then: func(now time.Time, code wire.Code) {
		m.revive(now)
		if code == wire.None {
			e.machine = newMachine(c.rules, now)
			e.txns = nil
		}
		done(code)
	}})
}

// deletion is an op that deletes offsets and answers a request with its
// outcome. e.mu is held.
func (e *entry) deletion(del []offsetKey, to token) *op {
	return &op{del: del, then: func(_ time.Time, code wire.Code) { e.resolve(to, code) }}
}

// dropUnknown deletes offsets of topics that are gone. e.mu is held.
func (c *Coordinator) dropUnknown(e *entry) {
	var gone []offsetKey
	for _, k := range sortedKeys(e.offsets) {
		if _, _, ok := c.cfg.Topics.ByID(k.topic); !ok {
			gone = append(gone, k)
		}
	}
	if len(gone) > 0 {
		e.queue = append(e.queue, &op{del: gone, then: func(time.Time, wire.Code) {}})
	}
}

// DropTopic deletes every group's offsets of a topic that has been deleted,
// and returns when that is durable. An error means that some may still be
// there; they are dropped at the next sweep or start.
func (c *Coordinator) DropTopic(ctx context.Context, id storage.TopicID) error {
	var calls []chan wire.Code
	for _, e := range c.all() {
		e.mu.Lock()
		if !e.gone && (len(e.offsets) > 0 || !e.quiet()) {
			done := make(chan wire.Code, 1)
			calls = append(calls, done)
			e.queue = append(e.queue, &op{topic: &id, then: func(_ time.Time, code wire.Code) { done <- code }})
			c.settle(e)
		}
		e.mu.Unlock()
	}
	var errs []error
	for _, done := range calls {
		select {
		case code := <-done:
			if code != wire.None {
				errs = append(errs, fmt.Errorf("drop offsets of topic %s: %s", id, code))
			}
		case <-ctx.Done():
			return errors.Join(append(errs, ctx.Err())...)
		case <-c.stopped:
			return ErrStopped
		}
	}
	return errors.Join(errs...)
}
