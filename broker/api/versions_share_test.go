package api_test

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// shareCalls are requests of share groups: a member that joins, opens a session,
// gets records and acknowledges them.
func shareCalls() map[int16]call {
	const id = "member"
	join := func(w *world) { joinShare(w, id) }
	fetch := func(w *world, q *kmsg.ShareFetchRequest) {
		q.GroupID, q.MemberID = &w.fresh, ptr(id)
		q.MaxRecords, q.MaxBytes, q.BatchSize = 2, 1<<20, 100
		rt := kmsg.NewShareFetchRequestTopic()
		rt.TopicID = w.topic.ID
		rt.Partitions = append(rt.Partitions, kmsg.NewShareFetchRequestTopicPartition())
		q.Topics = append(q.Topics, rt)
	}
	open := func(w *world) {
		q := kmsg.NewPtrShareFetchRequest()
		fetch(w, q)
		do[*kmsg.ShareFetchResponse](w.client, w.version, q)
	}
	alter := func(w *world, q *kmsg.AlterShareGroupOffsetsRequest) {
		q.GroupID = w.fresh
		rt := kmsg.NewAlterShareGroupOffsetsRequestTopic()
		rt.Topic = w.topic.Name
		rp := kmsg.NewAlterShareGroupOffsetsRequestTopicPartition()
		rp.StartOffset = 1
		rt.Partitions = append(rt.Partitions, rp)
		q.Topics = append(q.Topics, rt)
	}
	altered := func(w *world) {
		q := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		alter(w, q)
		do[*kmsg.AlterShareGroupOffsetsResponse](w.client, 0, q)
	}
	return map[int16]call{
		76: on(func(w *world, q *kmsg.ShareGroupHeartbeatRequest) {
			q.GroupID, q.MemberID, q.SubscribedTopicNames = w.fresh, id, []string{w.topic.Name}
		}, func(w *world, r *kmsg.ShareGroupHeartbeatResponse) (int16, string) {
			return r.ErrorCode, want(r.MemberEpoch, 1) + want(len(r.Assignment.TopicPartitions[0].Partitions), 2)
		}),
		77: on(func(w *world, q *kmsg.ShareGroupDescribeRequest) { join(w); q.GroupIDs = []string{w.fresh} },
			func(w *world, r *kmsg.ShareGroupDescribeResponse) (int16, string) {
				return r.Groups[0].ErrorCode, want(r.Groups[0].GroupState, "Stable") + want(r.Groups[0].Members[0].MemberID, id)
			}),
		78: on(func(w *world, q *kmsg.ShareFetchRequest) { join(w); fetch(w, q); q.ShareAcquireMode = 1 },
			func(w *world, r *kmsg.ShareFetchResponse) (int16, string) {
				p := r.Topics[0].Partitions[0]
				return r.ErrorCode + p.ErrorCode, want(r.AcquisitionLockTimeoutMillis, 30_000) +
					want(p.AcquiredRecords[0].LastOffset, 1) + want(p.AcquiredRecords[0].DeliveryCount, 1)
			}),
		79: on(func(w *world, q *kmsg.ShareAcknowledgeRequest) {
			join(w)
			open(w)
			q.GroupID, q.MemberID, q.ShareSessionEpoch = &w.fresh, ptr(id), 1
			rt := kmsg.NewShareAcknowledgeRequestTopic()
			rt.TopicID = w.topic.ID
			rp := kmsg.NewShareAcknowledgeRequestTopicPartition()
			b := kmsg.NewShareAcknowledgeRequestTopicPartitionAcknowledgementBatch()
			b.LastOffset, b.AcknowledgeTypes = 1, []int8{1}
			rp.AcknowledgementBatches = append(rp.AcknowledgementBatches, b)
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.ShareAcknowledgeResponse) (int16, string) {
			return r.ErrorCode + r.Topics[0].Partitions[0].ErrorCode, ""
		}),
		90: on(func(w *world, q *kmsg.DescribeShareGroupOffsetsRequest) {
			altered(w)
			rg := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
			rg.GroupID = w.fresh
			q.Groups = append(q.Groups, rg)
		}, func(w *world, r *kmsg.DescribeShareGroupOffsetsResponse) (int16, string) {
			g := r.Groups[0]
			p := g.Topics[0].Partitions[0]
			lag := int64(-1) // the default, since version 0 has none
			if w.version > 0 {
				lag = p.Lag
				return g.ErrorCode, want(p.StartOffset, 1) + want(lag >= 4, true)
			}
			return g.ErrorCode, want(p.StartOffset, 1) + want(p.Lag, lag)
		}),
		91: on(alter, func(w *world, r *kmsg.AlterShareGroupOffsetsResponse) (int16, string) {
			return r.ErrorCode + r.Topics[0].Partitions[0].ErrorCode, want([16]byte(w.topic.ID), r.Topics[0].TopicID)
		}),
		92: on(func(w *world, q *kmsg.DeleteShareGroupOffsetsRequest) {
			altered(w)
			q.GroupID = w.fresh
			rt := kmsg.NewDeleteShareGroupOffsetsRequestTopic()
			rt.Topic = w.topic.Name
			q.Topics = append(q.Topics, rt)
		}, func(w *world, r *kmsg.DeleteShareGroupOffsetsResponse) (int16, string) {
			return r.ErrorCode + r.Topics[0].ErrorCode, ""
		}),
	}
}

// joinShare makes a member of a share group that begins at the log's start.
func joinShare(w *world, id string) {
	set := kmsg.NewPtrIncrementalAlterConfigsRequest()
	rr := kmsg.NewIncrementalAlterConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeGroupConfig, w.fresh
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = "share.auto.offset.reset", ptr("earliest")
	rr.Configs = append(rr.Configs, c)
	set.Resources = append(set.Resources, rr)
	do[*kmsg.IncrementalAlterConfigsResponse](w.client, 1, set)
	beat := kmsg.NewPtrShareGroupHeartbeatRequest()
	beat.GroupID, beat.MemberID, beat.SubscribedTopicNames = w.fresh, id, []string{w.topic.Name}
	do[*kmsg.ShareGroupHeartbeatResponse](w.client, 1, beat)
}
