package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// quietFor is how long the collector must have rested for a burst to count
	// as over: under load it runs several times a second.
	quietFor = 2 * time.Second
	// worthBytes is how much must have been allocated since memory was given
	// back last: less is not worth a collection.
	worthBytes = 4 << 20
	// thriftBytes is how much the heap may grow before the collector runs while
	// tables' files are made. Going through what lives takes the same time however
	// much was left since: a small heap that is gone through at every few megabytes
	// takes a sixth of the time that files take.
	thriftBytes = 48 << 20
	// thriftPercent is how much of what lives it may grow at least, where that is
	// more. What lives then is columns mostly, which hold no pointers, so that a
	// collection has little to do.
	thriftPercent = 25
	// freePercent bounds how far a heap that is nearly empty may grow.
	freePercent = 800
)

// ebb gives memory back after a burst. The runtime collects when the heap has
// grown by as much as lives on it, or every two minutes: a broker that falls
// idle keeps the garbage of its last second, and returns pages slowly. Nothing
// runs while nothing happens: the end of each collection winds a timer, and
// when that runs down no other has come for quietFor.
type ebb struct {
	ctx       context.Context // ends it
	quiet     time.Duration
	timer     *time.Timer
	release   func()        // collects, and returns pages to the system
	drop      func()        // takes the program's own file out of the process
	allocated func() uint64 // bytes allocated since the program began
	given     atomic.Uint64 // allocated, when memory was given back last
}

// startEbb gives back what the start has left (libraries' tables, the replay of
// topics and schemas), and from then on what bursts leave, until ctx ends.
func startEbb(ctx context.Context) {
	e := &ebb{ctx: ctx, quiet: quietFor, release: debug.FreeOSMemory, drop: dropMapped, allocated: allocated}
	e.timer = time.AfterFunc(0, e.rest)
	e.watch()
}

// watch has collected called after the next collection.
func (e *ebb) watch() {
	type sentinel struct{ _ [64]byte }
	runtime.AddCleanup(new(sentinel), (*ebb).collected, e)
}

func (e *ebb) collected() {
	if e.ctx.Err() != nil {
		return
	}
	e.timer.Reset(e.quiet)
	e.watch()
}

// rest gives back what the last burst has left. The program's pages go each time,
// which costs next to nothing: a release is a collection, and so has rest called once
// more when its own work, and what came meanwhile (after the start, the first look at
// all tables), has brought pages in again.
func (e *ebb) rest() {
	if e.ctx.Err() != nil {
		return
	}
	now := e.allocated()
	if given := e.given.Load(); given == 0 || now-given >= worthBytes {
		e.given.Store(max(1, now))
		e.release()
	}
	e.drop()
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// thrift has the collector run by how many bytes were made, and not by how many
// live, while the sink makes files: the memory that a cut of the log takes is bounded,
// what the collector leaves on top is not, if it may be as much again. The zero value
// is ready to use; one at a time in a process, since the collector is one. Safe for
// concurrent use.
type thrift struct {
	mu     sync.Mutex
	cuts   int  // under way; guarded by mu
	before int  // the percentage without any; guarded by mu
	now    int  // the percentage set; guarded by mu
	hears  bool // of the next collection; guarded by mu
}

// cut begins a cut, and returns what ends it.
func (t *thrift) cut() (done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cuts++; t.cuts == 1 {
		t.now = thriftPercent
		t.before = debug.SetGCPercent(t.now)
		if t.before < thriftPercent { // who started us wants it so, or no collector
			debug.SetGCPercent(t.before)
		} else {
			t.adjust()
			t.watch()
		}
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.cuts--; t.cuts == 0 {
			debug.SetGCPercent(t.before)
		}
	}
}

// watch has collected called after the next collection. The caller holds mu.
func (t *thrift) watch() {
	type sentinel struct{ _ [64]byte }
	if !t.hears {
		t.hears = true
		runtime.AddCleanup(new(sentinel), (*thrift).collected, t)
	}
}

// collected looks at what lives now, as long as a cut is under way.
func (t *thrift) collected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hears = false
	if t.cuts > 0 && t.before >= thriftPercent {
		t.adjust()
		t.watch()
	}
}

// adjust sets the percentage by what lives. The caller holds mu.
func (t *thrift) adjust() {
	if next := growth(live()); next != t.now {
		t.now = next
		debug.SetGCPercent(next)
	}
}

// growth is the percentage for so many bytes that live.
func growth(live uint64) int {
	return int(min(max(thriftBytes*100/max(live, 1), thriftPercent), freePercent))
}

// live is how many bytes the last collection left.
func live() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
