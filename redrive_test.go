package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDone keeps offsets in ranges as a set would.
func TestDone(t *testing.T) {
	const seed, most = 7, 60
	r := rand.New(rand.NewPCG(seed, seed))
	for range 300 {
		var d done
		want := map[int64]bool{}
		for range r.IntN(most) {
			o := r.Int64N(most)
			if !want[o] {
				d.add(o)
				want[o] = true
			}
		}
		start := r.Int64N(most)
		d.forget(start)
		for o := start; o < most; o++ {
			if d.has(o) != want[o] {
				t.Fatalf("seed %d: %d is in %v: %v, want %v", seed, o, d.Ranges, d.has(o), want[o])
			}
		}
		if !slices.IsSortedFunc(d.Ranges, func(a, b [2]int64) int { return int(a[1] + 2 - b[0]) }) {
			t.Fatalf("seed %d: ranges %v are not apart", seed, d.Ranges)
		}
	}
}
