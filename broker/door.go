package broker

import (
	"context"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/quota"
)

// MaxConnections bounds the goroutines and buffers of all listeners together
// unless Config says otherwise; Kafka has no limit, a small machine needs one.
const MaxConnections = 20_000

// maxHold bounds how long a connection that came too soon is kept, and how long
// a listener waits for a rate, as in Kafka (quota.window.size.seconds).
const maxHold = time.Second

// door lets connections in: as many as there may be, no faster than they may
// come (KIP-402, KIP-612). Who has to wait is not refused: its listener takes no
// others meanwhile, and they wait in the system's queue.
type door struct {
	pace *quota.Pace

	mu    sync.Mutex
	max   int           // guarded by mu: of all listeners
	open  int           // guarded by mu
	freed chan struct{} // guarded by mu: closed when a place is free; nil if nobody waits
}

// entrance is what the door knows of one listener.
type entrance struct {
	max  int // 0: only the limit of all; guarded by door.mu
	pace *quota.Pace
	open int // guarded by door.mu
}

// enter waits for a place behind a listener and takes it. An error is the
// context's.
func (d *door) enter(ctx context.Context, e *entrance) error {
	now := time.Now()
	if wait := min(max(d.pace.Count(now), e.pace.Count(now)), maxHold); wait > 0 {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
	for {
		freed := d.take(e)
		if freed == nil {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take takes a place, or returns what is closed when there may be one.
func (d *door) take(e *entrance) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open < d.max && (e.max == 0 || e.open < e.max) {
		d.open++
		e.open++
		return nil
	}
	if d.freed == nil {
		d.freed = make(chan struct{})
	}
	return d.freed
}

// leave gives a place back.
func (d *door) leave(e *entrance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	e.open--
	d.wake()
}

// limit changes how many may be in by an entrance, or with nil by all of them.
func (d *door) limit(e *entrance, max int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e == nil {
		d.max = max
	} else {
		e.max = max
	}
	d.wake()
}

// wake lets those who wait look again. mu is held.
func (d *door) wake() {
	if d.freed != nil {
		close(d.freed)
		d.freed = nil
	}
}

// uncount takes back what enter counted, for a connection that was not let in
// after all: others do not wait for it.
func (d *door) uncount(e *entrance) {
	now := time.Now()
	d.pace.Uncount(now)
	e.pace.Uncount(now)
}

// sleep waits for d, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
