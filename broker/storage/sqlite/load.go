package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// span is a range of offsets of a log that is dead in some chunk.
type span struct{ log, low, high int64 }

// wholeChunk is the log id by which table cut says that all of a chunk is dead:
// what lived in it was copied to another one.
const wholeChunk = 0

// loader rebuilds the index from the file.
type loader struct {
	e     *Engine
	views map[int64]*view
	cuts  map[int64][]span // by chunk
	heads []head           // reused
}

// load reads bounds, cuts and the directories of all chunks. Data is not read.
func (e *Engine) load(ctx context.Context) error {
	l := loader{e: e, views: map[int64]*view{}, cuts: map[int64][]span{}}
	for _, step := range []func(context.Context) error{l.counters, l.logs, l.loadCuts, l.chunks} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return l.finish()
}

// each runs a query on the writing connection and calls f for each row.
func (l *loader) each(ctx context.Context, query string, columns []any, f func() error) error {
	rows, err := l.e.w.conn.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("load the index: %w", mapError(err))
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return fmt.Errorf("load the index: %w", mapError(err))
		}
		if err := f(); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("load the index: %w", mapError(err))
	}
	return nil
}

func (l *loader) counters(ctx context.Context) error {
	var version, lastLog int64
	err := l.each(ctx, "select value from counter where name = 'version'", []any{&version}, func() error { return nil })
	if err != nil {
		return err
	}
	err = l.each(ctx, "select seq from sqlite_sequence where name = 'log'", []any{&lastLog}, func() error { return nil })
	if err != nil {
		return err
	}
	l.e.version, l.e.reserved = version, version
	l.e.nextLog = lastLog + 1
	return nil
}

func (l *loader) logs(ctx context.Context) error {
	var id, epoch int64
	var part int32
	var topic sql.RawBytes
	var b storage.Bounds
	return l.each(ctx, `select id, topic, part, start, "end", epoch from log`,
		[]any{&id, &topic, &part, &b.Start, &b.End, &epoch}, func() error {
			s := &logState{id: id, tp: storage.TP{Partition: part}}
			if copy(s.tp.Topic[:], topic) != len(s.tp.Topic) || b.Start < 0 || b.Start > b.End {
				return fmt.Errorf("%w: log %d is described wrongly", storage.ErrBroken, id)
			}
			b.Epoch = int32(epoch)
			s.saved = b
			l.e.byID[id], l.views[id] = s, &view{bounds: b}
			l.e.logs[s.tp] = s
			return nil
		})
}

func (l *loader) loadCuts(ctx context.Context) error {
	var chunk int64
	var s span
	return l.each(ctx, "select chunk, log, low, high from cut order by chunk, log, low",
		[]any{&chunk, &s.log, &s.low, &s.high}, func() error {
			l.cuts[chunk] = append(l.cuts[chunk], s)
			return nil
		})
}

func (l *loader) chunks(ctx context.Context) error {
	var id, size int64
	var dir sql.RawBytes
	err := l.each(ctx, "select id, dir, length(data) from chunk order by id", []any{&id, &dir, &size}, func() error {
		l.e.nextChunk = id
		return l.chunk(id, dir, size)
	})
	l.e.nextChunk++
	return err
}

// chunk adds the runs of one chunk that somebody still needs.
func (l *loader) chunk(id int64, dir []byte, size int64) error {
	heads, entries, err := parseDir(dir, l.heads[:0])
	l.heads = heads
	if err != nil {
		return broken(id, "%w", err)
	}
	info := chunkInfo{size: uint32(size)}
	cuts := l.cuts[id]
	if len(cuts) > 0 && cuts[0].log == wholeChunk {
		l.e.bury(id, info)
		return nil
	}
	pos := int64(0)
	for i := range heads {
		h := &heads[i]
		v := l.views[h.log]
		if v != nil && h.base+h.span >= v.bounds.Start {
			first := len(v.runs)
			v.runs = append(v.runs, h.run(id, uint32(pos)))
			if len(cuts) > 0 {
				runs, err := remains(v.runs[first], h, entries[:h.entries], cuts, v.bounds.Start)
				if err != nil {
					return broken(id, "batches of log %d: %w", h.log, err)
				}
				v.runs = append(v.runs[:first], runs...)
			}
			for _, r := range v.runs[first:] {
				v.bounds.Bytes += int64(r.bytes)
				info.live += r.bytes
			}
		}
		pos += int64(h.bytes)
		entries = entries[h.entries:]
	}
	if pos != size || pos > math.MaxUint32 {
		return broken(id, "the directory tells of %d bytes, data has %d", pos, size)
	}
	l.e.note(id, info)
	return nil
}

// remains is what the cuts of a chunk leave of a run. A cut never divides a
// batch.
func remains(r run, h *head, entries []byte, cuts []span, start int64) ([]run, error) {
	cuts = slices.DeleteFunc(slices.Clone(cuts), func(c span) bool {
		return c.log != h.log || c.low > r.last() || c.high <= r.base
	})
	if len(cuts) == 0 {
		return []run{r}, nil
	}
	var p pieces
	next := r.base
	err := decodeRun(*h, r.pos, entries, func(pos uint32, h record.Header) bool {
		// A cut that holds none of our batches still parts those beside it: what
		// replaced nothing lies between them.
		parted := slices.ContainsFunc(cuts, func(c span) bool { return c.low < h.BaseOffset && next < c.high })
		cut := slices.ContainsFunc(cuts, func(c span) bool { return c.low <= h.BaseOffset && h.LastOffset() < c.high })
		if !cut && h.LastOffset() >= start {
			if parted {
				p.part()
			}
			p.add(r.chunk, pos, h)
		}
		next = h.LastOffset() + 1
		return true
	})
	return p.runs, err
}

// finish sorts each log's runs, checks that they are disjoint, and publishes.
func (l *loader) finish() error {
	for id, v := range l.views {
		byBase := func(a, b run) int { return cmp.Compare(a.base, b.base) }
		if !slices.IsSortedFunc(v.runs, byBase) {
			slices.SortFunc(v.runs, byBase)
		}
		for i := 1; i < len(v.runs); i++ {
			if v.runs[i].base <= v.runs[i-1].last() {
				return broken(v.runs[i].chunk, "batches of %s at %d lie in chunk %d too",
					l.e.byID[id].tp, v.runs[i].base, v.runs[i-1].chunk)
			}
		}
		if n := len(v.runs); n > 0 {
			v.bounds.End = max(v.bounds.End, v.runs[n-1].last()+1)
			if cap(v.runs) > n+n/4 {
				v.runs = slices.Clone(v.runs) // most logs of many will not grow soon
			}
		}
		l.e.byID[id].view.Store(v)
	}
	return nil
}
