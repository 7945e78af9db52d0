package commitlog

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/faulty"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

var twinSeed = flag.Uint64("twins.seed", 0, "run the twins with this seed only")

const (
	twinSeeds = 8
	twinSteps = 150
	twinKeys  = 7
)

// twins do the same to a log on two engines, and to a plain model of it: appends
// of all kinds, transactions, trims, retention, compactions that are broken off,
// restarts. Both logs must hold the same bytes after each step, and what readers
// see must be what the model allows.
type twins struct {
	t    *testing.T
	rng  *rand.Rand
	now  time.Time
	dir  string
	seen map[string]int

	engines [2]*faulty.Engine
	lite    *sqlite.Engine
	logs    [2]*Logs
	stops   [2]func()

	model twinModel
	b     record.Builder
}

// twinModel is the log without compaction.
type twinModel struct {
	records    []twinRecord // by offset, markers among them
	start, end int64
	to         int64           // compacted up to here, by a pass that ended
	seqs       map[int64]int32 // next sequence by producer id
	open       map[int64]int64 // first offsets by producer id
	clean      map[int64]int64 // when a tombstone was first compacted, at the earliest
}

type twinRecord struct {
	offset     int64
	key, value string // "-" is null
	ms         int64
	pid        int64 // of its transaction, or -1
	first      int64 // of its transaction
	fate       fateOfTxn
	marker     bool
}

type fateOfTxn int

const (
	txnNone fateOfTxn = iota
	txnOpen
	txnCommitted
	txnAborted
)

func TestTwins(t *testing.T) {
	seen := map[string]int{}
	if *twinSeed != 0 {
		runTwins(t, *twinSeed, seen)
		return
	}
	for seed := range uint64(twinSeeds) {
		if runTwins(t, seed+1, seen); t.Failed() {
			t.Fatalf("run again with -run TestTwins -twins.seed %d", seed+1)
		}
	}
	t.Log(seen)
	for _, kind := range []string{"plain", "idempotent", "transactional", "commit", "abort", "trim", "retention",
		"compacted", "broken off", "restart", "tombstone gone", "marker gone", "aborted gone", "empty batch"} {
		if seen[kind] < twinSeeds/2 {
			t.Errorf("%q was met %d times only: the simulation misses it", kind, seen[kind])
		}
	}
}

func runTwins(t *testing.T, seed uint64, seen map[string]int) {
	w := &twins{t: t, rng: rand.New(rand.NewPCG(seed, 11)), now: time.UnixMilli(1_000_000), dir: t.TempDir(), seen: seen}
	w.model = twinModel{seqs: map[int64]int32{}, open: map[int64]int64{}, clean: map[int64]int64{}}
	w.engines[0] = faulty.New(memory.New())
	w.openSQLite()
	w.start()
	defer func() {
		w.stop()
		w.lite.Close()
	}()
	for range twinSteps {
		w.step()
		if w.check(); t.Failed() {
			return
		}
	}
}

func (w *twins) openSQLite() {
	e, err := sqlite.Open(w.t.Context(), sqlite.Config{Path: filepath.Join(w.dir, "tarn.db"), Synchronous: sqlite.Normal})
	if err != nil {
		w.t.Fatal(err)
	}
	w.lite, w.engines[1] = e, faulty.New(e)
}

func (w *twins) start() {
	cfg := Config{
		Now: func() time.Time { return w.now }, TailBytes: 1 << w.rng.IntN(16), CompactionKeys: 1 + w.rng.IntN(8),
		Admit: func(storage.TP, record.Header) error { return nil },
	}
	for i := range w.logs {
		cfg.Engine = w.engines[i]
		l := New(cfg)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		w.logs[i], w.stops[i] = l, func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("Run: %v", err)
			}
		}
	}
}

func (w *twins) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

func (w *twins) restart() {
	w.stop()
	if err := w.lite.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.openSQLite()
	w.start()
}

// step does one random thing to both logs and the model.
func (w *twins) step() {
	m := &w.model
	switch n := w.rng.IntN(24); {
	case n < 6:
		w.append("plain", -1, false)
	case n < 9:
		w.append("idempotent", int64(1+w.rng.IntN(3)), false)
	case n < 13:
		w.append("transactional", int64(11+w.rng.IntN(3)), true)
	case n < 16:
		w.endTxn()
	case n == 16 && m.end > 0:
		w.trim("trim", m.start+w.rng.Int64N(m.end-m.start+1)/3)
	case n == 17:
		w.retention()
	case n < 22:
		w.compact()
	case n == 22:
		w.seen["restart"]++
		w.restart()
	}
	w.now = w.now.Add(time.Duration(w.rng.IntN(300)) * time.Millisecond)
}

// append builds a batch and appends it to both logs.
func (w *twins) append(kind string, pid int64, txn bool) {
	m := &w.model
	codec := record.Codec(w.rng.IntN(5))
	o := options{Codec: codec, Transactional: txn}
	if pid >= 0 {
		o.Producer = &record.Producer{ID: pid, BaseSequence: m.seqs[pid]}
	}
	w.b.Reset(o)
	base := m.end
	if _, open := m.open[pid]; txn && !open {
		m.open[pid] = base
	}
	for i := range 1 + w.rng.IntN(4) {
		r := twinRecord{
			offset: base + int64(i), key: fmt.Sprintf("k%d", w.rng.IntN(twinKeys)), value: fmt.Sprintf("v%d", base+int64(i)),
			ms: w.now.UnixMilli() - w.rng.Int64N(100), pid: -1, fate: txnNone,
		}
		if txn {
			r.pid, r.first, r.fate = pid, m.open[pid], txnOpen
		}
		switch w.rng.IntN(12) {
		case 0:
			r.key = "-"
		case 1, 2, 3:
			r.value = "-"
		}
		w.b.Append(r.ms, orNil(r.key), orNil(r.value))
		m.records = append(m.records, r)
		m.end++
	}
	if pid >= 0 {
		m.seqs[pid] += int32(m.end - base)
	}
	b, err := w.b.Bytes()
	w.put(b, err, base)
	w.seen[kind]++
}

func orNil(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func (w *twins) put(b []byte, err error, base int64) {
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := record.ParseHeader(b)
	if err != nil {
		w.t.Fatal(err)
	}
	for i, l := range w.logs {
		done, err := put(w.t, l, Batch{TP: tp0, Bytes: b, Header: h})
		if err != nil || done[0].Base != base || done[0].Duplicate {
			w.t.Fatalf("engine %d: appended at %+v, %v; want %d", i, done, err, base)
		}
	}
	if h.Idempotent() && !h.Control() && w.rng.IntN(3) == 0 { // once more
		for i, l := range w.logs {
			done, err := put(w.t, l, Batch{TP: tp0, Bytes: b, Header: h})
			if err != nil || done[0].Base != base || !done[0].Duplicate {
				w.t.Fatalf("engine %d: repetition of %d answered %+v, %v", i, base, done, err)
			}
		}
	}
}

func (w *twins) endTxn() {
	m := &w.model
	for _, pid := range []int64{11, 12, 13} {
		first, open := m.open[pid]
		if !open || w.rng.IntN(2) == 0 {
			continue
		}
		fate, kind := txnCommitted, "commit"
		if w.rng.IntN(3) == 0 {
			fate, kind = txnAborted, "abort"
		}
		w.seen[kind]++
		for i := range m.records {
			if r := &m.records[i]; r.pid == pid && r.fate == txnOpen {
				r.fate = fate
			}
		}
		delete(m.open, pid)
		b, err := record.Marker{ProducerID: pid, Commit: fate == txnCommitted, Timestamp: w.now.UnixMilli()}.Batch()
		m.records = append(m.records, twinRecord{offset: m.end, pid: pid, first: first, fate: fate, marker: true})
		m.end++
		w.put(b, err, m.end-1)
		return
	}
}

func (w *twins) trim(kind string, to int64) {
	for i, l := range w.logs {
		got, err := l.Trim(w.t.Context(), tp0, to)
		if err != nil || got != max(to, w.model.start) {
			w.t.Fatalf("engine %d: trim to %d answered %d, %v", i, to, got, err)
		}
	}
	if to > w.model.start {
		w.seen[kind]++
		w.model.start = to
	}
}

// retention asks both logs how far they may go, by age or size, as cleanup by
// compact,delete does.
func (w *twins) retention() {
	beforeMs, maxBytes := w.now.UnixMilli()-1000*int64(w.rng.IntN(10)), int64(-1)
	if w.rng.IntN(2) == 0 {
		beforeMs, maxBytes = -1, 500+w.rng.Int64N(3000)
	}
	var to [2]int64
	for i, l := range w.logs {
		g, err := l.Log(w.t.Context(), tp0)
		if err == nil {
			to[i], _, err = g.Expired(w.t.Context(), Limits{BeforeMs: beforeMs, MaxBytes: maxBytes})
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if maxBytes < 0 && to[0] != to[1] { // bytes are about right only
		w.t.Errorf("retention before %d: %v", beforeMs, to)
	}
	w.trim("retention", min(to[0], to[1]))
}

// compact runs passes on both logs; what breaks one off breaks the other off at
// the same place.
func (w *twins) compact() {
	m := &w.model
	c := Compaction{Head: m.end, MaxLagMs: 1<<63 - 1, DeleteRetentionMs: 100 * w.rng.Int64N(5)}
	switch w.rng.IntN(5) {
	case 0:
		c.Head = max(0, m.end-w.rng.Int64N(10))
	case 1:
		c.MinLagMs = w.rng.Int64N(2000)
	case 2:
		hold := m.end - w.rng.Int64N(m.end/4+1)
		c.Hold = func() int64 { return hold }
	case 3:
		c.DirtyRatio = 0.5
	}
	ours := func(x storage.Write) bool {
		return len(x.Replace) > 0 || slices.ContainsFunc(x.Set, func(it storage.Item) bool { return strings.HasPrefix(it.Key, compactionPrefix) })
	}
	kind, skip := w.rng.IntN(9), w.rng.IntN(4)
	var got [2]string
	for i, l := range w.logs {
		n := 0
		later := func(x storage.Write) bool {
			if ours(x) {
				n++
			}
			return ours(x) && n > skip
		}
		switch kind {
		case 0:
			w.engines[i].NextMatching(later, faulty.Refuse(errDisk))
		case 1:
			w.engines[i].NextMatching(later, faulty.Persist(errDisk))
		case 2:
			w.engines[i].NextRead(func(storage.TP) bool { n++; return n > skip }, errDisk)
		}
		got[i] = w.passes(l, c)
		w.engines[i].Reset()
	}
	if got[0] != got[1] {
		w.t.Errorf("compaction: memory %s, sqlite %s", got[0], got[1])
	}
}

// passes compacts one log until there is no more to do.
func (w *twins) passes(l *Logs, c Compaction) string {
	m := &w.model
	out := ""
	for {
		w.noteClean(c)
		done, err := l.Compact(w.t.Context(), tp0, c)
		if err != nil {
			w.seen["broken off"]++
			if !errors.Is(err, errDisk) {
				w.t.Errorf("compact: %v", err)
			}
			return out + "broken off"
		}
		if !done.Ran {
			return out
		}
		w.seen["compacted"]++
		out += fmt.Sprintf("%d %d ", done.To, done.Records)
		if m.to = max(m.to, done.To); !done.More {
			return out
		}
	}
}

// noteClean notes when tombstones may have been compacted first.
func (w *twins) noteClean(c Compaction) {
	for _, r := range w.model.records {
		if _, known := w.model.clean[r.offset]; !known && r.value == "-" {
			w.model.clean[r.offset] = w.now.UnixMilli() + c.DeleteRetentionMs
		}
	}
}

func (w *twins) check() {
	var all [2][]byte
	for i, l := range w.logs {
		g, err := l.Log(w.t.Context(), tp0)
		if err != nil {
			w.t.Fatal(err)
		}
		if start, end := g.Bounds(); start != w.model.start || end != w.model.end {
			w.t.Errorf("engine %d: log is %d…%d, want %d…%d", i, start, end, w.model.start, w.model.end)
		}
		if got := g.LastStable(); got != w.model.stable() {
			w.t.Errorf("engine %d: stable %d, want %d", i, got, w.model.stable())
		}
		if all[i], err = w.engines[i].Engine.Read(w.t.Context(), tp0, 0, 1<<30); err != nil && !errors.Is(err, storage.ErrNoLog) {
			w.t.Fatal(err)
		}
		w.readers(i, g)
		w.times(i, g)
	}
	if !bytes.Equal(all[0], all[1]) {
		w.t.Errorf("memory holds %d bytes, sqlite %d, and they differ", len(all[0]), len(all[1]))
	}
	w.contents(all[0])
}
