package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

// Share groups (KIP-932): Read on the group to be in it, Describe to see it,
// Delete to delete its offsets; Read or Describe on the topics.

func shareGuards() map[int16]guard {
	return map[int16]guard{
		76: rule(guardShareHeartbeat), 77: rule(guardShareDescribe), 78: rule(guardShareFetch), 79: rule(guardShareAcknowledge),
		90: rule(guardShareOffsets), 91: rule(guardAlterShareOffsets), 92: rule(guardDeleteShareOffsets),
	}
}

func guardShareHeartbeat(_ *Handlers, a *asker, q *kmsg.ShareGroupHeartbeatRequest, r *kmsg.ShareGroupHeartbeatResponse) (bool, func(*kmsg.ShareGroupHeartbeatResponse)) {
	code := a.mayHeartbeat(q.GroupID, q.SubscribedTopicNames)
	r.ErrorCode, r.ErrorMessage = code, refusalText(code)
	return code != 0, nil
}

func guardShareDescribe(_ *Handlers, a *asker, q *kmsg.ShareGroupDescribeRequest, _ *kmsg.ShareGroupDescribeResponse) (bool, func(*kmsg.ShareGroupDescribeResponse)) {
	denied := keep(&q.GroupIDs, func(name *string) bool { return a.mayGroup(acl.Describe, *name) })
	return false, func(r *kmsg.ShareGroupDescribeResponse) {
		for i := range r.Groups {
			g := &r.Groups[i]
			if g.ErrorCode != 0 {
				continue
			}
			var names []string
			for j := range g.Members {
				names = append(names, g.Members[j].SubscribedTopicNames...)
				for _, tp := range g.Members[j].Assignment.TopicPartitions {
					names = append(names, tp.Topic)
				}
			}
			if !a.couldAll(names) {
				text := hiddenTopics
				g.ErrorCode, g.ErrorMessage, g.Members = noTopic, &text, []kmsg.ShareGroupDescribeResponseGroupMember{}
			} else if q.IncludeAuthorizedOperations {
				g.AuthorizedOperations = a.operations(acl.Group, g.GroupID, groupOperations)
			}
		}
		for _, name := range denied {
			g := kmsg.NewShareGroupDescribeResponseGroup()
			g.GroupID, g.ErrorCode, g.ErrorMessage = name, noGroup, refusalText(noGroup)
			g.Members = []kmsg.ShareGroupDescribeResponseGroupMember{}
			r.Groups = append(r.Groups, g)
		}
	}
}

// guardShareFetch looks at the answer as well: a share session remembers topics
// that the request does not name.
func guardShareFetch(h *Handlers, a *asker, q *kmsg.ShareFetchRequest, r *kmsg.ShareFetchResponse) (bool, func(*kmsg.ShareFetchResponse)) {
	if q.GroupID == nil || !a.mayGroup(acl.Read, *q.GroupID) {
		r.ErrorCode, r.ErrorMessage, r.Topics = noGroup, refusalText(noGroup), []kmsg.ShareFetchResponseTopic{}
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.ShareFetchRequestTopic) bool { return h.mayTopic(a, acl.Read, "", t.TopicID, true) })
	return false, func(r *kmsg.ShareFetchResponse) {
		for i := range r.Topics {
			t := &r.Topics[i]
			if name, known := h.nameOf("", t.TopicID, true); known && !a.could(acl.Read, acl.Topic, name) {
				for j := range t.Partitions {
					p := &t.Partitions[j]
					p.ErrorCode, p.Records, p.AcquiredRecords = noTopic, []byte{}, nil
				}
			}
		}
		for _, rt := range denied {
			st := kmsg.NewShareFetchResponseTopic()
			st.TopicID = rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewShareFetchResponseTopicPartition()
				sp.Partition, sp.ErrorCode, sp.Records = rp.Partition, noTopic, []byte{}
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func guardShareAcknowledge(h *Handlers, a *asker, q *kmsg.ShareAcknowledgeRequest, r *kmsg.ShareAcknowledgeResponse) (bool, func(*kmsg.ShareAcknowledgeResponse)) {
	if q.GroupID == nil || !a.mayGroup(acl.Read, *q.GroupID) {
		r.ErrorCode, r.ErrorMessage, r.Topics = noGroup, refusalText(noGroup), []kmsg.ShareAcknowledgeResponseTopic{}
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.ShareAcknowledgeRequestTopic) bool { return h.mayTopic(a, acl.Read, "", t.TopicID, true) })
	return false, func(r *kmsg.ShareAcknowledgeResponse) {
		for _, rt := range denied {
			st := kmsg.NewShareAcknowledgeResponseTopic()
			st.TopicID = rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewShareAcknowledgeResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, noTopic
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func guardShareOffsets(_ *Handlers, a *asker, q *kmsg.DescribeShareGroupOffsetsRequest, _ *kmsg.DescribeShareGroupOffsetsResponse) (bool, func(*kmsg.DescribeShareGroupOffsetsResponse)) {
	denied := keep(&q.Groups, func(g *kmsg.DescribeShareGroupOffsetsRequestGroup) bool { return a.mayGroup(acl.Describe, g.GroupID) })
	hidden := map[string][]kmsg.DescribeShareGroupOffsetsRequestGroupTopic{}
	for i := range q.Groups {
		g := &q.Groups[i]
		hidden[g.GroupID] = keep(&g.Topics, func(t *kmsg.DescribeShareGroupOffsetsRequestGroupTopic) bool {
			return a.may(acl.Describe, acl.Topic, t.Topic)
		})
	}
	return false, func(r *kmsg.DescribeShareGroupOffsetsResponse) {
		for i := range r.Groups {
			g := &r.Groups[i]
			g.Topics = slices.DeleteFunc(g.Topics, func(t kmsg.DescribeShareGroupOffsetsResponseGroupTopic) bool {
				return !a.could(acl.Describe, acl.Topic, t.Topic)
			})
			for _, rt := range hidden[g.GroupID] {
				st := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
				st.Topic = rt.Topic
				for _, n := range rt.Partitions {
					sp := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
					sp.Partition, sp.StartOffset, sp.ErrorCode, sp.ErrorMessage = n, -1, noTopic, refusalText(noTopic)
					st.Partitions = append(st.Partitions, sp)
				}
				g.Topics = append(g.Topics, st)
			}
		}
		for _, rg := range denied {
			g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
			g.GroupID, g.ErrorCode, g.ErrorMessage = rg.GroupID, noGroup, refusalText(noGroup)
			g.Topics = []kmsg.DescribeShareGroupOffsetsResponseGroupTopic{}
			r.Groups = append(r.Groups, g)
		}
	}
}

func guardAlterShareOffsets(_ *Handlers, a *asker, q *kmsg.AlterShareGroupOffsetsRequest, r *kmsg.AlterShareGroupOffsetsResponse) (bool, func(*kmsg.AlterShareGroupOffsetsResponse)) {
	if !a.mayGroup(acl.Read, q.GroupID) {
		r.ErrorCode, r.ErrorMessage, r.Topics = noGroup, refusalText(noGroup), []kmsg.AlterShareGroupOffsetsResponseTopic{}
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.AlterShareGroupOffsetsRequestTopic) bool { return a.may(acl.Read, acl.Topic, t.Topic) })
	return false, func(r *kmsg.AlterShareGroupOffsetsResponse) {
		for _, rt := range denied {
			st := kmsg.NewAlterShareGroupOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
				sp.Partition, sp.ErrorCode, sp.ErrorMessage = rp.Partition, noTopic, refusalText(noTopic)
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func guardDeleteShareOffsets(_ *Handlers, a *asker, q *kmsg.DeleteShareGroupOffsetsRequest, r *kmsg.DeleteShareGroupOffsetsResponse) (bool, func(*kmsg.DeleteShareGroupOffsetsResponse)) {
	if !a.mayGroup(acl.Delete, q.GroupID) {
		r.ErrorCode, r.ErrorMessage, r.Topics = noGroup, refusalText(noGroup), []kmsg.DeleteShareGroupOffsetsResponseTopic{}
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.DeleteShareGroupOffsetsRequestTopic) bool { return a.may(acl.Read, acl.Topic, t.Topic) })
	return false, func(r *kmsg.DeleteShareGroupOffsetsResponse) {
		for _, rt := range denied {
			st := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
			st.Topic, st.ErrorCode, st.ErrorMessage = rt.Topic, noTopic, refusalText(noTopic)
			r.Topics = append(r.Topics, st)
		}
	}
}
