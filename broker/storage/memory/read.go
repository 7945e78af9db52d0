package memory

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// view returns the batches of tp from offset on; the slice stays as it is.
func (e *Engine) view(ctx context.Context, tp storage.TP, offset int64) ([]batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := e.logs[tp]
	switch {
	case e.closed:
		return nil, storage.ErrClosed
	case l == nil:
		return nil, storage.ErrNoLog
	}
	return l.from(offset), nil
}

// Read implements storage.Engine.
func (e *Engine) Read(ctx context.Context, tp storage.TP, offset int64, maxBytes int) ([]byte, error) {
	batches, err := e.view(ctx, tp, offset)
	if err != nil {
		return nil, err
	}
	maxBytes = min(maxBytes, storage.MaxReadBytes)
	n, size := 0, 0
	for n < len(batches) && (n == 0 || size+len(batches[n].data) <= maxBytes) {
		size += len(batches[n].data)
		n++
	}
	out := make([]byte, 0, size)
	for i := range batches[:n] {
		out = append(out, batches[i].data...)
	}
	return out, nil
}

// Index implements storage.Engine.
func (e *Engine) Index(ctx context.Context, tp storage.TP, from int64) iter.Seq2[record.Header, error] {
	return func(yield func(record.Header, error) bool) {
		batches, err := e.view(ctx, tp, from)
		if err != nil {
			yield(record.Header{}, err)
			return
		}
		for i := range batches {
			if err := ctx.Err(); err != nil {
				yield(record.Header{}, err)
				return
			}
			if !yield(batches[i].header, nil) {
				return
			}
		}
	}
}

// Bounds implements storage.Engine.
func (e *Engine) Bounds(ctx context.Context, tp storage.TP) (storage.Bounds, error) {
	if err := ctx.Err(); err != nil {
		return storage.Bounds{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	l := e.logs[tp]
	switch {
	case e.closed:
		return storage.Bounds{}, storage.ErrClosed
	case l == nil:
		return storage.Bounds{}, storage.ErrNoLog
	}
	return l.bounds, nil
}

// Get implements storage.Engine.
func (e *Engine) Get(ctx context.Context, key string) (storage.Item, error) {
	if err := ctx.Err(); err != nil {
		return storage.Item{}, err
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return storage.Item{}, storage.ErrClosed
	}
	it, ok := e.items[key]
	if !ok {
		return storage.Item{Key: key}, nil
	}
	it.Value = slices.Clone(it.Value)
	return it, nil
}

// Scan implements storage.Engine.
func (e *Engine) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		found, err := e.scan(prefix)
		if err != nil {
			yield(storage.Item{}, err)
			return
		}
		for _, it := range found {
			if err := ctx.Err(); err != nil {
				yield(storage.Item{}, err)
				return
			}
			it.Value = slices.Clone(it.Value)
			if !yield(it, nil) {
				return
			}
		}
	}
}

// scan collects the items under prefix; their values are shared.
func (e *Engine) scan(prefix string) ([]storage.Item, error) {
	// The full lock, because the sorted keys may have to be made.
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, storage.ErrClosed
	}
	if e.keys == nil {
		e.keys = slices.Sorted(maps.Keys(e.items))
	}
	var found []storage.Item
	for _, key := range e.keys[sort.SearchStrings(e.keys, prefix):] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		found = append(found, e.items[key])
	}
	return found, nil
}
