package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/wire"
)

func recordGuards() map[int16]guard {
	return map[int16]guard{
		0: rule(guardProduce), 1: free /* fetchParts asks mayFetch */, 2: rule(guardListOffsets),
		21: rule(guardDeleteRecords), 23: rule(guardLeaderEpochs),
	}
}

// guardProduce wants Write on the transactional id, if there are transactional
// records, and on each topic.
func guardProduce(h *Handlers, a *asker, q *kmsg.ProduceRequest, r *kmsg.ProduceResponse) (bool, func(*kmsg.ProduceResponse)) {
	if q.TransactionID != nil && transactional(q) && !a.may(acl.Write, acl.TransactionalID, *q.TransactionID) {
		refuseProduce(r, q.Topics, noTxn)
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.ProduceRequestTopic) bool {
		return h.mayTopic(a, acl.Write, t.Topic, t.TopicID, q.Version >= 13)
	})
	if denied == nil {
		return false, nil
	}
	return false, func(r *kmsg.ProduceResponse) { refuseProduce(r, denied, noTopic) }
}

// transactional reports whether a batch of a request is part of a transaction.
func transactional(q *kmsg.ProduceRequest) bool {
	for i := range q.Topics {
		for j := range q.Topics[i].Partitions {
			head, err := record.ParseHeader(q.Topics[i].Partitions[j].Records)
			if err == nil && head.Transactional() {
				return true
			}
		}
	}
	return false
}

func refuseProduce(r *kmsg.ProduceResponse, topics []kmsg.ProduceRequestTopic, code int16) {
	for _, rt := range topics {
		st := kmsg.NewProduceResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			sp := kmsg.NewProduceResponseTopicPartition()
			sp.Partition, sp.BaseOffset, sp.LogAppendTime, sp.LogStartOffset = rp.Partition, -1, -1, -1
			sp.ErrorCode = code
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
}

// mayFetch judges one partition's topic at each Fetch, since sessions outlive
// rules: Read on the topic, or ClusterAction for a replica. It comes before the
// look whether the topic is there.
func (h *Handlers) mayFetch(a *asker, q *kmsg.FetchRequest, name string, id [16]byte) error {
	if a == nil {
		return nil
	}
	var ok bool
	if q.ReplicaID >= 0 || q.ReplicaState.ID >= 0 {
		ok = a.mayCluster(acl.ClusterAction)
	} else {
		ok = h.mayTopic(a, acl.Read, name, id, q.Version >= 13)
	}
	if !ok {
		return refuse(wire.TopicAuthorizationFailed, "%s", *refusalText(noTopic))
	}
	return nil
}

func guardListOffsets(_ *Handlers, a *asker, q *kmsg.ListOffsetsRequest, _ *kmsg.ListOffsetsResponse) (bool, func(*kmsg.ListOffsetsResponse)) {
	denied := keep(&q.Topics, func(t *kmsg.ListOffsetsRequestTopic) bool { return a.may(acl.Describe, acl.Topic, t.Topic) })
	return false, func(r *kmsg.ListOffsetsResponse) {
		for _, rt := range denied {
			st := kmsg.NewListOffsetsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewListOffsetsResponseTopicPartition()
				sp.Partition, sp.Timestamp, sp.Offset, sp.LeaderEpoch, sp.ErrorCode = rp.Partition, -1, -1, -1, noTopic
				sp.OldStyleOffsets = []int64{}
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func guardDeleteRecords(_ *Handlers, a *asker, q *kmsg.DeleteRecordsRequest, _ *kmsg.DeleteRecordsResponse) (bool, func(*kmsg.DeleteRecordsResponse)) {
	denied := keep(&q.Topics, func(t *kmsg.DeleteRecordsRequestTopic) bool { return a.may(acl.Delete, acl.Topic, t.Topic) })
	return false, func(r *kmsg.DeleteRecordsResponse) {
		for _, rt := range denied {
			st := kmsg.NewDeleteRecordsResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewDeleteRecordsResponseTopicPartition()
				sp.Partition, sp.LowWatermark, sp.ErrorCode = rp.Partition, -1, noTopic
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

func guardLeaderEpochs(_ *Handlers, a *asker, q *kmsg.OffsetForLeaderEpochRequest, _ *kmsg.OffsetForLeaderEpochResponse) (bool, func(*kmsg.OffsetForLeaderEpochResponse)) {
	if a.couldCluster(acl.ClusterAction) {
		return false, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.OffsetForLeaderEpochRequestTopic) bool { return a.may(acl.Describe, acl.Topic, t.Topic) })
	return false, func(r *kmsg.OffsetForLeaderEpochResponse) {
		for _, rt := range denied {
			st := kmsg.NewOffsetForLeaderEpochResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				sp.Partition, sp.LeaderEpoch, sp.EndOffset, sp.ErrorCode = rp.Partition, -1, -1, noTopic
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}
