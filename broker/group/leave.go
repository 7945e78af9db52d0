package group

import (
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// leaveMember is one member that LeaveGroup names: by id, by instance id (an
// administrator does so), or by both.
type leaveMember struct {
	id       string
	instance *string
}

// leaveReply answers LeaveGroup: codes in the order of the members named.
type leaveReply struct {
	code  wire.Code
	codes []wire.Code
}

// leave takes members out. If that makes the group empty, the answer waits
// until this is durable.
func (m *machine) leave(now time.Time, to token, members []leaveMember) {
	if m.state == dead {
		m.reply(to, leaveReply{code: wire.CoordinatorNotAvailable})
		return
	}
	r := leaveReply{codes: make([]wire.Code, len(members))}
	changed := false
	for i, lm := range members {
		r.codes[i] = m.leaveOne(lm)
		changed = changed || r.codes[i] == wire.None
	}
	m.leaving = append(m.leaving, leaving{to, r})
	if changed {
		m.afterRemoval(now)
	}
	for _, l := range m.leaving { // the group is not empty: nothing to wait for
		m.reply(l.to, l.reply)
	}
	m.leaving = nil
}

func (m *machine) leaveOne(lm leaveMember) wire.Code {
	if lm.id == "" && lm.instance != nil {
		mem := m.members[m.instances[*lm.instance]]
		if mem == nil {
			return wire.UnknownMemberID
		}
		m.remove(mem)
		return wire.None
	}
	if _, ok := m.pending[lm.id]; ok {
		delete(m.pending, lm.id)
		return wire.None
	}
	mem, code := m.known(lm.id, lm.instance)
	if code == wire.None {
		m.remove(mem)
	}
	return code
}

// afterRemoval goes on without members that were removed.
func (m *machine) afterRemoval(now time.Time) {
	switch m.state {
	case stable, completing:
		m.prepare(now)
	case preparing:
		m.tryComplete(now)
	}
}

// tick does what has become due and works out when to look again.
func (m *machine) tick(now time.Time) {
	if m.wake.IsZero() || now.Before(m.wake) {
		return
	}
	m.expireMembers(now)
	if m.state == preparing && due(m.joinAt, now) {
		m.joinTimeout(now)
	}
	if due(m.syncAt, now) {
		m.expireUnsynced(now)
	}
	m.rearm()
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// expireMembers removes members whose session has ended, and ids that were
// given out and never used.
func (m *machine) expireMembers(now time.Time) {
	removed, unstuck := false, false
	for id, until := range m.pending {
		if due(until, now) {
			delete(m.pending, id)
			unstuck = true
		}
	}
	for _, mem := range m.ordered() {
		if mem.sessionRuns() && due(mem.deadline, now) {
			m.remove(mem)
			removed = true
		}
	}
	switch {
	case removed:
		m.afterRemoval(now)
	case unstuck:
		m.tryComplete(now)
	}
}

// sessionRuns reports whether the member's deadline counts. It does not while a
// request of it is parked, since it cannot heartbeat then; but a new member
// may be gone without anybody noticing, so its wait has an end.
func (m *member) sessionRuns() bool { return m.isNew || m.joinTo == 0 && m.syncTo == 0 }

// expireUnsynced removes members that joined and never asked for their
// assignment (G3).
func (m *machine) expireUnsynced(now time.Time) {
	m.syncAt = time.Time{}
	if m.state != completing && m.state != stable {
		return
	}
	removed := false
	for _, mem := range m.ordered() {
		if mem.unsynced {
			m.remove(mem)
			removed = true
		}
	}
	if removed {
		m.prepare(now)
	}
}

// rearm works out the next deadline exactly.
func (m *machine) rearm() {
	m.wake = time.Time{}
	for _, until := range m.pending {
		m.arm(until)
	}
	for _, mem := range m.members {
		if mem.sessionRuns() {
			m.arm(mem.deadline)
		}
	}
	for _, at := range []time.Time{m.joinAt, m.syncAt} {
		if !at.IsZero() {
			m.arm(at)
		}
	}
}

// describe lists members for views and DescribeGroups; metadata and assignment
// only of a stable group, as Kafka does.
func (m *machine) describe() []MemberSummary {
	list := make([]MemberSummary, 0, len(m.members))
	for _, mem := range m.ordered() {
		s := MemberSummary{ID: mem.id, ClientID: mem.client.ID, ClientHost: mem.client.Host}
		if mem.static {
			instance := mem.instance
			s.InstanceID = &instance
		}
		if m.state == stable {
			s.Metadata = slices.Clone(mem.metadata(m.protocol))
			s.Assignment = slices.Clone(mem.assignment)
		}
		list = append(list, s)
	}
	return list
}
