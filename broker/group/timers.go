package group

import (
	"container/heap"
	"time"
)

// timers is a heap of groups by the time at which they want to be looked at.
// It is guarded by the coordinator's mu.
type timers []*entry

// set gives e the time at, or none if that is zero. It reports whether the
// first timer is another now, or earlier.
func (t *timers) set(e *entry, at time.Time) bool {
	switch {
	case e.index < 0 && at.IsZero():
		return false
	case e.index < 0:
		e.when = at
		heap.Push(t, e)
	case at.IsZero():
		heap.Remove(t, e.index)
		return false
	case at.Equal(e.when):
		return false
	default:
		e.when = at
		heap.Fix(t, e.index)
	}
	return (*t)[0] == e
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (t timers) Len() int { return len(t) }

func (t timers) Less(i, j int) bool { return t[i].when.Before(t[j].when) }

func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push appends an entry; called by heap only.
func (t *timers) Push(x any) {
	e := x.(*entry)
	e.index = len(*t)
	*t = append(*t, e)
}

// Pop takes the last entry off; called by heap only.
func (t *timers) Pop() any {
	old := *t
	e := old[len(old)-1]
	old[len(old)-1] = nil
	e.index = -1
	*t = old[:len(old)-1]
	return e
}
