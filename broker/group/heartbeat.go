package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// beat is ConsumerGroupHeartbeat. What is nil, or below 0, has not changed.
type beat struct {
	to        token
	id        string
	epoch     int32
	instance  *string
	rack      *string
	client    Client
	rebalance time.Duration
	names     []string // sorted, each once
	regex     *string
	assignor  *string
	hasOwned  bool
	owned     partitions // what the client uses
}

// full reports whether the request says everything: it wants to hear
// everything then.
func (r *beat) full() bool {
	return r.epoch == epochJoin || r.rebalance >= 0 && (r.names != nil || r.regex != nil) && r.hasOwned
}

// beatReply answers it.
type beatReply struct {
	code       wire.Code
	message    string
	id         string
	epoch      int32
	interval   time.Duration
	assigns    bool // the assignment is told
	assignment partitions
}

func refuseBeat(code wire.Code, format string, args ...any) beatReply {
	return beatReply{code: code, message: fmt.Sprintf(format, args...)}
}

// beat takes a heartbeat (G13, G14). The answer waits until what it changed,
// and whatever changed before, is durable.
func (m *modern) beat(now time.Time, r beat) {
	var answer beatReply
	switch {
	case m.deleting:
		answer = refuseBeat(wire.CoordinatorNotAvailable, "the group is being deleted")
	case r.epoch < 0:
		answer = m.depart(r)
	default:
		answer = m.proceed(now, r)
	}
	m.reply(r.to, answer)
	m.finish(now)
}

// proceed takes a heartbeat of one who is or becomes a member.
func (m *modern) proceed(now time.Time, r beat) beatReply {
	mem, refused := m.admit(r)
	if refused.code != wire.None {
		return refused
	}
	if r.epoch == epochJoin {
		m.release(mem) // it comes with nothing
	}
	before := mem.assigned
	m.update(mem, r)
	m.refresh()
	m.retarget()
	m.reconcile(now, mem, r.owned, r.hasOwned)
	m.touch(now, mem)
	answer := beatReply{id: mem.id, epoch: mem.epoch, interval: m.interval(now, mem)}
	if r.full() || !slices.Equal(before, mem.assigned) {
		answer.assigns, answer.assignment = true, mem.assigned
	}
	return answer
}

// soonest is how soon a member is to come again while there is something for it
// to learn.
const soonest = 500 * time.Millisecond

// interval is when a member is to come again: soon while it waits for partitions
// of others, and for one interval of the group after something changed, so that a
// group that forms needs a second or two and not several intervals. Kafka always
// says the group's. Who gives partitions back comes by itself when it has. The
// more members, the later, so that a large group does not keep the broker busy.
func (m *modern) interval(now time.Time, mem *consumer) time.Duration {
	if m.heard != m.epoch {
		m.heard, m.moved = m.epoch, now
	}
	usual := m.settings().heartbeat
	if mem.state != unreleased && now.Sub(m.moved) >= usual {
		return usual
	}
	return min(usual, max(soonest, time.Duration(len(m.members))*5*time.Millisecond))
}

// admit finds the member that a request speaks for, or makes it.
func (m *modern) admit(r beat) (*consumer, beatReply) {
	mem := m.members[r.id]
	holder := mem
	if r.instance != nil {
		holder = m.members[m.instances[*r.instance]]
	}
	if code := m.room(mem, holder, r); code != wire.None {
		return nil, refuseBeat(code, "the group takes no more: %d members, %d bytes of subscriptions", m.maxMembers, maxGroupBytes)
	}
	switch {
	case r.instance != nil && holder != mem && r.epoch != epochJoin:
		if holder == nil {
			return nil, refuseBeat(wire.UnknownMemberID, "no member has instance %s", *r.instance)
		}
		return nil, refuseBeat(wire.FencedInstanceID, "another member has instance %s", *r.instance)
	case mem == nil && r.epoch != epochJoin:
		return nil, refuseBeat(wire.UnknownMemberID, "member %s is not in the group", r.id)
	case mem == nil && holder == nil:
		return m.enrol(r), beatReply{}
	case mem == nil:
		return m.replace(holder, r)
	case r.instance != nil && holder != mem:
		return nil, refuseBeat(wire.InvalidRequest, "the instance of member %s cannot change", r.id)
	}
	return mem, checkEpoch(mem, r)
}

// room says whether the group may take what r brings.
func (m *modern) room(mem, holder *consumer, r beat) wire.Code {
	if mem == nil && holder == nil && r.epoch == epochJoin && len(m.members) >= m.maxMembers {
		return wire.GroupMaxSizeReached
	}
	more := 0
	for _, name := range r.names {
		more += len(name)
	}
	if r.regex != nil {
		more += len(*r.regex)
	}
	if mem != nil {
		more -= mem.bytes()
	}
	if more > 0 && m.bytes+more > maxGroupBytes {
		return wire.GroupMaxSizeReached
	}
	return wire.None
}

// checkEpoch compares a member's epoch. A client whose last answer was lost may
// come with the epoch before, and one that lost all may begin anew.
func checkEpoch(mem *consumer, r beat) beatReply {
	switch {
	case r.epoch == mem.epoch || r.epoch == epochJoin:
		return beatReply{}
	case r.epoch < mem.epoch && r.epoch == mem.previous && r.hasOwned:
		if _, more := r.owned.split(mem.assigned); len(more) == 0 {
			return beatReply{}
		}
	}
	return refuseBeat(wire.FencedMemberEpoch, "member epoch %d is not %d: give up all partitions and join again", r.epoch, mem.epoch)
}

// enrol makes a member.
func (m *modern) enrol(r beat) *consumer {
	mem := &consumer{id: r.id}
	if r.instance != nil {
		mem.static, mem.instance = true, *r.instance
	}
	m.insert(mem)
	m.bumping = true
	return mem
}

// replace gives a static member that is away its place back under a new id, or
// one of the classic protocol, which does not say that it goes.
func (m *modern) replace(old *consumer, r beat) (*consumer, beatReply) {
	if old.epoch != epochAway && old.classic == nil {
		return nil, refuseBeat(wire.UnreleasedInstanceID, "member %s still has instance %s", old.id, old.instance)
	}
	return m.inherit(old, r.id), beatReply{}
}

// inherit puts a static member that comes under a new id in the old one's place.
func (m *modern) inherit(old *consumer, id string) *consumer {
	seq := old.seq
	m.remove(old)
	mem := *old
	mem.id, mem.epoch, mem.previous = id, 0, 0
	m.insert(&mem)
	mem.seq = seq
	return &mem
}

// update takes over what a request says of a member.
func (m *modern) update(mem *consumer, r beat) {
	old := *mem
	if r.rack != nil {
		mem.rack = *r.rack
	}
	if r.rebalance >= 0 {
		mem.rebalance = r.rebalance
	}
	if r.assignor != nil {
		mem.assignor = *r.assignor
	}
	if mem.regex != "" && mem.client != r.client {
		m.count(mem, -1) // who asks is another
		mem.client = r.client
		m.count(mem, 1)
	}
	mem.client = r.client
	if old.rack != mem.rack || old.rebalance != mem.rebalance || old.assignor != mem.assignor || old.client != mem.client {
		m.changed = true
	}
	names, regex := mem.names, mem.regex
	if r.names != nil {
		names = r.names
	}
	if r.regex != nil {
		regex = *r.regex
	}
	subscribes := !slices.Equal(names, mem.names) || regex != mem.regex
	if !subscribes && mem.classic == nil {
		return
	}
	m.count(mem, -1)
	mem.names, mem.regex, mem.classic = names, regex, nil
	m.count(mem, 1)
	m.changed = true
	m.bumping = m.bumping || subscribes
}

// depart lets a member go: for good, or if it is static and says so, for a
// while, in which its partitions stay its own until its session ends.
func (m *modern) depart(r beat) beatReply {
	mem := m.members[r.id]
	if r.instance != nil {
		holder := m.members[m.instances[*r.instance]]
		if holder != nil && holder != mem {
			return refuseBeat(wire.FencedInstanceID, "another member has instance %s", *r.instance)
		}
		mem = holder
	}
	if mem == nil {
		return refuseBeat(wire.UnknownMemberID, "member %s is not in the group", r.id)
	}
	if r.epoch == epochAway {
		m.release(mem)
		mem.epoch = epochAway
		mem.revokeBy = time.Time{}
		m.changed = true
	} else {
		m.remove(mem)
		m.afterRemoval()
	}
	return beatReply{id: r.id, epoch: r.epoch, interval: m.settings().heartbeat}
}
