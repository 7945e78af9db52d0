package share

import (
	"container/heap"
	"time"
)

// timer is when a group's members, or one of its share-partitions, want to be
// looked at. Guarded by the coordinator's mu.
type timer struct {
	g     *group
	p     *part // nil: the members
	when  time.Time
	index int // in the heap, -1: not there
}

func (t *timer) init(g *group, p *part) { t.g, t.p, t.index = g, p, -1 }

// timers is a heap of timers.
type timers []*timer

// set gives t the time at, or none if that is zero. It reports whether the first
// timer is another now, or earlier.
func (h *timers) set(t *timer, at time.Time) bool {
	switch {
	case t.index < 0 && at.IsZero():
		return false
	case t.index < 0:
		t.when = at
		heap.Push(h, t)
	case at.IsZero():
		heap.Remove(h, t.index)
		return false
	case at.Equal(t.when):
		return false
	default:
		t.when = at
		heap.Fix(h, t.index)
	}
	return (*h)[0] == t
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool { return h[i].when.Before(h[j].when) }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push appends a timer; called by heap only.
func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop takes the last timer off; called by heap only.
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.index = -1
	*h = old[:len(old)-1]
	return t
}

// alarm sets t, for the time at or none if that is zero.
func (c *Coordinator) alarm(t *timer, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timers.set(t, at) {
		signal(c.timerC)
	}
}

// alarmBefore sets t if it is not set, or later. Locks mostly begin in the order
// in which they end, so that this is rarely more than a look.
func (c *Coordinator) alarmBefore(t *timer, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (t.index < 0 || at.Before(t.when)) && c.timers.set(t, at) {
		signal(c.timerC)
	}
}

// runTimers does what is due and says how long until the next.
func (c *Coordinator) runTimers(now time.Time) time.Duration {
	for {
		t, until := c.nextDue(now)
		if t == nil {
			return until
		}
		t.g.mu.Lock()
		switch {
		case t.g.gone:
		case t.p == nil:
			t.g.tick(now)
		default:
			t.g.expire(t.p, now)
		}
		t.g.unlock()
	}
}

// nextDue takes out a timer whose time has come, or says when that will be.
func (c *Coordinator) nextDue(now time.Time) (*timer, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.timers) == 0 {
		return nil, time.Hour // whoever sets a timer wakes us
	}
	t := c.timers[0]
	if until := t.when.Sub(now); until > 0 {
		return nil, until
	}
	c.timers.set(t, time.Time{})
	return t, 0
}
