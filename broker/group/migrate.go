package group

import (
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// maybeClassic makes a consumer group without members a classic one, since
// somebody joins it with the classic protocol. Its offsets stay. e.mu is held.
func (c *Coordinator) maybeClassic(e *entry) {
	if m, ok := e.machine.(*modern); ok && len(m.members) == 0 && !m.deleting {
		e.machine = newMachine(c.rules, time.Now())
	}
}

// join refuses members of the classic protocol.
func (m *modern) join(now time.Time, r joinRequest) {
	m.reply(r.to, joinReply{code: wire.InconsistentGroupProtocol, memberID: r.memberID, generation: -1})
	m.finish(now)
}

// sync refuses members of the classic protocol.
func (m *modern) sync(now time.Time, r syncRequest) {
	m.reply(r.to, syncReply{code: wire.UnknownMemberID})
	m.finish(now)
}

// heartbeat refuses members of the classic protocol.
func (m *modern) heartbeat(time.Time, string, *string, int32) wire.Code { return wire.UnknownMemberID }

// leave refuses members of the classic protocol.
func (m *modern) leave(now time.Time, to token, members []leaveMember) {
	r := leaveReply{codes: make([]wire.Code, len(members))}
	for i := range r.codes {
		r.codes[i] = wire.UnknownMemberID
	}
	m.reply(to, r)
	m.finish(now)
}
