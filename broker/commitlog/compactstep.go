package commitlog

import (
	"context"
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// step compacts what one read from pos gives and returns where to go on. The
// batches from the first that changes to the last are replaced in one commit,
// which holds only if they are still what was read and no other pass has begun.
func (p *pass) step(ctx context.Context, pos int64) (next int64, err error) {
	b, err := p.read(ctx, pos)
	if err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return p.to, nil
	}
	var r storage.Replace // of the range from the first change on
	changed := 0          // its batches and bytes up to the last change
	var want storage.Range
	var out, tail []byte // tail: what was kept behind the last change
	for batch, err := range record.Batches(b) {
		if err != nil {
			return 0, err
		}
		h := batch.Header
		next = h.LastOffset() + 1
		kept, err := p.compactBatch(batch)
		if err != nil {
			return 0, fmt.Errorf("batch at %d: %w", h.BaseOffset, err)
		}
		same := len(kept) > 0 && &kept[0] == &batch.Bytes[0]
		if same && changed == 0 {
			continue
		}
		if changed == 0 {
			r.From = h.BaseOffset
		}
		want.Batches++
		want.Bytes += int64(h.Size())
		if tail = append(tail, kept...); !same {
			out, tail = append(out, tail...), tail[:0]
			r.To, r.Expect = next, want
			changed++
		}
	}
	if changed == 0 {
		return next, nil
	}
	r.TP, r.Batches = p.log.tp, out
	err = p.engine.Commit(ctx, storage.Write{
		Replace: []storage.Replace{r},
		Check:   []storage.Check{{Key: CompactionKey(p.log.tp), Version: p.version}},
	})
	p.log.dropTailUnder(r.To) // also after an error: it may be stored
	if err != nil {
		return 0, err
	}
	p.done.Bytes += r.Expect.Bytes - int64(len(out))
	return next, nil
}

// compactBatch returns what is left of a batch: the same bytes, others, or none.
func (p *pass) compactBatch(b record.Batch) ([]byte, error) {
	h := b.Header
	if h.Control() {
		return p.compactMarker(b)
	}
	if h.Transactional() {
		p.txnData[h.ProducerID] = true
	}
	if h.Count == 0 {
		if p.stays(h) {
			return b.Bytes, nil
		}
		return nil, nil
	}
	if err := record.CheckCRC(b.Bytes); err != nil {
		return nil, err // a new checksum must not hide it
	}
	if err := p.reader.Reset(b.Bytes, maxCompactionUnpacked); err != nil {
		return nil, err
	}
	left, tombstones, err := p.choose(h)
	if err != nil {
		return nil, err
	}
	horizonMs, dated := h.DeleteHorizon()
	date := tombstones && !dated
	if date {
		horizonMs = p.horizonMs()
	}
	if tombstones {
		p.noteDue(horizonMs)
	}
	switch {
	case left == int(h.Count) && !date:
		return b.Bytes, nil
	case left == 0 && !p.stays(h):
		p.done.Records += int64(h.Count)
		return nil, nil
	}
	p.done.Records += int64(h.Count) - int64(left)
	p.builder.ResetLike(h, h.Codec())
	if date {
		p.builder.SetDeleteHorizon(horizonMs)
	}
	p.reader.Rewind()
	for i := 0; p.reader.Next(); i++ {
		if p.keep[i] {
			p.builder.AppendRecord(p.reader.Record())
		}
	}
	return p.builder.Bytes()
}

// choose decides which records of the reader's batch stay, into keep, and says
// how many do and whether there are tombstones among them.
func (p *pass) choose(h record.Header) (left int, tombstones bool, err error) {
	aborted := p.isAborted(h)
	horizonMs, dated := h.DeleteHorizon()
	expired := dated && p.nowMs >= horizonMs
	p.keep = p.keep[:0]
	for p.reader.Next() {
		r := p.reader.Record()
		stays := !aborted && r.Key != nil
		if stays {
			last, known := p.latest[hashKey(r.Key)]
			stays = !known || r.Offset >= last
		}
		if stays && r.Value == nil {
			stays = !expired
			tombstones = tombstones || stays
		}
		if stays {
			left++
		}
		p.keep = append(p.keep, stays)
	}
	return left, tombstones, p.reader.Err()
}

// compactMarker returns what is left of a transaction's marker. It stays while
// the log holds data of the transaction; then it gets a delete horizon, so that
// readers in the middle of the transaction come to its end; then it goes, but not
// before its transaction has left the index of aborted ones, which is when the
// pass after begins.
func (p *pass) compactMarker(b record.Batch) ([]byte, error) {
	h := b.Header
	held := p.txnData[h.ProducerID]
	delete(p.txnData, h.ProducerID)
	horizonMs, dated := h.DeleteHorizon()
	switch {
	case held || h.Count == 0 || p.stays(h):
		return b.Bytes, nil
	case !dated:
		return p.dateMarker(b)
	case p.nowMs < horizonMs || h.LastOffset() >= p.state.To:
		p.noteDue(horizonMs)
		return b.Bytes, nil
	}
	p.done.Records++
	return nil, nil
}

// dateMarker gives a marker its delete horizon.
func (p *pass) dateMarker(b record.Batch) ([]byte, error) {
	if err := record.CheckCRC(b.Bytes); err != nil {
		return nil, err
	}
	if err := p.reader.Reset(b.Bytes, maxCompactionUnpacked); err != nil {
		return nil, err
	}
	horizonMs := p.horizonMs()
	p.noteDue(horizonMs)
	p.builder.ResetLike(b.Header, b.Header.Codec())
	p.builder.SetDeleteHorizon(horizonMs)
	for p.reader.Next() {
		p.builder.AppendRecord(p.reader.Record())
	}
	if err := p.reader.Err(); err != nil {
		return nil, err
	}
	return p.builder.Bytes()
}

// stays reports whether a batch stays although it has no records any more: it
// holds the last sequence of a producer that is remembered, or the last offset
// of the pass, which readers must be able to reach (Kafka keeps the same).
func (p *pass) stays(h record.Header) bool {
	if h.LastOffset()+1 == p.to {
		return true
	}
	last, live := p.last[h.ProducerID]
	if !live || !h.Idempotent() || last.epoch != h.ProducerEpoch {
		return false
	}
	return last.base == h.BaseOffset || h.Control() && last.base < 0
}

// horizonMs is the delete horizon of what is compacted now.
func (p *pass) horizonMs() int64 {
	if p.cfg.DeleteRetentionMs > maxMs-p.nowMs {
		return maxMs
	}
	return p.nowMs + p.cfg.DeleteRetentionMs
}

// maxMs is the largest time in Unix ms.
const maxMs = 1<<63 - 1

// noteDue notes when something may go.
func (p *pass) noteDue(ms int64) {
	if p.dueMs == 0 || ms < p.dueMs {
		p.dueMs = ms
	}
}
