package api

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/broker/wire"
)

// Fetch (key 1), versions 0–18. Stored bytes are answered as they lie. The
// first partition with data returns at least one batch (KIP-74). Too little
// data parks the Reply until a log advances or max wait ends, without polling.
// Session id 0 is always answered, so clients stay without fetch sessions
// (KIP-227 allows it). Versions 0–3 get message sets.

// fetching is one partition of a Fetch.
type fetching struct {
	req   *kmsg.FetchRequestTopicPartition
	resp  *kmsg.FetchResponseTopicPartition
	topic *topic.Topic
	log   *commitlog.Log
}

func (h *Handlers) fetch(ctx context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.FetchRequest)
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	if req.Version >= 7 && req.SessionID != 0 {
		resp.ErrorCode = int16(wire.FetchSessionIDNotFound)
		return now(resp)
	}
	parts, failed := h.fetchParts(ctx, req, resp)
	return func(ctx context.Context) (kmsg.Response, error) {
		deadline := min(time.Duration(req.MaxWaitMillis)*time.Millisecond, maxWait)
		n, bad := h.fill(ctx, req, parts)
		if n < int(req.MinBytes) && !bad && !failed && len(parts) > 0 && deadline > 0 {
			h.park(ctx, req, parts, deadline)
		}
		return resp, nil
	}, nil
}

// fetchParts lays out the answer and finds the logs. failed reports whether a
// partition is answered with an error already.
func (h *Handlers) fetchParts(ctx context.Context, req *kmsg.FetchRequest, resp *kmsg.FetchResponse) (parts []fetching, failed bool) {
	resp.Topics = make([]kmsg.FetchResponseTopic, len(req.Topics))
	for i := range req.Topics {
		rt, st := &req.Topics[i], &resp.Topics[i]
		*st = kmsg.NewFetchResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		st.Partitions = make([]kmsg.FetchResponseTopicPartition, len(rt.Partitions))
		t, err := h.lookup(rt.Topic, rt.TopicID, req.Version >= 13)
		for j := range rt.Partitions {
			rp, sp := &rt.Partitions[j], &st.Partitions[j]
			*sp = kmsg.NewFetchResponseTopicPartition()
			sp.Partition, sp.RecordBatches = rp.Partition, []byte{}
			perr := err
			var log *commitlog.Log
			if perr == nil {
				perr = checkEpoch(rp.CurrentLeaderEpoch)
			}
			if perr == nil {
				log, perr = h.log(ctx, t, rp.Partition)
			}
			if perr != nil {
				failed = true
				sp.ErrorCode, sp.HighWatermark, sp.LastStableOffset, sp.LogStartOffset = int16(codeOf(perr)), -1, -1, -1
				continue
			}
			parts = append(parts, fetching{req: rp, resp: sp, topic: t, log: log})
		}
	}
	return parts, failed
}

// park waits until the watched logs hold enough, then fills the answer anew.
func (h *Handlers) park(ctx context.Context, req *kmsg.FetchRequest, parts []fetching, limit time.Duration) {
	w := commitlog.NewWaiter()
	for i := range parts {
		parts[i].log.Watch(w)
		defer parts[i].log.Unwatch(w)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		// Look after Watch: an append between the first look and Watch is seen.
		if n, bad := h.fill(ctx, req, parts); n >= int(req.MinBytes) || bad {
			return
		}
		select {
		case <-w.C:
		case <-timer.C:
			h.fill(ctx, req, parts)
			return
		case <-ctx.Done():
			return
		}
	}
}

// fill reads what there is into the answer. It returns the bytes read and
// whether a partition has an error, either of which ends the wait.
func (h *Handlers) fill(ctx context.Context, req *kmsg.FetchRequest, parts []fetching) (total int, bad bool) {
	left := maxFetchBytes
	if req.Version >= 3 {
		left = min(left, int(req.MaxBytes))
	}
	for i := range parts {
		p := &parts[i]
		most := min(int(p.req.PartitionMaxBytes), left)
		b, err := p.read(ctx, req, most, total == 0)
		if err != nil {
			bad = true
			p.resp.ErrorCode = int16(codeOf(err))
			continue
		}
		p.resp.ErrorCode = 0
		p.resp.RecordBatches = b
		total += len(b)
		left = max(0, left-len(b))
	}
	return total, bad
}

// read reads one partition. first allows one batch above most bytes.
func (p *fetching) read(ctx context.Context, req *kmsg.FetchRequest, most int, first bool) ([]byte, error) {
	start, end := p.log.Bounds()
	limit := end
	if req.IsolationLevel == 1 {
		limit = p.log.LastStable()
	}
	p.resp.HighWatermark, p.resp.LastStableOffset, p.resp.LogStartOffset = end, p.log.LastStable(), start
	if most <= 0 && !first {
		if p.req.FetchOffset < start || p.req.FetchOffset > end {
			return nil, commitlog.ErrRange
		}
		return []byte{}, nil
	}
	b, err := p.log.Read(ctx, p.req.FetchOffset, most, limit)
	if err != nil {
		p.resp.HighWatermark, p.resp.LastStableOffset, p.resp.LogStartOffset = -1, -1, -1
		return []byte{}, err
	}
	if !first && len(b) > most { // one batch larger than what is left
		return []byte{}, nil
	}
	if req.Version < 10 && holdsZstd(b) {
		return []byte{}, refuse(wire.UnsupportedCompressionType, "zstd needs Fetch version 10 or later")
	}
	if req.Version < 4 {
		magic := int8(1)
		if req.Version < 2 {
			magic = 0
		}
		b, err = record.ToMessageSet(b, magic, int(p.topic.Config.MaxMessageBytes)*decompressRatio)
	}
	if b == nil {
		// No records are an empty set and never null: librdkafka takes null for
		// a broken answer.
		b = []byte{}
	}
	return b, err
}

// holdsZstd reports whether any batch is compressed with zstd.
func holdsZstd(b []byte) bool {
	for pos := 0; pos < len(b); {
		h, err := record.ParseHeader(b[pos:])
		if err != nil {
			return false
		}
		if h.Codec() == record.Zstd {
			return true
		}
		pos += h.Size()
	}
	return false
}
