package sink

import (
	"cmp"
	"context"
	"time"
)

const (
	// breathAfter is how long a cut decodes before it draws breath: shorter than
	// what producers notice.
	breathAfter = time.Millisecond
	// breathTimes is how many times as long as it worked it rests.
	breathTimes = 2
	// maxBreath bounds the rests of one cut, and breathPart what part of the
	// interval they may take.
	maxBreath  = 50 * time.Millisecond
	breathPart = 16
)

// breath spreads a small cut over some time, so that producers find a processor in
// between: decoded in one go, twenty thousand records keep one of two busy for as
// long as the slowest hundredth of the requests of that second takes. The zero
// value never rests. It is owned by who cuts.
type breath struct {
	left  time.Duration // that it may still rest
	since time.Time     // when it last rested; zero: it has not begun
}

// breath is what the next cut of a lane may rest. One that somebody waits for, or
// that has much to catch up on, has no time for it.
func (s *sink) breath(l *lane) breath {
	n := l.from.until(l.limit)
	if !l.front || len(s.waiting) > 0 || n >= s.topic.CommitRows/2 || n >= s.topic.CommitBytes/cmp.Or(s.recordBytes, guessedRecord)/2 {
		return breath{}
	}
	return breath{left: min(maxBreath, s.interval()/breathPart)}
}

// draw rests if it is time. The error is ctx's.
func (b *breath) draw(ctx context.Context) error {
	switch {
	case b.left <= 0:
		return nil
	case b.since.IsZero():
		b.since = time.Now()
		return nil
	}
	worked := time.Since(b.since)
	if worked < breathAfter {
		return nil
	}
	rest := min(b.left, breathTimes*worked)
	b.left -= rest
	if !pauseFor(ctx, rest) {
		return ctx.Err()
	}
	b.since = time.Now()
	return nil
}
