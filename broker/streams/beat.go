package streams

import (
	"fmt"
	"maps"
	"time"

	"github.com/tarn-io/tarn/broker/wire"
)

// Beat is StreamsGroupHeartbeat. What is nil, or below 0, has not changed.
type Beat struct {
	ID        string
	Epoch     int32
	Instance  *string
	Rack      *string
	Client    Client
	Process   *string
	Endpoint  *Endpoint
	Tags      map[string]string
	Topology  *Topology // only of one who joins
	Rebalance time.Duration
	Owned     *Assignment    // what the client uses
	Offsets   map[Task]int64 // of state on its disk
	Ends      map[Task]int64
	// EndpointEpoch is the last that the member was told.
	EndpointEpoch int32
	Shutdown      bool // the member asks that all of the application end
}

// bytes is about what the group has to keep of what the beat says of its member,
// where that is more than it may have said before.
func (r *Beat) bytes() int {
	n := 0
	for k, v := range r.Tags {
		n += len(k) + len(v)
	}
	for _, s := range []*string{r.Instance, r.Rack, r.Process} {
		if s != nil {
			n += len(*s)
		}
	}
	if r.Endpoint != nil {
		n += len(r.Endpoint.Host)
	}
	return n
}

// Reply answers it.
type Reply struct {
	Code     wire.Code
	Message  string
	ID       string
	Epoch    int32
	Interval time.Duration
	Status   []Status
	Assigns  bool // Assignment is told
	Assignment
	EndpointEpoch int32
	Endpoints     []EndpointTasks // nil: as before
}

// Refuse makes a reply that is an error.
func Refuse(code wire.Code, format string, args ...any) Reply {
	return Reply{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Beat takes a heartbeat. Nobody may be told of the answer until what it
// changed is durable.
func (g *Group) Beat(now time.Time, r Beat) Reply {
	var answer Reply
	switch {
	case g.deleting:
		answer = Refuse(wire.CoordinatorNotAvailable, "the group is being deleted")
	case r.Epoch < 0:
		answer = g.depart(now, r)
	default:
		answer = g.proceed(now, r)
	}
	g.settled(now)
	return answer
}

// proceed takes a heartbeat of one who is or becomes a member.
func (g *Group) proceed(now time.Time, r Beat) Reply {
	if refused := g.take(r); refused.Code != wire.None {
		return refused
	}
	m, refused := g.admit(now, r)
	if refused.Code != wire.None {
		return refused
	}
	if r.Epoch == EpochJoin {
		g.release(m) // it comes with nothing
	}
	g.update(m, r)
	if refused := g.checkOwned(r.Owned); refused.Code != wire.None {
		return refused
	}
	g.refresh(now)
	g.retarget(now)
	before, behind := m.assigned, r.Epoch != m.epoch
	g.reconcile(now, m, r.Owned)
	g.touch(now, m)
	if r.Shutdown && g.shutdown == "" {
		g.shutdown = m.id
	}
	answer := Reply{ID: m.id, Epoch: m.epoch, Interval: g.interval(now, m), Status: g.statuses(now, m)}
	changes := r.Epoch == EpochJoin || !before.equal(m.assigned)
	if changes && m.endpoint != nil {
		g.endpoints++
	}
	// A client that comes with another epoch, or has something else, has not got
	// an answer before: it would keep tasks until it is put out, or lack them.
	if changes || behind || r.Owned != nil && !r.Owned.equal(m.assigned) {
		answer.Assigns, answer.Assignment = true, m.assigned
	}
	answer.EndpointEpoch = g.endpoints
	if g.endpoints != r.EndpointEpoch {
		answer.Endpoints = g.where()
	}
	return answer
}

// take looks at the topology of one who joins, which becomes that of a group
// that has none, and at the topics.
func (g *Group) take(r Beat) Reply {
	if t := r.Topology; t != nil {
		switch {
		case g.topology != nil && g.topology.equal(t):
		case g.topology != nil && len(g.members) > 0 && g.topology.Epoch > t.Epoch: // it is told that its own is stale
		case g.topology != nil && len(g.members) > 0:
			return Refuse(wire.InvalidRequest, "The group has another topology; it cannot be changed while there are members.")
		default:
			if t.bytes() > MaxTopologyBytes {
				return Refuse(wire.StreamsInvalidTopology, "The topology takes more than %d bytes.", MaxTopologyBytes)
			}
			if _, err := Configure(t, g.topics); err != nil {
				return Refuse(wire.StreamsInvalidTopology, "%s", err)
			}
			g.topology, g.configured, g.validated, g.changed = t, nil, -1, true
		}
	}
	if err := g.look(); err != nil {
		return Refuse(wire.StreamsInvalidTopology, "%s", err)
	}
	return Reply{}
}

// admit finds the member that a request speaks for, or makes it.
func (g *Group) admit(now time.Time, r Beat) (*member, Reply) {
	m := g.members[r.ID]
	holder := m
	if r.Instance != nil {
		holder = g.members[g.instances[*r.Instance]]
	}
	switch {
	case m == nil && holder == nil && r.Epoch == EpochJoin && len(g.members) >= g.maxMembers:
		return nil, Refuse(wire.GroupMaxSizeReached, "the group takes no more than %d members", g.maxMembers)
	case g.bytes+r.bytes() > maxMemberBytes && r.Epoch == EpochJoin:
		return nil, Refuse(wire.GroupMaxSizeReached, "the members say more than %d bytes of themselves", maxMemberBytes)
	case g.bytes+r.bytes() > maxMemberBytes:
		return nil, Refuse(wire.InvalidRequest, "the members say more than %d bytes of themselves", maxMemberBytes)
	case len(r.Offsets) > maxOffsets || len(r.Ends) > maxOffsets:
		return nil, Refuse(wire.InvalidRequest, "offsets of more than %d tasks", maxOffsets)
	case r.Instance != nil && holder != m && r.Epoch != EpochJoin:
		if holder == nil {
			return nil, Refuse(wire.UnknownMemberID, "no member has instance %s", *r.Instance)
		}
		return nil, Refuse(wire.FencedInstanceID, "another member has instance %s", *r.Instance)
	case m == nil && r.Epoch != EpochJoin:
		return nil, Refuse(wire.UnknownMemberID, "member %s is not in the group", r.ID)
	case m == nil && holder == nil && r.Topology == nil:
		return nil, Refuse(wire.InvalidRequest, "a member that joins tells its topology")
	case m == nil && holder == nil:
		return g.enrol(now, r), Reply{}
	case m == nil && holder.epoch != EpochAway:
		return nil, Refuse(wire.UnreleasedInstanceID, "member %s still has instance %s", holder.id, holder.instance)
	case m == nil:
		return g.inherit(holder, r.ID), Reply{}
	case r.Instance != nil && holder != m:
		return nil, Refuse(wire.InvalidRequest, "the instance of member %s cannot change", r.ID)
	}
	return m, checkEpoch(m, r)
}

// checkEpoch compares a member's epoch. A client whose last answer was lost may
// come with the epoch before, and one that lost all may begin anew.
func checkEpoch(m *member, r Beat) Reply {
	switch {
	case r.Epoch == m.epoch || r.Epoch == EpochJoin:
		return Reply{}
	case r.Epoch < m.epoch && r.Epoch == m.previous && r.Owned != nil:
		if _, more := r.Owned.split(m.assigned); more.empty() {
			return Reply{}
		}
	}
	return Refuse(wire.FencedMemberEpoch, "member epoch %d is not %d: give up all tasks and join again", r.Epoch, m.epoch)
}

// enrol makes a member. The first one of a group begins the initial delay.
func (g *Group) enrol(now time.Time, r Beat) *member {
	if d := g.settings().InitialDelay; d > 0 && len(g.members) == 0 {
		g.delayUntil = now.Add(d)
		g.arm(g.delayUntil)
	}
	m := &member{id: r.ID}
	if r.Instance != nil {
		m.static, m.instance = true, *r.Instance
	}
	g.insert(m)
	g.bumping = true
	return m
}

// inherit puts a static member that comes under a new id in the old one's place.
func (g *Group) inherit(old *member, id string) *member {
	seq := old.seq
	g.remove(old)
	m := *old
	m.id, m.epoch, m.previous = id, 0, 0
	g.insert(&m)
	m.seq = seq
	return &m
}

// update takes over what a request says of a member.
func (g *Group) update(m *member, r Beat) {
	g.uncount(m)
	defer g.count(m)
	old := *m
	takeOver(&m.rack, r.Rack)
	takeOver(&m.process, r.Process)
	if r.Rebalance >= 0 {
		m.rebalance = r.Rebalance
	}
	if r.Endpoint != nil {
		m.endpoint = r.Endpoint
	}
	if r.Tags != nil {
		m.tags = r.Tags
	}
	if r.Topology != nil {
		m.topology = r.Topology.Epoch
	}
	m.client = r.Client
	if r.Offsets != nil {
		m.offsets = r.Offsets
	}
	if r.Ends != nil {
		m.ends = r.Ends
	}
	if g.offsets+len(m.offsets)+len(m.ends) > maxGroupOffsets {
		m.offsets, m.ends = nil, nil // only a hint where tasks had better go
	}
	// What the assignment may depend on raises the epoch, as in Kafka.
	elsewhere := (old.endpoint == nil) != (m.endpoint == nil) || old.endpoint != nil && *old.endpoint != *m.endpoint
	if elsewhere {
		g.endpoints++
	}
	moves := old.rack != m.rack || old.process != m.process || !maps.Equal(old.tags, m.tags) || old.topology != m.topology || elsewhere
	if moves || old.rebalance != m.rebalance || old.client != m.client {
		g.changed = true
	}
	g.bumping = g.bumping || moves
}

func takeOver(to *string, s *string) {
	if s != nil {
		*to = *s
	}
}

// checkOwned refuses tasks that are none.
func (g *Group) checkOwned(owned *Assignment) Reply {
	if owned == nil || g.configured == nil || !g.configured.Ready() {
		return Reply{}
	}
	for _, tasks := range []Tasks{owned.Active, owned.Standby, owned.Warmup} {
		for _, k := range tasks {
			n, ok := g.configured.Tasks[k.Subtopology]
			if !ok {
				return Refuse(wire.InvalidRequest, "Subtopology %s does not exist in the topology.", k.Subtopology)
			}
			if k.Partition < 0 || k.Partition >= n {
				return Refuse(wire.InvalidRequest, "Task %d for subtopology %s is invalid. Number of tasks for this subtopology: %d", k.Partition, k.Subtopology, n)
			}
		}
	}
	return Reply{}
}

// depart lets a member go: for good, or if it is static and says so, for a
// while, in which its tasks stay its own until its session ends.
func (g *Group) depart(now time.Time, r Beat) Reply {
	m := g.members[r.ID]
	if r.Instance != nil {
		holder := g.members[g.instances[*r.Instance]]
		if holder != nil && holder != m {
			return Refuse(wire.FencedInstanceID, "another member has instance %s", *r.Instance)
		}
		m = holder
	}
	if m == nil {
		return Refuse(wire.UnknownMemberID, "member %s is not in the group", r.ID)
	}
	if r.Epoch == EpochAway && !m.static {
		return Refuse(wire.InvalidRequest, "only a static member goes for a while")
	}
	if r.Shutdown && g.shutdown == "" {
		g.shutdown = m.id
	}
	if r.Epoch == EpochAway {
		g.release(m)
		m.epoch, m.revokeBy, g.changed = EpochAway, time.Time{}, true
	} else {
		g.remove(m)
		g.afterRemoval(now)
	}
	return Reply{ID: r.ID, Epoch: r.Epoch, Interval: g.settings().Heartbeat}
}

// statuses are what the member is to know of the group.
func (g *Group) statuses(now time.Time, m *member) []Status {
	var list []Status
	if g.topology != nil && m.topology < g.topology.Epoch {
		list = append(list, Status{StaleTopology, fmt.Sprintf("The member's topology epoch %d is behind the group's topology epoch %d.",
			m.topology, g.topology.Epoch)})
	}
	if g.configured != nil && !g.configured.Ready() {
		list = append(list, *g.configured.Problem)
	}
	if g.shutdown != "" {
		list = append(list, Status{ShutdownApplication, fmt.Sprintf(
			"Streams group member %s encountered a fatal error and requested a shutdown for the entire application.", g.shutdown)})
	}
	if now.Before(g.delayUntil) {
		list = append(list, Status{AssignmentDelayed, "The group waits for more members before tasks are assigned."})
	}
	return list
}

// soonest is how soon a member is to come again while there is something for
// it to learn: Kafka has it wait its usual interval.
const soonest = 500 * time.Millisecond

// interval is when the member is to come again: when the initial delay is over,
// soon while it waits for tasks of others, and for one interval after something
// changed. Who gives tasks back comes by itself when it has.
func (g *Group) interval(now time.Time, m *member) time.Duration {
	usual := g.settings().Heartbeat
	if g.configured == nil || !g.configured.Ready() {
		return usual
	}
	soon := max(soonest, time.Duration(len(g.members))*5*time.Millisecond)
	if left := g.delayUntil.Sub(now); left > 0 {
		return min(usual, max(soon, left))
	}
	if m.state == unreleased || now.Sub(g.moved) < usual {
		return min(usual, soon)
	}
	return usual
}
