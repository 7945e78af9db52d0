package group

import (
	"errors"
	"time"

	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/wire"
)

// streaming is one streams group (KIP-1071): the state machine of
// broker/streams, whose answers wait for the store as those of modern do.
type streaming struct {
	g *streams.Group
	outbox
}

// newStreaming makes the machine of a new streams group.
func (c *Coordinator) newStreaming(name string, now time.Time) *streaming {
	settings := func() streams.Settings { return c.cfg.StreamsSettings(name) }
	return &streaming{g: streams.New(c.rules.maxMembers, c.cfg.Topics, settings, now)}
}

// beat takes a heartbeat.
func (m *streaming) beat(now time.Time, to token, r streams.Beat) {
	m.reply(to, m.g.Beat(now, r))
	m.flush(m.g.Changed(), m.snapshot)
}

func (m *streaming) tick(now time.Time) {
	m.g.Tick(now)
	m.flush(m.g.Changed(), m.snapshot)
}

func (m *streaming) deadline() time.Time { return m.g.Deadline() }

// snapshot is the group as it is to be stored now.
func (m *streaming) snapshot() *groupItem {
	it := m.g.Item()
	return &groupItem{
		Type: typeStreams, ProtocolType: typeStreams, Generation: it.Epoch, SinceMs: it.SinceMs,
		AssignmentEpoch: it.AssignmentEpoch, Streams: it,
	}
}

// checkStreams refuses a stored streams group that cannot be.
func (g *groupItem) checkStreams() error {
	if g.Type != typeStreams {
		return nil
	}
	if g.Streams == nil {
		return errors.New("it has nothing of a streams group")
	}
	return g.Streams.Check()
}

// streamingOf gives the group as a streams group, which one without members
// becomes if somebody joins. e.mu is held.
func (c *Coordinator) streamingOf(e *entry, joins bool) (*streaming, wire.Code) {
	if m, ok := e.machine.(*streaming); ok {
		return m, wire.None
	}
	if e.machine.stateName() == dead.String() {
		return nil, wire.CoordinatorNotAvailable
	}
	if !joins || !e.machine.idle() {
		return nil, wire.GroupIDNotFound
	}
	m := c.newStreaming(e.name, time.Now())
	e.machine = m
	return m, wire.None
}

// The classic protocol is not for members of streams groups; a group without
// any becomes a classic one before join is called.

func (m *streaming) join(_ time.Time, r joinRequest) {
	id := r.memberID
	if id == "" {
		id = r.newID
	}
	m.reply(r.to, joinReply{code: wire.InconsistentGroupProtocol, memberID: id, generation: -1})
	m.flush(false, nil)
}

func (m *streaming) sync(_ time.Time, r syncRequest) {
	m.reply(r.to, syncReply{code: wire.UnknownMemberID})
	m.flush(false, nil)
}

func (m *streaming) heartbeat(time.Time, string, *string, int32) wire.Code {
	return wire.UnknownMemberID
}

func (m *streaming) leave(_ time.Time, to token, members []leaveMember) {
	r := leaveReply{codes: make([]wire.Code, len(members))}
	for i := range r.codes {
		r.codes[i] = wire.UnknownMemberID
	}
	m.reply(to, r)
	m.flush(false, nil)
}

func (m *streaming) stateName() string { return m.g.State() }

func (m *streaming) idle() bool { return m.g.Idle() && len(m.saves) == 0 }

func (m *streaming) emptySince() time.Time { return m.g.Since() }

func (m *streaming) reads() func(topic string) bool { return m.g.Reads }

func (m *streaming) mayCommit(_ time.Time, r committer) wire.Code {
	if r.epoch >= 0 && !r.txn && r.version < memberEpochs {
		return wire.UnsupportedVersion
	}
	return m.g.MayCommit(streams.Committer{
		ID: r.id, Epoch: r.epoch, Bare: r.txn && r.id == "" && r.instance == nil, Partitions: r.partitions,
	})
}

func (m *streaming) mayFetch(id *string, epoch int32) wire.Code { return m.g.MayFetch(id, epoch) }

func (m *streaming) mayDelete() wire.Code { return m.g.MayDelete() }

func (m *streaming) mayDropOffsets() wire.Code {
	if m.g.State() == dead.String() {
		return wire.GroupIDNotFound
	}
	return wire.None
}

func (m *streaming) die(now time.Time) { m.g.Die(now) }

func (m *streaming) revive(now time.Time) { m.g.Revive(now) }

// summarize shows a streams group: what its tasks read stands for partitions.
func (m *streaming) summarize(s *Summary) {
	d := m.g.Describe()
	s.ProtocolType, s.Generation, s.SinceMs = typeStreams, d.Epoch, m.g.Since().UnixMilli()
	if len(d.Members) > 0 {
		s.Protocol = streamsAssignor
	}
	s.Members = make([]MemberSummary, 0, len(d.Members))
	for _, mem := range d.Members {
		s.Members = append(s.Members, MemberSummary{
			ID: mem.ID, InstanceID: mem.Instance, ClientID: mem.ClientID, ClientHost: mem.ClientHost,
			Partitions: m.g.Partitions(mem.Assigned.Active),
		})
	}
}
