package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// wholeBytes is from where a piece is cut out of its chunk here: substr in
// SQLite would copy it once more.
const wholeBytes = maxChunkBytes / 2

// Bounds implements storage.Engine. It comes from memory.
func (e *Engine) Bounds(ctx context.Context, tp storage.TP) (storage.Bounds, error) {
	if err := ctx.Err(); err != nil {
		return storage.Bounds{}, err
	}
	v, err := e.viewOf(tp)
	if err != nil {
		return storage.Bounds{}, err
	}
	return v.bounds, nil
}

// viewOf is the present view of a log.
func (e *Engine) viewOf(tp storage.TP) (*view, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := e.logs[tp]
	switch {
	case e.closed:
		return nil, storage.ErrClosed
	case l == nil:
		return nil, storage.ErrNoLog
	}
	return l.view.Load(), nil
}

// Read implements storage.Engine. Each chunk is read in a transaction of its
// own; at most Config.Readers calls read at once.
func (e *Engine) Read(ctx context.Context, tp storage.TP, offset int64, maxBytes int) ([]byte, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.leave()
	defer e.pins.unpin(e.pins.pin())
	v, err := e.viewOf(tp)
	if err != nil {
		return nil, err
	}
	runs := v.from(offset)
	if len(runs) == 0 {
		return nil, nil
	}
	select {
	case e.cold <- struct{}{}:
		defer func() { <-e.cold }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return e.readRuns(ctx, runs, max(offset, v.bounds.Start), min(maxBytes, storage.MaxReadBytes))
}

// readRuns reads from the batch that holds offset as much as fits in maxBytes,
// and one batch in any case. What it takes is decided before anything is read, so that
// a single piece, as large batches are, is handed on as the driver read it.
func (e *Engine) readRuns(ctx context.Context, runs []run, offset int64, maxBytes int) ([]byte, error) {
	fit, sum, err := e.fitting(ctx, runs, offset, maxBytes)
	if err != nil || len(fit) == 0 {
		return nil, err
	}
	if len(fit) == 1 {
		return e.pieceOf(fit[0])
	}
	out := make([]byte, 0, sum)
	for _, piece := range fit {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := e.pieceOf(piece)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// fitting is what readRuns reads, and how many bytes that is.
func (e *Engine) fitting(ctx context.Context, runs []run, offset int64, maxBytes int) (fit []run, sum int, err error) {
	for i, r := range runs {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		piece, whole := r, true
		if i == 0 && offset > r.base || sum+int(r.bytes) > maxBytes {
			if piece, whole, err = e.cutToFit(r, offset, maxBytes-sum, sum == 0); err != nil {
				return nil, 0, err
			}
		}
		if piece.bytes == 0 {
			break
		}
		fit, sum = append(fit, piece), sum+int(piece.bytes)
		if !whole {
			break
		}
	}
	return fit, sum, nil
}

// cutToFit is the part of a run that begins with the batch that holds offset
// and has at most room bytes, or one batch if must is set. whole says whether
// it reaches to the end of the run.
func (e *Engine) cutToFit(r run, offset int64, room int, must bool) (piece run, whole bool, err error) {
	var p pieces
	dir, err := e.dirOf(r)
	if err != nil {
		return run{}, false, err
	}
	whole = true
	err = entriesOf(dir, r, func(pos uint32, h record.Header) bool {
		if h.LastOffset() < offset {
			return true
		}
		if h.Size() > room && (!must || len(p.runs) > 0) {
			whole = false
			return false
		}
		room -= h.Size()
		p.add(r.chunk, pos, h)
		return true
	})
	if err != nil {
		return run{}, false, broken(r.chunk, "%w", err)
	}
	if len(p.runs) == 0 {
		return run{}, false, nil
	}
	return p.runs[0], whole, nil
}

// dirOf reads the directory of a run's chunk.
func (e *Engine) dirOf(r run) ([]byte, error) {
	var dir sql.RawBytes
	var out []byte
	found, err := one(e.read.dir, []any{r.chunk}, []any{&dir}, func() error {
		out = append(out, dir...)
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read directory of chunk %d: %w", r.chunk, err)
	case !found:
		return nil, broken(r.chunk, "it is gone, but holds batches at %d", r.base)
	}
	return out, nil
}

// pieceOf returns the bytes of a piece. They are not copied from what the driver
// read: it makes a slice for every value and forgets it, which ReadKept of the suite
// holds it to.
func (e *Engine) pieceOf(r run) ([]byte, error) {
	stmt, args, skip := e.read.part, []any{int64(r.pos) + 1, int64(r.bytes), r.chunk}, 0
	if r.bytes >= wholeBytes {
		stmt, args, skip = e.read.data, []any{r.chunk}, int(r.pos)
	}
	var data sql.RawBytes
	found, err := one(stmt, args, []any{&data}, func() error {
		if len(data) < skip+int(r.bytes) {
			return broken(r.chunk, "it ends before the batches at %d", r.base)
		}
		return nil
	})
	switch {
	case errors.Is(err, storage.ErrBroken):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("read chunk %d: %w", r.chunk, err)
	case !found:
		return nil, broken(r.chunk, "it is gone, but holds batches at %d", r.base)
	}
	return data[skip : skip+int(r.bytes) : skip+int(r.bytes)], nil
}

// Index implements storage.Engine. Directories are read one chunk at a time,
// and nothing is held while the caller looks at a header but a pin, which keeps
// the chunks of its state from being deleted.
func (e *Engine) Index(ctx context.Context, tp storage.TP, from int64) iter.Seq2[record.Header, error] {
	return func(yield func(record.Header, error) bool) {
		defer e.pins.unpin(e.pins.pin())
		v, err := e.viewOf(tp)
		if err != nil {
			yield(record.Header{}, err)
			return
		}
		from = max(from, v.bounds.Start)
		var headers []record.Header
		for _, r := range v.from(from) {
			if headers, err = e.headersOf(ctx, r, headers[:0]); err != nil {
				yield(record.Header{}, err)
				return
			}
			for _, h := range headers {
				if h.LastOffset() >= from && !yield(h, nil) {
					return
				}
			}
		}
	}
}

// headersOf appends the headers of a run's batches.
func (e *Engine) headersOf(ctx context.Context, r run, headers []record.Header) ([]record.Header, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	defer e.leave()
	dir, err := e.dirOf(r)
	if err != nil {
		return nil, err
	}
	err = entriesOf(dir, r, func(_ uint32, h record.Header) bool {
		headers = append(headers, h)
		return true
	})
	if err != nil {
		return nil, broken(r.chunk, "%w", err)
	}
	return headers, nil
}
