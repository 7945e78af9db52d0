package sink

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// oneAnswer is how long a status waits for one table. A store that is there
	// answers in a fraction of it; one that is not makes its client repeat itself
	// for a minute, and a table waits for its own lock meanwhile.
	oneAnswer = 5 * time.Second
	// allAnswers bounds what one status, of one topic or all, waits in vain.
	allAnswers = 10 * time.Second
	// quickFailure is what a failure may take without being taken for waiting.
	quickFailure = time.Second
	// maxAsked is how many questions to a topic's tables may be unanswered: each
	// keeps a goroutine until the table answers.
	maxAsked = 8
)

// errNoAnswer says that a table does not answer.
var errNoAnswer = errors.New("the table does not answer")

// patience is how long somebody who asks for a status still waits for tables that
// do not answer. It is owned by who asks.
type patience struct{ left time.Duration }

// ask calls f in a goroutine of its own, which ends with f: at the latest when the
// table lets go of its lock, since f's context is over then. asked counts those of
// one topic that have not ended. The error is errNoAnswer where f takes too long,
// or patience is gone; what f has found must be taken only without an error.
func (p *patience) ask(ctx context.Context, asked *atomic.Int32, f func(context.Context) error) error {
	if p.left <= 0 || asked.Load() >= maxAsked {
		return errNoAnswer
	}
	ctx, cancel := context.WithTimeout(ctx, min(oneAnswer, p.left))
	defer cancel()
	began, done := time.Now(), make(chan error, 1)
	asked.Add(1)
	go func() {
		defer asked.Add(-1)
		done <- f(ctx)
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errNoAnswer
	}
	if took := time.Since(began); err != nil && took > quickFailure {
		p.left -= took
	}
	return err
}
