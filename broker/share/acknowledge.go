package share

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// ackBatch is a range of records with one type for all, or one for each.
type ackBatch struct {
	first, last int64
	types       []int8
}

// asked is what one partition of a request acknowledges, and what came of it.
type asked struct {
	key  key
	code wire.Code
	op   *op // to wait for; nil if nothing is to be stored
}

// parseAcks reads the batches of one partition: ascending, apart, with one type
// or as many as there are records. Anything else is INVALID_REQUEST, and so is
// the type renew without the request saying so (KIP-1222).
func parseAcks(batches []ackBatch, renew bool) (runs []run, code wire.Code) {
	most := ackReject
	if renew {
		most = ackRenew
	}
	end := int64(-1)
	for _, b := range batches {
		n := int64(len(b.types))
		if b.first < 0 || b.first > b.last || b.first <= end || n == 0 || n > 1 && n-1 != b.last-b.first {
			return nil, wire.InvalidRequest
		}
		end = b.last
		for i, t := range b.types {
			if ackType(t) < ackGap || ackType(t) > most {
				return nil, wire.InvalidRequest
			}
			r := run{b.first + int64(i), b.first + int64(i), ackType(t)}
			if n == 1 {
				r.last = b.last
			}
			if m := len(runs); m > 0 && runs[m-1].kind == r.kind && runs[m-1].last+1 == r.first {
				runs[m-1].last = r.last
				continue
			}
			runs = append(runs, r)
		}
	}
	return runs, wire.None
}

// acknowledge does what a member asks for the records of one partition. What has
// to be stored is on its way then.
func (g *group) acknowledge(now time.Time, st settings, member string, k key, batches []ackBatch, renew bool) asked {
	a := asked{key: k}
	runs, code := parseAcks(batches, renew)
	p := g.parts[k]
	_, n, exists := g.c.cfg.Topics.ByID(k.topic)
	switch {
	case code != wire.None:
		a.code = code
	case !exists:
		a.code = wire.UnknownTopicID
	case p == nil || k.partition >= n:
		a.code = wire.UnknownTopicOrPartition
	case p.lost:
		a.code = wire.KafkaStorageError
	case p.blocked || p.begun != nil:
		a.code = wire.InvalidRecordState
	}
	if a.code != wire.None {
		return a
	}
	for i := range runs {
		if runs[i].kind == ackRenew && !st.renew {
			a.code = wire.InvalidRecordState
			return a
		}
	}
	o := g.newOp()
	write, code := p.w.acknowledge(member, runs, o.id, now.Add(st.lock), st.limit)
	if a.code = code; write {
		a.op = g.enqueue(p, o)
	}
	return a
}

// await waits until acknowledgements are stored.
func (c *Coordinator) await(ctx context.Context, list []asked) error {
	for i := range list {
		if list[i].op == nil {
			continue
		}
		code, err := c.wait(ctx, list[i].op)
		if err != nil {
			return err
		}
		list[i].code = code
	}
	return nil
}

// Acknowledge serves ShareAcknowledge v1 and v2. The Wait lasts until all of it
// is durable.
func (c *Coordinator) Acknowledge(req *kmsg.ShareAcknowledgeRequest) Wait {
	resp := req.ResponseKind().(*kmsg.ShareAcknowledgeResponse)
	list, code := c.acknowledge(req, resp)
	if code != wire.None {
		resp.ErrorCode = int16(code)
		return ready(resp)
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		if err := c.await(ctx, list); err != nil {
			return nil, err
		}
		i := 0
		for t := range resp.Topics {
			for p := range resp.Topics[t].Partitions {
				resp.Topics[t].Partitions[p].ErrorCode = int16(list[i].code)
				i++
			}
		}
		return resp, nil
	}
}

// acknowledge sets a request off and lays its answer out; list has its
// partitions in their order.
func (c *Coordinator) acknowledge(req *kmsg.ShareAcknowledgeRequest, resp *kmsg.ShareAcknowledgeResponse) (list []asked, code wire.Code) {
	if req.GroupID == nil || *req.GroupID == "" || req.MemberID == nil || *req.MemberID == "" {
		return nil, wire.InvalidRequest
	}
	if req.ShareSessionEpoch == epochOpen {
		return nil, wire.InvalidShareSessionEpoch
	}
	g, code := c.acquire(*req.GroupID)
	if code != wire.None {
		return nil, orNoSession(code)
	}
	defer g.unlock()
	s, code := g.find(*req.MemberID, req.ShareSessionEpoch)
	if code != wire.None {
		return nil, code
	}
	now, st := time.Now(), c.settings(g.name)
	resp.AcquisitionLockTimeoutMillis = int32(st.lock.Milliseconds())
	for i := range req.Topics {
		rt := &req.Topics[i]
		t := kmsg.NewShareAcknowledgeResponseTopic()
		t.TopicID = rt.TopicID
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			p := kmsg.NewShareAcknowledgeResponseTopicPartition()
			p.Partition = rp.Partition
			t.Partitions = append(t.Partitions, p)
			batches := make([]ackBatch, len(rp.AcknowledgementBatches))
			for k, b := range rp.AcknowledgementBatches {
				batches[k] = ackBatch{b.FirstOffset, b.LastOffset, b.AcknowledgeTypes}
			}
			list = append(list, g.acknowledge(now, st, s.member, key{rt.TopicID, rp.Partition}, batches, req.IsRenewAck))
		}
		resp.Topics = append(resp.Topics, t)
	}
	if req.ShareSessionEpoch == epochClose {
		g.close(s)
		g.releaseAll(s.member)
	}
	return list, wire.None
}

// orNoSession turns the absence of a group into that of a session of it.
func orNoSession(code wire.Code) wire.Code {
	if code == wire.GroupIDNotFound {
		return wire.ShareSessionNotFound
	}
	return code
}

// ready is a Wait whose answer is there already.
func ready(r kmsg.Response) Wait {
	return func(context.Context) (kmsg.Response, error) { return r, nil }
}
