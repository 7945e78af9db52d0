// Package streams is the state machine of streams groups (KIP-1071): groups
// whose members are threads of Kafka Streams applications and get tasks, not
// partitions. A Group is pure: it does no I/O, has no locks and no clock.
// broker/group keeps groups in memory, makes them durable, and commits their
// offsets; rules and the stored form stand in README.md.
package streams

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of this package.
const (
	// MaxTopologyBytes bounds a topology, which is stored with the group.
	MaxTopologyBytes = 2 << 20
	// maxMemberBytes bounds what members say of themselves (tags, endpoints,
	// rack), for the same reason.
	maxMemberBytes = 4 << 20
	// maxOffsets bounds the tasks that a member may name offsets of: state
	// that its disk has, of which more than a topology's tasks is never used.
	maxOffsets = 100_000
	// maxGroupOffsets bounds them for all members together, some 20 MB.
	maxGroupOffsets = 200_000
)

// Epochs with a meaning of their own.
const (
	EpochJoin  = 0  // joins, or joins again from nothing
	EpochLeave = -1 // leaves
	EpochAway  = -2 // a static member leaves and will be back
)

// firstEpoch is that of a group before anybody joined, and of an empty target:
// a member that waits for its first tasks has an epoch, and it is not 0.
const firstEpoch = 1

// state says how far a member has come on its way to the target.
type state int8

const (
	reconciled state = iota // has what the target of its epoch says
	unrevoked               // is to give tasks back, and has not said so
	unreleased              // waits for tasks that others still have
)

// String gives the state as it is stored.
func (s state) String() string {
	return [...]string{"stable", "unrevoked", "unreleased"}[s]
}

// Client is who sent a request, for descriptions.
type Client struct {
	ID   string // client id of the request header
	Host string // address without port
}

// Endpoint is where a member answers interactive queries.
type Endpoint struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

// Settings are what a group may set for itself.
type Settings struct {
	Session   time.Duration // streams.session.timeout.ms
	Heartbeat time.Duration // streams.heartbeat.interval.ms
	// InitialDelay is how long a group that was empty waits for more members
	// before anything is assigned (streams.initial.rebalance.delay.ms).
	InitialDelay time.Duration
	Standbys     int // streams.num.standby.replicas
}

// member is one thread of an application.
type member struct {
	id       string
	instance string // group.instance.id; only if static
	static   bool
	rack     string
	client   Client
	process  string // of the instance that it is a thread of
	endpoint *Endpoint
	tags     map[string]string
	topology int32 // epoch of the topology that it runs
	seq      int64 // order of joining

	rebalance time.Duration

	// epoch is that of the target that it has reached, or EpochAway. A client
	// whose last answer was lost comes with previous.
	epoch, previous int32
	state           state
	assigned        Assignment // may be used by it
	revoking        Assignment // is to be given back: still its own
	target          Assignment // of the group's assignment epoch
	// since is the epoch at which each active task was given: with an older
	// one offsets of it are not to be committed.
	since map[Task]int32

	offsets, ends map[Task]int64 // of state on its disk; not stored

	deadline time.Time // when its session ends
	revokeBy time.Time // until when it must have given back; zero unless unrevoked
}

func (m *member) bytes() int {
	n := len(m.id) + len(m.instance) + len(m.rack) + len(m.process)
	for k, v := range m.tags {
		n += len(k) + len(v)
	}
	if m.endpoint != nil {
		n += len(m.endpoint.Host)
	}
	return n
}

// Group is one streams group. The broker computes the assignment: with each
// change of members or topics the group's epoch rises, a target is computed for
// it, and each member comes to it by its own heartbeats. An active task changes
// hands only after the one who had it has said that it gave it back.
//
// Its methods may not be called concurrently. State changes when the event
// comes; Changed says that it is to be stored.
type Group struct {
	maxMembers int
	topics     Topics
	settings   func() Settings

	epoch     int32 // of the group: rises with each reason for a new target
	assigned  int32 // epoch of the target
	validated int32 // epoch of the topology that all topics were there for; -1 none
	standbys  int   // setting that the target was made with
	topology  *Topology
	print     uint64 // fingerprint of topics that the epoch was raised for last

	members   map[string]*member
	instances map[string]string // instance id → member id
	bytes     int               // of all members
	offsets   int               // and of how many tasks they said offsets
	seq       int64
	since     time.Time // of the present state
	shown     string    // name of the state since then
	deleting  bool

	configured *Configured // of the topology and topics of mark; nil: not looked at
	mark       any

	endpoints  int32     // epoch of who has what where, for interactive queries
	shutdown   string    // member that asked all to end; "" none
	delayUntil time.Time // of the first target of a group that was empty; zero: no delay
	moved      time.Time // when something changed last that members are to learn

	wake    time.Time // no deadline lies before it; zero: no deadline at all
	bumping bool      // there is a reason for a new target
	changed bool      // since Changed was called
}

// New makes an empty group. settings must not block.
func New(maxMembers int, topics Topics, settings func() Settings, now time.Time) *Group {
	return &Group{
		maxMembers: maxMembers, topics: topics, settings: settings, since: now, shown: "Empty",
		epoch: firstEpoch, assigned: firstEpoch, validated: -1,
		members: map[string]*member{}, instances: map[string]string{},
	}
}

// Changed reports whether what Item gives has changed since it was asked last.
func (g *Group) Changed() bool {
	was := g.changed
	g.changed = false
	return was
}

// Deadline is when Tick is to be called next; zero: never.
func (g *Group) Deadline() time.Time { return g.wake }

func (g *Group) arm(at time.Time) {
	if g.wake.IsZero() || at.Before(g.wake) {
		g.wake = at
	}
}

// ordered lists the members by their order of joining.
func (g *Group) ordered() []*member {
	return slices.SortedFunc(maps.Values(g.members), func(a, b *member) int { return cmp.Compare(a.seq, b.seq) })
}

// insert puts a member in, whose id is new.
func (g *Group) insert(m *member) {
	g.seq++
	m.seq = g.seq
	g.members[m.id] = m
	if m.static {
		g.instances[m.instance] = m.id
	}
	g.count(m)
}

// count adds what a member takes to what the group counts of all.
func (g *Group) count(m *member) {
	g.bytes += m.bytes()
	g.offsets += len(m.offsets) + len(m.ends)
}

// uncount takes it away again.
func (g *Group) uncount(m *member) {
	g.bytes -= m.bytes()
	g.offsets -= len(m.offsets) + len(m.ends)
}

// remove takes a member out; its tasks are free.
func (g *Group) remove(m *member) {
	g.uncount(m)
	if m.endpoint != nil {
		g.endpoints++
	}
	delete(g.members, m.id)
	if m.static && g.instances[m.instance] == m.id {
		delete(g.instances, m.instance)
	}
	g.changed = true
}

// touch starts a member's session anew.
func (g *Group) touch(now time.Time, m *member) {
	m.deadline = now.Add(g.settings().Session)
	g.arm(m.deadline)
}

// settled notes the time if the state is another than before.
func (g *Group) settled(now time.Time) {
	if s := g.State(); s != g.shown {
		g.shown, g.since = s, now
	}
}

// look configures the topology anew if topics have changed, and has the epoch
// raised if that makes a difference.
func (g *Group) look() error {
	mark := g.topics.Mark()
	if g.topology == nil || g.configured != nil && mark == g.mark {
		return nil
	}
	c, err := Configure(g.topology, g.topics)
	if err != nil {
		return err
	}
	g.configured, g.mark = c, mark
	valid := int32(-1)
	if c.Ready() {
		valid = g.topology.Epoch
	}
	if print := g.topology.fingerprint(g.topics); print != g.print || valid != g.validated {
		g.print, g.validated, g.bumping = print, valid, true
	}
	return nil
}

// refresh raises the group's epoch if there is a reason.
func (g *Group) refresh(now time.Time) {
	if g.settings().Standbys != g.standbys {
		g.standbys, g.bumping = g.settings().Standbys, true
	}
	if g.bumping {
		g.bumping, g.changed, g.moved = false, true, now
		g.epoch++
	}
}

// retarget computes the target of the group's epoch, unless it is there or the
// group waits for more members.
func (g *Group) retarget(now time.Time) {
	if g.assigned == g.epoch || len(g.members) == 0 {
		return
	}
	if !g.delayUntil.IsZero() && now.Before(g.delayUntil) {
		return
	}
	g.delayUntil = time.Time{}
	members := g.ordered()
	workers := make([]*worker, len(members))
	for i, m := range members {
		workers[i] = &worker{id: m.id, process: m.process, now: m.target, offsets: m.offsets}
	}
	if g.configured != nil && g.configured.Ready() {
		assign(g.topology, g.configured.Tasks, workers, g.standbys)
	}
	for i, m := range members {
		m.target = workers[i].next
	}
	g.assigned, g.changed, g.moved = g.epoch, true, now
}

// State gives the group's state as ListGroups and StreamsGroupDescribe do.
func (g *Group) State() string {
	switch {
	case g.deleting:
		return "Dead"
	case len(g.members) == 0:
		return "Empty"
	case g.configured == nil || !g.configured.Ready():
		return "NotReady"
	case g.epoch > g.assigned:
		return "Assigning"
	}
	for _, m := range g.members {
		if m.state != reconciled || m.epoch != g.assigned {
			return "Reconciling"
		}
	}
	return "Stable"
}

// Tick removes members whose session has ended or who have not given back tasks
// within their rebalance timeout, and ends the initial delay.
func (g *Group) Tick(now time.Time) {
	if g.wake.IsZero() || now.Before(g.wake) {
		return
	}
	due := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	g.wake = time.Time{}
	removed := false
	for _, m := range g.ordered() {
		if due(m.deadline) || due(m.revokeBy) {
			g.remove(m)
			removed = true
			continue
		}
		g.arm(m.deadline)
		if !m.revokeBy.IsZero() {
			g.arm(m.revokeBy)
		}
	}
	if removed {
		g.afterRemoval(now)
	}
	if due(g.delayUntil) {
		g.retarget(now)
	} else if !g.delayUntil.IsZero() {
		g.arm(g.delayUntil)
	}
	g.settled(now)
}

// afterRemoval has a new target made at the next heartbeat.
func (g *Group) afterRemoval(now time.Time) {
	g.bumping = true
	g.refresh(now)
	if len(g.members) == 0 {
		g.assigned = g.epoch // nobody to have a target
		g.shutdown, g.delayUntil = "", time.Time{}
	}
}

// Die takes an empty group out of service while its deletion is being stored;
// Revive brings it back if that did not come about.
func (g *Group) Die(time.Time) { g.deleting = true }

// Revive undoes Die.
func (g *Group) Revive(time.Time) { g.deleting = false }

// Idle reports whether there are no members and no deletion under way.
func (g *Group) Idle() bool { return len(g.members) == 0 && !g.deleting }

// Since is when the group entered its state.
func (g *Group) Since() time.Time { return g.since }

// MayDelete says whether the group may be deleted.
func (g *Group) MayDelete() wire.Code {
	switch {
	case g.deleting:
		return wire.GroupIDNotFound
	case len(g.members) > 0:
		return wire.NonEmptyGroup
	}
	return wire.None
}

// Reads tells whether members read a topic.
func (g *Group) Reads(topic string) bool {
	if g.topology == nil || len(g.members) == 0 {
		return false
	}
	return slices.ContainsFunc(g.topology.Subtopologies, func(s Subtopology) bool { return slices.Contains(s.Reads(), topic) })
}

// Committer says who asks to commit offsets, and of which partitions.
type Committer struct {
	ID    string
	Epoch int32
	// Bare says that the request may do without a member: one of a transaction
	// that names none (KIP-447).
	Bare bool
	// Partitions lists what is committed, by topics' names. Nil: nothing.
	Partitions func() map[string][]int32
}

// MayCommit says whether a request may commit offsets. A member that has not
// heard of its new epoch yet may, of tasks that it had at the epoch that it
// knows.
func (g *Group) MayCommit(r Committer) wire.Code {
	if g.deleting {
		return wire.CoordinatorNotAvailable
	}
	if r.Epoch < 0 && (len(g.members) == 0 || r.Bare) {
		return wire.None
	}
	m := g.members[r.ID]
	switch {
	case m == nil:
		return wire.UnknownMemberID
	case r.Epoch == m.epoch:
		return wire.None
	case r.Epoch < 0 || r.Epoch > m.epoch || !g.hadAll(m, r):
		return wire.StaleMemberEpoch
	}
	return wire.None
}

// hadAll reports whether all partitions are of tasks that the member has, and
// had at the epoch of the request.
func (g *Group) hadAll(m *member, r Committer) bool {
	if r.Partitions == nil {
		return false
	}
	for topic, numbers := range r.Partitions() {
		for _, n := range numbers {
			k, ok := g.taskOf(topic, n)
			since, has := m.since[k]
			if !ok || !has || since > r.Epoch {
				return false
			}
		}
	}
	return true
}

// taskOf is the task that reads a partition.
func (g *Group) taskOf(topic string, partition int32) (Task, bool) {
	if g.topology == nil {
		return Task{}, false
	}
	for i := range g.topology.Subtopologies {
		if s := &g.topology.Subtopologies[i]; slices.Contains(s.Reads(), topic) {
			return Task{s.ID, partition}, true
		}
	}
	return Task{}, false
}

// MayFetch says whether a request may read offsets: a member that says who it
// is must be of its epoch, so that it does not begin behind another's commit.
func (g *Group) MayFetch(id *string, epoch int32) wire.Code {
	if epoch < 0 && (id == nil || *id == "") {
		return wire.None
	}
	var m *member
	if id != nil {
		m = g.members[*id]
	}
	switch {
	case m == nil:
		return wire.UnknownMemberID
	case epoch != m.epoch:
		return wire.StaleMemberEpoch
	}
	return wire.None
}
