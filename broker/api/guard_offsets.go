package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

func offsetGuards() map[int16]guard {
	return map[int16]guard{8: rule(guardOffsetCommit), 9: rule(guardOffsetFetch), 47: rule(guardOffsetDelete)}
}

// guardOffsetCommit wants Read on the group and on each topic.
func guardOffsetCommit(h *Handlers, a *asker, q *kmsg.OffsetCommitRequest, r *kmsg.OffsetCommitResponse) (bool, func(*kmsg.OffsetCommitResponse)) {
	if !a.mayGroup(acl.Read, q.Group) {
		refuseCommit(r, q.Topics, noGroup)
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.OffsetCommitRequestTopic) bool {
		return h.mayTopic(a, acl.Read, t.Topic, t.TopicID, q.Version >= 10)
	})
	return false, func(r *kmsg.OffsetCommitResponse) { refuseCommit(r, denied, noTopic) }
}

func refuseCommit(r *kmsg.OffsetCommitResponse, topics []kmsg.OffsetCommitRequestTopic, code int16) {
	for _, rt := range topics {
		st := kmsg.NewOffsetCommitResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			sp := kmsg.NewOffsetCommitResponseTopicPartition()
			sp.Partition, sp.ErrorCode = rp.Partition, code
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
}

// guardOffsetFetch wants Describe on each group and topic; of all topics of a
// group it shows those that may be described.
func guardOffsetFetch(h *Handlers, a *asker, q *kmsg.OffsetFetchRequest, r *kmsg.OffsetFetchResponse) (bool, func(*kmsg.OffsetFetchResponse)) {
	if q.Version < 8 {
		return guardOffsetFetchOne(a, q, r)
	}
	denied := keep(&q.Groups, func(g *kmsg.OffsetFetchRequestGroup) bool { return a.mayGroup(acl.Describe, g.Group) })
	hidden := make([][]kmsg.OffsetFetchRequestGroupTopic, len(q.Groups))
	all := make([]bool, len(q.Groups))
	for i := range q.Groups {
		all[i] = q.Groups[i].Topics == nil
		hidden[i] = keep(&q.Groups[i].Topics, func(t *kmsg.OffsetFetchRequestGroupTopic) bool {
			return h.mayTopic(a, acl.Describe, t.Topic, t.TopicID, q.Version >= 10)
		})
	}
	return false, func(r *kmsg.OffsetFetchResponse) {
		for i := range r.Groups {
			g := &r.Groups[i]
			if all[i] {
				g.Topics = slices.DeleteFunc(g.Topics, func(t kmsg.OffsetFetchResponseGroupTopic) bool {
					name, known := h.nameOf(t.Topic, t.TopicID, q.Version >= 10)
					return !known || !a.could(acl.Describe, acl.Topic, name)
				})
			}
			for _, rt := range hidden[i] {
				st := kmsg.NewOffsetFetchResponseGroupTopic()
				st.Topic, st.TopicID = rt.Topic, rt.TopicID
				for _, n := range rt.Partitions {
					sp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
					sp.Partition, sp.Offset, sp.LeaderEpoch, sp.Metadata, sp.ErrorCode = n, -1, -1, new(string), noTopic
					st.Partitions = append(st.Partitions, sp)
				}
				g.Topics = append(g.Topics, st)
			}
		}
		for _, rg := range denied {
			g := kmsg.NewOffsetFetchResponseGroup()
			g.Group, g.ErrorCode, g.Topics = rg.Group, noGroup, []kmsg.OffsetFetchResponseGroupTopic{}
			r.Groups = append(r.Groups, g)
		}
	}
}

// guardOffsetFetchOne is for versions with one group; before version 2 only
// partitions have codes.
func guardOffsetFetchOne(a *asker, q *kmsg.OffsetFetchRequest, r *kmsg.OffsetFetchResponse) (bool, func(*kmsg.OffsetFetchResponse)) {
	if !a.mayGroup(acl.Describe, q.Group) {
		r.ErrorCode, r.Topics = noGroup, []kmsg.OffsetFetchResponseTopic{}
		if q.Version < 2 {
			refuseOffsets(r, q.Topics, noGroup)
		}
		return true, nil
	}
	all := q.Topics == nil
	denied := keep(&q.Topics, func(t *kmsg.OffsetFetchRequestTopic) bool { return a.may(acl.Describe, acl.Topic, t.Topic) })
	return false, func(r *kmsg.OffsetFetchResponse) {
		r.Topics = slices.DeleteFunc(r.Topics, func(t kmsg.OffsetFetchResponseTopic) bool {
			return all && !a.could(acl.Describe, acl.Topic, t.Topic)
		})
		refuseOffsets(r, denied, noTopic)
	}
}

func refuseOffsets(r *kmsg.OffsetFetchResponse, topics []kmsg.OffsetFetchRequestTopic, code int16) {
	for _, rt := range topics {
		st := kmsg.NewOffsetFetchResponseTopic()
		st.Topic = rt.Topic
		for _, n := range rt.Partitions {
			sp := kmsg.NewOffsetFetchResponseTopicPartition()
			sp.Partition, sp.Offset, sp.LeaderEpoch, sp.Metadata, sp.ErrorCode = n, -1, -1, new(string), code
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
}

// guardOffsetDelete wants Delete on the group and Read on each topic.
func guardOffsetDelete(_ *Handlers, a *asker, q *kmsg.OffsetDeleteRequest, r *kmsg.OffsetDeleteResponse) (bool, func(*kmsg.OffsetDeleteResponse)) {
	if !a.mayGroup(acl.Delete, q.Group) {
		r.ErrorCode, r.Topics = noGroup, []kmsg.OffsetDeleteResponseTopic{}
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.OffsetDeleteRequestTopic) bool { return a.may(acl.Read, acl.Topic, t.Topic) })
	return false, func(r *kmsg.OffsetDeleteResponse) {
		for _, rt := range denied {
			st := kmsg.NewOffsetDeleteResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetDeleteResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, noTopic
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}
