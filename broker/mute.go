package broker

import (
	"context"
	"time"
)

// mute lets nothing be read for d from now on: the client has used more than
// its quotas allow, and its answer says so (KIP-219).
func (c *connection) mute(d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d).UnixNano()
	for old := c.mutedUntil.Load(); old < until; old = c.mutedUntil.Load() {
		if c.mutedUntil.CompareAndSwap(old, until) {
			return
		}
	}
}

// muted waits while the connection is mute.
func (c *connection) muted(ctx context.Context) error {
	for {
		d := time.Until(time.Unix(0, c.mutedUntil.Load()))
		if d <= 0 {
			return nil
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
