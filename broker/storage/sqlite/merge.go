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
	// mergeIdle and mergeBusy are how many thin chunks it takes, in a pause and
	// while commits keep coming.
	mergeIdle, mergeBusy = 64, 512
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

// mergeThin copies what lives in the oldest thin chunks into new ones, sorted
// by log, and leaves the old ones dead.
func (e *Engine) mergeThin() error {
	ids := e.pickThin()
	if len(ids) < 2 {
		return nil
	}
	var found []survivor
	for _, id := range ids {
		some, err := e.survivors(id)
		if err != nil {
			// The others can still be merged, next time.
			e.thin = slices.DeleteFunc(e.thin, func(other int64) bool { return other == id })
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
			if err := e.chunker.addAll(s.log.id, s.data); err != nil {
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
	e.publishMerge(ids, found)
	return nil
}

// pickThin takes chunks off the list, oldest first. What has died or grown is
// left out, and what is taken comes back by note if the merge fails.
func (e *Engine) pickThin() []int64 {
	var ids []int64
	size, n := int64(0), 0
	for ; n < len(e.thin) && len(ids) < mergeChunks; n++ {
		info, there := e.chunks[e.thin[n]]
		if !there {
			continue
		}
		if size += int64(info.live); size > mergeBytes && len(ids) > 1 {
			break
		}
		ids = append(ids, e.thin[n])
	}
	e.thin = append(ids[:len(ids):len(ids)], e.thin[n:]...)
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
		for _, h := range heads {
			l := e.byID[h.log]
			if l == nil {
				continue
			}
			some, err := survivorsOf(l, h, id, kept)
			if err != nil {
				return err
			}
			out = append(out, some...)
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
func survivorsOf(l *logState, h head, chunk int64, data []byte) ([]survivor, error) {
	var out []survivor
	v := l.view.Load()
	runs := v.from(h.base)
	first := len(v.runs) - len(runs)
	for i, r := range runs {
		if r.base > h.base+h.span {
			break
		}
		if r.chunk != chunk {
			continue
		}
		if int64(r.pos)+int64(r.bytes) > int64(len(data)) {
			return nil, broken(chunk, "it ends before the batches at %d", r.base)
		}
		s := survivor{log: l, index: first + i, run: r, data: data[r.pos : r.pos+r.bytes]}
		n := uint32(0)
		size := uint32(0)
		for h := range storage.Batches(s.data) {
			n, size = n+1, size+uint32(h.Size())
		}
		if n != r.batches || size != r.bytes {
			return nil, broken(chunk, "the batches at %d are not what the directory says", r.base)
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
		for i, r := range old.runs {
			if !indexes[i] {
				next.runs = append(next.runs, r)
			}
		}
		next.runs = append(next.runs, added[l.id]...)
		slices.SortFunc(next.runs, func(a, b run) int { return cmp.Compare(a.base, b.base) })
		l.view.Store(next)
	}
	e.thin = e.thin[len(ids):]
	for _, id := range ids {
		e.bury(id, e.chunks[id])
	}
	for id := e.nextChunk; id < e.chunker.next; id++ {
		e.note(id, e.chunks[id])
	}
	e.nextChunk = e.chunker.next
}
