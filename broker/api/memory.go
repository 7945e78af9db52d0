package api

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// DefaultAnswerBytes bounds the records that Fetch answers of all connections
	// hold together, from before they are read until they are sent.
	DefaultAnswerBytes = 192 << 20
	// firstShare is the part of it, one in so many, that is left for when the rest
	// is spent by clients that may hold it and never read: a batch for each answer,
	// so that consumers go on slowly. Who finds no room here either waits, as long
	// as for records.
	firstShare = 5
	// answerCopies is how often a record of an answer lies in memory until it is
	// encoded: as it was read, and in the encoded response, which then is alone.
	answerCopies = 2
	// usualBatch is what is reserved at least: the largest batch that a topic takes
	// whose max.message.bytes is as usual. It is there only while it is read.
	usualBatch = 1_048_588
	// shortFor is how long memory counts as short after somebody found no room.
	shortFor = 10 * time.Second
)

// answers is the memory for the records of all connections' answers.
type answers struct {
	many  Budget // as much as clients ask for
	first Budget // a batch for each when many is spent
	// found is when somebody last found no room in either, Unix ns.
	found atomic.Int64
}

// newAnswers has room for so many bytes, or as many as is usual if they are 0.
func newAnswers(bytes int64) *answers {
	bytes = cmp.Or(bytes, DefaultAnswerBytes)
	first := bytes / firstShare
	return &answers{many: NewBudget(bytes - first), first: NewBudget(first)}
}

// short reports whether somebody found no room just now.
func (a *answers) short() bool {
	found := a.found.Load()
	return found != 0 && time.Since(time.Unix(0, found)) < shortFor
}

// memory is what one answer holds of the budgets, in bytes of records, each
// counted copies times.
type memory struct {
	of          *answers // nil: it holds nothing
	many, first int64
	copies      int64
}

// room is for how many bytes of records there is room.
func (m *memory) room() int { return int(m.many + m.first) }

// reserve asks for room for want bytes of records and returns how many there is
// room for, at least so many or none. What was reserved before is given back. It
// never waits.
func (m *memory) reserve(a *answers, want, least int) int {
	m.release()
	m.of, m.copies = a, answerCopies
	for n := max(want, least); n > 0; n = max(n/2, least) {
		if a.many.TryAcquire(m.copies * int64(n)) {
			m.many = int64(n)
			break
		}
		if n == least {
			break
		}
	}
	return m.room()
}

// tryExtend asks for room for n bytes in all: a batch that is larger than what was
// reserved. It never waits.
func (m *memory) tryExtend(n int) bool {
	more := int64(n - m.room())
	switch {
	case more <= 0:
	case m.of.many.TryAcquire(m.copies * more):
		m.many += more
	case m.of.first.TryAcquire(m.copies * more):
		m.first += more
	default:
		m.of.found.Store(time.Now().UnixNano())
		return false
	}
	return true
}

// extend waits for room for n bytes in all until ctx ends, and reports whether
// there is. What was reserved is given back meanwhile: who waits holds nothing. One
// that is larger than all there may be is let in alone.
func (m *memory) extend(ctx context.Context, n int) bool {
	a := m.of
	m.release()
	weight := min(answerCopies*int64(n), a.first.Most)
	m.of, m.copies = a, answerCopies
	if err := a.first.Acquire(ctx, weight); err != nil {
		a.found.Store(time.Now().UnixNano())
		return false
	}
	m.first = weight / answerCopies
	return true
}

// shrink gives back what was not used.
func (m *memory) shrink(used int) {
	if m.of == nil {
		return
	}
	over := int64(m.room() - used)
	if n := min(over, m.first); n > 0 {
		m.of.first.Release(m.copies * n)
		m.first, over = m.first-n, over-n
	}
	if over > 0 {
		m.of.many.Release(m.copies * over)
		m.many -= over
	}
}

// encoded gives back what the records took that are in the encoded response now.
func (m *memory) encoded() {
	if m.of != nil && m.copies > 1 {
		m.of.many.Release((m.copies - 1) * m.many)
		m.of.first.Release((m.copies - 1) * m.first)
		m.copies = 1
	}
}

func (m *memory) release() {
	if m.of != nil {
		m.of.many.Release(m.copies * m.many)
		m.of.first.Release(m.copies * m.first)
	}
	*m = memory{}
}

// DefaultUnpackBytes bounds what the compressed batches that are unpacked at a time may
// become, all together: of usual ones some hundred, of bombs four on a topic that
// takes 1 MiB, or one that may become more than all of this. What is produced has
// such a budget, and what is read anew for old clients and for times another one,
// since that may wait for a disk.
const DefaultUnpackBytes = 256 << 20

// Budget is so many bytes for all connections. Safe for concurrent use.
type Budget struct {
	*semaphore.Weighted
	Most int64
}

// NewBudget is one of most bytes.
func NewBudget(most int64) Budget { return Budget{semaphore.NewWeighted(most), most} }

// unpacking is what is held of a budget for that.
type unpacking struct {
	budget Budget
	bytes  int64
}

// unpack waits until so many bytes may be unpacked. Release gives them back; who
// holds some must not ask for more, nor wait for others.
func unpack(ctx context.Context, budget Budget, most int) (*unpacking, error) {
	n := min(int64(most), budget.Most)
	if n <= 0 {
		return &unpacking{}, nil
	}
	if err := budget.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return &unpacking{budget, n}, nil
}

// release gives back what is held, once.
func (u *unpacking) release() {
	if u.bytes > 0 {
		u.budget.Release(u.bytes)
		u.bytes = 0
	}
}
