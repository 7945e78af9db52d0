package storagetest

import (
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// write makes a random Write that is valid in itself, and right about the
// store about half of the time.
func (m *model) write() storage.Write {
	var w storage.Write
	for _, n := range m.rng.Perm(6)[:m.rng.IntN(4)] {
		if forget := m.rng.IntN(60) == 0; forget {
			w.Trim = append(w.Trim, storage.Trim{TP: tp(n), Forget: true})
			continue
		}
		if m.rng.IntN(6) > 0 {
			w.Append = append(w.Append, m.append(tp(n)))
		}
		if m.rng.IntN(5) == 0 {
			if r, ok := m.replace(tp(n)); ok {
				w.Replace = append(w.Replace, r)
			}
		}
		if l := m.logs[tp(n)]; l != nil && m.rng.IntN(8) == 0 {
			w.Trim = append(w.Trim, storage.Trim{TP: tp(n), Start: l.start + m.rng.Int64N(l.end-l.start+3)})
		}
	}
	for _, n := range m.rng.Perm(12)[:m.rng.IntN(4)] {
		key := fmt.Sprint("k", n)
		it := storage.Item{Key: key, Version: m.items[key].Version, Value: noise(m.rng.Uint64(), m.rng.IntN(100))}
		it.Delete = m.rng.IntN(4) == 0
		switch m.rng.IntN(12) {
		case 0:
			it.Version = m.rng.Int64N(m.last + 1)
		case 1:
			it.Version = storage.Any
		}
		w.Set = append(w.Set, it)
	}
	if m.rng.IntN(3) == 0 {
		key := fmt.Sprint("k", m.rng.IntN(12))
		c := storage.Check{Key: key, Version: m.items[key].Version}
		if m.rng.IntN(6) == 0 {
			c.Version = m.rng.Int64N(m.last + 1)
		}
		w.Check = append(w.Check, c)
	}
	return w
}

func (m *model) append(tp storage.TP) storage.Append {
	a := storage.Append{TP: tp}
	if l := m.logs[tp]; l != nil {
		a.Expect, a.Epoch = l.end, l.epoch
	}
	switch m.rng.IntN(20) {
	case 0:
		a.Expect += m.rng.Int64N(5)
	case 1:
		a.Expect = max(0, a.Expect-m.rng.Int64N(5))
	case 2:
		a.Epoch = max(0, a.Epoch-1)
	case 3:
		a.Epoch++
	}
	a.End = a.Expect
	for range m.rng.IntN(5) {
		b := m.batch(a.End, a.End+m.rng.Int64N(12))
		a.Batches = append(a.Batches, b...)
		a.End = header(b).LastOffset() + 1
	}
	return a
}

// batch is a random batch from base to last, seldom large enough to need a
// place of its own.
func (m *model) batch(base, last int64) []byte {
	size := m.rng.IntN(900)
	if m.rng.IntN(200) == 0 {
		size = 300_000
	}
	h := record.Header{
		BaseOffset: base, LastOffsetDelta: int32(last - base), Count: int32(m.rng.Int64N(last - base + 2)),
		LeaderEpoch: m.rng.Int32(), Attributes: int16(m.rng.Uint32()),
		BaseTimestamp: m.rng.Int64(), MaxTimestamp: -m.rng.Int64(),
		ProducerID: m.rng.Int64() - 1, ProducerEpoch: int16(m.rng.Uint32()), BaseSequence: m.rng.Int32() - 1,
	}
	if m.rng.IntN(2) == 0 {
		h.BaseTimestamp, h.MaxTimestamp, h.ProducerID, h.ProducerEpoch, h.BaseSequence = 1000, 1005, -1, -1, -1
	}
	return MakeBatch(h, noise(m.rng.Uint64(), size))
}

// replace picks some batches of a log in a row and keeps some of them, smaller.
func (m *model) replace(tp storage.TP) (storage.Replace, bool) {
	l := m.logs[tp]
	if l == nil || len(l.batches) == 0 {
		return storage.Replace{}, false
	}
	i := m.rng.IntN(len(l.batches))
	in := l.batches[i : i+1+m.rng.IntN(len(l.batches)-i)]
	r := storage.Replace{TP: tp, From: header(in[0]).BaseOffset, To: header(in[len(in)-1]).LastOffset() + 1}
	for _, b := range in {
		r.Expect.Batches++
		r.Expect.Bytes += int64(len(b))
		h := header(b)
		if m.rng.IntN(3) > 0 {
			r.Batches = append(r.Batches, m.batch(h.BaseOffset, h.LastOffset())...)
		}
	}
	switch m.rng.IntN(12) {
	case 0:
		r.Expect.Batches++
	case 1:
		r.Expect.Bytes--
	case 2:
		r.To += m.rng.Int64N(4)
	case 3:
		if d := m.rng.Int64N(4); d <= r.From {
			r.From -= d
		}
	}
	return r, true
}

// conflicts names the wrong expectations of w in the order of the contract:
// appends, trims, replaces; items, checks.
func (m *model) conflicts(w storage.Write) (logs, items []string) {
	ends := map[storage.TP]int64{}
	for _, a := range w.Append {
		var l modelLog
		if m.logs[a.TP] != nil {
			l = *m.logs[a.TP]
		}
		ends[a.TP] = a.End
		if l.end != a.Expect || a.Epoch < l.epoch {
			logs = append(logs, fmt.Sprint(a.TP, false, a.Expect, l.end, a.Epoch, l.epoch))
		}
	}
	for _, t := range w.Trim {
		if l := m.logs[t.TP]; l != nil && !t.Forget && t.Start > max(l.end, ends[t.TP]) {
			logs = append(logs, fmt.Sprint(t.TP, false, t.Start, max(l.end, ends[t.TP]), l.epoch, l.epoch))
		}
	}
	for _, r := range w.Replace {
		if l := m.logs[r.TP]; !l.holds(r) {
			logs = append(logs, fmt.Sprint(r.TP, true, l.end, l.end, l.epoch, l.epoch))
		}
	}
	for _, it := range w.Set {
		if got := m.items[it.Key].Version; it.Version != storage.Any && it.Version != got {
			items = append(items, fmt.Sprint(it.Key, it.Version, got))
		}
	}
	for _, c := range w.Check {
		if got := m.items[c.Key].Version; c.Version != got {
			items = append(items, fmt.Sprint(c.Key, c.Version, got))
		}
	}
	return logs, items
}

func (l *modelLog) holds(r storage.Replace) bool {
	var got storage.Range
	for _, b := range l.batches {
		h := header(b)
		if h.LastOffset() < r.From || h.BaseOffset >= r.To {
			continue
		}
		if h.BaseOffset < r.From || h.LastOffset() >= r.To {
			return false
		}
		got.Batches++
		got.Bytes += int64(len(b))
	}
	return got == r.Expect && r.To <= l.end
}

// apply makes the changes of a Write whose expectations are right.
func (m *model) apply(w storage.Write) {
	for _, a := range w.Append {
		l := m.logs[a.TP]
		if l == nil {
			l = &modelLog{}
			m.logs[a.TP] = l
		}
		for _, b := range storage.Batches(a.Batches) {
			l.batches = append(l.batches, b)
		}
		l.end, l.epoch = a.End, a.Epoch
	}
	for _, r := range w.Replace {
		l := m.logs[r.TP]
		l.batches = slices.DeleteFunc(l.batches, func(b []byte) bool {
			h := header(b)
			return h.BaseOffset >= r.From && h.LastOffset() < r.To
		})
		for _, b := range storage.Batches(r.Batches) {
			l.batches = append(l.batches, b)
		}
		slices.SortFunc(l.batches, func(a, b []byte) int {
			return int(header(a).BaseOffset - header(b).BaseOffset)
		})
		l.cut()
	}
	for _, t := range w.Trim {
		if t.Forget {
			delete(m.logs, t.TP)
		} else if l := m.logs[t.TP]; l != nil {
			l.start = max(l.start, t.Start)
			l.cut()
		}
	}
	for _, it := range w.Set {
		switch {
		case it.Delete:
			delete(m.items, it.Key)
		case it.Version <= m.last:
			m.t.Errorf("version of %q: got %d after %d", it.Key, it.Version, m.last)
		default:
			m.last = it.Version
			m.items[it.Key] = it
		}
	}
}

// cut drops the batches that lie wholly below the start.
func (l *modelLog) cut() {
	l.batches = slices.DeleteFunc(l.batches, func(b []byte) bool { return header(b).LastOffset() < l.start })
}
