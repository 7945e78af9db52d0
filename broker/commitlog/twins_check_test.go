package commitlog

import (
	"slices"

	"github.com/tarn-io/tarn/broker/record"
)

// stable is the last stable offset.
func (m *twinModel) stable() int64 {
	end := m.end
	for _, first := range m.open {
		end = min(end, first)
	}
	return max(m.start, end)
}

// readers reads the log in small pieces from a random place, committed records
// only: the position must come to the last stable offset, and nothing aborted or
// open may be seen.
func (w *twins) readers(engine int, g *Log) {
	m := &w.model
	stable := m.stable()
	at := m.start + w.rng.Int64N(stable-m.start+1)
	for at < stable {
		aborted := g.Aborted(at)
		b, err := g.Read(w.t.Context(), at, 1+w.rng.IntN(600), stable)
		if err != nil || len(b) == 0 {
			w.t.Errorf("engine %d: read at %d of %d: %d bytes, %v", engine, at, stable, len(b), err)
			return
		}
		for batch, err := range record.Batches(b) {
			if err != nil {
				w.t.Fatal(err)
			}
			h := batch.Header
			if !h.Control() && !aborted.Below(h.LastOffset()+1).Holds(h) {
				for _, r := range w.unpack(batch.Bytes) {
					if fate := m.records[r.offset].fate; fate == txnAborted || fate == txnOpen {
						w.t.Errorf("engine %d: a reader sees the record at %d of a transaction that was not committed", engine, r.offset)
					}
				}
			}
			at = max(at, h.LastOffset()+1)
		}
	}
	if at > stable {
		w.t.Errorf("engine %d: a reader got to %d, beyond %d", engine, at, stable)
	}
}

// unpack returns the records of a batch.
func (w *twins) unpack(b []byte) []twinRecord {
	var rd record.Reader
	var out []twinRecord
	if err := record.CheckCRC(b); err != nil {
		w.t.Fatal(err)
	}
	if err := rd.Reset(b, 1<<20); err != nil {
		w.t.Fatal(err)
	}
	null := func(v []byte) string {
		if v == nil {
			return "-"
		}
		return string(v)
	}
	for rd.Next() {
		r := rd.Record()
		out = append(out, twinRecord{offset: r.Offset, key: null(r.Key), value: null(r.Value), ms: r.Timestamp})
	}
	if err := rd.Err(); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// contents compares what is stored with the model.
func (w *twins) contents(all []byte) {
	m := &w.model
	there := map[int64]bool{}
	datas := map[int64]bool{} // first offsets of transactions
	for batch, err := range record.Batches(all) {
		if err != nil {
			w.t.Fatal(err)
		}
		h := batch.Header
		if h.Count == 0 {
			w.seen["empty batch"]++
		}
		for _, r := range w.unpack(batch.Bytes) {
			want := m.records[r.offset]
			switch {
			case h.Control() && want.marker:
			case h.Control() != want.marker, r.key != want.key, r.value != want.value, r.ms != want.ms:
				w.t.Errorf("record at %d is %+v, was written as %+v", r.offset, r, want)
			case want.pid >= 0:
				datas[want.first] = true
			}
			there[r.offset] = true
		}
	}
	g, err := w.logs[0].Log(w.t.Context(), tp0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range g.Aborted(m.start) {
		if !there[a.Last] {
			w.t.Errorf("transaction %d…%d is among the aborted ones, its marker is gone", a.First, a.Last)
		}
	}
	newest := map[string]int64{} // of each key, committed
	reach := map[string]int64{}  // the same, within what is compacted
	for _, r := range m.records {
		if !r.marker && r.key != "-" && (r.fate == txnNone || r.fate == txnCommitted) {
			newest[r.key] = r.offset
			if r.offset < m.to {
				reach[r.key] = r.offset
			}
		}
	}
	for _, r := range m.records {
		w.judge(r, there[r.offset], newest, reach, datas[r.first])
	}
}

// judge says whether a record may or must be there.
func (w *twins) judge(r twinRecord, there bool, newest, reach map[string]int64, data bool) {
	m := &w.model
	visible := r.offset >= m.start
	switch {
	case r.marker:
		if !there && visible && (data || r.offset >= m.stable()) {
			w.t.Errorf("marker at %d is gone before its data", r.offset)
		}
		if !there && visible {
			w.seen["marker gone"]++
		}
	case r.fate == txnAborted:
		if there && r.offset < m.to && visible {
			w.t.Errorf("record at %d of an aborted transaction is there, the log is compacted to %d", r.offset, m.to)
		}
		if !there && visible {
			w.seen["aborted gone"]++
		}
	case r.fate == txnOpen, r.key != "-" && newest[r.key] == r.offset && r.value != "-":
		if !there && visible {
			w.t.Errorf("record at %d, the newest of %s, is gone", r.offset, r.key)
		}
	case r.key != "-" && newest[r.key] == r.offset: // a tombstone
		if !there && visible && w.now.UnixMilli() < m.clean[r.offset] {
			w.t.Errorf("tombstone at %d is gone, it stays until %d", r.offset, m.clean[r.offset])
		}
		if !there && visible {
			w.seen["tombstone gone"]++
		}
	case there && r.offset < m.to && visible && (r.key == "-" || reach[r.key] > r.offset):
		w.t.Errorf("record at %d of %s is there, the log is compacted to %d", r.offset, r.key, m.to)
	}
}

// times looks up offsets by time and compares them with the records that are
// there.
func (w *twins) times(engine int, g *Log) {
	m := &w.model
	limit := m.stable()
	b, err := w.engines[engine].Engine.Read(w.t.Context(), tp0, 0, 1<<30)
	if err != nil {
		return // nothing yet
	}
	var all []twinRecord
	for batch := range record.Batches(b) {
		if !batch.Header.Control() {
			all = append(all, w.unpack(batch.Bytes)...)
		}
	}
	all = slices.DeleteFunc(all, func(r twinRecord) bool { return r.offset < m.start || r.offset >= limit })
	ask := w.now.UnixMilli() - w.rng.Int64N(2000)
	want, most := Found{}, Found{}
	found := false
	for _, r := range all {
		if r.ms >= ask && !found {
			want, found = Found{r.offset, r.ms}, true
		}
		if most == (Found{}) || r.ms > most.TimestampMs {
			most = Found{r.offset, r.ms}
		}
	}
	if got, ok, err := g.AtTime(w.t.Context(), ask, limit, 1<<20); err != nil || ok != found || got != want {
		w.t.Errorf("engine %d: at %d: got %+v %t %v, want %+v %t", engine, ask, got, ok, err, want, found)
	}
	if got, ok, err := g.MaxTime(w.t.Context(), limit, 1<<20); err != nil || ok != (len(all) > 0) || got != most {
		w.t.Errorf("engine %d: greatest time: got %+v %t %v, want %+v", engine, got, ok, err, most)
	}
}
