package api

import (
	"testing"

	"golang.org/x/sync/semaphore"
)

// TestAnswerMemory reserves until the budget is spent, goes on with little, and
// gives back what was not used.
func TestAnswerMemory(t *testing.T) {
	const budget = 10 * answerCopies << 20
	s := semaphore.NewWeighted(budget)
	var a, b, c memory
	if got := a.reserve(s, 8<<20); got != 8<<20 {
		t.Errorf("first: %d", got)
	}
	if got := b.reserve(s, 8<<20); got != 2<<20 {
		t.Errorf("second gets %d, want the half of the half that is left", got)
	}
	if got := c.reserve(s, 8<<20); got != scarceBytes || c.budget != nil {
		t.Errorf("third gets %d of a spent budget", got)
	}
	if got := c.reserve(s, 10); got != 10 {
		t.Errorf("a small one gets %d", got)
	}
	a.shrink(3 << 20)
	a.shrink(5 << 20) // more than that was read: one large batch
	if !s.TryAcquire(5 * answerCopies << 20) {
		t.Error("what was not used is not given back")
	}
	s.Release(5 * answerCopies << 20)
	if got := a.reserve(s, 8<<20); got != 8<<20 {
		t.Errorf("anew: %d", got)
	}
	a.release()
	a.release()
	b.release()
	c.release()
	if !s.TryAcquire(budget) {
		t.Error("the budget leaks")
	}
}
