package api

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Produce (key 0), versions 0–13. Each partition's batch is checked (kafka's
// order: request, batch header, checksum, duplicate, records, schema) and
// added to the pool when the request arrives; the Reply waits until it is
// durable, whatever acks says, except 0, which is never answered. Batches are
// kept as they came. KIP-98 idempotence, KIP-467 record errors, KIP-516 ids.

// produced is one partition's outcome in the making.
type produced struct {
	resp *kmsg.ProduceResponseTopicPartition
	wait commitlog.Wait
	err  error
	bad  []RecordError
}

func (h *Handlers) produce(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ProduceRequest)
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	var all []*produced
	for i := range req.Topics {
		rt := &req.Topics[i]
		t, err := h.lookup(rt.Topic, rt.TopicID, req.Version >= 13)
		if req.Acks < -1 || req.Acks > 1 {
			err = refuse(wire.InvalidRequiredAcks, "acks is %d, must be -1, 0 or 1", req.Acks)
		}
		st := kmsg.NewProduceResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		st.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(rt.Partitions))
		resp.Topics = append(resp.Topics, st)
		for j := range rt.Partitions {
			sp := &st.Partitions[j]
			*sp = kmsg.NewProduceResponseTopicPartition()
			sp.Partition, sp.BaseOffset = rt.Partitions[j].Partition, -1
			p := &produced{resp: sp, err: err}
			if err == nil {
				p.wait, p.bad, p.err = h.producePartition(ctx, r, req, t, &rt.Partitions[j])
			}
			all = append(all, p)
		}
	}
	if req.Acks == 0 {
		return h.unacknowledged(all)
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		for _, p := range all {
			p.settle(ctx, req)
		}
		return resp, nil
	}, nil
}

// unacknowledged ends a Produce that wants no answer: a refusal closes the
// connection, which is the only way to let such a client know.
func (h *Handlers) unacknowledged(all []*produced) (Reply, error) {
	for _, p := range all {
		if p.err != nil {
			return nil, fmt.Errorf("produce with acks=0 refused: %w", p.err)
		}
	}
	return func(context.Context) (kmsg.Response, error) { return nil, nil }, nil
}

// settle waits for the partition's batch and fills its part of the answer.
func (p *produced) settle(ctx context.Context, req *kmsg.ProduceRequest) {
	if p.err == nil {
		var done []commitlog.Appended
		if done, p.err = wait(ctx, req.TimeoutMillis, p.wait); p.err == nil {
			p.resp.BaseOffset = done[0].Base
			p.resp.LogAppendTime = done[0].TimestampMs
			p.resp.LogStartOffset = done[0].Start
			return
		}
	}
	p.resp.ErrorCode = int16(codeOf(p.err))
	p.resp.LogAppendTime, p.resp.LogStartOffset = -1, -1
	p.resp.ErrorMessage = message(p.err)
	for _, b := range p.bad {
		e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		e.RelativeOffset, e.ErrorMessage = b.Index, &b.Message
		p.resp.ErrorRecords = append(p.resp.ErrorRecords, e)
	}
}

// producePartition checks one partition's records and adds them to the pool.
func (h *Handlers) producePartition(ctx context.Context, r *Request, req *kmsg.ProduceRequest, t *topic.Topic, p *kmsg.ProduceRequestTopicPartition) (commitlog.Wait, []RecordError, error) {
	log, err := h.log(ctx, t, p.Partition)
	if err != nil {
		return nil, nil, err
	}
	limit := int(t.Config.MaxMessageBytes) * decompressRatio
	batch, head, err := incoming(req, p.Records, limit)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case head.Size() > int(t.Config.MaxMessageBytes):
		return nil, nil, refuse(wire.MessageTooLarge,
			"batch has %d bytes, topic %q takes %d (max.message.bytes)", head.Size(), t.Name, t.Config.MaxMessageBytes)
	case head.Transactional():
		return nil, nil, refuse(wire.InvalidTxnState, "no transaction is open for producer %d", head.ProducerID)
	case head.Codec() == record.Zstd && req.Version < 7:
		return nil, nil, refuse(wire.UnsupportedCompressionType, "zstd needs Produce version 7 or later")
	}
	if dup, ok := log.Duplicate(ctx, head); ok {
		return func(context.Context) ([]commitlog.Appended, error) {
			return []commitlog.Appended{dup}, nil
		}, nil, nil
	}
	if bad, err := h.checkRecords(ctx, r, t, batch, limit); err != nil {
		return nil, bad, err
	}
	if batch, head, err = recompress(t, batch, head, limit); err != nil {
		return nil, nil, err
	}
	w, err := h.cfg.Logs.Append(ctx, commitlog.Entry{Batches: []commitlog.Batch{{
		TP: log.TP(), Bytes: batch, Header: head, Stamp: t.Config.LogAppendTime,
	}}})
	return w, nil, err
}

// incoming returns the request's records as one checked v2 batch. Versions 0–2
// carry the message sets of old clients.
func incoming(req *kmsg.ProduceRequest, b []byte, limit int) ([]byte, record.Header, error) {
	if len(b) == 0 {
		return nil, record.Header{}, refuse(wire.InvalidRecord, "no record batch")
	}
	if req.Version < 3 {
		v2, err := record.FromMessageSet(b, limit)
		if err != nil {
			return nil, record.Header{}, fmt.Errorf("message set: %w", err)
		}
		b = v2
	}
	head, err := record.CheckProduced(b)
	return b, head, err
}

// checkRecords unpacks the batch once and looks at its records twice: for
// Kafka's rules, then for the topic's schemas.
func (h *Handlers) checkRecords(ctx context.Context, r *Request, t *topic.Topic, batch []byte, limit int) ([]RecordError, error) {
	rd := h.readers.Get().(*record.Reader)
	defer h.readers.Put(rd)
	if err := rd.Reset(batch, limit); err != nil {
		return nil, err
	}
	if bad, err := h.checkRules(t, rd); err != nil || h.cfg.Validate == nil {
		return bad, err
	}
	rd.Rewind()
	bad, err := h.cfg.Validate(ctx, t, rd, Origin{
		ClientID: r.ClientID, Software: r.Conn.Software,
		SoftwareVersion: r.Conn.SoftwareVersion, Remote: r.Conn.Remote,
	})
	if err == nil && len(bad) > 0 {
		err = refuse(wire.InvalidRecord, "%d of %d records refused by the schema of topic %q; the first, record %d: %s",
			len(bad), rd.Header().Count, t.Name, bad[0].Index, bad[0].Message)
	}
	return bad, err
}

// checkRules walks the records: counts, offset deltas, and the topic's rules
// for keys and timestamps, with an error for each record that breaks one.
func (h *Handlers) checkRules(t *topic.Topic, rd *record.Reader) ([]RecordError, error) {
	nowMs := h.cfg.Now().UnixMilli()
	earliest, latest := nowMs-t.Config.TimestampBeforeMaxMs, nowMs+t.Config.TimestampAfterMaxMs
	var bad []RecordError
	code := wire.InvalidRecord
	for i := int32(0); rd.Next(); i++ {
		rec := rd.Record()
		switch {
		case rec.OffsetDelta != i:
			return nil, fmt.Errorf("record %d has offset delta %d: %w", i, rec.OffsetDelta, record.ErrCorrupt)
		case t.Config.CleanupCompact && rec.Key == nil:
			bad = append(bad, RecordError{i, "a compacted topic takes no records without key"})
		case !t.Config.LogAppendTime && rec.Timestamp >= 0 && (rec.Timestamp > latest || t.Config.TimestampBeforeMaxMs < nowMs && rec.Timestamp < earliest):
			code = wire.InvalidTimestamp
			bad = append(bad, RecordError{i, fmt.Sprintf("timestamp %d is outside %d…%d", rec.Timestamp, earliest, latest)})
		}
	}
	if err := rd.Err(); err != nil {
		return nil, err
	}
	if len(bad) > 0 {
		return bad, refuse(code, "%d of %d records refused; the first, record %d: %s",
			len(bad), rd.Header().Count, bad[0].Index, bad[0].Message)
	}
	return nil, nil
}

// recompress rebuilds the batch if the topic wants another codec.
func recompress(t *topic.Topic, batch []byte, head record.Header, limit int) ([]byte, record.Header, error) {
	if t.Config.Compression == "producer" || t.Config.Compression == head.Codec().String() {
		return batch, head, nil
	}
	want := record.None
	var err error
	if t.Config.Compression != "uncompressed" {
		want, err = record.ParseCodec(t.Config.Compression)
	}
	if err != nil || want == head.Codec() {
		return batch, head, err
	}
	out, err := record.Rebuild(batch, want, limit)
	if err != nil {
		return nil, head, fmt.Errorf("recompress for topic %q: %w", t.Name, err)
	}
	head, err = record.ParseHeader(out)
	return out, head, err
}
