package main

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestEbb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		released, total := 0, uint64(1)
		e := &ebb{ctx: ctx, release: func() { released++ }, allocated: func() uint64 { return total }}
		e.timer = time.AfterFunc(0, e.rest)
		want := func(n int, when string) {
			t.Helper()
			synctest.Wait()
			if released != n {
				t.Fatalf("%s: given back %d times, want %d", when, released, n)
			}
		}
		want(1, "at the start")
		for range 20 { // load: the collector runs all the time
			total += worthBytes
			e.timer.Reset(quietFor)
			time.Sleep(quietFor / 2)
		}
		want(1, "under load")
		time.Sleep(quietFor)
		want(2, "after the load")
		e.timer.Reset(quietFor) // the release was a collection itself
		time.Sleep(time.Hour)
		want(2, "idle")
		total += worthBytes - 1
		e.timer.Reset(quietFor)
		time.Sleep(time.Hour)
		want(2, "after next to nothing")
		total++
		e.timer.Reset(quietFor)
		cancel()
		time.Sleep(time.Hour)
		want(2, "after the end")
	})
}

// TestEbbHearsCollections holds the runtime's part: a collection winds the timer.
func TestEbbHearsCollections(t *testing.T) {
	heard := make(chan struct{}, 1)
	e := &ebb{ctx: t.Context(), quiet: time.Millisecond, release: func() { heard <- struct{}{} }, allocated: func() uint64 { return 1 }}
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
