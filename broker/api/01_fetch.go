package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/quota"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Fetch (key 1), versions 0–18. Stored bytes are answered as they lie. The
// first partition with data returns at least one batch (KIP-74). Too little
// data parks the Reply until a log advances or max wait ends, without polling.
// From version 7 on clients may keep a session, whose answers hold what is news
// (KIP-227, fetch_session.go). A client beyond the end of its epoch is told where
// that is (KIP-320). Versions 0–3 get message sets. A read_committed
// client gets what lies below the last stable offset, and the list of what to
// pass over in it (KIP-98).

// fetching is one partition of a Fetch.
type fetching struct {
	wanted
	resp  kmsg.FetchResponseTopicPartition
	topic *topic.Topic
	log   *commitlog.Log // nil: it has failed
}

func (h *Handlers) fetch(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.FetchRequest)
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{}
		t, code := h.sessions.begin(req, h.cfg.Now().UnixMilli())
		if code != wire.None {
			resp.ErrorCode = int16(code)
			return resp, nil
		}
		all, failed := h.fetchParts(ctx, r.who, req, t.wanted)
		wait := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxWait)
		f := fetch{h: h, request: r, req: req, until: time.Now().Add(wait), maxBytes: maxFetchBytes, minBytes: int(req.MinBytes)}
		if req.Version >= 3 {
			f.maxBytes = min(f.maxBytes, int(req.MaxBytes))
		}
		if n, ok := h.cfg.Quotas.Burst(quota.FetchBytes, r.user, r.ClientID); ok {
			f.maxBytes = min(f.maxBytes, int(min(n, maxFetchBytes)))
			f.minBytes = min(f.minBytes, f.maxBytes)
		}
		for _, p := range all {
			if p.log != nil {
				f.parts = append(f.parts, p)
			}
		}
		if done := f.fill(ctx); !done && !failed && len(all) > 0 && wait > 0 {
			f.park(ctx)
		}
		if f.throttled() {
			// The records stay here; the client asks again when it may.
			if t.session != nil {
				resp.SessionID = t.session.id
			}
			return resp, nil
		}
		for _, p := range f.parts {
			if len(p.resp.RecordBatches) > 0 {
				h.traffic.of(p.topic.ID).out(p.resp.RecordBatches)
			}
		}
		all, resp.SessionID, code = h.sessions.end(t, req, all, h.cfg.Now().UnixMilli())
		resp.ErrorCode = int16(code)
		resp.Topics = fetchTopics(all)
		return resp, nil
	}, nil
}

// fetchTopics puts partitions under their topics, in their order.
func fetchTopics(all []*fetching) []kmsg.FetchResponseTopic {
	topics := []kmsg.FetchResponseTopic{}
	for i, p := range all {
		if i == 0 || all[i-1].name != p.name || all[i-1].id != p.id {
			st := kmsg.NewFetchResponseTopic()
			st.Topic, st.TopicID = p.name, p.id
			topics = append(topics, st)
		}
		st := &topics[len(topics)-1]
		st.Partitions = append(st.Partitions, p.resp)
	}
	return topics
}

// fetchParts finds the logs of what is wanted. failed reports whether a
// partition is answered with an error already.
func (h *Handlers) fetchParts(ctx context.Context, who *asker, req *kmsg.FetchRequest, want []wanted) (parts []*fetching, failed bool) {
	parts = make([]*fetching, len(want))
	for i, w := range want {
		p := &fetching{wanted: w, resp: kmsg.NewFetchResponseTopicPartition()}
		parts[i] = p
		p.resp.Partition, p.resp.RecordBatches = w.partition, []byte{}
		if req.IsolationLevel == 1 {
			p.resp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
		}
		err := h.mayFetch(who, req, w.name, w.id)
		if err == nil {
			p.topic, err = h.lookup(w.name, w.id, req.Version >= 13)
		}
		if err == nil {
			err = checkEpoch(w.epoch)
		}
		if err == nil {
			p.log, err = h.log(ctx, p.topic, w.partition)
		}
		if err != nil {
			failed, p.log = true, nil
			p.fail(h, req, err)
		}
	}
	return parts, failed
}

// fail answers a partition with an error and nothing else.
func (p *fetching) fail(h *Handlers, req *kmsg.FetchRequest, err error) {
	if req.Version >= 13 && errors.Is(err, commitlog.ErrGone) {
		err = refuse(wire.UnknownTopicID, "the topic was deleted")
	}
	p.resp.ErrorCode, p.resp.RecordBatches = h.code(err), []byte{}
	p.resp.HighWatermark, p.resp.LastStableOffset, p.resp.LogStartOffset = -1, -1, -1
}

// fetch is a Fetch being answered.
type fetch struct {
	h       *Handlers
	request *Request
	req     *kmsg.FetchRequest
	parts   []*fetching
	until   time.Time // end of the request's max wait
	// maxBytes and minBytes are the request's, within the client's quota.
	maxBytes, minBytes int
	total              int // bytes of records in the answer
}

// throttled counts the answer's records and reports whether the client has had
// too many, so that it gets none now (KIP-219).
func (f *fetch) throttled() bool {
	d := f.h.use(quota.FetchBytes, f.request, float64(f.total))
	if d <= 0 {
		return false
	}
	f.h.cfg.Quotas.Unuse(quota.FetchBytes, f.request.user, f.request.ClientID, float64(f.total))
	f.request.slowDown(d)
	f.request.held.release()
	return true
}

// park waits until the watched logs hold enough, then fills the answer anew.
func (f *fetch) park(ctx context.Context) {
	w := commitlog.NewWaiter()
	for _, p := range f.parts {
		p.log.Watch(w)
		defer p.log.Unwatch(w)
	}
	timer := time.NewTimer(time.Until(f.until))
	defer timer.Stop()
	// Look after Watch: an append between the first look and Watch is seen.
	for !f.fill(ctx) {
		select {
		case <-w.C:
		case <-timer.C:
			f.fill(ctx)
			return
		case <-ctx.Done():
			return
		}
	}
}

// fill reads what there is into the answer, and reports whether the answer may
// go: there is enough, or a partition has an error.
func (f *fetch) fill(ctx context.Context) bool {
	begun := time.Now()
	defer func() { f.request.busy += time.Since(begun) }()
	left, short := f.reserve(ctx)
	total, failed := 0, false
	for _, p := range f.parts {
		b, err := p.read(ctx, f.h, f.req, min(int(p.maxBytes), left), total == 0 && !short)
		switch n := len(b); {
		case err != nil || total+n <= f.request.held.room():
		case total > 0: // a message set that grew when it was made
			b = []byte{}
		case !f.request.held.tryExtend(n):
			b, err = f.readLater(ctx, p, n) // what was read is dropped: who waits holds nothing
			left, short = 0, len(b) == 0
		}
		if err != nil {
			failed = true
			p.fail(f.h, f.req, err)
			continue
		}
		p.resp.ErrorCode, p.resp.RecordBatches = 0, b
		failed = failed || p.resp.DivergingEpoch.EndOffset >= 0 // there is nothing to wait for
		total += len(b)
		left = max(0, left-len(b))
	}
	f.total = total
	f.request.held.shrink(total)
	return failed || total >= f.minBytes
}

// reserve asks for room for the records of the answer, and tells how many bytes may
// be read; the first batch may be larger. If not even a batch has room it waits, within the request's max wait: short reports that it did in vain,
// and the client is to ask again.
func (f *fetch) reserve(ctx context.Context) (bytes int, short bool) {
	want, batch := f.most()
	want = min(f.maxBytes, want)
	left := f.request.held.reserve(f.h.answers, want, min(batch, usualBatch))
	if left == 0 && batch > 0 {
		short = !f.extend(ctx, batch)
		left = f.request.held.room()
	}
	return min(left, want), short
}

// extend waits for room for n bytes, within the request's max wait. The time does
// not count as the broker's work.
func (f *fetch) extend(ctx context.Context, n int) bool {
	limited, cancel := context.WithDeadline(ctx, f.until)
	defer cancel()
	begun := time.Now()
	defer func() { f.request.busy -= time.Since(begun) }()
	return f.request.held.extend(limited, n)
}

// readLater reads a first batch of n bytes, larger than there was room for, once
// there is.
func (f *fetch) readLater(ctx context.Context, p *fetching, n int) ([]byte, error) {
	if !f.extend(ctx, n) {
		return []byte{}, ctx.Err()
	}
	b, err := p.read(ctx, f.h, f.req, n, true)
	if len(b) > n { // the log was compacted meanwhile: another batch is first
		b = []byte{}
	}
	return b, err
}

// most is how many bytes the partitions that have any may give, and how large a
// batch of theirs may be.
func (f *fetch) most() (bytes, batch int) {
	for _, p := range f.parts {
		if p.offset < p.log.End() {
			bytes = min(bytes+max(0, int(p.maxBytes)), maxFetchBytes)
			batch = max(batch, int(p.topic.Config.MaxMessageBytes))
		}
	}
	return bytes, batch
}

// read reads one partition. first allows one batch above most bytes.
func (p *fetching) read(ctx context.Context, h *Handlers, req *kmsg.FetchRequest, most int, first bool) ([]byte, error) {
	start, end := p.log.Bounds()
	stable := min(p.log.LastStable(), end) // the log may have grown in between
	p.resp.HighWatermark, p.resp.LastStableOffset, p.resp.LogStartOffset = end, stable, start
	if p.lastEpoch > leaderEpoch {
		return nil, commitlog.ErrRange // no such epoch ended here
	}
	if p.diverges(end) {
		return []byte{}, nil
	}
	limit := end
	if req.IsolationLevel == 1 {
		limit = stable
	}
	if most <= 0 && !first {
		if p.offset < start || p.offset > end {
			return nil, commitlog.ErrRange
		}
		return []byte{}, nil
	}
	if req.Version < 4 {
		return p.readMessages(ctx, h, req, most, limit)
	}
	aborted := p.log.Aborted(p.offset)
	b, err := p.log.Read(ctx, p.offset, most, limit)
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0, !first && len(b) > most: // nothing, or one batch larger than what is left
		return []byte{}, nil
	case req.Version < 10 && holdsZstd(b):
		return nil, refuse(wire.UnsupportedCompressionType, "zstd needs Fetch version 10 or later")
	}
	if req.IsolationLevel == 1 {
		p.listAborted(b, aborted)
	}
	return b, nil
}

// diverges reports whether a client that says which epoch its last record has
// stands beyond that epoch's end: records that it has read are gone, as when a
// backup was restored. It is told the end, to go on from there, in place of
// OFFSET_OUT_OF_RANGE (KIP-320, KIP-595).
func (p *fetching) diverges(end int64) bool {
	if p.lastEpoch < 0 || p.offset <= end {
		return false
	}
	p.resp.DivergingEpoch.Epoch, p.resp.DivergingEpoch.EndOffset = leaderEpoch, end
	return true
}

// listAborted tells a read_committed client which transactions with batches in
// b were aborted, also those that began before it; known are those from the
// offset asked for.
func (p *fetching) listAborted(b []byte, known commitlog.AbortedTxns) {
	end := p.offset
	for batch, err := range record.Batches(b) {
		if err == nil {
			end = batch.Header.LastOffset() + 1
		}
	}
	aborted := known.Below(end)
	slices.SortFunc(aborted, func(a, b commitlog.Aborted) int { return cmp.Compare(a.First, b.First) })
	p.resp.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, len(aborted))
	for i, t := range aborted {
		a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		a.ProducerID, a.FirstOffset = t.ProducerID, t.First
		p.resp.AbortedTransactions[i] = a
	}
}

// readMessages reads for clients that know no batches. What holds no messages
// for them (a transaction's marker) is passed over, or they would ask for it for
// ever.
func (p *fetching) readMessages(ctx context.Context, h *Handlers, req *kmsg.FetchRequest, most int, limit int64) ([]byte, error) {
	room, err := unpack(ctx, h.rereads, unpackLimit(p.topic))
	if err != nil {
		return nil, err
	}
	defer room.release()
	magic := int8(1)
	if req.Version < 2 {
		magic = 0
	}
	for offset := p.offset; ; {
		b, err := p.log.Read(ctx, offset, most, limit)
		if err != nil || len(b) == 0 {
			return []byte{}, err
		}
		if holdsZstd(b) {
			return nil, refuse(wire.UnsupportedCompressionType, "zstd needs Fetch version 10 or later")
		}
		set, err := record.ToMessageSet(b, magic, unpackLimit(p.topic))
		if err != nil || len(set) > 0 {
			return set, err
		}
		for batch, err := range record.Batches(b) {
			if err != nil {
				return nil, err
			}
			offset = batch.Header.LastOffset() + 1
		}
	}
}

// holdsZstd reports whether any batch is compressed with zstd.
func holdsZstd(b []byte) bool {
	for batch, err := range record.Batches(b) {
		if err == nil && batch.Header.Codec() == record.Zstd {
			return true
		}
	}
	return false
}
