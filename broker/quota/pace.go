package quota

import (
	"sync"
	"time"
)

// Pace is a rate of events with a limit a second, over the same samples as the
// quotas. A limit of 0 or less is none. Make it with NewPace; safe for concurrent
// use.
type Pace struct {
	mu    sync.Mutex
	limit float64 // guarded by mu
	rate  rate    // guarded by mu
}

// NewPace makes a Pace of so many events a second.
func NewPace(perSecond float64) *Pace { return &Pace{limit: perSecond} }

// Limit changes the limit. What was counted under another one counts on; what
// came while there was none was not counted.
func (p *Pace) Limit(perSecond float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit <= 0 {
		p.rate = rate{}
	}
	p.limit = perSecond
}

// Count counts an event and says how long to wait for the rate to be the limit
// again: 0 if it is not above it.
func (p *Pace) Count(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit <= 0 {
		return 0
	}
	p.rate.record(1, now.UnixMilli())
	return p.rate.wait(p.limit, now.UnixMilli())
}

// Uncount takes an event back.
func (p *Pace) Uncount(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit <= 0 {
		return
	}
	p.rate.record(-1, now.UnixMilli())
}
