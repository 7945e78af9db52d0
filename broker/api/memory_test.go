package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswerMemory reserves until the budget is spent, goes on with little, and
// gives back what was not used.
func TestAnswerMemory(t *testing.T) {
	const many, first = 10 * answerCopies << 20, 10 * answerCopies << 20 / (firstShare - 1)
	s := newAnswers(many + first)
	var a, b, c, d memory
	if got := a.reserve(s, 8<<20, 1<<20); got != 8<<20 {
		t.Errorf("first: %d", got)
	}
	if got := b.reserve(s, 8<<20, 1<<20); got != 2<<20 {
		t.Errorf("second gets %d, want the half of the half that is left", got)
	}
	if got := c.reserve(s, 8<<20, 1<<20); got != 0 {
		t.Errorf("third gets %d of a spent budget", got)
	}
	if got := d.reserve(s, 10, 1<<20); got != 0 {
		t.Errorf("a small one gets %d", got)
	}
	if !c.tryExtend(9<<18) || c.room() != 9<<18 {
		t.Errorf("a first batch has room for %d", c.room())
	}
	if s.short() || d.tryExtend(9<<18) || !s.short() {
		t.Error("there is room for another first batch, or nobody noted that there is none")
	}
	a.shrink(3 << 20)
	a.shrink(5 << 20) // more than there is
	a.encoded()
	a.encoded()
	if free := int64(5*answerCopies<<20 + 3<<20); !s.many.TryAcquire(free) {
		t.Error("what was not used, or is encoded, is not given back")
	} else {
		s.many.Release(free)
	}
	if got := a.reserve(s, 8<<20, 1<<20); got != 8<<20 {
		t.Errorf("anew: %d", got)
	}
	for _, m := range []*memory{&a, &a, &b, &c, &d} {
		m.release()
	}
	if !s.many.TryAcquire(many) || !s.first.TryAcquire(first) {
		t.Error("the budget leaks")
	}
}

// TestAnswerMemoryWaits has first batches wait for those of others.
func TestAnswerMemoryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 1 << 20
		s := newAnswers(firstShare * most)
		s.many.TryAcquire((firstShare - 1) * most)
		var a, b memory
		a.reserve(s, 1<<20, 1<<10)
		if !a.extend(t.Context(), most) {
			t.Fatal("one that is larger than all is not let in alone")
		}
		if got := b.reserve(s, 1<<20, 1<<10); got != 0 {
			t.Fatalf("%d of a spent budget", got)
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if b.tryExtend(100) || b.extend(impatient, 100) || !s.short() {
			t.Error("there is room where all is spent")
		}
		waited := make(chan bool)
		go func() {
			b.reserve(s, 1<<20, 1<<10)
			waited <- b.extend(t.Context(), 100)
		}()
		synctest.Wait()
		a.release()
		if !<-waited || b.room() != 100 {
			t.Errorf("room for %d after all was given back", b.room())
		}
		time.Sleep(shortFor)
		if s.short() {
			t.Error("memory is short for ever")
		}
		b.release()
		if !s.first.TryAcquire(most) {
			t.Error("the budget leaks")
		}
	})
}
