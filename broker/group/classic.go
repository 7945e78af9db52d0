package group

import (
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// maxConsumerProtocol is the newest version of the consumer protocol's bytes.
const maxConsumerProtocol = 3

// classicSide is what a member of a consumer group has besides, if its client
// speaks the classic protocol. The broker assigns; the client hears of it by
// JoinGroup and SyncGroup, which never wait for others here, and says in its
// subscription what it uses. Its generation is its member epoch.
type classicSide struct {
	session   time.Duration
	protocols []protocol

	joinBy time.Time // until when it must have joined again; zero: need not
	syncBy time.Time // until when it must have asked for its assignment
}

// subscription reads what the client said with a protocol, or with its first.
func (c *classicSide) subscription(name string) (consumerSubscription, bool) {
	i := max(slices.IndexFunc(c.protocols, func(p protocol) bool { return p.Name == name }), 0)
	if len(c.protocols) == 0 {
		return consumerSubscription{}, false
	}
	s, ok := parseSubscription(c.protocols[i].Metadata)
	return s, ok && s.sound // what it uses must not be guessed
}

// join takes JoinGroup: the member comes nearer to the target, and hears of it
// by its sync.
func (m *modern) join(now time.Time, r joinRequest) {
	m.reply(r.to, m.joinClassic(now, r))
	m.finish(now)
}

func (m *modern) joinClassic(now time.Time, r joinRequest) joinReply {
	refuse := func(code wire.Code) joinReply {
		return joinReply{code: code, memberID: r.memberID, generation: -1}
	}
	switch {
	case m.deleting:
		return refuse(wire.CoordinatorNotAvailable)
	case r.session <= 0 || r.session < m.minSession || r.session > m.maxSession:
		return refuse(wire.InvalidSessionTimeout)
	case !m.supports(r):
		return refuse(wire.InconsistentGroupProtocol)
	}
	side := &classicSide{session: r.session, protocols: r.protocols}
	sub, ok := side.subscription("")
	if !ok {
		return refuse(wire.InconsistentGroupProtocol)
	}
	if r.memberID == "" && r.instance == nil && r.version >= joinNeedsID {
		return joinReply{code: wire.MemberIDRequired, memberID: r.newID, generation: -1}
	}
	mem, code := m.admitClassic(r)
	if code != wire.None {
		return refuse(code)
	}
	m.takeOver(mem, r, side, sub)
	m.refresh()
	m.retarget()
	m.reconcile(now, mem, m.named(sub.owned), true)
	side.syncBy = now.Add(mem.rebalance)
	m.arm(side.syncBy)
	m.touch(now, mem)
	return joinReply{memberID: mem.id, generation: mem.epoch, protocolType: consumerType, protocol: r.protocols[0].Name}
}

// supports reports whether r's type is that of consumers and one of its
// protocols is one that all classic members offer.
func (m *modern) supports(r joinRequest) bool {
	if r.protocolType != consumerType {
		return false
	}
	return slices.ContainsFunc(r.protocols, func(p protocol) bool {
		for _, mem := range m.members {
			offers := func(q protocol) bool { return q.Name == p.Name }
			if mem.classic != nil && mem.id != r.memberID && !slices.ContainsFunc(mem.classic.protocols, offers) {
				return false
			}
		}
		return true
	})
}

// admitClassic finds the member that a join speaks for, or makes it.
func (m *modern) admitClassic(r joinRequest) (*consumer, wire.Code) {
	id := r.memberID
	if id == "" {
		id = r.newID
	}
	mem := m.members[id]
	if r.instance != nil {
		holder := m.members[m.instances[*r.instance]]
		switch {
		case r.memberID == "" && holder != nil:
			return m.inherit(holder, id), wire.None
		case r.memberID != "" && holder == nil:
			return nil, wire.UnknownMemberID
		case holder != mem:
			return nil, wire.FencedInstanceID
		}
	}
	more := protocolBytes(r.protocols)
	if mem != nil {
		more -= mem.bytes()
	}
	switch {
	case mem == nil && len(m.members) >= m.maxMembers, m.bytes+more > maxGroupBytes:
		return nil, wire.GroupMaxSizeReached
	case mem == nil:
		mem = m.enrol(beat{id: id, instance: r.instance})
	}
	return mem, wire.None
}

// takeOver makes of a member what a join says of it.
func (m *modern) takeOver(mem *consumer, r joinRequest, side *classicSide, sub consumerSubscription) {
	names := sub.names()
	if !slices.Equal(names, mem.names) || mem.regex != "" {
		m.bumping = true
	}
	m.count(mem, -1)
	mem.client, mem.rebalance, mem.assignor = r.client, r.rebalance, ""
	mem.names, mem.regex, mem.classic, mem.revokeBy = names, "", side, time.Time{}
	m.count(mem, 1)
	m.changed = true
}

// knownClassic finds the member that a request of the classic protocol speaks
// for.
func (m *modern) knownClassic(id string, instance *string, generation int32) (*consumer, wire.Code) {
	if m.deleting {
		return nil, wire.CoordinatorNotAvailable
	}
	if instance != nil {
		switch holder, ok := m.instances[*instance]; {
		case !ok:
			return nil, wire.UnknownMemberID
		case holder != id:
			return nil, wire.FencedInstanceID
		}
	}
	switch mem := m.members[id]; {
	case mem == nil || mem.classic == nil:
		return nil, wire.UnknownMemberID
	case generation != mem.epoch:
		return nil, wire.IllegalGeneration
	default:
		return mem, wire.None
	}
}

// sync takes SyncGroup: it tells the member what it has.
func (m *modern) sync(now time.Time, r syncRequest) {
	m.reply(r.to, m.syncClassic(now, r))
	m.finish(now)
}

func (m *modern) syncClassic(now time.Time, r syncRequest) syncReply {
	mem, code := m.knownClassic(r.memberID, r.instance, r.generation)
	if code != wire.None {
		return syncReply{code: code}
	}
	name := mem.classic.protocols[0].Name
	switch {
	case r.protocolType != nil && *r.protocolType != consumerType, r.protocol != nil && *r.protocol != name:
		return syncReply{code: wire.InconsistentGroupProtocol}
	case m.epoch > mem.epoch && mem.state != unrevoked:
		m.askToJoin(now, mem)
		return syncReply{code: wire.RebalanceInProgress}
	}
	mem.classic.syncBy = time.Time{}
	m.touch(now, mem)
	return syncReply{protocolType: consumerType, protocol: name, assignment: m.assignmentBytes(mem)}
}

// heartbeat takes Heartbeat: a member that can come nearer to the target is
// asked to join again.
func (m *modern) heartbeat(now time.Time, id string, instance *string, generation int32) wire.Code {
	mem, code := m.knownClassic(id, instance, generation)
	if code != wire.None {
		return code
	}
	m.touch(now, mem)
	if mem.epoch < m.epoch || mem.state == unrevoked || mem.state == unreleased && m.awaited(mem) {
		m.askToJoin(now, mem)
		return wire.RebalanceInProgress
	}
	return wire.None
}

// awaited reports whether a partition that the member waits for is free now.
func (m *modern) awaited(mem *consumer) bool {
	_, missing := mem.target.split(mem.assigned)
	return slices.ContainsFunc(missing, func(k offsetKey) bool { return m.owners[k] == "" })
}

// askToJoin gives the member its rebalance timeout to join again.
func (m *modern) askToJoin(now time.Time, mem *consumer) {
	if mem.classic.joinBy.IsZero() {
		mem.classic.joinBy = now.Add(mem.rebalance)
		m.arm(mem.classic.joinBy)
	}
}

// leave takes LeaveGroup for members of the classic protocol.
func (m *modern) leave(now time.Time, to token, members []leaveMember) {
	r := leaveReply{codes: make([]wire.Code, len(members))}
	removed := false
	for i, lm := range members {
		mem := m.members[lm.id]
		if lm.instance != nil {
			holder := m.members[m.instances[*lm.instance]]
			if holder != nil && lm.id != "" && holder != mem {
				r.codes[i] = wire.FencedInstanceID
				continue
			}
			mem = holder
		}
		if mem == nil || mem.classic == nil {
			r.codes[i] = wire.UnknownMemberID
			continue
		}
		m.remove(mem)
		removed = true
	}
	if removed {
		m.afterRemoval()
	}
	m.reply(to, r)
	m.finish(now)
}
