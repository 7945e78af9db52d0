package streams

import (
	"fmt"
	"time"
)

// Item is a group as it is stored.
type Item struct {
	Epoch           int32        `json:"epoch"`
	AssignmentEpoch int32        `json:"assignment_epoch"`
	Validated       int32        `json:"validated_topology_epoch"` // -1: none
	Standbys        int          `json:"standbys,omitempty"`
	TopicsHash      uint64       `json:"topics_hash,omitempty"`
	Topology        *Topology    `json:"topology,omitempty"`
	SinceMs         int64        `json:"since_ms"`
	Members         []MemberItem `json:"members,omitempty"`
}

// MemberItem is one member as it is stored.
type MemberItem struct {
	ID            string            `json:"id"`
	Instance      *string           `json:"instance,omitempty"`
	Rack          string            `json:"rack,omitempty"`
	ClientID      string            `json:"client_id"`
	ClientHost    string            `json:"client_host"`
	Process       string            `json:"process"`
	Endpoint      *Endpoint         `json:"endpoint,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	TopologyEpoch int32             `json:"topology_epoch"`
	RebalanceMs   int64             `json:"rebalance_ms"`
	Epoch         int32             `json:"epoch"`
	Previous      int32             `json:"previous_epoch"`
	State         string            `json:"state"`
	Assigned      Assignment        `json:"assigned"`
	Revoking      Assignment        `json:"revoking"`
	Target        Assignment        `json:"target"`
	Given         []Given           `json:"given,omitempty"`
}

// Given says since which epoch a member has active tasks.
type Given struct {
	Epoch int32 `json:"epoch"`
	Tasks Tasks `json:"tasks"`
}

// Item is the group as it is to be stored now. It shares memory with the group
// that nothing changes.
func (g *Group) Item() *Item {
	it := &Item{
		Epoch: g.epoch, AssignmentEpoch: g.assigned, Validated: g.validated, Standbys: g.standbys,
		TopicsHash: g.print, Topology: g.topology, SinceMs: g.since.UnixMilli(),
	}
	for _, m := range g.ordered() {
		mi := MemberItem{
			ID: m.id, Rack: m.rack, ClientID: m.client.ID, ClientHost: m.client.Host, Process: m.process,
			Endpoint: m.endpoint, Tags: m.tags, TopologyEpoch: m.topology, RebalanceMs: m.rebalance.Milliseconds(),
			Epoch: m.epoch, Previous: m.previous, State: m.state.String(),
			Assigned: m.assigned, Revoking: m.revoking, Target: m.target, Given: m.given(),
		}
		if m.static {
			instance := m.instance
			mi.Instance = &instance
		}
		it.Members = append(it.Members, mi)
	}
	return it
}

// given lists the member's active tasks by the epoch since which it has them.
func (m *member) given() []Given {
	var list []Given
	at := map[int32]int{}
	for _, k := range m.assigned.Active.union(m.revoking.Active) {
		since := m.since[k]
		i, ok := at[since]
		if !ok {
			i = len(list)
			at[since] = i
			list = append(list, Given{Epoch: since})
		}
		list[i].Tasks = append(list[i].Tasks, k)
	}
	return list
}

// Restore fills a new group with a stored one, whose members' sessions start
// anew: a broker that was away shorter than a session fences nobody.
func (g *Group) Restore(now time.Time, it *Item) {
	g.epoch, g.assigned, g.validated = max(it.Epoch, firstEpoch), max(it.AssignmentEpoch, firstEpoch), it.Validated
	g.standbys, g.print, g.topology = it.Standbys, it.TopicsHash, it.Topology
	for _, mi := range it.Members {
		m := &member{
			id: mi.ID, rack: mi.Rack, client: Client{ID: mi.ClientID, Host: mi.ClientHost}, process: mi.Process,
			endpoint: mi.Endpoint, tags: mi.Tags, topology: mi.TopologyEpoch,
			rebalance: time.Duration(mi.RebalanceMs) * time.Millisecond,
			epoch:     mi.Epoch, previous: mi.Previous, assigned: mi.Assigned, revoking: mi.Revoking, target: mi.Target,
			since: map[Task]int32{},
		}
		m.state, _ = parseState(mi.State)
		for _, given := range mi.Given {
			for _, k := range given.Tasks {
				m.since[k] = given.Epoch
			}
		}
		if mi.Instance != nil {
			m.static, m.instance = true, *mi.Instance
		}
		g.insert(m)
		g.touch(now, m)
		if m.state == unrevoked {
			m.revokeBy = now.Add(m.rebalance)
			g.arm(m.revokeBy)
		}
	}
	if g.topology != nil {
		_ = g.look() // an error comes back with each heartbeat
	}
	g.shown, g.since = g.State(), time.UnixMilli(it.SinceMs)
}

func parseState(text string) (state, bool) {
	for s := range unreleased + 1 {
		if s.String() == text {
			return s, true
		}
	}
	return 0, false
}

// Check refuses a stored group that cannot be.
func (it *Item) Check() error {
	ids, owners := map[string]bool{}, map[Task]string{}
	if it.AssignmentEpoch > it.Epoch {
		return fmt.Errorf("its target is of epoch %d, it of %d", it.AssignmentEpoch, it.Epoch)
	}
	if it.Topology == nil && len(it.Members) > 0 {
		return fmt.Errorf("it has members and no topology")
	}
	for _, mi := range it.Members {
		if mi.ID == "" || ids[mi.ID] {
			return fmt.Errorf("it has member %q twice or without id", mi.ID)
		}
		ids[mi.ID] = true
		if _, ok := parseState(mi.State); !ok {
			return fmt.Errorf("member %q is in state %q", mi.ID, mi.State)
		}
		if mi.Epoch > it.AssignmentEpoch {
			return fmt.Errorf("member %q is of epoch %d, the target of %d", mi.ID, mi.Epoch, it.AssignmentEpoch)
		}
		for _, k := range mi.Assigned.Active.union(mi.Revoking.Active) {
			if other, ok := owners[k]; ok {
				return fmt.Errorf("members %q and %q have task %s", other, mi.ID, k)
			}
			owners[k] = mi.ID
		}
	}
	return nil
}
