package sqlite

import (
	"cmp"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	// thinBytes of live data or less make a chunk worth merging with others: a
	// quiet log makes a tiny chunk with every commit, and chunks whose
	// neighbours in them died keep space from being freed. Start-up reads a
	// directory for each chunk, cold reads a row for each run.
	thinBytes = maxChunkBytes / 4
	// tinyBytes is one page. Such chunks are merged early, for they gain most;
	// to copy larger ones while commits keep coming costs a fifth of their rate.
	tinyBytes = pageBytes
	// mergeIdle is how many chunks of a class it takes to merge in a pause,
	// mergeTiny and mergeThin while commits keep coming.
	mergeIdle, mergeTiny, mergeThin = 64, 512, 8192
	// mergeBytes and mergeChunks bound one merge, a few milliseconds.
	mergeBytes  = 1 << 20
	mergeChunks = 512
)

// survivor is a run that a merge copies.
type survivor struct {
	log   *logState
	index int // in the log's view
	run   run
	data  []byte
}

// classes of chunks worth merging; a chunk is on at most one list.
const (
	tiny = iota
	thin
	classes
)

// merge copies what lives in the oldest chunks of a class into new ones, sorted
// by log, and leaves the old ones dead.
func (e *Engine) merge(class int) error {
	ids := e.pick(class)
	if len(ids) < 2 {
		return nil
	}
	var found []survivor
	for _, id := range ids {
		some, err := e.survivors(id)
		if err != nil {
			// The others can still be merged, next time.
			e.small[class] = slices.DeleteFunc(e.small[class], func(other int64) bool { return other == id })
			return err
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b survivor) int {
		return cmp.Or(cmp.Compare(a.log.id, b.log.id), cmp.Compare(a.index, b.index))
	})
	err := e.transact(func() error {
		e.chunker.begin(e.nextChunk)
		for i, s := range found {
			// Between runs that were not neighbours lie batches of other chunks.
			if i > 0 && (found[i-1].log != s.log || found[i-1].index+1 != s.index) {
				e.chunker.seal()
			}
			// What was trimmed off a run stays behind: cut into runs anew, it
			// could become one that no view may hold.
			live := aboveStart(s.data, s.log.view.Load().bounds.Start)
			if err := e.chunker.addAll(s.log.id, live); err != nil {
				return err
			}
		}
		if err := e.chunker.flush(); err != nil {
			return err
		}
		for _, id := range ids {
			if err := e.w.exec(e.w.insertCut, id, wholeChunk, 0, 0); err != nil {
				return fmt.Errorf("mark chunk %d as merged: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.small[class] = e.small[class][len(ids):]
	e.publishMerge(ids, found)
	return nil
}

// pick chooses the oldest chunks of a class, which stay at the front of its
// list until they are merged, and drops those that died from it.
func (e *Engine) pick(class int) []int64 {
	list := e.small[class]
	var ids []int64
	size, n := int64(0), 0
	for ; n < len(list) && len(ids) < mergeChunks; n++ {
		info, there := e.chunks[list[n]]
		if !there {
			continue
		}
		if size += int64(info.live); size > mergeBytes && len(ids) > 1 {
			break
		}
		ids = append(ids, list[n])
	}
	e.small[class] = append(ids[:len(ids):len(ids)], list[n:]...)
	return ids
}

// survivors finds the runs of a chunk that views hold, with their bytes.
func (e *Engine) survivors(id int64) ([]survivor, error) {
	var dir, data sql.RawBytes
	var out []survivor
	got, err := one(e.w.getChunk, []any{id}, []any{&dir, &data}, func() error {
		heads, _, err := parseDir(dir, nil)
		if err != nil {
			return broken(id, "%w", err)
		}
		kept := slices.Clone(data)
		pos := uint32(0)
		for _, h := range heads {
			if l := e.byID[h.log]; l != nil {
				some, err := survivorsOf(l, h.run(id, pos), kept)
				if err != nil {
					return err
				}
				out = append(out, some...)
			}
			pos += h.bytes
		}
		return nil
	})
	if err == nil && !got {
		err = broken(id, "it is gone")
	}
	if err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	return out, nil
}

// survivorsOf finds what is left of one run of a directory.
func survivorsOf(l *logState, whole run, data []byte) ([]survivor, error) {
	var out []survivor
	v := l.view.Load()
	runs := v.from(whole.base)
	first := len(v.runs) - len(runs)
	for i, r := range runs {
		if r.base > whole.last() {
			break
		}
		if r.chunk != whole.chunk || r.pos < whole.pos || r.pos >= whole.pos+whole.bytes {
			continue
		}
		if int64(r.pos)+int64(r.bytes) > int64(len(data)) {
			return nil, broken(r.chunk, "it ends before the batches at %d", r.base)
		}
		s := survivor{log: l, index: first + i, run: r, data: data[r.pos : r.pos+r.bytes]}
		n := uint32(0)
		size := uint32(0)
		for h := range storage.Batches(s.data) {
			n, size = n+1, size+uint32(h.Size())
		}
		if n != r.batches || size != r.bytes {
			return nil, broken(r.chunk, "the batches at %d are not what the directory says", r.base)
		}
		out = append(out, s)
	}
	return out, nil
}

// publishMerge swaps views in that know the new chunks, and buries the old.
func (e *Engine) publishMerge(ids []int64, found []survivor) {
	added := map[int64][]run{}
	for _, p := range e.chunker.placed {
		added[p.log] = append(added[p.log], p.run)
		info := e.chunks[p.run.chunk]
		info.size += p.run.bytes
		info.live += p.run.bytes
		e.chunks[p.run.chunk] = info
	}
	moved := map[*logState]map[int]bool{}
	for _, s := range found {
		if moved[s.log] == nil {
			moved[s.log] = map[int]bool{}
		}
		moved[s.log][s.index] = true
	}
	for l, indexes := range moved {
		old := l.view.Load()
		next := &view{bounds: old.bounds, runs: make([]run, 0, len(old.runs))}
		next.bounds.Bytes = 0
		for i, r := range old.runs {
			if !indexes[i] {
				next.runs = append(next.runs, r)
			}
		}
		next.runs = append(next.runs, added[l.id]...)
		slices.SortFunc(next.runs, func(a, b run) int { return cmp.Compare(a.base, b.base) })
		for _, r := range next.runs {
			next.bounds.Bytes += int64(r.bytes)
		}
		l.view.Store(next)
	}
	for _, id := range ids {
		e.bury(id, e.chunks[id])
	}
	for id := e.nextChunk; id < e.chunker.next; id++ {
		e.note(id, e.chunks[id])
	}
	e.nextChunk = e.chunker.next
}
