package main

import (
	"context"
	"math/bits"
	"time"
)

// finest is the shortest wait that is worth a timer.
const finest = time.Millisecond

// pace spreads things evenly over time. Used by one goroutine.
type pace struct {
	every time.Duration // between two; 0: as fast as it goes
	begun time.Time
	n     int64
}

// newPace is a pace of so many things a second, 0 for no bound.
func newPace(perSecond float64) *pace {
	if perSecond <= 0 {
		return &pace{}
	}
	return &pace{every: time.Duration(float64(time.Second) / perSecond)}
}

// next waits until one more thing is due. The error is the context's.
func (p *pace) next(ctx context.Context) error {
	if p.every == 0 {
		return ctx.Err()
	}
	if p.n == 0 {
		p.begun = time.Now()
	}
	due := p.begun.Add(time.Duration(p.n) * p.every)
	p.n++
	return waitUntil(ctx, due)
}

// waitUntil waits until a time has come. The error is the context's.
func waitUntil(ctx context.Context, due time.Time) error {
	left := time.Until(due)
	if left < finest {
		return ctx.Err()
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// latencyBits says how fine latencies are told apart: to one part in 64.
const latencyBits = 6

// latencies counts durations in buckets that grow with them, so that it has the same
// size for any number of them. Not safe for concurrent use.
type latencies struct {
	counts [(64 - latencyBits) << latencyBits]int64
	n      int64
	max    time.Duration
}

func (l *latencies) add(d time.Duration) {
	d = max(d, 0)
	l.counts[latencyBucket(uint64(d))]++
	l.n++
	l.max = max(l.max, d)
}

// latencyBucket is the place of a value: values below 64 have one each, and every
// doubling has 64.
func latencyBucket(v uint64) int {
	if v < 1<<latencyBits {
		return int(v)
	}
	shift := bits.Len64(v) - latencyBits - 1
	return shift<<latencyBits + int(v>>shift)
}

// at is the duration that so large a part of all did not exceed; part is above 0 and
// at most 1.
func (l *latencies) at(part float64) time.Duration {
	rank := int64(part * float64(l.n))
	if float64(rank) < part*float64(l.n) {
		rank++
	}
	for i, n := range l.counts {
		if rank -= n; rank > 0 || n == 0 {
			continue
		}
		top := uint64(i)
		if i >= 1<<latencyBits {
			shift := i>>latencyBits - 1
			top = uint64(i&(1<<latencyBits-1)+1<<latencyBits+1)<<shift - 1
		}
		return min(time.Duration(top), l.max)
	}
	return l.max
}
