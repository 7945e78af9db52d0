package sqlite

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	// versionBlock is how many versions are reserved at once, so that the
	// counter's row is not written with every item.
	versionBlock = 1 << 20
	// maxVersions bounds the versions of items kept in memory, some 10 MB.
	maxVersions = 1 << 17
	// idleDelay is how long the committer waits for another Commit before it
	// tidies up.
	idleDelay = 100 * time.Millisecond
)

// commitLoop is the committer: it takes what is queued, commits it, and tidies
// up in between. It ends when the queue is closed and empty.
func (e *Engine) commitLoop() {
	defer close(e.ended)
	idle := time.NewTimer(idleDelay)
	defer idle.Stop()
	var group []*request
	for {
		var over bool
		e.queue.gather()
		group, over = e.queue.take(group[:0])
		if over {
			e.report("save bounds of logs", e.saveEnds(math.MaxInt))
			return
		}
		if len(group) > 0 {
			e.commitGroup(group)
			clear(group)
			e.tidyBusy()
			idle.Reset(idleDelay)
			continue
		}
		select {
		case <-e.queue.wake:
		case <-idle.C:
			if more := e.tidyIdle(); more {
				idle.Reset(0)
			}
		}
	}
}

// commitGroup merges requests into one transaction and answers them all.

func (e *Engine) commitGroup(group []*request) {
	s := newStage(e)
	for _, r := range group {
		if r.run != nil {
			r.done <- r.run()
			continue
		}
		if err := s.add(r); err != nil {
			r.done <- err
		}
	}
	if len(s.writes) == 0 {
		return
	}
	if err := e.persist(s); err != nil {
		for _, r := range s.writes {
			r.done <- err
		}
		return
	}
	e.publish(s)
	for _, r := range s.writes {
		for i, v := range r.versions {
			r.write.Set[i].Version = v
		}
		r.done <- nil
	}
}

// persist writes the stage in one transaction, unless it changes nothing.
func (e *Engine) persist(s *stage) error {
	if len(s.logs)+len(s.items) == 0 {
		return nil
	}
	reserved := e.reserved
	err := e.transact(func() error {
		e.chunker.begin(e.nextChunk)
		for _, l := range s.ordered() {
			if err := e.writeLog(l); err != nil {
				return err
			}
		}
		if err := e.chunker.flush(); err != nil {
			return err
		}
		if s.version > reserved {
			reserved = s.version + versionBlock
			if err := e.w.exec(e.w.setCounter, "version", reserved); err != nil {
				return fmt.Errorf("reserve versions: %w", err)
			}
		}
		return e.writeItems(s)
	})
	if err == nil {
		e.reserved = reserved
	}
	return err
}

// transact runs f in a transaction of the writing connection. Once one could
// not be undone, there is no other: the index and the file may differ.
func (e *Engine) transact(f func() error) error {
	if e.failed != nil {
		return e.failed
	}
	err := e.w.transact(f)
	if errors.Is(err, errUndone) {
		e.failed = fmt.Errorf("%w: %w", storage.ErrBroken, err)
	}
	return err
}

// writeLog writes what changes of one log: its row, if its runs do not tell,
// and its batches.
func (e *Engine) writeLog(l *stagedLog) error {
	if l.forgot {
		if l.state == nil {
			return nil
		}
		return e.w.exec(e.w.deleteLog, l.id)
	}
	b := l.bounds
	switch {
	case l.state == nil:
		if err := e.w.exec(e.w.insertLog, l.id, l.tp.Topic[:], l.tp.Partition, b.Start, b.End, b.Epoch, 0); err != nil {
			return fmt.Errorf("make log %s: %w", l.tp, err)
		}
	case l.saveRow:
		if err := e.w.exec(e.w.updateLog, b.Start, b.End, b.Epoch, b.Bytes, l.id); err != nil {
			return fmt.Errorf("save bounds of log %d: %w", l.id, err)
		}
	}
	if p := l.replace; p != nil {
		if err := e.saveCuts(l.id, p); err != nil {
			return err
		}
		e.chunker.seal()
		if err := e.chunker.addAll(l.id, aboveStart(p.part.Batches, b.Start)); err != nil {
			return err
		}
		e.chunker.seal()
	}
	for _, batches := range l.appends {
		if err := e.chunker.addAll(l.id, batches); err != nil {
			return err
		}
	}
	return nil
}

// aboveStart leaves out the batches at the front that lie wholly below start.
func aboveStart(b []byte, start int64) []byte {
	for h := range storage.Batches(b) {
		if h.LastOffset() >= start {
			break
		}
		b = b[h.Size():]
	}
	return b
}

func (e *Engine) writeItems(s *stage) error {
	for _, key := range slices.Sorted(maps.Keys(s.items)) {
		it := s.items[key]
		var err error
		if it.version == 0 {
			err = e.w.exec(e.w.deleteItem, []byte(key))
		} else {
			err = e.w.exec(e.w.putItem, []byte(key), it.version, notNil(it.value))
		}
		if err != nil {
			return fmt.Errorf("write item %q: %w", key, err)
		}
	}
	return nil
}

// notNil keeps an empty value from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// publish makes a committed stage visible.
func (e *Engine) publish(s *stage) {
	e.version = s.version
	if len(e.versions)+len(s.items) > maxVersions {
		clear(e.versions)
	}
	for key, it := range s.items {
		e.versions[key] = it.version
	}
	if len(s.logs) == 0 {
		return
	}
	added := map[int64][]run{}
	for _, p := range e.chunker.placed {
		added[p.log] = append(added[p.log], p.run)
		info := e.chunks[p.run.chunk]
		info.size += p.run.bytes
		info.live += p.run.bytes
		e.chunks[p.run.chunk] = info
	}
	var gone []run
	for _, l := range s.logs {
		gone = append(gone, e.publishLog(l, added[l.id])...)
		if l.replace != nil {
			e.count(l.replace.left)
			e.count(l.replace.right)
		}
	}
	e.drop(gone)
	for id := e.nextChunk; id < e.chunker.next; id++ {
		e.note(id, e.chunks[id])
	}
	e.nextChunk = e.chunker.next
}

// count adds runs to what their chunks hold.
func (e *Engine) count(runs []run) {
	for _, r := range runs {
		info := e.chunks[r.chunk]
		info.live += r.bytes
		e.chunks[r.chunk] = info
	}
}

// publishLog swaps in a log's next view and returns the runs that died.
func (e *Engine) publishLog(l *stagedLog, added []run) []run {
	if l.forgot {
		if l.state == nil {
			return nil
		}
		e.mu.Lock()
		delete(e.logs, l.tp)
		e.mu.Unlock()
		delete(e.dirty, l.state)
		delete(e.byID, l.id)
		return l.state.view.Load().runs
	}
	state, old := l.state, &view{}
	if state != nil {
		old = state.view.Load()
	} else {
		state = &logState{id: l.id, tp: l.tp}
	}
	next, gone := l.nextView(old, added)
	if l.state == nil || l.saveRow {
		state.saved = l.bounds
	}
	state.view.Store(next)
	if l.state == nil {
		e.mu.Lock()
		e.logs[l.tp] = state
		e.byID[l.id] = state
		e.mu.Unlock()
	}
	if state.saved.End != l.bounds.End {
		e.dirty[state] = struct{}{}
	}
	return gone
}

// nextView is the view after everything the stage did to the log.
func (l *stagedLog) nextView(old *view, added []run) (*view, []run) {
	bounds := l.bounds
	bounds.Bytes = old.bounds.Bytes
	if l.replace == nil {
		next := old.grow(bounds, added)
		return next, next.trim()
	}
	// Runs of the replacement were written first and lie below its end.
	n := 0
	for n < len(added) && added[n].base < l.replace.part.To {
		n++
	}
	next := &view{bounds: bounds, runs: append(l.replace.apply(old.runs, added[:n]), added[n:]...)}
	next.bounds.Bytes = 0
	for _, r := range next.runs {
		next.bounds.Bytes += int64(r.bytes)
	}
	gone := slices.Clone(l.replace.cut)
	gone = append(gone, next.trim()...)
	return next, gone
}
