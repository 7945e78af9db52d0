package api_test

import "github.com/twmb/franz-go/pkg/kmsg"

// clusterCalls are requests about things of which a cluster has several, and
// this broker one.
func clusterCalls() map[int16]call {
	return map[int16]call{
		34: on(func(w *world, q *kmsg.AlterReplicaLogDirsRequest) {
			rd := kmsg.NewAlterReplicaLogDirsRequestDir()
			rd.Dir = "/elsewhere"
			rt := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
			rd.Topics = append(rd.Topics, rt)
			q.Dirs = append(q.Dirs, rd)
		}, func(_ *world, r *kmsg.AlterReplicaLogDirsResponse) (int16, string) {
			return 0, want(r.Topics[0].Partitions[0].ErrorCode, 57)
		}),
		35: on(func(w *world, q *kmsg.DescribeLogDirsRequest) {
			rt := kmsg.NewDescribeLogDirsRequestTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.DescribeLogDirsResponse) (int16, string) {
			ps := r.Dirs[0].Topics[0].Partitions
			return r.ErrorCode, want(len(ps) == 1 && ps[0].Size > 100, true)
		}),
		43: on(func(w *world, q *kmsg.ElectLeadersRequest) {
			rt := kmsg.NewElectLeadersRequestTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{1}
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.ElectLeadersResponse) (int16, string) {
			return r.ErrorCode, want(r.Topics[0].Partitions[0].ErrorCode, 84)
		}),
		45: on(func(w *world, q *kmsg.AlterPartitionAssignmentsRequest) {
			rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
			rt.Topic = w.topic.Name
			rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			rp.Replicas = []int32{1}
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.AlterPartitionAssignmentsResponse) (int16, string) {
			return r.ErrorCode, want(r.Topics[0].Partitions[0].ErrorCode, 0)
		}),
		46: on(func(*world, *kmsg.ListPartitionReassignmentsRequest) {},
			func(_ *world, r *kmsg.ListPartitionReassignmentsResponse) (int16, string) {
				return r.ErrorCode, want(len(r.Topics), 0)
			}),
		48: on(func(*world, *kmsg.DescribeClientQuotasRequest) {},
			func(_ *world, r *kmsg.DescribeClientQuotasResponse) (int16, string) {
				return r.ErrorCode, want(len(r.Entries), 0)
			}),
		49: on(func(_ *world, q *kmsg.AlterClientQuotasRequest) {
			e := kmsg.NewAlterClientQuotasRequestEntry()
			e.Entity = append(e.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: "client-id"})
			e.Ops = append(e.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: "request_percentage", Value: 50})
			q.Entries, q.ValidateOnly = append(q.Entries, e), true
		}, func(_ *world, r *kmsg.AlterClientQuotasResponse) (int16, string) {
			return r.Entries[0].ErrorCode, want(r.Entries[0].Entity[0].Type, "client-id")
		}),
		57: on(func(_ *world, q *kmsg.UpdateFeaturesRequest) {
			u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
			u.Feature, u.MaxVersionLevel, u.UpgradeType = "transaction.version", 2, 1
			q.FeatureUpdates = append(q.FeatureUpdates, u)
		}, func(w *world, r *kmsg.UpdateFeaturesResponse) (int16, string) {
			if w.version < 2 {
				return r.ErrorCode, want(r.Results[0].ErrorCode, 0)
			}
			return r.ErrorCode, ""
		}),
		71: on(func(*world, *kmsg.GetTelemetrySubscriptionsRequest) {},
			func(_ *world, r *kmsg.GetTelemetrySubscriptionsResponse) (int16, string) {
				return r.ErrorCode, want(r.ClientInstanceID != [16]byte{}, true) + want(len(r.RequestedMetrics), 0) + want(r.PushIntervalMillis, 300_000)
			}),
		72: on(func(w *world, q *kmsg.PushTelemetryRequest) {
			r := do[*kmsg.GetTelemetrySubscriptionsResponse](w.client, 0, kmsg.NewPtrGetTelemetrySubscriptionsRequest())
			q.ClientInstanceID, q.SubscriptionID = r.ClientInstanceID, r.SubscriptionID
		}, func(_ *world, r *kmsg.PushTelemetryResponse) (int16, string) { return r.ErrorCode, "" }),
		74: on(func(*world, *kmsg.ListConfigResourcesRequest) {},
			func(w *world, r *kmsg.ListConfigResourcesResponse) (int16, string) {
				return r.ErrorCode, want(len(r.ConfigResources) > 2, w.version > 0)
			}),
	}
}
