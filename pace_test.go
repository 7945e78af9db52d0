package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestLatencies holds percentiles to those of the sorted values.
func TestLatencies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []int64{50, 1000, 1e6, 1e9, 1e15} {
		var l latencies
		var all []time.Duration
		for range 10_000 {
			d := time.Duration(random.Int64N(scale))
			l.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, part := range []float64{0.001, 0.5, 0.95, 0.99, 0.999, 1} {
			want := all[int(part*10_000+0.5)-1]
			if got := l.at(part); got < want || float64(got) > float64(want)*(1+1.0/64)+1 {
				t.Errorf("below %d: %v of all are up to %d, want %d", scale, part, got, want)
			}
		}
	}
	var none latencies
	if got := none.at(0.5); got != 0 {
		t.Errorf("of none: %v", got)
	}
	none.add(1<<63 - 1) // the longest there is
	if got := none.at(1); got != 1<<63-1 {
		t.Errorf("the longest: %d", got)
	}
}

// TestPace sends three hundred things at a hundred a second, and ends with its context.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, begun := newPace(100), time.Now()
		for range 301 {
			if err := p.next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := time.Since(begun); got != 3*time.Second {
			t.Errorf("took %v, want 3s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_ = p.next(ctx)
		if err := p.next(ctx); err == nil {
			t.Error("went on after its context")
		}
		unbound := newPace(0)
		if err := unbound.next(t.Context()); err != nil {
			t.Error(err)
		}
		if err := unbound.next(ctx); err == nil {
			t.Error("went on after its context")
		}
	})
}
