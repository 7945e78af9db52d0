package api

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
)

func txnGuards() map[int16]guard {
	return map[int16]guard{
		22: rule(guardInitProducerID), 24: rule(guardAddPartitions), 25: rule(guardAddOffsets), 26: rule(guardEndTxn),
		27: rule(guardWriteMarkers), 28: rule(guardTxnOffsets), 61: rule(guardDescribeProducers),
		65: rule(guardDescribeTxns), 66: rule(guardListTxns),
	}
}

// guardInitProducerID wants Write on the transactional id; without one,
// IdempotentWrite on the cluster or Write on any topic (KIP-679).
func guardInitProducerID(_ *Handlers, a *asker, q *kmsg.InitProducerIDRequest, r *kmsg.InitProducerIDResponse) (bool, func(*kmsg.InitProducerIDResponse)) {
	r.ProducerID, r.ProducerEpoch = -1, -1
	if q.TransactionalID != nil {
		r.ErrorCode = noTxn
		return !a.may(acl.Write, acl.TransactionalID, *q.TransactionalID), nil
	}
	r.ErrorCode = noCluster
	ok := a.rules.AllowedSomewhere(a.principal, a.host, acl.Write, acl.Topic) || a.mayCluster(acl.IdempotentWrite)
	return !ok, nil
}

// guardAddPartitions wants Write on the transactional id and on each topic: if
// one is refused, the others are not attempted. Later versions are for brokers.
func guardAddPartitions(_ *Handlers, a *asker, q *kmsg.AddPartitionsToTxnRequest, r *kmsg.AddPartitionsToTxnResponse) (bool, func(*kmsg.AddPartitionsToTxnResponse)) {
	if q.Version >= 4 {
		r.ErrorCode, r.Transactions = noCluster, []kmsg.AddPartitionsToTxnResponseTransaction{}
		return !a.mayCluster(acl.ClusterAction), nil
	}
	known := a.may(acl.Write, acl.TransactionalID, q.TransactionalID)
	refused := !known
	r.Topics = []kmsg.AddPartitionsToTxnResponseTopic{}
	for _, rt := range q.Topics {
		code := notAttempted
		if !known {
			code = noTxn
		} else if !a.may(acl.Write, acl.Topic, rt.Topic) {
			code, refused = noTopic, true
		}
		st := kmsg.NewAddPartitionsToTxnResponseTopic()
		st.Topic = rt.Topic
		for _, n := range rt.Partitions {
			sp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			sp.Partition, sp.ErrorCode = n, code
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
	return refused, nil
}

func guardAddOffsets(_ *Handlers, a *asker, q *kmsg.AddOffsetsToTxnRequest, r *kmsg.AddOffsetsToTxnResponse) (bool, func(*kmsg.AddOffsetsToTxnResponse)) {
	switch {
	case !a.may(acl.Write, acl.TransactionalID, q.TransactionalID):
		r.ErrorCode = noTxn
	case !a.mayGroup(acl.Read, q.Group):
		r.ErrorCode = noGroup
	}
	return r.ErrorCode != 0, nil
}

func guardEndTxn(_ *Handlers, a *asker, q *kmsg.EndTxnRequest, r *kmsg.EndTxnResponse) (bool, func(*kmsg.EndTxnResponse)) {
	r.ErrorCode, r.ProducerID, r.ProducerEpoch = noTxn, -1, -1
	return !a.may(acl.Write, acl.TransactionalID, q.TransactionalID), nil
}

// guardWriteMarkers wants Alter or ClusterAction on the cluster.
func guardWriteMarkers(_ *Handlers, a *asker, q *kmsg.WriteTxnMarkersRequest, r *kmsg.WriteTxnMarkersResponse) (bool, func(*kmsg.WriteTxnMarkersResponse)) {
	for _, m := range q.Markers {
		sm := kmsg.NewWriteTxnMarkersResponseMarker()
		sm.ProducerID = m.ProducerID
		for _, rt := range m.Topics {
			st := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			st.Topic = rt.Topic
			for _, n := range rt.Partitions {
				sp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				sp.Partition, sp.ErrorCode = n, noCluster
				st.Partitions = append(st.Partitions, sp)
			}
			sm.Topics = append(sm.Topics, st)
		}
		r.Markers = append(r.Markers, sm)
	}
	return !a.couldCluster(acl.Alter) && !a.mayCluster(acl.ClusterAction), nil
}

// guardTxnOffsets wants Write on the transactional id, Read on the group and on
// each topic.
func guardTxnOffsets(h *Handlers, a *asker, q *kmsg.TxnOffsetCommitRequest, r *kmsg.TxnOffsetCommitResponse) (bool, func(*kmsg.TxnOffsetCommitResponse)) {
	switch {
	case !a.may(acl.Write, acl.TransactionalID, q.TransactionalID):
		refuseTxnOffsets(r, q.Topics, noTxn)
		return true, nil
	case !a.mayGroup(acl.Read, q.Group):
		refuseTxnOffsets(r, q.Topics, noGroup)
		return true, nil
	}
	denied := keep(&q.Topics, func(t *kmsg.TxnOffsetCommitRequestTopic) bool {
		return h.mayTopic(a, acl.Read, t.Topic, t.TopicID, q.Version >= 6)
	})
	return false, func(r *kmsg.TxnOffsetCommitResponse) { refuseTxnOffsets(r, denied, noTopic) }
}

func refuseTxnOffsets(r *kmsg.TxnOffsetCommitResponse, topics []kmsg.TxnOffsetCommitRequestTopic, code int16) {
	for _, rt := range topics {
		st := kmsg.NewTxnOffsetCommitResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			sp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			sp.Partition, sp.ErrorCode = rp.Partition, code
			st.Partitions = append(st.Partitions, sp)
		}
		r.Topics = append(r.Topics, st)
	}
}

func guardDescribeProducers(_ *Handlers, a *asker, q *kmsg.DescribeProducersRequest, _ *kmsg.DescribeProducersResponse) (bool, func(*kmsg.DescribeProducersResponse)) {
	denied := keep(&q.Topics, func(t *kmsg.DescribeProducersRequestTopic) bool { return a.may(acl.Read, acl.Topic, t.Topic) })
	return false, func(r *kmsg.DescribeProducersResponse) {
		for _, rt := range denied {
			st := kmsg.NewDescribeProducersResponseTopic()
			st.Topic = rt.Topic
			for _, n := range rt.Partitions {
				sp := kmsg.NewDescribeProducersResponseTopicPartition()
				sp.Partition, sp.ErrorCode, sp.ErrorMessage = n, noTopic, refusalText(noTopic)
				st.Partitions = append(st.Partitions, sp)
			}
			r.Topics = append(r.Topics, st)
		}
	}
}

// guardDescribeTxns wants Describe on each transactional id, and shows the
// topics that may be described.
func guardDescribeTxns(_ *Handlers, a *asker, q *kmsg.DescribeTransactionsRequest, _ *kmsg.DescribeTransactionsResponse) (bool, func(*kmsg.DescribeTransactionsResponse)) {
	denied := keep(&q.TransactionalIDs, func(id *string) bool { return a.may(acl.Describe, acl.TransactionalID, *id) })
	return false, func(r *kmsg.DescribeTransactionsResponse) {
		for i := range r.TransactionStates {
			s := &r.TransactionStates[i]
			s.Topics = slices.DeleteFunc(s.Topics, func(t kmsg.DescribeTransactionsResponseTransactionStateTopic) bool {
				return !a.could(acl.Describe, acl.Topic, t.Topic)
			})
		}
		for _, id := range denied {
			s := kmsg.NewDescribeTransactionsResponseTransactionState()
			s.TransactionalID, s.ErrorCode = id, noTxn
			s.Topics = []kmsg.DescribeTransactionsResponseTransactionStateTopic{}
			r.TransactionStates = append(r.TransactionStates, s)
		}
	}
}

func guardListTxns(_ *Handlers, a *asker, _ *kmsg.ListTransactionsRequest, _ *kmsg.ListTransactionsResponse) (bool, func(*kmsg.ListTransactionsResponse)) {
	return false, func(r *kmsg.ListTransactionsResponse) {
		r.TransactionStates = slices.DeleteFunc(r.TransactionStates, func(s kmsg.ListTransactionsResponseTransactionState) bool {
			return !a.could(acl.Describe, acl.TransactionalID, s.TransactionalID)
		})
	}
}
