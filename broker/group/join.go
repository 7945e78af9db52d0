package group

import (
	"bytes"
	"math"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// joinRequest is JoinGroup, and what the machine may not make up by itself.
type joinRequest struct {
	to           token
	version      int16
	memberID     string
	newID        string // the id a new member gets
	instance     *string
	client       Client
	session      time.Duration
	rebalance    time.Duration
	protocolType string
	protocols    []protocol
}

// joinReply answers it.
type joinReply struct {
	code         wire.Code
	memberID     string
	generation   int32
	protocolType string
	protocol     string
	leader       string
	skip         bool // KIP-814: lead, but do not assign
	members      []joinMember
}

type joinMember struct {
	id       string
	instance *string
	metadata []byte
}

// Versions of JoinGroup that change what happens.
const (
	joinNeedsID = 4 // KIP-394: a new member must come back with its id
	joinMaySkip = 9 // KIP-814: SkipAssignment
)

// newMemberWait is how long a join of a new member stays parked: it cannot
// heartbeat yet, and its client may be gone (Kafka: 5 minutes).
const newMemberWait = 5 * time.Minute

// maxPendingMembers bounds ids given out and not yet used; each costs an id of
// up to a client id's length until its session timeout.
const maxPendingMembers = 10_000

// maxGroupBytes bounds what all members' protocols hold together: the leader
// gets them in one answer, and they are stored in one item.
const maxGroupBytes = 4 << 20

// join answers at once, or parks the request until the join phase ends.
func (m *machine) join(now time.Time, r joinRequest) {
	switch {
	case m.state == dead:
		m.refuseJoin(r, wire.CoordinatorNotAvailable)
	case r.session <= 0 || r.session < m.minSession || r.session > m.maxSession:
		m.refuseJoin(r, wire.InvalidSessionTimeout)
	case !m.hasRoom(r):
		if _, ok := m.pending[r.memberID]; ok {
			delete(m.pending, r.memberID)
			m.tryComplete(now)
		}
		r.memberID = ""
		m.refuseJoin(r, wire.GroupMaxSizeReached)
	case !m.supports(r):
		m.refuseJoin(r, wire.InconsistentGroupProtocol)
	case r.memberID == "":
		m.joinNew(now, r)
	default:
		m.joinAgain(now, r)
	}
}

func (m *machine) refuseJoin(r joinRequest, code wire.Code) {
	m.reply(r.to, joinReply{code: code, memberID: r.memberID, generation: -1})
}

// hasRoom reports whether the group may take r's member: it has a place, or
// there is one.
func (m *machine) hasRoom(r joinRequest) bool {
	mem := m.members[r.memberID]
	room := maxGroupBytes - m.bytes
	if mem != nil {
		room += mem.bytes()
	}
	if protocolBytes(r.protocols) > room {
		return false
	}
	switch m.state {
	case preparing:
		// Only who asked to go on counts: members that are gone must not keep
		// others out.
		return mem != nil && mem.joinTo != 0 || m.parked < m.maxMembers
	case completing, stable:
		return mem != nil || r.instance != nil && m.instances[*r.instance] != "" || len(m.members) < m.maxMembers
	default:
		return true
	}
}

// supports reports whether r's type is the group's and one of its protocols is
// one that all members offer.
func (m *machine) supports(r joinRequest) bool {
	if m.state == empty {
		return r.protocolType != "" && len(r.protocols) > 0
	}
	return r.protocolType == m.protocolType && slices.ContainsFunc(r.protocols, func(p protocol) bool {
		return m.common[p.Name] == len(m.members)
	})
}

// joinNew takes a member that has no id yet (G1, G6).
func (m *machine) joinNew(now time.Time, r joinRequest) {
	if r.instance != nil {
		if old, ok := m.instances[*r.instance]; ok {
			m.replaceStatic(now, m.members[old], r)
			return
		}
		m.add(now, r.newID, r)
		return
	}
	if r.version < joinNeedsID {
		m.add(now, r.newID, r)
		return
	}
	r.memberID = r.newID
	if len(m.pending) >= maxPendingMembers {
		r.memberID = ""
		m.refuseJoin(r, wire.GroupMaxSizeReached)
		return
	}
	m.pending[r.newID] = now.Add(r.session)
	m.arm(m.pending[r.newID])
	m.refuseJoin(r, wire.MemberIDRequired)
}

// joinAgain takes a member that comes with an id (G1, G4).
func (m *machine) joinAgain(now time.Time, r joinRequest) {
	if _, ok := m.pending[r.memberID]; ok && r.instance == nil {
		delete(m.pending, r.memberID)
		m.add(now, r.memberID, r)
		return
	}
	mem, code := m.known(r.memberID, r.instance)
	if code == wire.None && m.state == empty {
		code = wire.UnknownMemberID
	}
	if code != wire.None {
		m.refuseJoin(r, code)
		return
	}
	same := slices.EqualFunc(mem.protocols, r.protocols, func(a, b protocol) bool {
		return a.Name == b.Name && bytes.Equal(a.Metadata, b.Metadata)
	})
	switch {
	case m.state == completing && same:
		// It may not have got the answer to its first join: give it again.
		m.touch(now, mem)
		m.reply(r.to, m.joined(mem))
	case m.state == stable && same && mem.id != m.leader:
		m.touch(now, mem)
		m.reply(r.to, m.joined(mem))
	default:
		// Changed metadata, or a leader who wants to assign anew.
		m.update(mem, r)
		m.rebalance(now)
	}
}

// add puts a new member in and parks its join.
func (m *machine) add(now time.Time, id string, r joinRequest) {
	if len(m.members) == 0 {
		m.protocolType = r.protocolType
	}
	mem := &member{id: id, isNew: true}
	if r.instance != nil {
		mem.static, mem.instance = true, *r.instance
	}
	m.insert(mem)
	m.update(mem, r)
	mem.deadline = now.Add(newMemberWait)
	m.arm(mem.deadline)
	m.arrived = true
	m.rebalance(now)
}

// update takes over what a join says of a member, and parks it.
func (m *machine) update(mem *member, r joinRequest) {
	m.count(mem, -1)
	mem.client, mem.session, mem.rebalance, mem.protocols = r.client, r.session, r.rebalance, r.protocols
	m.count(mem, 1)
	m.parkJoin(mem, r.to)
}

// replaceStatic gives a static member that lost its id, by a restart, its old
// place under a new id; the old id is fenced from now on (KIP-345, G6).
func (m *machine) replaceStatic(now time.Time, mem *member, r joinRequest) {
	oldID, oldLeader := mem.id, m.leader
	m.answerJoin(mem, joinReply{code: wire.FencedInstanceID, memberID: oldID, generation: -1})
	m.answerSync(mem, syncReply{code: wire.FencedInstanceID})
	delete(m.members, oldID)
	mem.id = r.newID
	m.members[mem.id] = mem
	m.instances[mem.instance] = mem.id
	if m.leader == oldID {
		m.leader = mem.id
	}
	m.update(mem, r)
	m.touch(now, mem)
	if mem.isNew {
		mem.deadline = now.Add(newMemberWait)
	}
	if m.state != stable || m.choose() != m.protocol {
		m.rebalance(now)
		return
	}
	to := r.to
	m.store(func(now time.Time, code wire.Code) {
		if mem.joinTo != to || m.state != stable {
			return // gone, replaced again, or part of a rebalance by now
		}
		m.touch(now, mem)
		if code != wire.None {
			m.answerJoin(mem, joinReply{code: code, generation: -1})
			return
		}
		answer := m.joined(mem)
		switch {
		case r.version >= joinMaySkip && mem.id == m.leader:
			answer.skip, answer.members = true, m.joinMembers()
		case r.version < joinMaySkip:
			// A client that cannot skip must not take itself for the leader:
			// a stable group would not spread its assignment.
			answer.leader = oldLeader
		}
		m.answerJoin(mem, answer)
	})
}

// joined is the answer of the present generation. Only the leader of a group
// that waits for its assignment gets the list of members.
func (m *machine) joined(mem *member) joinReply {
	r := joinReply{
		memberID: mem.id, generation: m.generation, protocolType: m.protocolType,
		protocol: m.protocol, leader: m.leader,
	}
	if mem.id == m.leader && m.state == completing {
		r.members = m.joinMembers()
	}
	return r
}

func (m *machine) joinMembers() []joinMember {
	var list []joinMember
	for _, mem := range m.ordered() {
		jm := joinMember{id: mem.id, metadata: mem.metadata(m.protocol)}
		if mem.static {
			jm.instance = &mem.instance
		}
		list = append(list, jm)
	}
	return list
}

// choose picks the protocol: each member votes for the first of its own that
// all offer; of equals, the one that the oldest member prefers (G2).
func (m *machine) choose() string {
	votes := map[string]int{}
	best := ""
	members := m.ordered()
	for _, mem := range members {
		for _, p := range mem.protocols {
			if m.common[p.Name] == len(m.members) {
				votes[p.Name]++
				break
			}
		}
	}
	if len(members) == 0 {
		return ""
	}
	for _, p := range members[0].protocols {
		if votes[p.Name] > votes[best] {
			best = p.Name
		}
	}
	return best
}

// rebalance begins a join phase, or sees whether the one under way is over.
func (m *machine) rebalance(now time.Time) {
	if m.state == preparing {
		m.tryComplete(now)
		return
	}
	m.prepare(now)
}

// prepare begins a join phase.
func (m *machine) prepare(now time.Time) {
	m.assigning = nil
	for _, mem := range m.ordered() {
		mem.unsynced = false
		if mem.syncTo != 0 {
			m.touch(now, mem) // its session did not run while its sync was parked
			m.answerSync(mem, syncReply{code: wire.RebalanceInProgress})
		}
	}
	m.syncAt = time.Time{}
	m.initial = m.state == empty
	m.arrived = false
	m.enter(preparing, now)
	if !m.initial {
		m.joinAt = now.Add(m.rebalanceTimeout())
		m.arm(m.joinAt)
		m.tryComplete(now)
		return
	}
	if m.initialDelay == 0 {
		m.completeJoin(now)
		return
	}
	m.remaining = max(m.rebalanceTimeout()-m.initialDelay, 0)
	m.joinAt = now.Add(m.initialDelay)
	m.arm(m.joinAt)
}

// tryComplete ends the join phase if everybody is there. The initial one ends
// by its delay only, since more members are likely on their way (KIP-134).
func (m *machine) tryComplete(now time.Time) {
	if m.state == preparing && !m.initial && m.parked == len(m.members) && len(m.pending) == 0 {
		m.completeJoin(now)
	}
}

// joinTimeout is the end of the join phase by time.
func (m *machine) joinTimeout(now time.Time) {
	if m.initial && m.arrived && m.remaining > 0 {
		delay := min(m.initialDelay, m.remaining)
		m.arrived = false
		m.remaining -= delay
		m.joinAt = now.Add(delay)
		m.arm(m.joinAt)
		return
	}
	m.completeJoin(now)
}

// completeJoin ends the join phase: who has not joined again is out, except
// static members, whose session decides (G3).
func (m *machine) completeJoin(now time.Time) {
	m.joinAt = time.Time{}
	for _, mem := range m.ordered() {
		if mem.joinTo == 0 && !mem.static {
			m.remove(mem)
		}
	}
	if len(m.members) > 0 && !m.elect() {
		// Only static members that are away are left: wait for them, or for
		// their sessions to end.
		m.initial = false
		m.joinAt = now.Add(m.rebalanceTimeout())
		m.arm(m.joinAt)
		return
	}
	m.initial = false
	m.generation = m.generation%math.MaxInt32 + 1
	if len(m.members) == 0 {
		m.becomeEmpty(now)
		return
	}
	m.protocol = m.choose()
	m.enter(completing, now)
	m.syncAt = now.Add(m.rebalanceTimeout())
	m.arm(m.syncAt)
	for _, mem := range m.ordered() {
		m.touch(now, mem)
		mem.isNew, mem.unsynced = false, true
		m.answerJoin(mem, m.joined(mem))
	}
}

// elect sees to it that the leader is somebody who has joined.
func (m *machine) elect() bool {
	if leader := m.members[m.leader]; leader != nil && leader.joinTo != 0 {
		return true
	}
	for _, mem := range m.ordered() {
		if mem.joinTo != 0 {
			m.leader = mem.id
			return true
		}
	}
	return false
}

// becomeEmpty stores the group without members; those who left just now get
// their answer when that is durable.
func (m *machine) becomeEmpty(now time.Time) {
	m.protocol, m.leader = "", ""
	m.enter(empty, now)
	left := m.leaving
	m.leaving = nil
	m.store(func(_ time.Time, code wire.Code) {
		for _, l := range left {
			if code != wire.None {
				l.reply = leaveReply{code: code}
			}
			m.reply(l.to, l.reply)
		}
	})
}
