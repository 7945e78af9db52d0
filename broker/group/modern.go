package group

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// memberState says how far a member of a consumer group has come on its way to
// the target assignment.
type memberState int8

const (
	reconciled memberState = iota // has what the target of its epoch says
	unrevoked                     // is to give partitions back, and has not said so
	unreleased                    // waits for partitions that others still have
)

// String gives the state as it is stored.
func (s memberState) String() string {
	return [...]string{"stable", "unrevoked", "unreleased"}[s]
}

// Member epochs with a meaning of their own (KIP-848).
const (
	epochJoin  = 0  // joins, or joins again from nothing
	epochLeave = -1 // leaves
	epochAway  = -2 // a static member leaves and will be back
)

// consumer is one member of a consumer group.
type consumer struct {
	id        string
	instance  string // group.instance.id; only if static
	static    bool
	rack      string
	client    Client
	seq       int64 // order of joining
	rebalance time.Duration
	names     []string // topics by name, sorted
	regex     string   // topics by pattern; "" none
	assignor  string   // asked for; "" none

	// epoch is that of the target that it has reached, or epochAway. A client
	// whose last answer was lost comes with previous.
	epoch, previous int32
	state           memberState
	assigned        partitions // may be used by it
	revoking        partitions // is to be given back: still its own
	target          partitions // of the group's assignment epoch
	// given is the epoch at which each partition was given: with an older one
	// no offset of it is taken (KIP-1251).
	given map[offsetKey]int32

	classic *classicSide // of a client of the classic protocol, else nil

	deadline time.Time // when its session ends
	revokeBy time.Time // until when it must have given back; zero unless unrevoked, or classic
}

func (c *consumer) bytes() int {
	n := len(c.regex)
	for _, name := range c.names {
		n += len(name)
	}
	if c.classic != nil {
		n += protocolBytes(c.classic.protocols)
	}
	return n
}

// modern is one consumer group (KIP-848) as a pure state machine, in the manner
// of machine. The broker computes the assignment: with each change of members,
// subscriptions or topics the group's epoch rises, a target is computed for it,
// and each member comes to it by its own heartbeats. A partition changes hands
// only after the one who had it has said that it gave it back (G14).
//
// Its state changes when the event comes, and every answer given since then
// waits until that is durable. If it does not become so, the coordinator drops
// the machine and reads the group anew: no answer has told of what is lost.
//
// It follows Apache Kafka's ConsumerGroup and GroupMetadataManager; rules G13
// to G16 are in README.md.
type modern struct {
	rules
	topics   Topics
	access   Access // nil: everybody may know of everything
	settings func() consumerSettings

	epoch     int32 // of the group: rises with each reason for a new target
	assigned  int32 // epoch of the target
	members   map[string]*consumer
	instances map[string]string    // instance id → member id
	owners    map[offsetKey]string // assigned or not given back → member id
	bytes     int                  // of all members' subscriptions
	seq       int64
	since     time.Time // of the present state; of an empty group it is stored
	deleting  bool

	subscriptionIndex

	wake    time.Time // no deadline lies before it; zero: no deadline at all
	bumping bool      // there is a reason for a new target
	changed bool      // since the last effect that stores
	shown   string    // name of the state since m.since
	moved   time.Time // when members were last given a reason to come again soon
	heard   int32     // epoch of the group then

	// successor takes over when the last member of the new protocol is gone,
	// and successorItem is what is stored then.
	successor     *machine
	successorItem *groupItem

	outbox
}

// consumerSettings are what a group may set for itself.
type consumerSettings struct {
	session   time.Duration // consumer.session.timeout.ms
	heartbeat time.Duration // consumer.heartbeat.interval.ms
}

func newModern(r rules, topics Topics, settings func() consumerSettings, now time.Time) *modern {
	return &modern{
		rules: r, topics: topics, settings: settings, since: now,
		members: map[string]*consumer{}, instances: map[string]string{}, owners: map[offsetKey]string{},
		subscriptionIndex: newSubscriptionIndex(),
	}
}

// finish ends an event: it has the state stored if that changed, and passes the
// answers on, or lets them wait.
func (m *modern) finish(now time.Time) {
	if m.successor == nil && m.onlyClassic() {
		m.downgrade(now)
	}
	if s := m.stateName(); s != m.shown {
		m.shown, m.since = s, now
	}
	changed := m.changed
	m.changed = false
	m.flush(changed, m.snapshot)
}

func (m *modern) deadline() time.Time { return m.wake }

func (m *modern) arm(at time.Time) {
	if m.wake.IsZero() || at.Before(m.wake) {
		m.wake = at
	}
}

// touch starts a member's session anew.
func (m *modern) touch(now time.Time, mem *consumer) {
	session := m.settings().session
	if mem.classic != nil {
		session = mem.classic.session
	}
	mem.deadline = now.Add(session)
	m.arm(mem.deadline)
}

// ordered lists the members by their order of joining.
func (m *modern) ordered() []*consumer {
	return slices.SortedFunc(maps.Values(m.members), func(a, b *consumer) int { return cmp.Compare(a.seq, b.seq) })
}

// insert puts a member in, whose id is new.
func (m *modern) insert(mem *consumer) {
	m.seq++
	mem.seq = m.seq
	m.members[mem.id] = mem
	if mem.static {
		m.instances[mem.instance] = mem.id
	}
	m.own(mem)
	m.count(mem, 1)
}

// remove takes a member out; its partitions are free.
func (m *modern) remove(mem *consumer) {
	m.disown(mem)
	m.count(mem, -1)
	delete(m.members, mem.id)
	if mem.static && m.instances[mem.instance] == mem.id {
		delete(m.instances, mem.instance)
	}
	m.changed = true
}

// own notes what a member has.
func (m *modern) own(mem *consumer) {
	for _, p := range []partitions{mem.assigned, mem.revoking} {
		for _, k := range p {
			m.owners[k] = mem.id
		}
	}
}

func (m *modern) disown(mem *consumer) {
	for _, p := range []partitions{mem.assigned, mem.revoking} {
		for _, k := range p {
			delete(m.owners, k)
		}
	}
}

// count adds what a member subscribes to to the sums, or takes it out.
func (m *modern) count(mem *consumer, sign int) {
	m.bytes += sign * mem.bytes()
	m.subscriptionIndex.count(mem, sign)
}

// refresh raises the group's epoch if there is a reason: a member came, went or
// changed its subscription, or the topics that the group subscribes to are no
// longer those that the last target was made for (G16).
func (m *modern) refresh() {
	if m.resolve(m.topics, m.access) {
		m.bumping = true
	}
	if m.bumping {
		m.bumping, m.changed = false, true
		m.epoch++
	}
}

// retarget computes the target of the group's epoch, unless it is there.
func (m *modern) retarget() {
	if m.assigned == m.epoch || len(m.members) == 0 {
		return
	}
	members := m.ordered()
	subs := make([]subscriber, len(members))
	for i, mem := range members {
		subs[i] = subscriber{id: mem.id, topics: m.topicsOf(mem), now: mem.target}
		if mem.static {
			subs[i].instance = &mem.instance
		}
	}
	for i, target := range assign(m.assignor(), subs, m.sizes) {
		members[i].target = target
	}
	m.assigned = m.epoch
	m.changed = true
}

// assignor is the one that most members ask for; of equals, and if nobody asks,
// the default goes first.
func (m *modern) assignor() string {
	votes := map[string]int{}
	for _, mem := range m.members {
		votes[mem.assignor]++
	}
	if votes[ranges] > votes[uniform] {
		return ranges
	}
	return uniform
}

// stateName gives the group's state as ListGroups and describe requests do.
func (m *modern) stateName() string {
	switch {
	case m.deleting:
		return dead.String()
	case len(m.members) == 0:
		return "Empty"
	case m.epoch > m.assigned:
		return "Assigning"
	}
	for _, mem := range m.members {
		if mem.state != reconciled || mem.epoch != m.assigned {
			return "Reconciling"
		}
	}
	return "Stable"
}

// tick removes members whose session has ended, or who have not given back
// partitions, joined again or synced for longer than their rebalance timeout.
func (m *modern) tick(now time.Time) {
	if m.wake.IsZero() || now.Before(m.wake) {
		return
	}
	removed := false
	m.wake = time.Time{}
	for _, mem := range m.ordered() {
		deadlines := []time.Time{mem.deadline, mem.revokeBy}
		if mem.classic != nil {
			deadlines = append(deadlines, mem.classic.joinBy, mem.classic.syncBy)
		}
		if slices.ContainsFunc(deadlines, func(at time.Time) bool { return due(at, now) }) {
			m.remove(mem)
			removed = true
			continue
		}
		for _, at := range deadlines {
			if !at.IsZero() {
				m.arm(at)
			}
		}
	}
	if removed {
		m.afterRemoval()
	}
	m.finish(now)
}

// afterRemoval has a new target made at the next heartbeat.
func (m *modern) afterRemoval() {
	m.bumping = true
	m.refresh()
	if len(m.members) == 0 {
		m.assigned = m.epoch // nobody to have a target
	}
}

func (m *modern) die(time.Time) { m.deleting = true }

// revive undoes die: the deletion did not come about.
func (m *modern) revive(time.Time) { m.deleting = false }

func (m *modern) idle() bool { return len(m.members) == 0 && len(m.saves) == 0 && !m.deleting }

func (m *modern) emptySince() time.Time { return m.since }

// mayDelete says whether the group may be deleted.
func (m *modern) mayDelete() wire.Code {
	switch {
	case m.deleting:
		return wire.GroupIDNotFound
	case len(m.members) > 0:
		return wire.NonEmptyGroup
	}
	return wire.None
}

// mayDropOffsets says whether offsets of topics that nobody reads may go.
func (m *modern) mayDropOffsets() wire.Code {
	if m.deleting {
		return wire.GroupIDNotFound
	}
	return wire.None
}

// reads tells which topics the group reads.
func (m *modern) reads() func(topic string) bool {
	return func(name string) bool {
		if m.names[name] > 0 {
			return true
		}
		for _, p := range m.patterns {
			if p.re != nil && p.re.MatchString(name) {
				return true
			}
		}
		return false
	}
}

// mayCommit says whether a request may commit offsets. A transaction's request
// may come at any time if it names no member (KIP-447).
func (m *modern) mayCommit(_ time.Time, r committer) wire.Code {
	if m.deleting {
		return wire.CoordinatorNotAvailable
	}
	if r.epoch < 0 && (len(m.members) == 0 || r.txn && r.id == "" && r.instance == nil) {
		return wire.None
	}
	mem := m.members[r.id]
	switch {
	case mem == nil:
		return wire.UnknownMemberID
	case r.epoch != mem.epoch && mem.classic != nil:
		return wire.IllegalGeneration
	case !r.txn && r.version < memberEpochs && mem.classic == nil:
		return wire.UnsupportedVersion
	case r.epoch != mem.epoch && !m.hadAll(mem, r):
		return wire.StaleMemberEpoch
	}
	return wire.None
}

// hadAll reports whether a request of an epoch before is only about partitions
// that the member has, and had then (KIP-1251): it has not heard of its new epoch
// yet, and nobody else can have committed offsets of them.
func (m *modern) hadAll(mem *consumer, r committer) bool {
	if r.epoch < 0 || r.epoch > mem.epoch || r.partitions == nil {
		return false
	}
	for topic, numbers := range r.partitions() {
		id, _, ok := m.topics.ByName(topic)
		for _, n := range numbers {
			given, has := mem.given[offsetKey{id, n}]
			if !ok || !has || given > r.epoch {
				return false
			}
		}
	}
	return true
}

// mayFetch says whether a request may read offsets: a member that says who it
// is must be of its epoch, so that it does not begin behind another's commit.
func (m *modern) mayFetch(id *string, epoch int32) wire.Code {
	if epoch < 0 && (id == nil || *id == "") {
		return wire.None
	}
	var mem *consumer
	if id != nil {
		mem = m.members[*id]
	}
	switch {
	case mem == nil:
		return wire.UnknownMemberID
	case epoch != mem.epoch:
		return wire.StaleMemberEpoch
	}
	return wire.None
}

// has reports whether a topic of that id is subscribed to and there.
func (m *modern) has(id storage.TopicID) bool {
	_, ok := m.sizes[id]
	return ok
}
