package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// consumerItem is one member of a consumer group as it is stored.
type consumerItem struct {
	ID          string     `json:"id"`
	Instance    *string    `json:"instance,omitempty"`
	Rack        string     `json:"rack,omitempty"`
	ClientID    string     `json:"client_id"`
	ClientHost  string     `json:"client_host"`
	Principal   string     `json:"principal,omitempty"`
	RebalanceMs int64      `json:"rebalance_ms"`
	Topics      []string   `json:"topics,omitempty"`
	Regex       string     `json:"regex,omitempty"`
	Assignor    string     `json:"assignor,omitempty"`
	Epoch       int32      `json:"epoch"`
	Previous    int32      `json:"previous_epoch"`
	State       string     `json:"state"`
	Assigned    partitions `json:"assigned,omitempty"`
	Revoking    partitions `json:"revoking,omitempty"`
	Target      partitions `json:"target,omitempty"`
	Given       []given    `json:"given,omitempty"`

	Classic *classicItem `json:"classic,omitempty"`
}

// given says since which epoch a member has partitions; those that are not in it
// it has since its epoch.
type given struct {
	Epoch      int32      `json:"epoch"`
	Partitions partitions `json:"partitions"`
}

// givens lists what the member has since an epoch before its own.
func (c *consumer) givens() []given {
	var list []given
	at := map[int32]int{}
	for _, k := range c.assigned.union(c.revoking) {
		since := c.given[k]
		if since == c.epoch {
			continue
		}
		i, ok := at[since]
		if !ok {
			i = len(list)
			at[since] = i
			list = append(list, given{Epoch: since})
		}
		list[i].Partitions = append(list[i].Partitions, k)
	}
	return list
}

// classicItem is what a member has that speaks the classic protocol.
type classicItem struct {
	SessionMs int64      `json:"session_ms"`
	Protocols []protocol `json:"protocols"`
}

// snapshot is the group as it is to be stored now.
func (m *modern) snapshot() *groupItem {
	if m.successor != nil {
		return m.successorItem
	}
	it := &groupItem{
		Type: typeConsumer, ProtocolType: consumerType, Generation: m.epoch, AssignmentEpoch: m.assigned,
		Topics: m.fingerprint, SinceMs: m.since.UnixMilli(),
	}
	for _, mem := range m.ordered() {
		ci := consumerItem{
			ID: mem.id, Rack: mem.rack, ClientID: mem.client.ID, ClientHost: mem.client.Host, Principal: mem.client.Principal,
			RebalanceMs: mem.rebalance.Milliseconds(), Topics: mem.names, Regex: mem.regex, Assignor: mem.assignor,
			Epoch: mem.epoch, Previous: mem.previous, State: mem.state.String(),
			Assigned: mem.assigned, Revoking: mem.revoking, Target: mem.target, Given: mem.givens(),
		}
		if mem.static {
			instance := mem.instance
			ci.Instance = &instance
		}
		if mem.classic != nil {
			ci.Classic = &classicItem{mem.classic.session.Milliseconds(), mem.classic.protocols}
		}
		it.Consumers = append(it.Consumers, ci)
	}
	return it
}

// restore fills a new machine with a stored group, whose members' sessions
// start anew: a broker that was away shorter than a session fences nobody.
func (m *modern) restore(now time.Time, it groupItem) {
	m.epoch, m.assigned, m.fingerprint = it.Generation, it.AssignmentEpoch, it.Topics
	for _, ci := range it.Consumers {
		mem := &consumer{
			id: ci.ID, rack: ci.Rack, client: Client{ci.ClientID, ci.ClientHost, ci.Principal},
			rebalance: time.Duration(ci.RebalanceMs) * time.Millisecond,
			names:     ci.Topics, regex: ci.Regex, assignor: ci.Assignor,
			epoch: ci.Epoch, previous: ci.Previous, assigned: ci.Assigned, revoking: ci.Revoking, target: ci.Target,
		}
		mem.state, _ = parseMemberState(ci.State)
		mem.given = map[offsetKey]int32{}
		for _, gi := range ci.Given {
			for _, k := range gi.Partitions {
				mem.given[k] = gi.Epoch
			}
		}
		mem.note(mem.epoch)
		if ci.Instance != nil {
			mem.static, mem.instance = true, *ci.Instance
		}
		if ci.Classic != nil {
			mem.classic = &classicSide{session: time.Duration(ci.Classic.SessionMs) * time.Millisecond, protocols: ci.Classic.Protocols}
		}
		m.insert(mem)
		m.touch(now, mem)
		if mem.state == unrevoked && mem.classic == nil {
			mem.revokeBy = now.Add(mem.rebalance)
			m.arm(mem.revokeBy)
		}
	}
	m.shown, m.since = m.stateName(), time.UnixMilli(it.SinceMs)
	m.heard = m.epoch
}

func parseMemberState(text string) (memberState, bool) {
	for s := range unreleased + 1 {
		if s.String() == text {
			return s, true
		}
	}
	return 0, false
}

// checkConsumers refuses a stored consumer group that cannot be.
func (g *groupItem) checkConsumers() error {
	ids, owners := map[string]bool{}, map[offsetKey]string{}
	if g.AssignmentEpoch > g.Generation {
		return fmt.Errorf("its target is of epoch %d, it of %d", g.AssignmentEpoch, g.Generation)
	}
	for _, ci := range g.Consumers {
		if ci.ID == "" || ids[ci.ID] {
			return fmt.Errorf("it has member %q twice or without id", ci.ID)
		}
		ids[ci.ID] = true
		if _, ok := parseMemberState(ci.State); !ok {
			return fmt.Errorf("member %q is in state %q", ci.ID, ci.State)
		}
		if ci.Classic != nil && (ci.Classic.SessionMs <= 0 || len(ci.Classic.Protocols) == 0 || ci.RebalanceMs <= 0) {
			return fmt.Errorf("member %q has no timeouts or protocols", ci.ID)
		}
		if ci.Epoch > g.AssignmentEpoch {
			return fmt.Errorf("member %q is of epoch %d, the target of %d", ci.ID, ci.Epoch, g.AssignmentEpoch)
		}
		for _, k := range slices.Concat(ci.Assigned, ci.Revoking) {
			if other, ok := owners[k]; ok {
				return fmt.Errorf("members %q and %q have partition %d of %s", other, ci.ID, k.partition, k.topic)
			}
			owners[k] = ci.ID
		}
	}
	return nil
}

// revived makes the machine of a stored group.
func (c *Coordinator) revived(name string, now time.Time, g groupItem) membership {
	switch g.Type {
	case typeConsumer:
		m := c.newModern(name, now)
		m.restore(now, g)
		return m
	case typeStreams:
		m := c.newStreaming(name, now)
		m.g.Restore(now, g.Streams)
		return m
	}
	return restore(c.rules, now, g)
}

// newModern makes the machine of a new consumer group.
func (c *Coordinator) newModern(name string, now time.Time) *modern {
	settings := func() consumerSettings {
		session, heartbeat := c.cfg.ConsumerTimes(name)
		return consumerSettings{session: session, heartbeat: heartbeat}
	}
	m := newModern(c.rules, c.cfg.Topics, settings, now)
	m.access = c.cfg.Access
	return m
}

// errType is for a stored group of a type that is not known.
func errType(name, typ string) error {
	return fmt.Errorf("%w: group %q is of type %q, which this version does not know", storage.ErrBroken, name, typ)
}
