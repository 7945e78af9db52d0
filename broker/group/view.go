package group

import (
	"cmp"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Summary is one group as consoles and metrics show it. The caller owns it.
type Summary struct {
	Name         string
	Type         string // "classic", "consumer" or "streams"
	State        string // as ListGroups gives it
	ProtocolType string // "consumer", "connect", …; "" of a simple group
	Protocol     string // chosen assignor; "" unless members work
	Generation   int32  // or the epoch of a consumer or streams group
	Leader       string // member id; "" in a consumer or streams group
	SinceMs      int64  // when it entered its state, Unix ms
	Members      []MemberSummary
	Offsets      []OffsetSummary // by topic id and partition
}

// MemberSummary is one member, in order of joining.
type MemberSummary struct {
	ID         string
	InstanceID *string // nil unless static
	ClientID   string
	ClientHost string
	// Metadata and Assignment are the client's bytes, of a stable group only.
	Metadata, Assignment []byte
	// Partitions is the assignment by topic, of consumers only.
	Partitions map[string][]int32
}

// OffsetSummary is one committed offset.
type OffsetSummary struct {
	Topic       storage.TopicID
	Partition   int32
	Offset      int64
	LeaderEpoch int32 // -1: not known
	Metadata    string
	CommitMs    int64 // Unix ms
	Pending     bool  // a transaction under way will write it
}

// Groups lists all groups by name, each as it is when it is looked at.
func (c *Coordinator) Groups() []Summary {
	var list []Summary
	for _, e := range c.all() {
		e.mu.Lock()
		if !e.gone {
			list = append(list, e.summary())
		}
		e.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Group gives one group, or false if there is none.
func (c *Coordinator) Group(name string) (Summary, bool) {
	c.mu.Lock()
	e := c.groups[name]
	c.mu.Unlock()
	if e == nil {
		return Summary{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.summary(), !e.gone
}

// typeName gives the group's type as ListGroups does. mu is held.
func (e *entry) typeName() string {
	switch e.machine.(type) {
	case *modern:
		return typeConsumer
	case *streaming:
		return typeStreams
	}
	return typeClassic
}

// summarize shows a consumer group.
func (m *modern) summarize(s *Summary) {
	s.ProtocolType, s.Generation, s.SinceMs = consumerType, m.epoch, m.since.UnixMilli()
	s.Members = make([]MemberSummary, 0, len(m.members))
	if len(m.members) > 0 {
		s.Protocol = m.assignor()
	}
	for _, mem := range m.ordered() {
		ms := MemberSummary{ID: mem.id, ClientID: mem.client.ID, ClientHost: mem.client.Host, Partitions: map[string][]int32{}}
		if mem.static {
			instance := mem.instance
			ms.InstanceID = &instance
		}
		mem.assigned.topics(func(id storage.TopicID, numbers []int32) {
			if name, _, ok := m.topics.ByID(id); ok {
				ms.Partitions[name] = numbers
			}
		})
		s.Members = append(s.Members, ms)
	}
}

// summary copies what is shown. e.mu is held.
func (e *entry) summary() Summary {
	s := Summary{Name: e.name, Type: e.typeName(), State: e.machine.stateName()}
	e.machine.summarize(&s)
	for _, k := range sortedKeys(e.offsets) {
		o := e.offsets[k]
		s.Offsets = append(s.Offsets, OffsetSummary{
			Topic: k.topic, Partition: k.partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch,
			Metadata: o.Metadata, CommitMs: o.CommitMs, Pending: e.pendingOn(k),
		})
	}
	return s
}
