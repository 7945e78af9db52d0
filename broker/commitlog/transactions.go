package commitlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// Aborted is a transaction of one producer in one log that was aborted: its
// batches lie between First and Last, which is its marker's offset.
type Aborted struct {
	ProducerID int64 `json:"p"`
	First      int64 `json:"f"`
	Last       int64 `json:"l"`
}

// AbortedTxns are aborted transactions, in the order of their markers.
type AbortedTxns []Aborted

// Holds reports whether the batch with header h belongs to one of them, so
// that read_committed readers pass it over.
func (a AbortedTxns) Holds(h record.Header) bool {
	if !h.Transactional() {
		return false
	}
	return slices.ContainsFunc(a, func(t Aborted) bool {
		return t.ProducerID == h.ProducerID && t.First <= h.BaseOffset && h.BaseOffset < t.Last
	})
}

// transactions is what a log knows of transactions. Values are immutable once
// they stand in a log; a draft works on a clone.
type transactions struct {
	open    map[int64]int64 // first offset by producer id
	aborted AbortedTxns     // ascending by Last; the backing array may be longer
}

// clone makes a copy to change. The aborted ones share their array: elements
// are only written behind what anybody has seen.
func (t transactions) clone() *transactions {
	c := &transactions{open: maps.Clone(t.open), aborted: t.aborted}
	if c.open == nil {
		c.open = map[int64]int64{}
	}
	return c
}

// begin notes a transactional batch.
func (t *transactions) begin(id, base int64) {
	if _, ok := t.open[id]; !ok {
		t.open[id] = base
	}
}

// end notes a marker at offset.
func (t *transactions) end(id, offset int64, commit bool) {
	first, ok := t.open[id]
	if !ok {
		return
	}
	delete(t.open, id)
	if !commit {
		t.aborted = append(t.aborted, Aborted{ProducerID: id, First: first, Last: offset})
	}
}

// trimmed is t without aborted transactions that lie wholly below start.
func (t transactions) trimmed(start int64) transactions {
	t.aborted = t.aborted[sort.Search(len(t.aborted), func(i int) bool { return t.aborted[i].Last >= start }):]
	return t
}

// stable is the last stable offset of a log with these bounds.
func (t transactions) stable(start, end int64) int64 {
	for _, first := range t.open {
		end = min(end, first)
	}
	return max(start, end)
}

// Aborted lists the aborted transactions that end at or after from, also those
// that began before. Below the last stable offset it is complete. Ask before you
// read: compaction forgets a transaction once its data is gone, and what was read
// before may still hold it. The list is shared and must not be changed.
func (g *Log) Aborted(from int64) AbortedTxns {
	g.mu.RLock()
	all := g.txns.aborted
	g.mu.RUnlock()
	all = all[sort.Search(len(all), func(i int) bool { return all[i].Last >= from }):]
	return all[:len(all):len(all)]
}

// Below copies those that have batches below an offset.
func (a AbortedTxns) Below(to int64) AbortedTxns {
	var out AbortedTxns
	for _, t := range a {
		if t.First < to {
			out = append(out, t)
		}
	}
	return out
}

// markerKind tells from a marker's header whether it commits: the checksum
// covers its one record, and there are only two of them.
func markerKind(h record.Header) (commit, ok bool) {
	for _, commit := range []bool{true, false} {
		b, err := record.Marker{
			ProducerID: h.ProducerID, ProducerEpoch: h.ProducerEpoch, Commit: commit, Timestamp: h.BaseTimestamp,
		}.Batch()
		if err != nil {
			continue
		}
		if m, err := record.ParseHeader(b); err == nil && m.CRC == h.CRC {
			return commit, true
		}
	}
	return false, false
}

// readMarker tells it from the stored batch.
func (g *Log) readMarker(ctx context.Context, h record.Header) (bool, error) {
	if commit, ok := markerKind(h); ok {
		return commit, nil
	}
	b, err := g.logs.cfg.Engine.Read(ctx, g.tp, h.BaseOffset, h.Size())
	if err != nil {
		return false, err
	}
	m, err := record.ReadMarker(b)
	if err != nil {
		return false, fmt.Errorf("%w: marker at %d of %s: %w", storage.ErrBroken, h.BaseOffset, g.tp, err)
	}
	return m.Commit, nil
}

// afterMarker is a producer's state after a marker: it fences older epochs.
func (p *producer) afterMarker(h record.Header, nowMs int64) *producer {
	if p == nil {
		return &producer{Epoch: h.ProducerEpoch, LastMs: nowMs}
	}
	if h.ProducerEpoch > p.Epoch {
		return &producer{Epoch: h.ProducerEpoch, LastMs: nowMs, Fresh: true}
	}
	next := *p
	next.LastMs = nowMs
	return &next
}

// checkTxn checks a producer's batch against the transactions of a draft: one
// that begins a transaction here needs the coordinator's word, and nothing else
// comes from its producer while one is open (I7).
func (d *draft) checkTxn(b *Batch) error {
	_, open := d.txns().open[b.Header.ProducerID]
	switch {
	case !b.Header.Transactional() && open:
		return ErrTransactionOpen
	case !b.Header.Transactional() || open:
		return nil
	case d.log.logs.cfg.Admit == nil:
		return ErrNoTransaction
	}
	return d.log.logs.cfg.Admit(b.TP, b.Header)
}

// txns are the transactions as of this draft, to look at.
func (d *draft) txns() transactions {
	if d.changed != nil {
		return *d.changed
	}
	return d.log.txns
}

// change is the draft's own copy of the transactions.
func (d *draft) change() *transactions {
	if d.changed == nil {
		d.changed = d.log.txns.clone()
	}
	return d.changed
}

// noteTxn notes what a batch appended at base does to transactions.
func (d *draft) noteTxn(b *Batch, base, nowMs int64) {
	h := b.Header
	switch {
	case h.Control():
		d.setProducer(h.ProducerID, d.producer(h.ProducerID, nowMs).afterMarker(h, nowMs))
		if _, open := d.txns().open[h.ProducerID]; open {
			m, err := record.ReadMarker(b.Bytes)
			d.change().end(h.ProducerID, base, err == nil && m.Commit)
		}
	case h.Transactional():
		if _, open := d.txns().open[h.ProducerID]; !open {
			d.change().begin(h.ProducerID, base)
		}
	}
}

func (d *draft) setProducer(id int64, p *producer) {
	if d.producers == nil {
		d.producers = map[int64]*producer{}
	}
	d.producers[id] = p
}
