package sink

import (
	"context"
	"errors"
	"fmt"
)

// chore is something that only the sink's goroutine may do, between two of its
// own steps: when everything stored is read and the tables are open.
type chore struct {
	do     func(ctx context.Context) error
	answer chan error
}

// errBusy says that a chore cannot be done now: commits are pending, or a table
// is not well.
var errBusy = errors.New("commits are pending")

// ask has the sink's goroutine do something, and returns what came of it.
// Errors: ErrStopped, ctx's, or that of do, or why the sink cannot go on.
func (s *sink) ask(ctx context.Context, do func(ctx context.Context) error) error {
	c := &chore{do: do, answer: make(chan error, 1)}
	select {
	case s.chores <- c:
	case <-s.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.answer:
		return err
	case <-s.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// doChores does what was asked for, after a step that went as err says.
func (s *sink) doChores(ctx context.Context, err error) {
	for _, c := range s.asks {
		if err != nil {
			c.answer <- err
			continue
		}
		err := s.guard(func() error { return c.do(ctx) })
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrStopped, err)
		}
		c.answer <- err
	}
	s.asks = nil
}
