package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Produce (key 0), versions 0–13. Each partition's batch is checked (Kafka's
// order: request, batch header, checksum, duplicate, records, schema) and
// added to the pool when the request arrives; the Reply waits until it is
// durable, whatever acks says. With acks=0 nothing is answered, and a refusal
// closes the connection. Batches are kept as they came but for the cases in
// broker/README.md. KIP-98 idempotence, KIP-467 record errors, KIP-516 ids, KIP-890 transactions.

// produced is one partition's outcome in the making.
type produced struct {
	resp *kmsg.ProduceResponseTopicPartition
	wait commitlog.Wait
	err  error
	bad  []RecordError

	topic          storage.TopicID
	bytes, records int32 // as they were sent
	traced         traced
}

func (h *Handlers) produce(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ProduceRequest)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	resp.Topics = make([]kmsg.ProduceResponseTopic, len(req.Topics))
	r.slowDown(h.use(quota.ProduceBytes, r, float64(r.Bytes)))
	joined := h.joinTransaction(ctx, req)
	var all []produced
	for i := range req.Topics {
		rt, st := &req.Topics[i], &resp.Topics[i]
		t, err := h.lookup(rt.Topic, rt.TopicID, req.Version >= 13)
		if err == nil && topic.Internal(t.Name) {
			err = refuse(wire.InvalidTopicException, "%q is a topic of the broker's own", t.Name)
		}
		if req.Acks < -1 || req.Acks > 1 {
			err = refuse(wire.InvalidRequiredAcks, "acks is %d, must be -1, 0 or 1", req.Acks)
		}
		*st = kmsg.NewProduceResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		st.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(rt.Partitions))
		for j := range rt.Partitions {
			sp := &st.Partitions[j]
			*sp = kmsg.NewProduceResponseTopicPartition()
			sp.Partition, sp.BaseOffset, sp.LogAppendTime, sp.LogStartOffset = rt.Partitions[j].Partition, -1, -1, -1
			p := produced{resp: sp, err: err}
			if err == nil {
				p.wait, p.bad, p.err = h.producePartition(ctx, r, req, t, &rt.Partitions[j], joined)
				p.measure(t, rt.Partitions[j].Records)
				p.traced = h.traced(t, rt.Partitions[j].Records)
			}
			all = append(all, p)
		}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		ctx, cancel := waiting(ctx, req.TimeoutMillis)
		defer cancel()
		for i := range all {
			h.settle(ctx, &all[i], req.Version)
			h.trace(&all[i])
		}
		if req.Acks == 0 {
			return nil, unacknowledged(all)
		}
		return resp, nil
	}, nil
}

// measure notes what is to be counted once it is durable.
func (p *produced) measure(t *topic.Topic, b []byte) {
	p.topic, p.bytes, p.records = t.ID, int32(len(b)), 1
	if head, err := record.ParseHeader(b); err == nil { // else an old message set: at least one
		p.records = head.Count
	}
}

// unacknowledged ends a Produce that wants no answer: a refusal closes the
// connection, which is the only way to let such a client know.
func unacknowledged(all []produced) error {
	for i := range all {
		if err := all[i].err; err != nil {
			return fmt.Errorf("produce with acks=0 refused: %w", err)
		}
	}
	return nil
}

// settle waits for the partition's batch and fills its part of the answer.
func (h *Handlers) settle(ctx context.Context, p *produced, version int16) {
	var done []commitlog.Appended
	if p.err == nil {
		done, p.err = p.wait(ctx)
	}
	if p.err == nil {
		p.resp.BaseOffset = done[0].Base
		p.resp.LogAppendTime = done[0].TimestampMs
		p.resp.LogStartOffset = done[0].Start
		if !done[0].Duplicate {
			h.traffic.of(p.topic).in(int(p.bytes), p.records)
		}
		return
	}
	if version >= 13 && errors.Is(p.err, commitlog.ErrGone) {
		p.err = refuse(wire.UnknownTopicID, "the topic was deleted")
	}
	if version >= 11 && errors.Is(p.err, commitlog.ErrNoTransaction) {
		p.err = refuse(wire.TransactionAbortable, "%s", commitlog.ErrNoTransaction)
	}
	p.resp.ErrorCode, p.resp.ErrorMessage = h.code(p.err), message(p.err)
	for _, b := range p.bad[:min(len(p.bad), maxRecordErrors)] {
		e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		e.RelativeOffset, e.ErrorMessage = b.Index, &b.Message
		p.resp.ErrorRecords = append(p.resp.ErrorRecords, e)
	}
}

// joinTransaction adds the partitions of a transactional Produce v12 or later to
// its transaction (KIP-890), all in one step, and waits for it. The error is for
// every transactional batch of the request. Older versions have said before what
// they write to; the sequencer asks the coordinator.
func (h *Handlers) joinTransaction(ctx context.Context, req *kmsg.ProduceRequest) error {
	if req.Version < 12 || req.TransactionID == nil {
		return nil
	}
	var partitions []storage.TP
	producerID, epoch := int64(-1), int16(-1)
	for i := range req.Topics {
		rt := &req.Topics[i]
		t, err := h.lookup(rt.Topic, rt.TopicID, req.Version >= 13)
		if err != nil {
			continue
		}
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			head, err := record.ParseHeader(rp.Records)
			if err != nil || !head.Transactional() || rp.Partition < 0 || rp.Partition >= t.Partitions {
				continue // refused later, for its own reason
			}
			producerID, epoch = head.ProducerID, head.ProducerEpoch
			partitions = append(partitions, storage.TP{Topic: t.ID, Partition: rp.Partition})
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	return h.cfg.Txns.Join(ctx, *req.TransactionID, producerID, epoch, partitions)
}

// producePartition checks one partition's records and adds them to the pool.
// joined is what came of adding it to its transaction.
func (h *Handlers) producePartition(ctx context.Context, r *Request, req *kmsg.ProduceRequest, t *topic.Topic, p *kmsg.ProduceRequestTopicPartition, joined error) (commitlog.Wait, []RecordError, error) {
	log, err := h.log(ctx, t, p.Partition)
	if err != nil {
		return nil, nil, err
	}
	room, err := unpack(ctx, h.unpacks, record.MostUnpacked(p.Records, unpackLimit(t)))
	if err != nil {
		return nil, nil, err
	}
	defer room.release()
	b, err := incoming(req, p.Records, unpackLimit(t))
	if err == nil {
		err = b.checkHeader(req, t)
	}
	if err != nil {
		return nil, nil, err
	}
	if dup, ok := log.Duplicate(ctx, b.head); ok {
		return func(context.Context) ([]commitlog.Appended, error) {
			return []commitlog.Appended{dup}, nil
		}, nil, nil
	}
	if joined != nil && b.head.Transactional() {
		return nil, nil, joined
	}
	if bad, err := h.checkRecords(ctx, r, t, p.Partition, b); err != nil {
		return nil, bad, err
	}
	if err := b.recompress(t); err != nil {
		return nil, nil, err
	}
	batches := []commitlog.Batch{{TP: log.TP(), Bytes: b.bytes, Header: b.head, Stamp: t.Config.LogAppendTime}}
	if b.dead != nil {
		batches = append(batches, *b.dead)
	}
	room.release() // the pool may be full for long
	w, err := h.cfg.Logs.Append(ctx, commitlog.Entry{Batches: batches})
	return w, nil, err
}
