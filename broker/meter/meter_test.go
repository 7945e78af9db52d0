package meter

import (
	"slices"
	"sync"
	"testing"
)

// TestHistogram counts from many goroutines, at bounds, between and above them.
func TestHistogram(t *testing.T) {
	h := New(1, 2, 4)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, v := range []float64{0, 1, 1.5, 2, 3, 4, 5, 100} {
				h.Observe(v)
			}
		})
	}
	all.Wait()
	got := h.Snapshot()
	if want := []uint64{16, 32, 48}; !slices.Equal(got.Below, want) || got.Count != 64 || got.Sum != 8*116.5 {
		t.Errorf("got %+v, want %v below, 64 in all, sum 932", got, want)
	}
}

// TestObserveAllocates holds the hot path to no allocation.
func TestObserveAllocates(t *testing.T) {
	h := Durations()
	if n := testing.AllocsPerRun(1000, func() { h.Observe(0.003) }); n != 0 {
		t.Errorf("Observe allocates %v times", n)
	}
}
