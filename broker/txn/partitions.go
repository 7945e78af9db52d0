package txn

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/wire"
)

// AddPartitions serves AddPartitionsToTxn v0 to v5. Clients send up to v3; from
// v4 on brokers ask for several transactions at once, or only whether the
// partitions are there.
func (c *Coordinator) AddPartitions(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest) *kmsg.AddPartitionsToTxnResponse {
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if req.Version < 4 {
		a := addition{c: c, id: req.TransactionalID, producerID: req.ProducerID, epoch: req.ProducerEpoch}
		for _, rt := range req.Topics {
			a.topic(rt.Topic, rt.Partitions)
		}
		a.run(ctx, req.Version)
		for _, t := range a.answer {
			st := kmsg.NewAddPartitionsToTxnResponseTopic()
			st.Topic = t.name
			for i, n := range t.partitions {
				sp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				sp.Partition, sp.ErrorCode = n, t.codes[i]
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp
	}
	for _, rx := range req.Transactions {
		a := addition{c: c, id: rx.TransactionalID, producerID: rx.ProducerID, epoch: rx.ProducerEpoch, verify: rx.VerifyOnly}
		for _, rt := range rx.Topics {
			a.topic(rt.Topic, rt.Partitions)
		}
		a.run(ctx, req.Version)
		sx := kmsg.NewAddPartitionsToTxnResponseTransaction()
		sx.TransactionalID = rx.TransactionalID
		for _, t := range a.answer {
			st := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
			st.Topic = t.name
			for i, n := range t.partitions {
				sp := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
				sp.Partition, sp.ErrorCode = n, t.codes[i]
				st.Partitions = append(st.Partitions, sp)
			}
			sx.Topics = append(sx.Topics, st)
		}
		resp.Transactions = append(resp.Transactions, sx)
	}
	return resp
}

// addition is the adding of partitions to one transaction, all or none.
type addition struct {
	c          *Coordinator
	id         string
	producerID int64
	epoch      int16
	verify     bool // ask only
	known      []storage.TP
	unknown    bool // some partitions do not exist
	answer     []addedTopic
}

type addedTopic struct {
	name       string
	partitions []int32
	codes      []int16
}

// topic resolves partitions of one topic.
func (a *addition) topic(name string, partitions []int32) {
	t := addedTopic{name: name, partitions: partitions, codes: make([]int16, len(partitions))}
	id, count, ok := a.c.cfg.Topics.ByName(name)
	for i, n := range partitions {
		if !ok || n < 0 || n >= count {
			t.codes[i], a.unknown = int16(wire.UnknownTopicOrPartition), true
			continue
		}
		a.known = append(a.known, storage.TP{Topic: id, Partition: n})
	}
	a.answer = append(a.answer, t)
}

// run adds or looks, and gives every partition without a code the outcome.
func (a *addition) run(ctx context.Context, version int16) {
	code := int16(wire.OperationNotAttempted)
	if !a.unknown {
		_, c := a.c.run(ctx, a.id, a.step(version))
		code = fencedFrom(c, version, 2)
	}
	for i := range a.answer {
		for j := range a.answer[i].codes {
			if a.answer[i].codes[j] == 0 {
				a.answer[i].codes[j] = code
			}
		}
	}
}

func (a *addition) step(version int16) step {
	return func(t *txn, nowMs, _ int64) plan {
		if !a.verify {
			return t.add(a.producerID, a.epoch, a.known, "", nowMs)
		}
		if code := t.check(a.producerID, a.epoch); code != wire.None {
			return refuse(code)
		}
		for _, tp := range a.known {
			if t.state == ongoing && t.has(tp) {
				continue
			}
			if version >= 5 {
				return refuse(wire.TransactionAbortable)
			}
			return refuse(wire.InvalidTxnState)
		}
		return t.answer()
	}
}
