package group

import (
	"slices"
	"time"
)

// reconcile brings a member nearer to the target (G14). owned is what its
// client uses, if it says so.
func (m *modern) reconcile(now time.Time, mem *consumer, owned partitions, says bool) {
	if mem.state == reconciled && mem.epoch == m.assigned {
		return
	}
	epoch := mem.epoch
	if mem.state == unrevoked {
		if uses(owned, says, mem.revoking) {
			return
		}
		epoch++ // it has done what its epoch asked for
	}
	m.advance(now, mem, epoch, owned, says)
}

// uses reports whether the client has not given back some of p.
func uses(owned partitions, says bool, p partitions) bool {
	if !says {
		return true
	}
	both, _ := p.split(owned)
	return len(both) > 0
}

// advance works out the member's next step. Partitions to be given back come
// first; until that is done it stays in its epoch. Then it goes to the target's
// epoch and gets of the target what nobody else has.
func (m *modern) advance(now time.Time, mem *consumer, epoch int32, owned partitions, says bool) {
	next := *mem
	keep, revoke := mem.assigned.split(mem.target)
	if len(revoke) > 0 && uses(owned, says, revoke) {
		next.state, next.assigned, next.revoking = unrevoked, keep, revoke
		m.step(now, mem, next, epoch)
		return
	}
	m.disown(mem) // what it just gave back is free for itself too
	var free []offsetKey
	_, missing := mem.target.split(keep)
	waits := false
	for _, k := range missing {
		if _, ok := m.owners[k]; ok {
			waits = true
		} else {
			free = append(free, k)
		}
	}
	m.own(mem)
	next.assigned, next.revoking, next.state = keep.union(free), nil, reconciled
	if waits {
		next.state = unreleased
	}
	m.step(now, mem, next, m.assigned)
}

// step makes next what the member is.
func (m *modern) step(now time.Time, mem *consumer, next consumer, epoch int32) {
	if next.epoch != epoch {
		next.previous, next.epoch = next.epoch, epoch
	}
	if next.state == mem.state && next.epoch == mem.epoch && slices.Equal(next.assigned, mem.assigned) &&
		slices.Equal(next.revoking, mem.revoking) {
		return
	}
	next.revokeBy = time.Time{}
	if next.state == unrevoked && next.classic == nil {
		next.revokeBy = now.Add(next.rebalance)
		m.arm(next.revokeBy)
	}
	m.disown(mem)
	next.note(next.epoch)
	*mem = next
	m.own(mem)
	m.changed, m.moved = true, now
}

// note remembers of which epoch on the member has what it has.
func (c *consumer) note(epoch int32) {
	given := make(map[offsetKey]int32, len(c.assigned)+len(c.revoking))
	for _, p := range []partitions{c.assigned, c.revoking} {
		for _, k := range p {
			since, ok := c.given[k]
			if !ok {
				since = epoch
			}
			given[k] = since
		}
	}
	c.given = given
}

// release takes back what a member was to give back: it says that it uses
// nothing.
func (m *modern) release(mem *consumer) {
	if mem.state != unrevoked {
		return
	}
	m.disown(mem)
	mem.revoking, mem.revokeBy, mem.state = nil, time.Time{}, reconciled
	mem.note(mem.epoch)
	m.own(mem)
	if mem.epoch == m.assigned {
		mem.state = unreleased // look again whether all of the target is there
	}
	m.changed = true
}
