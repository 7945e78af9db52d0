package sqlite

import (
	"sort"
	"sync/atomic"

	"github.com/tarn-io/tarn/broker/storage"
)

// run says where batches of one log lie that follow each other in one chunk.
// It is what the index holds in memory: 32 bytes, however many batches.
type run struct {
	base    int64 // base offset of the first batch
	chunk   int64
	span    uint32 // last offset less base
	pos     uint32 // first byte in the chunk's data
	bytes   uint32
	batches uint32
}

// last is the last offset of the run's last batch.
func (r run) last() int64 { return r.base + int64(r.span) }

// run is the place of h in a chunk.
func (h *head) run(chunk int64, pos uint32) run {
	return run{base: h.base, chunk: chunk, span: uint32(h.span), pos: pos, bytes: h.bytes, batches: h.batches}
}

// view is one state of a log. It never changes: readers keep the one they
// took, and the committer swaps in another. Two views may share the memory of
// runs, for the committer only appends behind what older views can see.
type view struct {
	bounds storage.Bounds
	runs   []run // disjoint, ascending; none lies wholly below bounds.Start
}

// from is the part of the runs that begins with the one that holds offset, or
// with the first one after it.
func (v *view) from(offset int64) []run {
	offset = max(offset, v.bounds.Start)
	i := sort.Search(len(v.runs), func(i int) bool { return v.runs[i].last() >= offset })
	return v.runs[i:]
}

// logState is one log. It is replaced, not emptied, when its log is forgotten.
type logState struct {
	id   int64
	tp   storage.TP
	view atomic.Pointer[view] // written by the committer

	saved storage.Bounds // what its row in table log says; owned by the committer
}

// chunkInfo is what the committer knows of a chunk.
type chunkInfo struct {
	size  uint32 // bytes of data
	live  uint32 // of them, bytes that some log still needs
	small bool   // it is on a list of chunks to merge
}

// lookup finds a log.
func (e *Engine) lookup(tp storage.TP) *logState {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.logs[tp]
}

// grow is the view after runs were appended and the bounds set.
func (v *view) grow(bounds storage.Bounds, added []run) *view {
	next := &view{bounds: bounds, runs: append(v.runs, added...)}
	for _, r := range added {
		next.bounds.Bytes += int64(r.bytes)
	}
	return next
}

// trim drops the runs that lie wholly below the start and returns them.
func (v *view) trim() []run {
	live := v.from(v.bounds.Start)
	gone := v.runs[:len(v.runs)-len(live)]
	for _, r := range gone {
		v.bounds.Bytes -= int64(r.bytes)
	}
	v.runs = live
	return gone
}
