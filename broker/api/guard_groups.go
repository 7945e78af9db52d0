package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/wire"
)

func groupGuards() map[int16]guard {
	return map[int16]guard{
		10: rule(guardFindCoordinator), 11: rule(guardJoin), 12: rule(guardHeartbeat),
		13: rule(guardLeave), 14: rule(guardSync), 15: rule(guardDescribeGroups), 16: rule(guardListGroups),
		42: rule(guardDeleteGroups), 68: rule(guardConsumerHeartbeat), 69: rule(guardConsumerDescribe),
	}
}

// groupOperations: read, describe, delete, describe and alter configs.
const groupOperations = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11

// mayGroup is may on a group.
func (a *asker) mayGroup(op acl.Operation, name string) bool { return a.may(op, acl.Group, name) }

// guardFindCoordinator wants Describe on the group or transactional id; the
// coordinators of share groups are the brokers' business.
func guardFindCoordinator(_ *Handlers, a *asker, q *kmsg.FindCoordinatorRequest, r *kmsg.FindCoordinatorResponse) (bool, func(*kmsg.FindCoordinatorResponse)) {
	judge := func(key string) int16 {
		switch {
		case q.CoordinatorType == 0 && !a.mayGroup(acl.Describe, key):
			return noGroup
		case q.CoordinatorType == 1 && !a.may(acl.Describe, acl.TransactionalID, key):
			return noTxn
		case q.CoordinatorType == 2 && !a.mayCluster(acl.ClusterAction):
			return noCluster
		}
		return 0
	}
	if q.Version < 4 {
		if code := judge(q.CoordinatorKey); code != 0 {
			r.ErrorCode, r.ErrorMessage, r.NodeID, r.Port = code, refusalText(code), -1, -1
			return true, nil
		}
		return false, nil
	}
	var denied []kmsg.FindCoordinatorResponseCoordinator
	keep(&q.CoordinatorKeys, func(key *string) bool {
		code := judge(*key)
		if code == 0 {
			return true
		}
		c := kmsg.NewFindCoordinatorResponseCoordinator()
		c.Key, c.NodeID, c.Port = *key, -1, -1
		c.ErrorCode, c.ErrorMessage = code, refusalText(code)
		denied = append(denied, c)
		return false
	})
	return false, func(r *kmsg.FindCoordinatorResponse) { r.Coordinators = append(r.Coordinators, denied...) }
}

func guardJoin(_ *Handlers, a *asker, q *kmsg.JoinGroupRequest, r *kmsg.JoinGroupResponse) (bool, func(*kmsg.JoinGroupResponse)) {
	r.ErrorCode, r.Generation, r.MemberID = noGroup, -1, q.MemberID
	r.Protocol, r.Members = new(string), []kmsg.JoinGroupResponseMember{}
	return !a.mayGroup(acl.Read, q.Group), nil
}

func guardHeartbeat(_ *Handlers, a *asker, q *kmsg.HeartbeatRequest, r *kmsg.HeartbeatResponse) (bool, func(*kmsg.HeartbeatResponse)) {
	r.ErrorCode = noGroup
	return !a.mayGroup(acl.Read, q.Group), nil
}

func guardLeave(_ *Handlers, a *asker, q *kmsg.LeaveGroupRequest, r *kmsg.LeaveGroupResponse) (bool, func(*kmsg.LeaveGroupResponse)) {
	r.ErrorCode, r.Members = noGroup, []kmsg.LeaveGroupResponseMember{}
	return !a.mayGroup(acl.Read, q.Group), nil
}

func guardSync(_ *Handlers, a *asker, q *kmsg.SyncGroupRequest, r *kmsg.SyncGroupResponse) (bool, func(*kmsg.SyncGroupResponse)) {
	r.ErrorCode, r.MemberAssignment = noGroup, []byte{}
	return !a.mayGroup(acl.Read, q.Group), nil
}

func guardDescribeGroups(_ *Handlers, a *asker, q *kmsg.DescribeGroupsRequest, _ *kmsg.DescribeGroupsResponse) (bool, func(*kmsg.DescribeGroupsResponse)) {
	denied := keep(&q.Groups, func(name *string) bool { return a.mayGroup(acl.Describe, *name) })
	return false, func(r *kmsg.DescribeGroupsResponse) {
		for i := range r.Groups {
			if g := &r.Groups[i]; q.IncludeAuthorizedOperations && g.ErrorCode == 0 {
				g.AuthorizedOperations = a.operations(acl.Group, g.Group, groupOperations)
			}
		}
		for _, name := range denied {
			g := kmsg.NewDescribeGroupsResponseGroup()
			g.Group, g.ErrorCode = name, noGroup
			g.Members = []kmsg.DescribeGroupsResponseGroupMember{}
			r.Groups = append(r.Groups, g)
		}
	}
}

// guardListGroups shows all to those who may describe the cluster, and others
// the groups that they may describe.
func guardListGroups(_ *Handlers, a *asker, _ *kmsg.ListGroupsRequest, _ *kmsg.ListGroupsResponse) (bool, func(*kmsg.ListGroupsResponse)) {
	if a.couldCluster(acl.Describe) {
		return false, nil
	}
	return false, func(r *kmsg.ListGroupsResponse) {
		r.Groups = slices.DeleteFunc(r.Groups, func(g kmsg.ListGroupsResponseGroup) bool {
			return !a.could(acl.Describe, acl.Group, g.Group)
		})
	}
}

func guardDeleteGroups(_ *Handlers, a *asker, q *kmsg.DeleteGroupsRequest, _ *kmsg.DeleteGroupsResponse) (bool, func(*kmsg.DeleteGroupsResponse)) {
	denied := keep(&q.Groups, func(name *string) bool { return a.mayGroup(acl.Delete, *name) })
	return false, func(r *kmsg.DeleteGroupsResponse) {
		for _, name := range denied {
			g := kmsg.NewDeleteGroupsResponseGroup()
			g.Group, g.ErrorCode = name, noGroup
			r.Groups = append(r.Groups, g)
		}
	}
}

// guardConsumerHeartbeat wants Read on the group and Describe on the topics that
// are subscribed to by name.
func guardConsumerHeartbeat(_ *Handlers, a *asker, q *kmsg.ConsumerGroupHeartbeatRequest, r *kmsg.ConsumerGroupHeartbeatResponse) (bool, func(*kmsg.ConsumerGroupHeartbeatResponse)) {
	code := a.mayHeartbeat(q.Group, q.SubscribedTopicNames)
	r.ErrorCode, r.ErrorMessage = code, refusalText(code)
	return code != 0, nil
}

// mayHeartbeat judges a member of a group that subscribes to topics.
func (a *asker) mayHeartbeat(group string, topics []string) int16 {
	if !a.mayGroup(acl.Read, group) {
		return noGroup
	}
	for _, name := range topics {
		if !a.may(acl.Describe, acl.Topic, name) {
			return noTopic
		}
	}
	return 0
}

// hiddenTopics is Kafka's text for a group that is not shown.
const hiddenTopics = "The described group uses topics that the client is not authorized to describe."

// guardConsumerDescribe wants Describe on each group, and on the topics of its
// members, or they are not shown.
func guardConsumerDescribe(h *Handlers, a *asker, q *kmsg.ConsumerGroupDescribeRequest, _ *kmsg.ConsumerGroupDescribeResponse) (bool, func(*kmsg.ConsumerGroupDescribeResponse)) {
	denied := keep(&q.Groups, func(name *string) bool { return a.mayGroup(acl.Describe, *name) })
	return false, func(r *kmsg.ConsumerGroupDescribeResponse) {
		for i := range r.Groups {
			g := &r.Groups[i]
			if g.ErrorCode != 0 {
				continue
			}
			var names []string
			for j := range g.Members {
				m := &g.Members[j]
				names = append(names, m.SubscribedTopics...)
				for _, as := range []kmsg.Assignment{m.Assignment, m.TargetAssignment} {
					for _, tp := range as.TopicPartitions {
						names = append(names, tp.Topic)
					}
				}
			}
			if !a.couldAll(names) {
				text := hiddenTopics
				g.ErrorCode, g.ErrorMessage, g.Members = noTopic, &text, []kmsg.ConsumerGroupDescribeResponseGroupMember{}
			} else if q.IncludeAuthorizedOperations {
				g.AuthorizedOperations = a.operations(acl.Group, g.Group, groupOperations)
			}
		}
		for _, name := range denied {
			g := kmsg.NewConsumerGroupDescribeResponseGroup()
			g.Group, g.ErrorCode, g.ErrorMessage = name, noGroup, refusalText(noGroup)
			g.Members = []kmsg.ConsumerGroupDescribeResponseGroupMember{}
			r.Groups = append(r.Groups, g)
		}
	}
}

// couldAll reports whether all topics may be described.
func (a *asker) couldAll(topics []string) bool {
	return !slices.ContainsFunc(topics, func(name string) bool { return !a.could(acl.Describe, acl.Topic, name) })
}

// notAttempted is for the parts of a request that another part spoils.
const notAttempted = int16(wire.OperationNotAttempted)
