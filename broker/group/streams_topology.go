package group

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/streams"
	"github.com/tarn-io/tarn/broker/wire"
)

// checkTopology judges what a topology says, without topics.
func checkTopology(t *kmsg.StreamsGroupHeartbeatRequestTopology) streams.Reply {
	invalid := func(format string, args ...any) streams.Reply {
		return streams.Refuse(wire.StreamsInvalidTopology, format, args...)
	}
	ids := map[string]bool{}
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		if s.SubtopologyID == "" || ids[s.SubtopologyID] {
			return invalid("Subtopology %q stands twice or has no id.", s.SubtopologyID)
		}
		ids[s.SubtopologyID] = true
		if len(s.SourceTopicRegex) > 0 {
			return invalid("Regular expressions for source topics are not supported yet.")
		}
		for _, c := range s.StateChangelogTopics {
			if c.NumPartitions != 0 {
				return invalid("Changelog topic %s must have an undefined partition count, but it is set to %d.", c.Topic, c.NumPartitions)
			}
		}
		for _, r := range s.RepartitionSourceTopics {
			if r.NumPartitions < 0 {
				return invalid("Repartition topic %s has %d partitions.", r.Topic, r.NumPartitions)
			}
		}
		for _, g := range s.CopartitionGroups {
			if len(g.SourceTopicRegex) > 0 || outside(g.SourceTopics, len(s.SourceTopics)) ||
				outside(g.RepartitionSourceTopics, len(s.RepartitionSourceTopics)) {
				return invalid("A copartition group of subtopology %s names topics that it does not read.", s.SubtopologyID)
			}
		}
	}
	return streams.Reply{}
}

func outside(indexes []int16, n int) bool {
	return slices.ContainsFunc(indexes, func(i int16) bool { return i < 0 || int(i) >= n })
}

// newTopology makes a topology of a checked one; nil of nil. What comes in an
// order that means nothing is sorted, so that topologies can be compared.
func newTopology(rt *kmsg.StreamsGroupHeartbeatRequestTopology) *streams.Topology {
	if rt == nil {
		return nil
	}
	t := &streams.Topology{Epoch: rt.Epoch}
	for i := range rt.Subtopologies {
		rs := &rt.Subtopologies[i]
		s := streams.Subtopology{
			ID: rs.SubtopologyID, Sources: sorted(rs.SourceTopics), Sinks: sorted(rs.RepartitionSinkTopics),
			Changelogs: internalTopics(rs.StateChangelogTopics), Repartitions: internalTopics(rs.RepartitionSourceTopics),
		}
		for _, g := range rs.CopartitionGroups {
			var names []string
			for _, i := range g.SourceTopics {
				names = append(names, rs.SourceTopics[i])
			}
			for _, i := range g.RepartitionSourceTopics {
				names = append(names, rs.RepartitionSourceTopics[i].Topic)
			}
			s.Copartitions = append(s.Copartitions, sorted(names))
		}
		slices.SortFunc(s.Copartitions, slices.Compare[[]string])
		t.Subtopologies = append(t.Subtopologies, s)
	}
	slices.SortFunc(t.Subtopologies, func(a, b streams.Subtopology) int { return cmp.Compare(a.ID, b.ID) })
	return t
}

func sorted(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

func internalTopics(list []kmsg.TopicInfo) []streams.InternalTopic {
	var out []streams.InternalTopic
	for _, t := range list {
		it := streams.InternalTopic{Name: t.Topic, Partitions: t.NumPartitions, Replication: t.ReplicationFactor}
		if len(t.Configs) > 0 {
			it.Configs = map[string]string{}
		}
		for _, kv := range t.Configs {
			it.Configs[kv.Key] = kv.Value
		}
		out = append(out, it)
	}
	slices.SortFunc(out, func(a, b streams.InternalTopic) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
