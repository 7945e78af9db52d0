package share

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// fetch is a ShareFetch being answered.
type fetch struct {
	c       *Coordinator
	g       *group
	s       *session
	req     *kmsg.ShareFetchRequest
	mem     Memory
	until   time.Time // end of the request's max wait
	short   bool      // there was no room for a first batch
	st      settings
	asked   []asked
	parts   []*taking // of the session, in the order of their turns
	records int64     // how many may still be acquired
	ended   bool      // the session has
}

// Fetch serves ShareFetch v1 and v2. Acknowledgements take effect now; the Wait
// lasts until they are durable, and until there is something to acquire or the
// client's patience is over. ctx is the connection's: the session ends with it.
func (c *Coordinator) Fetch(ctx context.Context, req *kmsg.ShareFetchRequest, mem Memory) Wait {
	f := &fetch{c: c, req: req, mem: mem}
	code := f.begin(ctx)
	if code != wire.None {
		resp := req.ResponseKind().(*kmsg.ShareFetchResponse)
		resp.ErrorCode = int16(code)
		if code == wire.GroupIDNotFound && req.ShareSessionEpoch == epochOpen {
			resp.ErrorCode = 0
			f.refuseAll(resp, code)
		}
		return ready(resp)
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		if err := c.await(ctx, f.asked); err != nil {
			return nil, err
		}
		if len(f.parts) > 0 {
			if err := f.run(ctx); err != nil {
				return nil, err
			}
		}
		return f.answer(), nil
	}
}

// refuseAll answers every partition of a first request with a code.
func (f *fetch) refuseAll(resp *kmsg.ShareFetchResponse, code wire.Code) {
	for _, rt := range f.req.Topics {
		for _, rp := range rt.Partitions {
			add(resp, key{rt.TopicID, rp.Partition}).ErrorCode = int16(code)
		}
	}
}

// begin checks the session, does what is acknowledged, and lists the partitions
// to fetch from.
func (f *fetch) begin(ctx context.Context) wire.Code {
	req := f.req
	if req.GroupID == nil || *req.GroupID == "" || req.MemberID == nil || *req.MemberID == "" ||
		req.IsRenewAck && (req.MaxBytes != 0 || req.MinBytes != 0 || req.MaxRecords != 0 || req.MaxWaitMillis != 0) {
		return wire.InvalidRequest
	}
	g, code := f.c.acquire(*req.GroupID)
	if code == wire.GroupIDNotFound && req.ShareSessionEpoch != epochOpen {
		code = wire.ShareSessionNotFound
	}
	if code != wire.None {
		return code
	}
	defer g.unlock()
	f.g, f.st = g, f.c.settings(g.name)
	if f.s, code = f.enter(ctx); code != wire.None {
		return code
	}
	now := time.Now()
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			if len(rp.AcknowledgementBatches) == 0 {
				continue
			}
			batches := make([]ackBatch, len(rp.AcknowledgementBatches))
			for k, b := range rp.AcknowledgementBatches {
				batches[k] = ackBatch{b.FirstOffset, b.LastOffset, b.AcknowledgeTypes}
			}
			f.asked = append(f.asked, g.acknowledge(now, f.st, f.s.member, key{rt.TopicID, rp.Partition}, batches, req.IsRenewAck))
		}
	}
	switch {
	case req.ShareSessionEpoch == epochClose:
		g.close(f.s)
		g.releaseAll(f.s.member)
	case !req.IsRenewAck:
		f.turns()
	}
	return wire.None
}

// enter opens the request's session or goes on with it.
func (f *fetch) enter(ctx context.Context) (*session, wire.Code) {
	req := f.req
	if req.ShareSessionEpoch != epochOpen {
		s, code := f.g.find(*req.MemberID, req.ShareSessionEpoch)
		if code == wire.None && req.ShareSessionEpoch != epochClose {
			code = s.update(req.Topics, req.ForgottenTopicsData)
		}
		return s, code
	}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			if len(req.Topics[i].Partitions[j].AcknowledgementBatches) > 0 {
				return nil, wire.InvalidRequest
			}
		}
	}
	s, code := f.g.open(ctx, *req.MemberID)
	if code == wire.None {
		code = s.update(req.Topics, req.ForgottenTopicsData)
	}
	return s, code
}

// turns lists the session's partitions, each request beginning with the next one
// so that none is starved by those before it.
func (f *fetch) turns() {
	n := len(f.s.order)
	for i := range n {
		k := f.s.order[(i+int(f.s.epoch))%n]
		f.parts = append(f.parts, &taking{f: f, key: k})
	}
}

// answer lays out what came of it. A first request is told of all its
// partitions, others of those that there is something to say of.
func (f *fetch) answer() kmsg.Response {
	resp := f.req.ResponseKind().(*kmsg.ShareFetchResponse)
	resp.AcquisitionLockTimeoutMillis = int32(f.st.lock.Milliseconds())
	if f.ended && len(f.asked) == 0 {
		resp.ErrorCode = int16(wire.ShareSessionNotFound)
		return resp
	}
	at := map[key]*asked{}
	for i := range f.asked {
		at[f.asked[i].key] = &f.asked[i]
	}
	for _, t := range f.parts {
		a := at[t.key]
		if a == nil && t.code == wire.None && len(t.grants) == 0 && f.req.ShareSessionEpoch != epochOpen {
			continue
		}
		p := add(resp, t.key)
		p.ErrorCode, p.Records = int16(t.code), t.records
		if p.Records == nil {
			p.Records = []byte{}
		}
		for _, g := range t.grants {
			r := kmsg.NewShareFetchResponseTopicPartitionAcquiredRecord()
			r.FirstOffset, r.LastOffset, r.DeliveryCount = g.first, g.last, g.count
			p.AcquiredRecords = append(p.AcquiredRecords, r)
		}
		if a != nil {
			p.AcknowledgeErrorCode = int16(a.code)
			delete(at, t.key)
		}
	}
	for i := range f.asked { // of partitions that are no longer in the session
		if a := &f.asked[i]; at[a.key] == a {
			p := add(resp, a.key)
			p.AcknowledgeErrorCode, p.Records = int16(a.code), []byte{}
		}
	}
	return resp
}

// add makes room for a partition in an answer.
func add(resp *kmsg.ShareFetchResponse, k key) *kmsg.ShareFetchResponseTopicPartition {
	i := 0
	for i < len(resp.Topics) && resp.Topics[i].TopicID != k.topic {
		i++
	}
	if i == len(resp.Topics) {
		t := kmsg.NewShareFetchResponseTopic()
		t.TopicID = k.topic
		resp.Topics = append(resp.Topics, t)
	}
	p := kmsg.NewShareFetchResponseTopicPartition()
	p.Partition = k.partition
	t := &resp.Topics[i]
	t.Partitions = append(t.Partitions, p)
	return &t.Partitions[len(t.Partitions)-1]
}
