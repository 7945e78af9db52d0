package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestEbb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var released, dropped, total atomic.Int64
		total.Store(1)
		e := &ebb{ctx: ctx, release: func() { released.Add(1) }, drop: func() { dropped.Add(1) }, allocated: func() uint64 { return uint64(total.Load()) }}
		e.timer = time.AfterFunc(0, e.rest)
		want := func(n int64, when string) {
			t.Helper()
			synctest.Wait()
			if got := released.Load(); got != n {
				t.Fatalf("%s: given back %d times, want %d", when, got, n)
			}
		}
		want(1, "at the start")
		for range 20 { // load: the collector runs all the time
			total.Add(worthBytes)
			e.timer.Reset(quietFor)
			time.Sleep(quietFor / 2)
		}
		want(1, "under load")
		time.Sleep(quietFor)
		want(2, "after the load")
		e.timer.Reset(quietFor) // the release was a collection itself
		time.Sleep(time.Hour)
		want(2, "idle")
		total.Add(worthBytes - 1)
		e.timer.Reset(quietFor)
		time.Sleep(time.Hour)
		want(2, "after next to nothing")
		if got := dropped.Load(); got != 4 {
			t.Fatalf("the program's pages were dropped %d times, want at each of four rests", got)
		}
		total.Add(1)
		e.timer.Reset(quietFor)
		cancel()
		time.Sleep(time.Hour)
		want(2, "after the end")
	})
}

// TestEbbHearsCollections holds the runtime's part: a collection winds the timer.
func TestEbbHearsCollections(t *testing.T) {
	heard := make(chan struct{}, 1)
	e := &ebb{ctx: t.Context(), quiet: time.Millisecond, release: func() { heard <- struct{}{} }, drop: func() {}, allocated: func() uint64 { return 1 }}
	e.timer = time.AfterFunc(time.Hour, e.rest)
	e.watch()
	e.timer.Stop()
	for range 2 { // the second one needs the watch to have begun again
		runtime.GC()
		select {
		case <-heard:
		case <-t.Context().Done():
			t.Fatal("a collection was not heard")
		}
		e.given.Store(0)
	}
}

// While any cut is under way the collector runs by what was made; then as before.
func TestThrift(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(100)
		debug.SetGCPercent(now)
		return now
	}
	before := debug.SetGCPercent(5000)
	defer debug.SetGCPercent(before)
	var th thrift
	first := th.cut()
	second := th.cut()
	first()
	if got := percent(); got < thriftPercent || got > freePercent {
		t.Errorf("with a cut under way: %d, want %d to %d", got, thriftPercent, freePercent)
	}
	th.mu.Lock()
	th.now = 0 // what was set is news to it
	th.mu.Unlock()
	debug.SetGCPercent(2 * freePercent)
	th.collected()
	if got := percent(); got > freePercent {
		t.Errorf("after a collection: %d, want %d at most", got, freePercent)
	}
	second()
	if got := percent(); got != 5000 {
		t.Errorf("after all cuts: %d, want 5000", got)
	}
	th.collected()
	if got := percent(); got != 5000 {
		t.Errorf("after a collection that comes late: %d, want 5000", got)
	}
	for _, asked := range []int{10, -1} {
		debug.SetGCPercent(asked)
		done := th.cut()
		th.collected()
		if got := percent(); got != asked {
			t.Errorf("who asks for %d gets %d", asked, got)
		}
		done()
		if got := percent(); got != asked {
			t.Errorf("who asked for %d has %d afterwards", asked, got)
		}
	}
}

// A heap may grow by so many bytes, a large one by a quarter, an empty one not
// without end.
func TestGrowth(t *testing.T) {
	for live, want := range map[uint64]int{
		0: freePercent, 1 << 20: freePercent, thriftBytes / 2: 200, thriftBytes: 100,
		4 * thriftBytes: thriftPercent, 100 * thriftBytes: thriftPercent,
	} {
		if got := growth(live); got != want {
			t.Errorf("%d bytes live: got %d, want %d", live, got, want)
		}
	}
	if live() == 0 {
		t.Error("nothing lives")
	}
}
