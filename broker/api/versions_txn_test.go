package api_test

import "github.com/twmb/franz-go/pkg/kmsg"

// begin makes a transactional producer and, if asked to, lets it add partition 0
// of the topic and a group to a transaction.
func (w *world) begin(partition, group bool) (id int64, epoch int16) {
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis = &w.fresh, 10_000
	p := do[*kmsg.InitProducerIDResponse](w.client, 4, init)
	if partition {
		add := kmsg.NewPtrAddPartitionsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch = w.fresh, p.ProducerID, p.ProducerEpoch
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
		add.Topics = append(add.Topics, rt)
		do[*kmsg.AddPartitionsToTxnResponse](w.client, 3, add)
	}
	if group {
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = w.fresh, p.ProducerID, p.ProducerEpoch, w.fresh
		do[*kmsg.AddOffsetsToTxnResponse](w.client, 3, add)
	}
	return p.ProducerID, p.ProducerEpoch
}

func txnCalls() map[int16]call {
	return map[int16]call{
		24: on(func(w *world, q *kmsg.AddPartitionsToTxnRequest) {
			q.TransactionalID = w.fresh
			q.ProducerID, q.ProducerEpoch = w.begin(false, false)
			rt := kmsg.NewAddPartitionsToTxnRequestTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
			q.Topics = append(q.Topics, rt)
			rx := kmsg.NewAddPartitionsToTxnRequestTransaction()
			rx.TransactionalID, rx.ProducerID, rx.ProducerEpoch = w.fresh, q.ProducerID, q.ProducerEpoch
			xt := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
			xt.Topic, xt.Partitions = w.topic.Name, []int32{0}
			rx.Topics = append(rx.Topics, xt)
			q.Transactions = append(q.Transactions, rx)
		}, func(w *world, r *kmsg.AddPartitionsToTxnResponse) (int16, string) {
			if w.version < 4 {
				return r.Topics[0].Partitions[0].ErrorCode, ""
			}
			return r.ErrorCode, want(r.Transactions[0].Topics[0].Partitions[0].ErrorCode, 0)
		}),
		25: on(func(w *world, q *kmsg.AddOffsetsToTxnRequest) {
			q.TransactionalID, q.Group = w.fresh, w.fresh
			q.ProducerID, q.ProducerEpoch = w.begin(false, false)
		}, func(_ *world, r *kmsg.AddOffsetsToTxnResponse) (int16, string) { return r.ErrorCode, "" }),
		26: on(func(w *world, q *kmsg.EndTxnRequest) {
			q.TransactionalID, q.Commit = w.fresh, true
			q.ProducerID, q.ProducerEpoch = w.begin(true, false)
		}, func(_ *world, r *kmsg.EndTxnResponse) (int16, string) { return r.ErrorCode, "" }),
		28: on(func(w *world, q *kmsg.TxnOffsetCommitRequest) {
			q.TransactionalID, q.Group, q.Generation = w.fresh, w.fresh, -1
			q.ProducerID, q.ProducerEpoch = w.begin(false, w.version < 5)
			rt := kmsg.NewTxnOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = w.topic.Name, w.topic.ID
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Offset = 1
			rt.Partitions = append(rt.Partitions, rp)
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.TxnOffsetCommitResponse) (int16, string) {
			return r.Topics[0].Partitions[0].ErrorCode, ""
		}),
		27: on(func(w *world, q *kmsg.WriteTxnMarkersRequest) {
			m := kmsg.NewWriteTxnMarkersRequestMarker()
			m.ProducerID, m.ProducerEpoch = w.begin(true, false)
			mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			mt.Topic, mt.Partitions = w.fresh, []int32{0}
			m.Topics = append(m.Topics, mt)
			q.Markers = append(q.Markers, m)
		}, func(w *world, r *kmsg.WriteTxnMarkersResponse) (int16, string) {
			return r.Markers[0].Topics[0].Partitions[0].ErrorCode, want(r.Markers[0].Topics[0].Topic, w.fresh)
		}),
		61: on(func(w *world, q *kmsg.DescribeProducersRequest) {
			rt := kmsg.NewDescribeProducersRequestTopic()
			rt.Topic, rt.Partitions = w.topic.Name, []int32{0}
			q.Topics = append(q.Topics, rt)
		}, func(_ *world, r *kmsg.DescribeProducersResponse) (int16, string) {
			return r.Topics[0].Partitions[0].ErrorCode, ""
		}),
		65: on(func(w *world, q *kmsg.DescribeTransactionsRequest) {
			w.begin(true, false)
			q.TransactionalIDs = []string{w.fresh}
		}, func(w *world, r *kmsg.DescribeTransactionsResponse) (int16, string) {
			s := r.TransactionStates[0]
			return s.ErrorCode, want(s.State, "Ongoing") + want(s.Topics[0].Topic, w.topic.Name)
		}),
		66: on(func(w *world, q *kmsg.ListTransactionsRequest) {
			id, _ := w.begin(true, false)
			q.StateFilters, q.ProducerIDFilters = []string{"Ongoing"}, []int64{id}
			q.DurationFilterMillis, q.TransactionalIDPattern = -1, ptr("fresh-.*")
		}, func(w *world, r *kmsg.ListTransactionsResponse) (int16, string) {
			return r.ErrorCode, want(len(r.TransactionStates), 1) + want(r.TransactionStates[0].TransactionalID, w.fresh)
		}),
	}
}
