package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// A group turns into the other kind as in Kafka with its default migration
// policy, bidirectional. Without members it is of whichever kind somebody joins.
// A classic group of consumers with members becomes a consumer group when one of
// the new protocol joins; the others go on as members who speak the classic
// protocol (classic.go). When the last of the new protocol is gone it becomes a
// classic group again. Offsets stay throughout.

// maybeClassic makes a consumer or streams group without members a classic one, since
// somebody joins it with the classic protocol. e.mu is held.
func (c *Coordinator) maybeClassic(e *entry) {
	switch m := e.machine.(type) {
	case *modern:
		if len(m.members) == 0 && !m.deleting {
			e.machine = newMachine(c.rules, time.Now())
		}
	case *streaming:
		if m.g.Idle() {
			e.machine = newMachine(c.rules, time.Now())
		}
	}
}

// modernOf gives the group as a consumer group, which a classic one becomes if
// somebody joins. e.mu is held.
func (c *Coordinator) modernOf(e *entry, r beat) (*modern, wire.Code) {
	if m, ok := e.machine.(*modern); ok {
		return m, wire.None
	}
	if r.epoch == epochJoin {
		c.maybeClassic(e) // what it may become from
	}
	classic, ok := e.machine.(*machine)
	if !ok {
		return nil, wire.GroupIDNotFound // a streams group
	}
	switch {
	case classic.state == dead:
		return nil, wire.CoordinatorNotAvailable
	case r.epoch != epochJoin:
		return nil, wire.GroupIDNotFound
	case classic.state != empty:
		return c.upgrade(e, classic)
	}
	m := c.newModern(e.name, time.Now())
	e.machine = m
	return m, wire.None
}

// upgrade makes a consumer group of a classic one with members. e.mu is held.
func (c *Coordinator) upgrade(e *entry, classic *machine) (*modern, wire.Code) {
	switch {
	case classic.protocolType != consumerType:
		return nil, wire.GroupIDNotFound
	case len(classic.members) >= c.rules.maxMembers:
		return nil, wire.GroupMaxSizeReached
	}
	// An assignment on its way is known to nobody, and void from now on.
	assigning := classic.assigning
	classic.assigning = nil
	m := c.newModern(e.name, time.Now())
	if !m.adopt(time.Now(), classic.snapshot()) {
		classic.assigning = assigning
		return nil, wire.GroupIDNotFound
	}
	for _, mem := range classic.ordered() {
		classic.answerJoin(mem, joinReply{code: wire.RebalanceInProgress, memberID: mem.id, generation: -1})
		classic.answerSync(mem, syncReply{code: wire.RebalanceInProgress})
	}
	classic.state = dead
	e.carryOut(classic)
	e.machine = m
	c.lg.Info("classic group becomes a consumer group", "group", e.name, "members", len(m.members))
	return m, wire.None
}

// adopt fills a new machine with a classic group: everybody has what was
// assigned last, and the generation is the epoch. It reports whether the
// members' bytes could be read.
func (m *modern) adopt(now time.Time, it *groupItem) bool {
	m.epoch, m.assigned = it.Generation, it.Generation
	for _, mi := range it.Members {
		c := &classicSide{session: time.Duration(mi.SessionMs) * time.Millisecond, protocols: mi.Protocols}
		sub, ok := c.subscription(it.Protocol)
		if !ok {
			return false
		}
		var given map[string][]int32
		if len(mi.Assignment) > 0 {
			if given, ok = parseAssignment(mi.Assignment); !ok {
				return false
			}
		}
		mem := &consumer{
			id: mi.ID, client: Client{ID: mi.ClientID, Host: mi.ClientHost}, classic: c, names: sub.names(),
			rebalance: time.Duration(mi.RebalanceMs) * time.Millisecond, epoch: it.Generation, previous: it.Generation,
		}
		if mi.Instance != nil {
			mem.static, mem.instance = true, *mi.Instance
		}
		// A client's assignor may give a partition to two; the first has it.
		mem.assigned = slices.DeleteFunc(m.named(given), func(k offsetKey) bool { return m.owners[k] != "" })
		mem.target = mem.assigned
		mem.note(mem.epoch)
		m.insert(mem)
		m.touch(now, mem)
	}
	m.changed = true
	return true
}

// named gives partitions by the names of their topics; unknown ones are left
// out.
func (m *modern) named(topics map[string][]int32) partitions {
	var keys []offsetKey
	for name, numbers := range topics {
		id, size, ok := m.topics.ByName(name)
		for _, n := range numbers {
			if ok && n >= 0 && n < size {
				keys = append(keys, offsetKey{id, n})
			}
		}
	}
	return newPartitions(keys)
}

// onlyClassic reports whether there are members and all speak the classic
// protocol.
func (m *modern) onlyClassic() bool {
	for _, mem := range m.members {
		if mem.classic == nil {
			return false
		}
	}
	return len(m.members) > 0
}

// downgrade makes the classic machine that takes over, and has it rebalance:
// its first leader assigns anew. The generation is the members' own, not the epoch
// that the leaving has raised: they are to hear of a rebalance and to give back
// what they have, not that their generation is over and all of it lost.
func (m *modern) downgrade(now time.Time) {
	it := &groupItem{Type: typeClassic, ProtocolType: consumerType, Generation: 1, SinceMs: now.UnixMilli(), Rebalancing: true}
	for _, mem := range m.ordered() {
		it.Generation = max(it.Generation, mem.epoch)
		mi := memberItem{
			ID: mem.id, ClientID: mem.client.ID, ClientHost: mem.client.Host,
			SessionMs: mem.classic.session.Milliseconds(), RebalanceMs: mem.rebalance.Milliseconds(),
			Protocols: mem.classic.protocols, Assignment: m.assignmentBytes(mem),
		}
		if mem.static {
			instance := mem.instance
			mi.Instance = &instance
		}
		it.Members = append(it.Members, mi)
	}
	it.Leader = it.Members[0].ID
	next := restore(m.rules, now, *it)
	next.protocol = next.choose()
	it.Protocol = next.protocol
	m.successor, m.successorItem = next, it
	m.changed = true
}

// assignmentBytes writes what a member has in the consumer protocol, in the
// version its client speaks.
func (m *modern) assignmentBytes(mem *consumer) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	sub, _ := mem.classic.subscription("")
	a.Version = min(max(sub.version, 0), maxConsumerProtocol)
	mem.assigned.topics(func(id storage.TopicID, numbers []int32) {
		if name, _, ok := m.topics.ByID(id); ok {
			t := kmsg.NewConsumerMemberAssignmentTopic()
			t.Topic, t.Partitions = name, numbers
			a.Topics = append(a.Topics, t)
		}
	})
	return a.AppendTo(nil)
}
