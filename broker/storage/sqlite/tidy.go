package sqlite

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	// deadBytes is how much of dead chunks may wait while commits keep coming:
	// deleting is cheapest in large steps.
	deadBytes = 64 << 20
	// deleteBytes bounds one deletion, some 5 ms.
	deleteBytes = 16 << 20
	// tidyEvery is how often a busy committer looks at the clock's work: the
	// rows of logs and the size of the WAL.
	tidyEvery = time.Second
	// saveLogs bounds the rows of logs written in one transaction.
	saveLogs = 512
	// walWarnBytes is a WAL that somebody keeps from shrinking: an outside
	// reader that holds its snapshot.
	walWarnBytes = 256 << 20
	// walWarnEvery spaces the warnings about it.
	walWarnEvery = time.Minute
	// vacuumPages bounds how much of the file is given back at once, 8 MB.
	vacuumPages = 512
	// vacuumKeepBytes of free pages are kept for chunks to come.
	vacuumKeepBytes = 64 << 20
	// vacuumShare is the share of the file, one in so many, that may be free.
	vacuumShare = 4
)

// deadChunk is a chunk that no log needs, waiting for its readers to finish.
type deadChunk struct {
	id   int64
	age  uint64
	size uint32
}

// note remembers a chunk, on the right list if it holds little or nothing.
func (e *Engine) note(id int64, info chunkInfo) {
	switch {
	case info.live == 0:
		e.bury(id, info)
		return
	case info.live < tinyBytes && !info.small:
		info.small = true
		e.small[tiny] = append(e.small[tiny], id)
	case info.live < thinBytes && !info.small:
		info.small = true
		e.small[thin] = append(e.small[thin], id)
	}
	e.chunks[id] = info
}

// bury puts a dead chunk on the list of those to delete.
func (e *Engine) bury(id int64, info chunkInfo) {
	delete(e.chunks, id)
	e.dead = append(e.dead, deadChunk{id: id, age: e.pins.turn(), size: info.size})
}

// drop takes runs that no view holds any more off their chunks.
func (e *Engine) drop(gone []run) {
	for _, r := range gone {
		info := e.chunks[r.chunk]
		info.live -= r.bytes
		e.chunks[r.chunk] = info
	}
	for _, r := range gone {
		if info, there := e.chunks[r.chunk]; there && r.chunk < e.nextChunk {
			e.note(r.chunk, info)
		}
	}
}

// tidyBusy does the upkeep that cannot wait for a pause, in small pieces.
func (e *Engine) tidyBusy() {
	now := time.Now()
	if now.Before(e.putOff) {
		return
	}
	if waiting := e.deadSize(); waiting > deadBytes {
		e.report("delete dead chunks", e.deleteDead())
	}
	switch {
	case len(e.small[tiny]) >= mergeTiny:
		e.report("merge small chunks", e.merge(tiny))
	case len(e.small[thin]) >= mergeThin:
		e.report("merge small chunks", e.merge(thin))
	}
	if now.Sub(e.lastTidy) >= tidyEvery {
		e.lastTidy = now
		e.report("save bounds of logs", e.saveEnds(saveLogs))
		e.watchWAL(now)
	}
}

// tidyIdle does one piece of upkeep and reports whether there is more.
func (e *Engine) tidyIdle() bool {
	var err error
	more := true
	switch {
	case e.failed != nil:
		return false
	case len(e.dead) > 0 && e.pins.clear(e.dead[0].age):
		err = e.deleteDead()
	case len(e.small[tiny]) >= mergeIdle:
		err = e.merge(tiny)
	case len(e.small[thin]) >= mergeIdle:
		err = e.merge(thin)
	case len(e.dirty) > 0:
		err = e.saveEnds(saveLogs)
	default:
		e.watchWAL(time.Now())
		more, err = e.giveBack()
	}
	e.report("tidy up", err)
	return more && err == nil
}

// report logs upkeep that went wrong. It is tried again later; commits go on.
func (e *Engine) report(what string, err error) {
	if err != nil {
		e.putOff = time.Now().Add(tidyEvery)
		e.lg.Warn("storage upkeep put off", "step", what, "err", err)
	}
}

func (e *Engine) deadSize() int64 {
	var n int64
	for _, d := range e.dead {
		n += int64(d.size)
	}
	return n
}

// deleteDead deletes the oldest dead chunks that no reader may look for.
func (e *Engine) deleteDead() error {
	n, size := 0, int64(0)
	for n < len(e.dead) && (n == 0 || size+int64(e.dead[n].size) <= deleteBytes) && e.pins.clear(e.dead[n].age) {
		size += int64(e.dead[n].size)
		n++
	}
	if n == 0 {
		return nil
	}
	err := e.transact(func() error {
		for _, d := range e.dead[:n] {
			if err := e.w.exec(e.w.deleteChunk, d.id); err != nil {
				return fmt.Errorf("delete chunk %d: %w", d.id, err)
			}
			if err := e.w.exec(e.w.deleteCuts, d.id); err != nil {
				return fmt.Errorf("delete cuts of chunk %d: %w", d.id, err)
			}
		}
		return nil
	})
	if err == nil {
		e.dead = append([]deadChunk(nil), e.dead[n:]...)
	}
	return err
}

// saveEnds writes the bounds of at most n logs whose rows are behind. Nothing
// needs them but people who look at the file: Open takes them from chunks.
func (e *Engine) saveEnds(n int) error {
	if len(e.dirty) == 0 || e.failed != nil {
		return nil
	}
	var saved []*logState
	err := e.transact(func() error {
		for l := range e.dirty {
			if len(saved) == n {
				break
			}
			b := l.view.Load().bounds
			if err := e.w.exec(e.w.updateLog, b.Start, b.End, b.Epoch, b.Bytes, l.id); err != nil {
				return fmt.Errorf("save bounds of %s: %w", l.tp, err)
			}
			saved = append(saved, l)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, l := range saved {
		l.saved = l.view.Load().bounds
		delete(e.dirty, l)
	}
	return nil
}

// giveBack returns free pages to the file system if there are many, some at a
// time, and reports whether there are more.
func (e *Engine) giveBack() (bool, error) {
	free, pages, err := e.w.pages()
	if err != nil {
		return false, err
	}
	if free < vacuumKeepBytes/pageBytes || free < pages/vacuumShare {
		return false, nil
	}
	q := fmt.Sprintf("pragma incremental_vacuum(%d)", vacuumPages)
	if _, err := e.w.conn.ExecContext(context.Background(), q); err != nil {
		return false, fmt.Errorf("give free pages back: %w", mapError(err))
	}
	return true, nil
}

// pages counts the free and all pages of the file.
func (w *writer) pages() (free, all int64, err error) {
	ctx := context.Background()
	if err := w.conn.QueryRowContext(ctx, "pragma freelist_count").Scan(&free); err != nil {
		return 0, 0, fmt.Errorf("count free pages: %w", mapError(err))
	}
	if err := w.conn.QueryRowContext(ctx, "pragma page_count").Scan(&all); err != nil {
		return 0, 0, fmt.Errorf("count pages: %w", mapError(err))
	}
	return free, all, nil
}

// walSize is the size of the WAL file.
func (e *Engine) walSize() int64 {
	if st, err := os.Stat(e.cfg.Path + "-wal"); err == nil {
		return st.Size()
	}
	return 0
}

// watchWAL says so when something keeps the WAL from shrinking.
func (e *Engine) watchWAL(now time.Time) {
	if size := e.walSize(); size > walWarnBytes && now.Sub(e.lastWarn) >= walWarnEvery {
		e.lastWarn = now
		e.lg.Warn("the write-ahead log does not shrink; does another program hold a transaction open on the store?",
			"bytes", size, "path", e.cfg.Path)
	}
}
