package streams

import (
	"maps"
	"slices"
)

// EndpointTasks is where what is to be found, for interactive queries.
type EndpointTasks struct {
	Endpoint
	Active, Standby []TopicPartitions
}

// TopicPartitions are partitions of one topic.
type TopicPartitions struct {
	Topic      string
	Partitions []int32
}

// where lists the members that answer queries, with the partitions whose
// records they have processed.
func (g *Group) where() []EndpointTasks {
	list := []EndpointTasks{}
	if g.configured == nil || g.configured.Tasks == nil {
		return list
	}
	for _, m := range g.ordered() {
		if m.endpoint != nil {
			list = append(list, EndpointTasks{*m.endpoint, g.partitions(m.assigned.Active), g.partitions(m.assigned.Standby)})
		}
	}
	return list
}

// partitions are those that tasks read.
func (g *Group) partitions(tasks Tasks) []TopicPartitions {
	list := []TopicPartitions{}
	tasks.Each(func(id string, numbers []int32) {
		for i := range g.topology.Subtopologies {
			s := &g.topology.Subtopologies[i]
			if s.ID != id {
				continue
			}
			for _, name := range s.Reads() {
				_, size, _ := g.topics.ByName(name)
				mine := slices.DeleteFunc(slices.Clone(numbers), func(n int32) bool { return n >= size })
				if len(mine) > 0 {
					list = append(list, TopicPartitions{name, mine})
				}
			}
		}
	})
	return list
}

// Description is a group as StreamsGroupDescribe shows it. The caller may not
// change what it points to.
type Description struct {
	State                  string
	Epoch, AssignmentEpoch int32
	Topology               *Topology // nil before somebody joined
	// Partitions of internal topics; nil if the topology is not configured.
	Partitions map[string]int32
	Configured bool
	Members    []Member
}

// Member is one member as StreamsGroupDescribe shows it.
type Member struct {
	MemberItem
	Offsets, Ends map[Task]int64
}

// Describe shows the group as it is now.
func (g *Group) Describe() Description {
	it := g.Item()
	d := Description{State: g.State(), Epoch: g.epoch, AssignmentEpoch: g.assigned, Topology: g.topology}
	if g.configured != nil && g.configured.Tasks != nil {
		d.Configured, d.Partitions = true, g.configured.Partitions
	}
	for _, mi := range it.Members {
		m := g.members[mi.ID]
		d.Members = append(d.Members, Member{mi, maps.Clone(m.offsets), maps.Clone(m.ends)})
	}
	return d
}

// Partitions are the partitions that tasks of the group read.
func (g *Group) Partitions(tasks Tasks) map[string][]int32 {
	out := map[string][]int32{}
	if g.topology == nil {
		return out
	}
	for _, tp := range g.partitions(tasks) {
		out[tp.Topic] = append(out[tp.Topic], tp.Partitions...)
	}
	return out
}

// Missing lists internal topics that are to be made before a member that joins
// with a topology, or nil, can be given tasks; of a group of the name that has
// another one, that counts. They are made before the heartbeat is taken, so
// that its answer can do without them.
func (g *Group) Missing(joins *Topology) []InternalTopic {
	t := g.topology
	if joins != nil && (t == nil || len(g.members) == 0) {
		t = joins
	}
	if t == nil {
		return nil
	}
	if g.configured != nil && t == g.topology && g.mark == g.topics.Mark() {
		return g.configured.Missing
	}
	return Missing(t, g.topics)
}

// Missing is Group.Missing of a group that is not there yet.
func Missing(t *Topology, topics Topics) []InternalTopic {
	if t.bytes() > MaxTopologyBytes {
		return nil // it will be refused
	}
	c, err := Configure(t, topics)
	if err != nil {
		return nil
	}
	return c.Missing
}
