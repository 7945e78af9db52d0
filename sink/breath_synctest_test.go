package sink

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreath rests after work, and no longer than a cut may.
func TestBreath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(b *breath, d time.Duration) time.Duration {
			t.Helper()
			pauseFor(t.Context(), d)
			began := time.Now()
			if err := b.draw(t.Context()); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		b := &breath{left: 8 * time.Millisecond}
		for i, c := range []struct{ worked, rested time.Duration }{
			{5 * time.Millisecond, 0}, // before its first work
			{breathAfter / 2, 0},
			{breathAfter / 2, 2 * time.Millisecond}, // both halves count
			{breathAfter / 2, 0},
			{2 * time.Millisecond, 5 * time.Millisecond},
			{2 * time.Millisecond, time.Millisecond}, // what is left
			{2 * time.Millisecond, 0},
		} {
			if got := work(b, c.worked); got != c.rested {
				t.Errorf("%d: rested %v after %v, want %v", i, got, c.worked, c.rested)
			}
		}
		if got := work(new(breath), time.Second); got != 0 {
			t.Errorf("in a hurry: rested %v", got)
		}
		b = &breath{left: time.Hour}
		work(b, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		pauseFor(t.Context(), time.Hour)
		if err := b.draw(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped: %v", err)
		}
	})
}

// TestInAHurry says which cuts rest: small ones for which nobody waits.
func TestInAHurry(t *testing.T) {
	to := func(n int64) *lane { return &lane{front: true, from: offsets{0: 10}, limit: offsets{0: 10 + n}} }
	topic := Topic{CommitInterval: time.Second, CommitRows: 1000, CommitBytes: 1 << 20}
	back := to(10)
	back.front = false
	for name, c := range map[string]struct {
		s    *sink
		lane *lane
		want time.Duration
	}{
		"small":          {&sink{topic: topic}, to(10), maxBreath},
		"short interval": {&sink{topic: Topic{CommitInterval: 160 * time.Millisecond, CommitRows: 1000, CommitBytes: 1 << 20}}, to(10), 10 * time.Millisecond},
		"long interval":  {&sink{topic: Topic{CommitInterval: time.Hour, CommitRows: 1000, CommitBytes: 1 << 20}}, to(10), maxBreath},
		"many rows":      {&sink{topic: topic}, to(500), 0},
		"many bytes":     {&sink{topic: topic, recordBytes: 1 << 14}, to(40), 0},
		"catching up":    {&sink{topic: topic}, back, 0},
		"somebody waits": {&sink{topic: topic, waiting: []*flush{{}}}, to(10), 0},
	} {
		if got := c.s.breath(c.lane).left; got != c.want {
			t.Errorf("%s: may rest %v, want %v", name, got, c.want)
		}
	}
}
