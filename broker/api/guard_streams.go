package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

// Streams groups (KIP-1071): Read on the group to be in it, Describe to see it,
// and Describe on all topics of its topology. To have internal topics made, the
// handler asks for Create.

func streamsGuards() map[int16]guard {
	return map[int16]guard{88: rule(guardStreamsHeartbeat), 89: rule(guardStreamsDescribe)}
}

func guardStreamsHeartbeat(_ *Handlers, a *asker, q *kmsg.StreamsGroupHeartbeatRequest, r *kmsg.StreamsGroupHeartbeatResponse) (bool, func(*kmsg.StreamsGroupHeartbeatResponse)) {
	code := a.mayHeartbeat(q.Group, topologyTopics(q.Topology))
	r.ErrorCode, r.ErrorMessage = code, refusalText(code)
	return code != 0, nil
}

func guardStreamsDescribe(_ *Handlers, a *asker, q *kmsg.StreamsGroupDescribeRequest, _ *kmsg.StreamsGroupDescribeResponse) (bool, func(*kmsg.StreamsGroupDescribeResponse)) {
	denied := keep(&q.Groups, func(name *string) bool { return a.mayGroup(acl.Describe, *name) })
	return false, func(r *kmsg.StreamsGroupDescribeResponse) {
		for i := range r.Groups {
			g := &r.Groups[i]
			if g.ErrorCode != 0 {
				continue
			}
			if !a.couldAll(describedTopics(g.Topology)) {
				text := hiddenTopics
				g.ErrorCode, g.ErrorMessage, g.Topology = noTopic, &text, nil
				g.Members = []kmsg.StreamsGroupDescribeResponseGroupMember{}
			} else if q.IncludeAuthorizedOperations {
				g.AuthorizedOperations = a.operations(acl.Group, g.Group, groupOperations)
			}
		}
		for _, name := range denied {
			g := kmsg.NewStreamsGroupDescribeResponseGroup()
			g.Group, g.ErrorCode, g.ErrorMessage = name, noGroup, refusalText(noGroup)
			g.Members = []kmsg.StreamsGroupDescribeResponseGroupMember{}
			r.Groups = append(r.Groups, g)
		}
	}
}

// describedTopics lists all topics that a description names; nil of nil.
func describedTopics(t *kmsg.StreamsGroupDescribeResponseGroupTopology) []string {
	if t == nil {
		return nil
	}
	var names []string
	for i := range t.Subtopologies {
		s := &t.Subtopologies[i]
		names = append(append(names, s.SourceTopics...), s.RepartitionSinkTopics...)
		for _, list := range [][]kmsg.TopicInfo{s.RepartitionSourceTopics, s.StateChangelogTopics} {
			for j := range list {
				names = append(names, list[j].Topic)
			}
		}
	}
	return names
}
