package memory

import (
	"slices"
	"sort"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// dropShare is the share of a log's batches that may be dead before they are
// dropped: one in dropShare. Dropping copies the slice, for readers may hold
// it, so it is put off until it pays.
const dropShare = 4

// batch is one stored batch. Both fields are never changed once it is in a log.
type batch struct {
	header record.Header
	data   []byte
}

// log is one partition's log, guarded by Engine.mu. Readers keep the batches
// slice they saw: elements are never changed in place, only appended.
type log struct {
	bounds  storage.Bounds
	batches []batch
	dead    int // how many at the front lie wholly below bounds.Start
}

// split cuts validated batches apart without copying them.
func split(b []byte) []batch {
	var out []batch
	for h, data := range storage.Batches(b) {
		out = append(out, batch{header: h, data: data[:len(data):len(data)]})
	}
	return out
}

func sizeOf(batches []batch) int64 {
	var n int64
	for i := range batches {
		n += int64(len(batches[i].data))
	}
	return n
}

// from is the part of the log that begins with the batch that holds offset, or
// with the first one after it.
func (l *log) from(offset int64) []batch {
	live := l.batches[l.dead:]
	i := sort.Search(len(live), func(i int) bool { return live[i].header.LastOffset() >= offset })
	return live[i:]
}

func (l *log) append(in []batch, a *storage.Append) {
	l.batches = append(l.batches, in...)
	l.bounds.End = a.End
	l.bounds.Epoch = a.Epoch
	l.bounds.Bytes += sizeOf(in)
}

func (l *log) trim(start int64) {
	if start <= l.bounds.Start {
		return
	}
	l.bounds.Start = start
	live := l.from(start)
	dead := len(l.batches) - len(live)
	l.bounds.Bytes -= sizeOf(l.batches[l.dead:dead])
	l.dead = dead
	if l.dead*dropShare >= len(l.batches) {
		l.batches, l.dead = slices.Clone(live), 0
	}
}

// within is the range of indexes of live batches that touch [from, to).
func (l *log) within(from, to int64) (int, int) {
	i := len(l.batches) - len(l.from(from))
	n := sort.Search(len(l.batches)-i, func(n int) bool { return l.batches[i+n].header.BaseOffset >= to })
	return i, i + n
}

// holds reports whether the range of r is what its caller read.
func (l *log) holds(r *storage.Replace) bool {
	i, j := l.within(r.From, r.To)
	in := l.batches[i:j]
	if r.To > l.bounds.End || len(in) != r.Expect.Batches || sizeOf(in) != r.Expect.Bytes {
		return false
	}
	return len(in) == 0 || in[0].header.BaseOffset >= r.From && in[len(in)-1].header.LastOffset() < r.To
}

// replace swaps the batches in the range of r, which holds what it should.
func (l *log) replace(r *storage.Replace, in []batch) {
	i, j := l.within(r.From, r.To)
	for len(in) > 0 && in[0].header.LastOffset() < l.bounds.Start {
		in = in[1:]
	}
	l.bounds.Bytes += sizeOf(in) - sizeOf(l.batches[i:j])
	l.batches = slices.Concat(l.batches[l.dead:i], in, l.batches[j:])
	l.dead = 0
}
