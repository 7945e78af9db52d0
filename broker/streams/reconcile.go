package streams

import (
	"maps"
	"time"
)

// reconcile brings a member nearer to the target. owned is what its client
// uses, nil if it does not say.
func (g *Group) reconcile(now time.Time, m *member, owned *Assignment) {
	if m.state == reconciled && m.epoch == g.assigned {
		return
	}
	epoch := m.epoch
	if m.state == unrevoked {
		if uses(owned, m.revoking) {
			return
		}
		epoch++ // it has done what its epoch asked for
	}
	g.advance(now, m, epoch, owned)
}

// uses reports whether the client has not given back some of a.
func uses(owned *Assignment, a Assignment) bool { return owned == nil || owned.meets(a) }

// advance works out the member's next step. Tasks to be given back come first;
// until that is done it stays in its epoch. Then it goes to the target's epoch
// and gets of the target what is free.
func (g *Group) advance(now time.Time, m *member, epoch int32, owned *Assignment) {
	next := *m
	keep, revoke := m.assigned.split(m.target)
	if !revoke.empty() && uses(owned, revoke) {
		next.state, next.assigned, next.revoking = unrevoked, keep, revoke
		g.step(now, m, next, epoch)
		return
	}
	_, missing := m.target.split(keep)
	free, waits := g.free(m, keep, missing)
	next.assigned, next.revoking, next.state = keep.union(free), Assignment{}, reconciled
	if waits {
		next.state = unreleased
	}
	g.step(now, m, next, g.assigned)
}

// free gives what of wanted nobody has: an active task that is active nowhere,
// and any task only if no thread of the same process has it in another role,
// since they share a disk. waits says that there is more.
func (g *Group) free(m *member, keep, wanted Assignment) (free Assignment, waits bool) {
	active, here := map[Task]bool{}, map[Task]bool{}
	add := func(a Assignment, sameProcess bool) {
		for _, k := range a.Active {
			active[k] = true
		}
		if sameProcess {
			for _, tasks := range []Tasks{a.Active, a.Standby, a.Warmup} {
				for _, k := range tasks {
					here[k] = true
				}
			}
		}
	}
	add(keep, true)
	for _, other := range g.members {
		if other != m {
			add(other.assigned, other.process == m.process)
			add(other.revoking, other.process == m.process)
		}
	}
	pick := func(tasks Tasks, mustBeFree map[Task]bool) Tasks {
		var got Tasks
		for _, k := range tasks {
			if here[k] || mustBeFree[k] {
				waits = true
			} else {
				got = append(got, k)
			}
		}
		return got
	}
	free.Active = pick(wanted.Active, active)
	free.Standby, free.Warmup = pick(wanted.Standby, nil), pick(wanted.Warmup, nil)
	return free, waits
}

// step makes next what the member is.
func (g *Group) step(now time.Time, m *member, next member, epoch int32) {
	if next.epoch != epoch {
		next.previous, next.epoch = next.epoch, epoch
	}
	if next.state == m.state && next.epoch == m.epoch && next.assigned.equal(m.assigned) && next.revoking.equal(m.revoking) {
		return
	}
	next.revokeBy = time.Time{}
	if next.state == unrevoked {
		next.revokeBy = now.Add(next.rebalance)
		g.arm(next.revokeBy)
	}
	next.since = maps.Clone(m.since)
	if next.since == nil {
		next.since = map[Task]int32{}
	}
	for _, k := range next.assigned.Active {
		if _, ok := next.since[k]; !ok {
			next.since[k] = next.epoch
		}
	}
	maps.DeleteFunc(next.since, func(k Task, _ int32) bool { return !next.assigned.Active.has(k) && !next.revoking.Active.has(k) })
	*m = next
	g.changed, g.moved = true, now
}

// release takes back what a member was to give back: it says that it uses
// nothing.
func (g *Group) release(m *member) {
	if m.state != unrevoked {
		return
	}
	m.revoking, m.revokeBy, m.state = Assignment{}, time.Time{}, reconciled
	if m.epoch == g.assigned {
		m.state = unreleased // look again whether all of the target is there
	}
	g.changed = true
}
