package group

import (
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// syncRequest is SyncGroup.
type syncRequest struct {
	to           token
	memberID     string
	instance     *string
	generation   int32
	protocolType *string
	protocol     *string
	assignments  map[string][]byte // by member id; of the leader
}

// syncReply answers it.
type syncReply struct {
	code         wire.Code
	protocolType string
	protocol     string
	assignment   []byte
}

// consumerType is the protocol type of consumers; all others are opaque (G12).
const consumerType = "consumer"

// maxAssignmentBytes bounds an assignment: with maxGroupBytes of metadata it
// must fit an item, in which bytes take a third more.
const maxAssignmentBytes = 6 << 20

// noPartitions is a valid assignment of nothing in the consumer protocol:
// version 0, no topics, null user data. Clients fail on empty bytes (G11).
func noPartitions() []byte { return []byte{0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff} }

// sync answers at once, or parks the request until the leader's assignment is
// durable.
func (m *machine) sync(now time.Time, r syncRequest) {
	mem, code := m.member(r.memberID, r.instance, r.generation)
	if code == wire.None {
		code = m.maySync(r)
	}
	if code != wire.None {
		m.reply(r.to, syncReply{code: code})
		return
	}
	mem.unsynced = false
	if m.state == stable {
		m.touch(now, mem)
		m.reply(r.to, m.synced(mem))
		return
	}
	m.answerSync(mem, syncReply{code: wire.RebalanceInProgress}) // it asked again
	mem.syncTo = r.to
	if mem.id == m.leader && m.assigning == nil {
		m.assign(r.assignments)
	}
}

func (m *machine) maySync(r syncRequest) wire.Code {
	size := 0
	for _, a := range r.assignments {
		size += len(a)
	}
	switch {
	case r.protocolType != nil && *r.protocolType != m.protocolType,
		r.protocol != nil && *r.protocol != m.protocol:
		return wire.InconsistentGroupProtocol
	case m.state == empty:
		return wire.UnknownMemberID
	case m.state == preparing:
		return wire.RebalanceInProgress
	case size > maxAssignmentBytes:
		return wire.UnknownServerError
	}
	return wire.None
}

func (m *machine) synced(mem *member) syncReply {
	return syncReply{protocolType: m.protocolType, protocol: m.protocol, assignment: mem.assignment}
}

// assign sends the leader's assignment to the store. Members learn it, and the
// group becomes stable, only when it is there.
func (m *machine) assign(given map[string][]byte) {
	a := &assigning{byMember: make(map[string][]byte, len(m.members))}
	for id := range m.members {
		bytes := given[id]
		if len(bytes) == 0 && m.protocolType == consumerType {
			bytes = noPartitions()
		}
		a.byMember[id] = bytes
	}
	m.assigning = a
	m.store(func(now time.Time, code wire.Code) {
		if m.assigning == a {
			m.assigned(now, a, code)
		}
	})
}

// assigned takes the outcome of storing an assignment that is still wanted.
func (m *machine) assigned(now time.Time, a *assigning, code wire.Code) {
	m.assigning = nil
	if code != wire.None {
		for _, mem := range m.ordered() {
			m.answerSync(mem, syncReply{code: code})
		}
		m.prepare(now)
		return
	}
	m.enter(stable, now)
	for _, mem := range m.ordered() {
		mem.assignment = a.byMember[mem.id]
		if mem.syncTo != 0 {
			m.touch(now, mem)
			m.answerSync(mem, m.synced(mem))
		}
	}
}

// heartbeat answers Heartbeat.
func (m *machine) heartbeat(now time.Time, id string, instance *string, generation int32) wire.Code {
	mem, code := m.member(id, instance, generation)
	if code != wire.None {
		return code
	}
	m.touch(now, mem)
	if m.state == preparing {
		return wire.RebalanceInProgress
	}
	return wire.None
}

// mayCommit says whether a request may commit offsets (G7). A transaction's
// request may come at any time if it names no member (KIP-447).
func (m *machine) mayCommit(now time.Time, r committer) wire.Code {
	if m.state == dead {
		return wire.CoordinatorNotAvailable
	}
	if r.epoch < 0 && r.id == "" && r.instance == nil {
		if r.txn || m.state == empty {
			return wire.None
		}
		return wire.UnknownMemberID
	}
	if r.epoch < 0 && m.state == empty {
		return wire.None
	}
	mem, code := m.member(r.id, r.instance, r.epoch)
	switch {
	case code != wire.None:
		return code
	case r.txn:
		return wire.None
	case m.state == completing:
		// Its partitions may be another's by now.
		return wire.RebalanceInProgress
	}
	m.touch(now, mem)
	return wire.None
}
