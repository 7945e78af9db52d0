package api_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupCalls() map[int16]call {
	const group = "every"
	commitTopic := func(w *world) kmsg.OffsetCommitRequestTopic {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = w.topic.Name, w.topic.ID
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Offset, rp.Metadata = 3, ptr("m")
		rt.Partitions = append(rt.Partitions, rp)
		return rt
	}
	return map[int16]call{
		8: on(func(w *world, q *kmsg.OffsetCommitRequest) {
			q.Group, q.Generation = group, -1
			q.Topics = append(q.Topics, commitTopic(w))
		}, func(_ *world, r *kmsg.OffsetCommitResponse) (int16, string) {
			return r.Topics[0].Partitions[0].ErrorCode, ""
		}),
		9: on(func(w *world, q *kmsg.OffsetFetchRequest) {
			q.Group = group
			rt := kmsg.NewOffsetFetchRequestTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
			q.Topics = append(q.Topics, rt)
			rg := kmsg.NewOffsetFetchRequestGroup()
			rg.Group = group
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.TopicID, gt.Partitions = w.topic.Name, w.topic.ID, []int32{0}
			rg.Topics = append(rg.Topics, gt)
			q.Groups = append(q.Groups, rg)
		}, func(w *world, r *kmsg.OffsetFetchResponse) (int16, string) {
			if w.version < 8 {
				return r.ErrorCode, want(r.Topics[0].Partitions[0].Offset, 3)
			}
			return r.Groups[0].ErrorCode, want(r.Groups[0].Topics[0].Partitions[0].Offset, 3)
		}),
		10: on(func(w *world, q *kmsg.FindCoordinatorRequest) {
			q.CoordinatorKey, q.CoordinatorKeys = group, []string{group, "other"}
		}, func(w *world, r *kmsg.FindCoordinatorResponse) (int16, string) {
			if w.version < 4 {
				return r.ErrorCode, want(r.Host, "127.0.0.1") + want(r.NodeID, 1)
			}
			return r.Coordinators[1].ErrorCode, want(r.Coordinators[1].Host, "127.0.0.1") + want(len(r.Coordinators), 2)
		}),
		11: on(func(w *world, q *kmsg.JoinGroupRequest) {
			q.Group, q.ProtocolType = w.fresh, "consumer"
			q.SessionTimeoutMillis, q.RebalanceTimeoutMillis = 10_000, 10_000
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = "range", []byte{}
			q.Protocols = append(q.Protocols, p)
		}, func(w *world, r *kmsg.JoinGroupResponse) (int16, string) {
			if w.version >= 4 {
				return 0, want(r.ErrorCode, 79) // MEMBER_ID_REQUIRED
			}
			return r.ErrorCode, want(r.Generation, 1) + want(r.LeaderID, r.MemberID)
		}),
		12: on(func(w *world, q *kmsg.HeartbeatRequest) { q.Group, q.MemberID = group, "nobody" },
			func(_ *world, r *kmsg.HeartbeatResponse) (int16, string) { return 0, want(r.ErrorCode, 25) }),
		13: on(func(w *world, q *kmsg.LeaveGroupRequest) {
			q.Group, q.MemberID = group, "nobody"
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = "nobody"
			q.Members = append(q.Members, m)
		}, func(w *world, r *kmsg.LeaveGroupResponse) (int16, string) {
			if w.version < 3 {
				return 0, want(r.ErrorCode, 25)
			}
			return r.ErrorCode, want(r.Members[0].ErrorCode, 25)
		}),
		14: on(func(w *world, q *kmsg.SyncGroupRequest) { q.Group, q.MemberID = group, "nobody" },
			func(_ *world, r *kmsg.SyncGroupResponse) (int16, string) { return 0, want(r.ErrorCode, 25) }),
		15: on(func(w *world, q *kmsg.DescribeGroupsRequest) { q.Groups = []string{group} },
			func(_ *world, r *kmsg.DescribeGroupsResponse) (int16, string) {
				return r.Groups[0].ErrorCode, want(r.Groups[0].State, "Empty")
			}),
		16: on(func(*world, *kmsg.ListGroupsRequest) {},
			func(_ *world, r *kmsg.ListGroupsResponse) (int16, string) {
				problem := "the group is not listed"
				for _, g := range r.Groups {
					if g.Group == group {
						problem = ""
					}
				}
				return r.ErrorCode, problem
			}),
		42: on(func(w *world, q *kmsg.DeleteGroupsRequest) { q.Groups = []string{"no such group"} },
			func(_ *world, r *kmsg.DeleteGroupsResponse) (int16, string) {
				return 0, want(r.Groups[0].ErrorCode, 69)
			}),
		47: on(func(w *world, q *kmsg.OffsetDeleteRequest) {
			q.Group = group
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = w.topic.Name
			rt.Partitions = append(rt.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.OffsetDeleteResponse) (int16, string) {
			return r.ErrorCode, want(r.Topics[0].Partitions[0].ErrorCode, 0)
		}),
	}
}

func topicCalls() map[int16]call {
	return map[int16]call{
		3: on(func(w *world, q *kmsg.MetadataRequest) {
			rt := kmsg.NewMetadataRequestTopic()
			if rt.Topic = &w.topic.Name; w.version >= 12 {
				rt.Topic, rt.TopicID = nil, w.topic.ID
			}
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.MetadataResponse) (int16, string) {
			return r.ErrorCode, want(len(r.Topics), 1) + want(*r.Topics[0].Topic, "t") + want(len(r.Topics[0].Partitions), 2) +
				want(r.Topics[0].ErrorCode, 0) + want(len(r.Brokers), 1) + want(r.Brokers[0].Host, "127.0.0.1")
		}),
		18: on(func(w *world, q *kmsg.ApiVersionsRequest) {
			q.ClientSoftwareName, q.ClientSoftwareVersion = "raw", "1"
		}, func(_ *world, r *kmsg.ApiVersionsResponse) (int16, string) {
			return r.ErrorCode, want(r.ApiKeys[0].MaxVersion, 13)
		}),
		19: on(func(w *world, q *kmsg.CreateTopicsRequest) {
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = w.fresh+"-new", 2, 3
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.CreateTopicsResponse) (int16, string) {
			rt := &r.Topics[0]
			problem := want(rt.Topic, w.fresh+"-new")
			if w.version >= 5 && (len(rt.Configs) == 0 || rt.NumPartitions != 2 || rt.ReplicationFactor != 1) {
				problem += " configs or counts are missing"
			}
			if w.version >= 7 && rt.TopicID == [16]byte{} {
				problem += " no id"
			}
			return rt.ErrorCode, problem
		}),
		20: on(func(w *world, q *kmsg.DeleteTopicsRequest) {
			q.TopicNames = []string{w.fresh}
			rt := kmsg.NewDeleteTopicsRequestTopic()
			rt.Topic = &w.fresh
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.DeleteTopicsResponse) (int16, string) {
			return r.Topics[0].ErrorCode, want(len(r.Topics), 1) + want(*r.Topics[0].Topic, w.fresh)
		}),
		37: on(func(w *world, q *kmsg.CreatePartitionsRequest) {
			rt := kmsg.NewCreatePartitionsRequestTopic()
			rt.Topic, rt.Count = w.fresh, 4
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.CreatePartitionsResponse) (int16, string) {
			return r.Topics[0].ErrorCode, want(r.Topics[0].Topic, w.fresh)
		}),
		60: on(func(*world, *kmsg.DescribeClusterRequest) {},
			func(_ *world, r *kmsg.DescribeClusterResponse) (int16, string) {
				return r.ErrorCode, want(len(r.Brokers), 1) + want(r.ControllerID, r.Brokers[0].NodeID)
			}),
		75: on(func(w *world, q *kmsg.DescribeTopicPartitionsRequest) {
			rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
			rt.Topic = w.topic.Name
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.DescribeTopicPartitionsResponse) (int16, string) {
			return r.Topics[0].ErrorCode, want(len(r.Topics[0].Partitions), 2)
		}),
	}
}

func configCalls() map[int16]call {
	return map[int16]call{
		32: on(func(w *world, q *kmsg.DescribeConfigsRequest) {
			rr := kmsg.NewDescribeConfigsRequestResource()
			rr.ResourceType, rr.ResourceName, rr.ConfigNames = kmsg.ConfigResourceTypeTopic, w.topic.Name, []string{"cleanup.policy"}
			q.Resources = append(q.Resources, rr)
		}, func(_ *world, r *kmsg.DescribeConfigsResponse) (int16, string) {
			return r.Resources[0].ErrorCode, want(len(r.Resources[0].Configs), 1) + want(*r.Resources[0].Configs[0].Value, "delete")
		}),
		33: on(func(w *world, q *kmsg.AlterConfigsRequest) {
			rr := kmsg.NewAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, w.fresh
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name, c.Value = "retention.ms", ptr("77")
			rr.Configs = append(rr.Configs, c)
			q.Resources = append(q.Resources, rr)
		}, func(w *world, r *kmsg.AlterConfigsResponse) (int16, string) {
			return r.Resources[0].ErrorCode, want(r.Resources[0].ResourceName, w.fresh)
		}),
		44: on(func(w *world, q *kmsg.IncrementalAlterConfigsRequest) {
			rr := kmsg.NewIncrementalAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, w.fresh
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = "retention.ms", ptr("77")
			rr.Configs = append(rr.Configs, c)
			q.Resources = append(q.Resources, rr)
		}, func(w *world, r *kmsg.IncrementalAlterConfigsResponse) (int16, string) {
			return r.Resources[0].ErrorCode, want(r.Resources[0].ResourceName, w.fresh)
		}),
	}
}
