package sqlite

import "sync"

// pins keeps chunks from being deleted while a reader may still look for them.
// A reader pins the present age and then takes a view; a chunk that dies in an
// age may be deleted once no reader has pinned that age or an earlier one. So
// readers need no long transaction, which would keep the WAL from shrinking.
type pins struct {
	mu   sync.Mutex
	age  uint64
	held map[uint64]int // readers by the age they pinned
}

// pin must be called before a view is taken. The result goes to unpin.
func (p *pins) pin() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[uint64]int{}
	}
	p.held[p.age]++
	return p.age
}

func (p *pins) unpin(age uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[age]--; p.held[age] == 0 {
		delete(p.held, age)
	}
}

// turn ends the present age and returns it. It is called after the views
// without the dead chunks have been published.
func (p *pins) turn() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.age++
	return p.age - 1
}

// clear reports whether no reader holds age or an earlier one.
func (p *pins) clear(age uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for held := range p.held {
		if held <= age {
			return false
		}
	}
	return true
}
