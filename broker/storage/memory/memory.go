// Package memory is a storage engine that keeps everything in memory: the
// engine of ephemeral brokers and of tests that want a real one. Nothing
// survives Close.
//
// Readers take an immutable view of a log under a read lock and copy from it
// outside; Commit works its changes out before it takes the write lock as far
// as it can. Bytes of one Append share one allocation, which is freed when the
// last batch of it is gone.
package memory

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tarn-io/tarn/broker/storage"
)

// Engine implements storage.Engine in memory. Make it with New.
type Engine struct {
	mu      sync.RWMutex
	closed  bool
	logs    map[storage.TP]*log
	items   map[string]storage.Item // values are never changed in place
	keys    []string                // sorted keys of items, nil when out of date
	version int64                   // last version given out
}

// New returns an empty engine.
func New() *Engine {
	return &Engine{logs: map[storage.TP]*log{}, items: map[string]storage.Item{}}
}

var _ storage.Engine = (*Engine)(nil)

// Commit implements storage.Engine.
func (e *Engine) Commit(ctx context.Context, w storage.Write) error {
	if err := w.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in := prepare(w)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return storage.ErrClosed
	}
	c, err := w.Conflicts(state{e})
	if err != nil {
		return err
	}
	c = e.replaceConflicts(w.Replace, c)
	if c != nil {
		return c
	}
	e.apply(w, in)
	return nil
}

// Clone is another engine with what this one holds now. They share bytes that neither
// changes, so it costs little. The error is storage.ErrClosed.
func (e *Engine) Clone() (*Engine, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, storage.ErrClosed
	}
	out := &Engine{logs: make(map[storage.TP]*log, len(e.logs)), items: maps.Clone(e.items), version: e.version}
	for tp, l := range e.logs {
		c := *l
		c.batches = slices.Clone(l.batches)
		out.logs[tp] = &c
	}
	return out, nil
}

// Close implements storage.Engine. It drops everything.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.logs, e.items, e.keys = nil, nil, nil
	return nil
}

// state answers for expectations; e.mu is held.
type state struct{ e *Engine }

// Log implements storage.State.
func (s state) Log(tp storage.TP) (storage.Bounds, bool) {
	if l := s.e.logs[tp]; l != nil {
		return l.bounds, true
	}
	return storage.Bounds{}, false
}

// Version implements storage.State.
func (s state) Version(key string) (int64, error) { return s.e.items[key].Version, nil }

// prepared holds copies of what a Write brings, made outside the lock.
type prepared struct {
	appended, replaced [][]batch
	values             [][]byte
}

func prepare(w storage.Write) prepared {
	var in prepared
	for i := range w.Append {
		in.appended = append(in.appended, split(slices.Clone(w.Append[i].Batches)))
	}
	for i := range w.Replace {
		in.replaced = append(in.replaced, split(slices.Clone(w.Replace[i].Batches)))
	}
	for i := range w.Set {
		in.values = append(in.values, append([]byte{}, w.Set[i].Value...))
	}
	return in
}

// replaceConflicts adds the Replace parts whose ranges hold something else.
func (e *Engine) replaceConflicts(parts []storage.Replace, c *storage.Conflict) *storage.Conflict {
	for i := range parts {
		r := &parts[i]
		l := e.logs[r.TP]
		if l != nil && l.holds(r) {
			continue
		}
		if c == nil {
			c = &storage.Conflict{}
		}
		bad := storage.LogConflict{TP: r.TP, Replaced: true}
		if l != nil {
			bad.WantEnd, bad.GotEnd = l.bounds.End, l.bounds.End
			bad.WantEpoch, bad.GotEpoch = l.bounds.Epoch, l.bounds.Epoch
		}
		c.Logs = append(c.Logs, bad)
	}
	return c
}

// apply makes the changes of a Write whose expectations hold; e.mu is held.
func (e *Engine) apply(w storage.Write, in prepared) {
	for i := range w.Append {
		a := &w.Append[i]
		l := e.logs[a.TP]
		if l == nil {
			l = &log{}
			e.logs[a.TP] = l
		}
		l.append(in.appended[i], a)
	}
	for i := range w.Replace {
		e.logs[w.Replace[i].TP].replace(&w.Replace[i], in.replaced[i])
	}
	for i := range w.Trim {
		t := &w.Trim[i]
		if t.Forget {
			delete(e.logs, t.TP)
		} else if l := e.logs[t.TP]; l != nil {
			l.trim(t.Start)
		}
	}
	for i := range w.Set {
		e.set(&w.Set[i], in.values[i])
	}
}

func (e *Engine) set(it *storage.Item, value []byte) {
	_, had := e.items[it.Key]
	if it.Delete != !had {
		e.keys = nil
	}
	if it.Delete {
		delete(e.items, it.Key)
		it.Version = 0
		return
	}
	e.version++
	it.Version = e.version
	// The key is cloned because it may be cut from a larger string.
	key := strings.Clone(it.Key)
	e.items[key] = storage.Item{Key: key, Value: value, Version: e.version}
}
