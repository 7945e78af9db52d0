// Package meter counts durations and sizes in fixed memory, for /metrics. It imports
// nothing of ours, so that everything may be measured with it.
package meter

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Histogram counts values by upper bounds. Observe is a few atomic additions: no lock
// and no allocation. Safe for concurrent use; a snapshot taken meanwhile may lack the
// newest values in some of its numbers.
type Histogram struct {
	bounds []float64
	counts []atomic.Uint64 // one more than bounds: what is above all of them
	sum    atomic.Uint64   // bits of a float64
}

// New returns a histogram with these upper bounds, which ascend.
func New(bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Durations returns a histogram of seconds, from half a millisecond, which a flush of a
// good disk takes, to ten seconds, above which clients give up.
func Durations() *Histogram {
	return New(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
}

// Sizes returns a histogram of counts from 1 to 65,536, by powers of four.
func Sizes() *Histogram {
	return New(1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
}

// Observe counts a value.
func (h *Histogram) Observe(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Since counts the seconds since begun.
func (h *Histogram) Since(begun time.Time) { h.Observe(time.Since(begun).Seconds()) }

// Snapshot is what a histogram has counted.
type Snapshot struct {
	// Bounds are the upper bounds, Below how many values are at or below each.
	Bounds []float64
	Below  []uint64
	// Sum and Count are of all values.
	Sum   float64
	Count uint64
}

// Snapshot copies what was counted.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Bounds: h.bounds, Below: make([]uint64, len(h.bounds)), Sum: math.Float64frombits(h.sum.Load())}
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < len(s.Below) {
			s.Below[i] = s.Count
		}
	}
	return s
}
