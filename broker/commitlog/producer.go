package commitlog

import (
	"slices"

	"github.com/tarn-io/tarn/broker/record"
)

// rememberedBatches is how many of a producer's last batches are kept for
// duplicates: as many requests as an idempotent client keeps in flight.
const rememberedBatches = 5

// producer is what a log knows of one producer id. Values are immutable once
// they stand in a log's table; the sequencer works on copies.
type producer struct {
	Epoch int16 `json:"e"`
	// Last are its newest batches, oldest first. It is empty after an epoch
	// bump that has written nothing yet.
	Last []producedBatch `json:"b"`
	// Fresh is set after a marker raised the epoch: the next batch begins at
	// sequence 0, so that one which overtakes it is not taken for the first.
	Fresh bool `json:"n,omitempty"`
	// LastMs is when the log last heard of it, in the broker's Unix ms.
	LastMs int64 `json:"t"`
}

type producedBatch struct {
	FirstSeq int32 `json:"f"`
	LastSeq  int32 `json:"l"`
	Base     int64 `json:"o"`
	// StampMs is the broker's time if it stamped the batch, else -1.
	StampMs int64 `json:"s"`
}

// check says whether batch h may follow: nil, ErrFenced or ErrSequence; or that
// it is a duplicate of a remembered batch (Kafka's ProducerAppendInfo). A
// producer that is not known may begin with any sequence: its state may have
// been lost to retention or expiry.
func (p *producer) check(h record.Header) (*producedBatch, error) {
	if p == nil {
		return nil, nil
	}
	if h.ProducerEpoch < p.Epoch {
		return nil, ErrFenced
	}
	if h.ProducerEpoch > p.Epoch {
		if h.BaseSequence != 0 {
			return nil, ErrSequence
		}
		return nil, nil
	}
	if p.Fresh && h.BaseSequence != 0 {
		return nil, ErrSequence
	}
	for i := range p.Last {
		if b := &p.Last[i]; b.FirstSeq == h.BaseSequence && b.LastSeq == h.LastSequence() {
			return b, nil
		}
	}
	if n := len(p.Last); n > 0 && h.BaseSequence != nextSequence(p.Last[n-1].LastSeq) {
		return nil, ErrSequence
	}
	return nil, nil
}

// nextSequence wraps from 2^31-1 to 0.
func nextSequence(seq int32) int32 {
	if seq == 1<<31-1 {
		return 0
	}
	return seq + 1
}

// after returns the state after batch h was appended at base.
func (p *producer) after(h record.Header, base, stampMs, nowMs int64) *producer {
	next := &producer{Epoch: h.ProducerEpoch, LastMs: nowMs}
	if p != nil && p.Epoch == h.ProducerEpoch {
		keep := p.Last[max(0, len(p.Last)-rememberedBatches+1):]
		next.Last = slices.Grow(next.Last, len(keep)+1)
		next.Last = append(next.Last, keep...)
	}
	next.Last = append(next.Last, producedBatch{
		FirstSeq: h.BaseSequence, LastSeq: h.LastSequence(), Base: base, StampMs: stampMs,
	})
	return next
}
