package commitlog

import (
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// round is one commit in the making: the write, and the state each log will
// have after it. Nothing of it is visible before the commit is durable.
type round struct {
	nowMs   int64
	write   storage.Write
	drafts  map[storage.TP]*draft
	order   []*draft           // drafts in order of first touch
	sizes   map[storage.TP]int // bytes that entries bring for a log, at most
	items   map[string]int     // position in write.Set by key
	checks  map[string]int64
	stated  []int64    // versions that write.Set states: Commit overwrites them
	members []*pending // entries that this commit decides
}

func newRound(nowMs int64, entries []*pending) *round {
	r := &round{
		nowMs:  nowMs,
		drafts: make(map[storage.TP]*draft, len(entries)),
		sizes:  make(map[storage.TP]int, len(entries)),
		items:  map[string]int{},
		checks: map[string]int64{},
	}
	for _, p := range entries {
		for i := range p.Batches {
			r.sizes[p.Batches[i].TP] += len(p.Batches[i].Bytes)
		}
	}
	return r
}

// draft is a log's state during a round.
type draft struct {
	log       *Log
	start     int64 // the log's start before the round
	oldEnd    int64
	end       int64
	epoch     int32
	buf       []byte
	producers map[int64]*producer // changed ones only
	changed   *transactions       // the log's transactions, if the round changes them
	batches   int
	trim      int64               // new start, or -1
	snapshot  map[int64]*producer // all producers, if the round stores them
	save      bool                // the round stores them for compaction
	cleaned   int64               // aborted transactions that end below have no data left
}

func newDraft(g *Log) *draft {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return &draft{log: g, start: g.start, oldEnd: g.end, end: g.end, epoch: g.epoch, trim: -1}
}

// producer is the state of a producer id as of this draft.
func (d *draft) producer(id, nowMs int64) *producer {
	if p, ok := d.producers[id]; ok {
		return p
	}
	return d.log.remembered(id, nowMs, d.txns().open)
}

// append gives b its offset and copies it into the draft: the caller's frame
// may be reused once the round is over, the copy serves the tail cache.
func (d *draft) append(b *Batch, nowMs int64) Appended {
	base, pos := d.end, len(d.buf)
	d.buf = append(d.buf, b.Bytes...)
	own := d.buf[pos:]
	record.SetBaseOffset(own, base)
	record.SetLeaderEpoch(own, d.epoch)
	stampMs := int64(-1)
	if b.Stamp {
		stampMs = nowMs
		record.SetLogAppendTime(own, nowMs)
	}
	d.end = base + int64(b.Header.LastOffsetDelta) + 1
	d.batches++
	if id := b.Header.ProducerID; b.Header.Idempotent() && !b.Header.Control() {
		d.setProducer(id, d.producer(id, nowMs).after(b.Header, base, stampMs, nowMs))
	}
	d.noteTxn(b, base, nowMs)
	return Appended{TP: b.TP, Base: base, TimestampMs: stampMs, Start: d.start}
}

// fits reports whether p goes with what the round writes already: its items and
// checks with the others', and a trim of a log not with appends to it, which
// would have to be told apart by what came first.
func (r *round) fits(p *pending) bool {
	for i := range p.Items {
		it := &p.Items[i]
		if j, ok := r.items[it.Key]; ok &&
			(it.Version != storage.Any || r.write.Set[j].Version != storage.Any) {
			return false
		}
		if _, ok := r.checks[it.Key]; ok {
			return false
		}
	}
	for _, c := range p.Checks {
		if _, ok := r.items[c.Key]; ok {
			return false
		}
		if v, ok := r.checks[c.Key]; ok && v != c.Version {
			return false
		}
	}
	if p.trim != nil {
		d := r.drafts[p.trim.TP]
		return d == nil || (d.batches == 0 && d.trim < 0)
	}
	for i := range p.Batches {
		if d := r.drafts[p.Batches[i].TP]; d != nil && d.trim >= 0 {
			return false
		}
	}
	return true
}

// addItems merges p's items into the write. Where both are written whatever is
// there, the later value stands for both.
func (r *round) addItems(p *pending) {
	for i := range p.Items {
		if j, ok := r.items[p.Items[i].Key]; ok {
			r.write.Set[j] = p.Items[i]
			continue
		}
		r.items[p.Items[i].Key] = len(r.write.Set)
		r.write.Set = append(r.write.Set, p.Items[i])
	}
	for _, c := range p.Checks {
		if _, ok := r.checks[c.Key]; !ok {
			r.checks[c.Key] = c.Version
			r.write.Check = append(r.write.Check, c)
		}
	}
}

// seal writes the drafts into the write. A log that is trimmed, or whose states
// are stored, is appended to as well, be it with nothing: that states its end, so
// that a broker which lost the log to another one neither trims it nor writes its
// producers.
func (r *round) seal() {
	for _, d := range r.order {
		trims := d.trim > d.start
		if d.batches > 0 || trims || d.save {
			r.write.Append = append(r.write.Append, storage.Append{
				TP: d.log.tp, Expect: d.oldEnd, Epoch: d.epoch, End: d.end, Batches: d.buf,
			})
		}
		if trims {
			r.write.Trim = append(r.write.Trim, storage.Trim{TP: d.log.tp, Start: d.trim})
		}
		// The trimmed headers are what the states would be rebuilt from.
		if trims || d.save || d.log.snapshotDue(d.batches) {
			r.addSnapshot(d)
		}
	}
	for i := range r.write.Set {
		r.stated = append(r.stated, r.write.Set[i].Version)
	}
}

// publish makes a committed round visible and fulfils its promises.
func (r *round) publish(l *Logs) {
	for _, d := range r.order {
		d.log.publish(d)
		if len(d.buf) > 0 {
			l.tail.charge(d.log, tailChunk{base: d.oldEnd, end: d.end, bytes: d.buf})
		}
	}
	for _, p := range r.members {
		for i := range p.Items {
			p.Items[i].Version = r.write.Set[r.items[p.Items[i].Key]].Version
		}
	}
	r.finish(nil)
}

// finish fulfils all promises of the round.
func (r *round) finish(err error) {
	for _, p := range r.members {
		if p.trim != nil {
			p.result = []Appended{{TP: p.trim.TP, Base: -1, TimestampMs: -1, Start: r.drafts[p.trim.TP].log.Start()}}
		}
		if p.save != nil && err == nil && r.drafts[p.save.tp].snapshot == nil {
			p.finish(errNotSaved)
			continue
		}
		p.finish(err)
	}
}
