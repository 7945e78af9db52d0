package group

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// state is where a classic group stands (KIP-62; names as ListGroups gives
// them, see String).
type state int8

const (
	empty      state = iota // no members; offsets may be there
	preparing               // waits for members to join
	completing              // waits for the leader's assignment
	stable                  // members work
	dead                    // being deleted
)

// String gives the state's name in the protocol.
func (s state) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

// token names a request that waits for its answer; 0 is none.
type token int64

// protocol is one way of assigning that a member offers, with bytes that only
// the leader's client reads.
type protocol struct {
	Name     string `json:"name"`
	Metadata []byte `json:"metadata"`
}

// member is one member of a group.
type member struct {
	id         string
	instance   string // group.instance.id; only if static
	static     bool
	client     Client
	seq        int64 // order of joining, for a stable order of everything
	session    time.Duration
	rebalance  time.Duration
	protocols  []protocol
	assignment []byte

	// isNew is set until the member got its first join answer: it does not
	// know its id yet and cannot heartbeat.
	isNew bool
	// deadline is when its session ends, unless a request of it is parked.
	deadline time.Time
	joinTo   token // parked join
	syncTo   token // parked sync
	// unsynced is set from the join answer until its sync.
	unsynced bool
}

// metadata gives the bytes the member sent with a protocol.
func (m *member) metadata(name string) []byte {
	for _, p := range m.protocols {
		if p.Name == name {
			return p.Metadata
		}
	}
	return nil
}

func (m *member) bytes() int { return protocolBytes(m.protocols) }

func protocolBytes(protocols []protocol) int {
	n := 0
	for _, p := range protocols {
		n += len(p.Name) + len(p.Metadata)
	}
	return n
}

// rules are the limits that a machine keeps. They are set before it is made.
type rules struct {
	minSession, maxSession time.Duration
	initialDelay           time.Duration
	maxMembers             int
}

// machine is one classic group as a pure state machine: methods take an event
// and the time, change its state, and append what is to be done to out. It
// reads no clock, does no I/O, takes no lock. What must be durable before it is
// answered goes out as a store effect, whose then brings the outcome back in.
//
// It follows Apache Kafka's ClassicGroup and GroupMetadataManager (KIP-62, 134,
// 345, 394, 559, 814); rules G1 to G12 are in README.md.
type machine struct {
	rules
	state        state
	generation   int32
	protocolType string
	protocol     string // chosen; "" without members
	leader       string // member id; "" without members
	members      map[string]*member
	instances    map[string]string    // instance id → member id
	pending      map[string]time.Time // ids given out by MEMBER_ID_REQUIRED → until when
	common       map[string]int       // protocol name → members that offer it
	bytes        int                  // of all members' protocols
	parked       int                  // members with a parked join
	seq          int64
	since        time.Time // of the present state; of Empty it is stored

	joinAt    time.Time     // when the join phase ends at the latest
	initial   bool          // the join phase of a group that was empty
	arrived   bool          // a member arrived during the present initial delay
	remaining time.Duration // what the initial delay may still be extended by
	syncAt    time.Time     // when members that have not synced are evicted

	// assigning is the assignment on its way to the store; nil if there is
	// none, or if a rebalance made it void.
	assigning *assigning
	leaving   []leaving // answers that wait for an empty group to be stored

	wake time.Time // no deadline lies before it; zero: no deadline at all
	out  []effect
}

type assigning struct{ byMember map[string][]byte }

type leaving struct {
	to    token
	reply leaveReply
}

// effect is something to be done outside: an answer, or an item to be stored.
type effect struct {
	to     token // answer
	answer any

	store    *groupItem        // or: make it durable, then call then
	snapshot func() *groupItem // or: make durable what it gives when asked
	then     func(now time.Time, code wire.Code)
}

func newMachine(r rules, now time.Time) *machine {
	return &machine{
		rules: r, since: now,
		members: map[string]*member{}, instances: map[string]string{},
		pending: map[string]time.Time{}, common: map[string]int{},
	}
}

// take hands the effects over.
func (m *machine) take() []effect {
	out := m.out
	m.out = nil
	return out
}

func (m *machine) reply(to token, answer any) {
	m.out = append(m.out, effect{to: to, answer: answer})
}

func (m *machine) store(then func(time.Time, wire.Code)) {
	m.out = append(m.out, effect{store: m.snapshot(), then: then})
}

func (m *machine) enter(s state, now time.Time) {
	m.state, m.since = s, now
}

// arm notes a deadline.
func (m *machine) arm(at time.Time) {
	if m.wake.IsZero() || at.Before(m.wake) {
		m.wake = at
	}
}

// touch starts a member's session anew.
func (m *machine) touch(now time.Time, mem *member) {
	mem.deadline = now.Add(mem.session)
	m.arm(mem.deadline)
}

// ordered lists the members by their order of joining.
func (m *machine) ordered() []*member {
	return slices.SortedFunc(maps.Values(m.members), func(a, b *member) int { return cmp.Compare(a.seq, b.seq) })
}

// insert puts a member in, whose id is new.
func (m *machine) insert(mem *member) {
	m.seq++
	mem.seq = m.seq
	if len(m.members) == 0 {
		m.leader = mem.id
	}
	m.members[mem.id] = mem
	if mem.static {
		m.instances[mem.instance] = mem.id
	}
	m.count(mem, 1)
}

// count adds a member's protocols to the sums, or takes them out.
func (m *machine) count(mem *member, sign int) {
	for _, p := range mem.protocols {
		if m.common[p.Name] += sign; m.common[p.Name] == 0 {
			delete(m.common, p.Name)
		}
	}
	m.bytes += sign * mem.bytes()
}

// remove takes a member out. Whatever request of it is parked is answered with
// UNKNOWN_MEMBER_ID, so that a client that is still there joins again.
func (m *machine) remove(mem *member) {
	m.answerJoin(mem, joinReply{code: wire.UnknownMemberID, memberID: mem.id})
	m.answerSync(mem, syncReply{code: wire.UnknownMemberID})
	delete(m.members, mem.id)
	if mem.static && m.instances[mem.instance] == mem.id {
		delete(m.instances, mem.instance)
	}
	m.count(mem, -1)
	if m.leader == mem.id {
		m.leader = ""
		if rest := m.ordered(); len(rest) > 0 {
			m.leader = rest[0].id
		}
	}
}

func (m *machine) parkJoin(mem *member, to token) {
	// A client that asks again does not wait for its first answer any more.
	m.answerJoin(mem, joinReply{code: wire.RebalanceInProgress, memberID: mem.id})
	mem.joinTo = to
	m.parked++
}

func (m *machine) answerJoin(mem *member, r joinReply) {
	if mem.joinTo != 0 {
		m.reply(mem.joinTo, r)
		mem.joinTo = 0
		m.parked--
	}
}

func (m *machine) answerSync(mem *member, r syncReply) {
	if mem.syncTo != 0 {
		m.reply(mem.syncTo, r)
		mem.syncTo = 0
	}
}

// known finds the member that a request speaks for, or says why it may not:
// UNKNOWN_MEMBER_ID, or FENCED_INSTANCE_ID if another has taken its place.
func (m *machine) known(id string, instance *string) (*member, wire.Code) {
	if instance != nil {
		switch holder, ok := m.instances[*instance]; {
		case !ok:
			return nil, wire.UnknownMemberID
		case holder != id:
			return nil, wire.FencedInstanceID
		}
	}
	mem, ok := m.members[id]
	if !ok {
		return nil, wire.UnknownMemberID
	}
	return mem, wire.None
}

// member additionally checks the generation and that the group is there.
func (m *machine) member(id string, instance *string, generation int32) (*member, wire.Code) {
	if m.state == dead {
		return nil, wire.CoordinatorNotAvailable
	}
	mem, code := m.known(id, instance)
	if code == wire.None && generation != m.generation {
		return nil, wire.IllegalGeneration
	}
	return mem, code
}

// rebalanceTimeout is the longest of the members'.
func (m *machine) rebalanceTimeout() time.Duration {
	var most time.Duration
	for _, mem := range m.members {
		most = max(most, mem.rebalance)
	}
	return most
}

// die takes the group out of service while its deletion is being stored.
// It is called only when the group is empty.
func (m *machine) die(now time.Time) { m.enter(dead, now) }

// revive undoes die: the deletion did not come about.
func (m *machine) revive(now time.Time) { m.enter(empty, now) }

func (m *machine) deadline() time.Time { return m.wake }

func (m *machine) stateName() string { return m.state.String() }

func (m *machine) emptySince() time.Time { return m.since }

// mayFetch lets everybody read a classic group's offsets.
func (m *machine) mayFetch(*string, int32) wire.Code { return wire.None }

// mayDelete says whether the group may be deleted.
func (m *machine) mayDelete() wire.Code {
	switch m.state {
	case dead:
		return wire.GroupIDNotFound
	case empty:
		return wire.None
	}
	return wire.NonEmptyGroup
}

// mayDropOffsets says whether offsets of topics that nobody reads may go: what
// is read is known of consumers only.
func (m *machine) mayDropOffsets() wire.Code {
	switch {
	case m.state == dead:
		return wire.GroupIDNotFound
	case m.state != empty && m.protocolType != consumerType:
		return wire.NonEmptyGroup
	}
	return wire.None
}

func (m *machine) summarize(s *Summary) {
	s.ProtocolType, s.Protocol, s.Generation, s.Leader = m.protocolType, m.protocol, m.generation, m.leader
	s.SinceMs, s.Members = m.since.UnixMilli(), m.describe()
	for i := range s.Members {
		if m.protocolType == consumerType {
			s.Members[i].Partitions, _ = parseAssignment(s.Members[i].Assignment)
		}
	}
}

// idle reports whether nothing is left that only memory knows.
func (m *machine) idle() bool {
	return m.state == empty && len(m.members) == 0 && len(m.pending) == 0
}
