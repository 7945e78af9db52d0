package sqlite

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// stage is the next state of the store while Writes are merged into it: first
// worked out here, then written, then published. It belongs to the committer.
type stage struct {
	e       *Engine
	logs    map[storage.TP]*stagedLog
	items   map[string]*stagedItem
	version int64 // last version given out
	writes  []*request
}

// stagedLog is a log that the transaction touches.
type stagedLog struct {
	tp      storage.TP
	state   *logState // nil: the log is made by this transaction
	id      int64
	bounds  storage.Bounds
	appends [][]byte
	replace *replacement
	forgot  bool
	saveRow bool // bounds must be saved, for runs will not tell them
}

// stagedItem is the last thing that the transaction does to a key.
type stagedItem struct {
	version int64 // 0: it is deleted
	value   []byte
}

func newStage(e *Engine) *stage {
	return &stage{e: e, logs: map[storage.TP]*stagedLog{}, items: map[string]*stagedItem{}, version: e.version}
}

// Log implements storage.State.
func (s *stage) Log(tp storage.TP) (storage.Bounds, bool) {
	if l := s.logs[tp]; l != nil {
		return l.bounds, !l.forgot
	}
	if l := s.e.lookup(tp); l != nil {
		return l.view.Load().bounds, true
	}
	return storage.Bounds{}, false
}

// Version implements storage.State.
func (s *stage) Version(key string) (int64, error) {
	if it := s.items[key]; it != nil {
		return it.version, nil
	}
	return s.e.itemVersion(key)
}

// alone reports whether w is committed by itself: what it does to the index
// cannot be worked out beside other changes of the same logs.
func alone(w *storage.Write) bool {
	if len(w.Replace) > 0 {
		return true
	}
	return slices.ContainsFunc(w.Trim, func(t storage.Trim) bool { return t.Forget })
}

// add judges a Write against the staged state and merges it. An error refuses
// this Write alone and leaves the stage as it was.
func (s *stage) add(r *request) error {
	w := &r.write
	c, err := w.Conflicts(s)
	if err != nil {
		return err
	}
	plans, c, err := s.planReplaces(w.Replace, c)
	if err != nil {
		return err
	}
	if c != nil {
		return c
	}
	for i := range w.Append {
		s.append(&w.Append[i])
	}
	for _, p := range plans {
		s.log(p.part.TP).replace = p
		s.log(p.part.TP).saveRow = true
	}
	for i := range w.Trim {
		s.trim(&w.Trim[i])
	}
	for i := range w.Set {
		s.set(r, &w.Set[i])
	}
	s.writes = append(s.writes, r)
	return nil
}

// log is the staged state of a log that is there, or that is being made.
func (s *stage) log(tp storage.TP) *stagedLog {
	if l := s.logs[tp]; l != nil {
		return l
	}
	l := &stagedLog{tp: tp}
	if state := s.e.lookup(tp); state != nil {
		l.state, l.id, l.bounds = state, state.id, state.view.Load().bounds
	}
	s.logs[tp] = l
	return l
}

func (s *stage) append(a *storage.Append) {
	l := s.log(a.TP)
	if l.id == 0 {
		l.id = s.e.nextLog
		s.e.nextLog++ // an id may be lost with a failed transaction
	}
	if l.bounds.Epoch != a.Epoch {
		l.bounds.Epoch, l.saveRow = a.Epoch, true
	}
	l.bounds.End = a.End
	if len(a.Batches) > 0 {
		l.appends = append(l.appends, a.Batches)
	}
}

func (s *stage) trim(t *storage.Trim) {
	if _, there := s.Log(t.TP); !there {
		return
	}
	l := s.log(t.TP)
	switch {
	case t.Forget:
		l.forgot, l.bounds = true, storage.Bounds{}
	case t.Start > l.bounds.Start:
		l.bounds.Start, l.saveRow = t.Start, true
	}
}

// set stages an item. The version goes to the request and not yet to the
// caller's Write, which must stay as it is if the transaction fails.
func (s *stage) set(r *request, it *storage.Item) {
	if it.Delete {
		s.items[it.Key] = &stagedItem{}
		r.versions = append(r.versions, 0)
		return
	}
	s.version++
	s.items[it.Key] = &stagedItem{version: s.version, value: it.Value}
	r.versions = append(r.versions, s.version)
}

// ordered are the touched logs by id: that is the order of runs in chunks.
func (s *stage) ordered() []*stagedLog {
	return slices.SortedFunc(maps.Values(s.logs), func(a, b *stagedLog) int { return cmp.Compare(a.id, b.id) })
}
