package group

import (
	"cmp"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Summary is one group as consoles and metrics show it. The caller owns it.
type Summary struct {
	Name         string
	Type         string // "classic"
	State        string // as ListGroups gives it
	ProtocolType string // "consumer", "connect", …; "" of a simple group
	Protocol     string // chosen assignor; "" unless members work
	Generation   int32
	Leader       string // member id
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

// summary copies what is shown. e.mu is held.
func (e *entry) summary() Summary {
	m := e.machine
	s := Summary{
		Name: e.name, Type: typeClassic, State: m.state.String(), ProtocolType: m.protocolType,
		Protocol: m.protocol, Generation: m.generation, Leader: m.leader,
		SinceMs: m.since.UnixMilli(), Members: m.describe(),
	}
	for i := range s.Members {
		if m.protocolType == consumerType {
			s.Members[i].Partitions, _ = parseAssignment(s.Members[i].Assignment)
		}
	}
	for _, k := range sortedKeys(e.offsets) {
		o := e.offsets[k]
		s.Offsets = append(s.Offsets, OffsetSummary{
			Topic: k.topic, Partition: k.partition, Offset: o.Offset, LeaderEpoch: o.LeaderEpoch,
			Metadata: o.Metadata, CommitMs: o.CommitMs, Pending: e.pendingOn(k),
		})
	}
	return s
}
