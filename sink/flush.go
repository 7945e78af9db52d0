package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// Flushed says what a flush has brought.
type Flushed struct {
	Topic string `json:"topic"`
	// Rows were committed while the flush waited, dead letters among them.
	Rows    int64           `json:"rows"`
	Offsets map[int32]int64 `json:"offsets"`
}

// flush asks for everything below target to be committed.
type flush struct {
	target offsets // set by the sink at its first look
	tried  bool    // what has failed was tried again since it came
	begun  int64   // rows committed before
	answer chan flushAnswer
}

type flushAnswer struct {
	flushed Flushed
	err     error
}

// Flush commits everything that is in the log now and returns when all formats
// have it. Errors: ErrNoTable, ErrStopped, ctx's, or why the sink cannot go on.
func (m *Manager) Flush(ctx context.Context, topic string) (Flushed, error) {
	for {
		s, err := m.find(ctx, topic)
		if err != nil {
			return Flushed{}, err
		}
		f, err := s.flush(ctx)
		if errors.Is(err, ErrStopped) {
			// Perhaps it is started again with another configuration.
			if err := m.gone(ctx, s); err != nil {
				return Flushed{}, err
			}
			continue
		}
		if err != nil {
			return Flushed{}, fmt.Errorf("flush topic %q: %w", topic, err)
		}
		return f, nil
	}
}

// flush asks the sink's goroutine.
func (s *sink) flush(ctx context.Context) (Flushed, error) {
	f := &flush{begun: s.status.committed(), answer: make(chan flushAnswer, 1)}
	select {
	case s.flushes <- f:
	case <-s.done:
		return Flushed{}, ErrStopped
	case <-ctx.Done():
		return Flushed{}, ctx.Err()
	}
	select {
	case a := <-f.answer:
		return a.flushed, a.err
	case <-s.done:
		return Flushed{}, ErrStopped
	case <-ctx.Done():
		return Flushed{}, ctx.Err()
	}
}

// takeFlushes takes the requests that have come, chores too.
func (s *sink) takeFlushes() {
	for {
		select {
		case f := <-s.flushes:
			s.waiting = append(s.waiting, f)
		case c := <-s.chores:
			s.asks = append(s.asks, c)
		default:
			return
		}
	}
}

// aim sets the target of flushes that have just come: what is stable now.
func (s *sink) aim(ctx context.Context) error {
	for _, f := range s.waiting {
		if f.target != nil {
			continue
		}
		stable, err := s.stable(ctx)
		if err != nil {
			return err
		}
		f.target = stable
	}
	return nil
}

// answerFlushes answers the flushes whose target all formats have reached. Where
// something is wrong it says so, but not before the formats that are well have
// come there, or nothing more can be done for them: nobody is kept waiting for
// retries.
func (s *sink) answerFlushes(ctx context.Context, more bool, err error) {
	if len(s.waiting) == 0 {
		return
	}
	trouble := s.trouble()
	var left []*flush
	for _, f := range s.waiting {
		f.tried = true
		reached, err := s.reached(ctx, f.target), err
		var at map[int32]int64
		if err == nil && reached && trouble == nil {
			at, err = s.confirmed(ctx)
		} else if err == nil && trouble != nil && (reached || !more) {
			err = trouble
		}
		switch {
		case err != nil:
			f.answer <- flushAnswer{err: err}
		case at != nil:
			f.answer <- flushAnswer{flushed: Flushed{Topic: s.topic.Name, Rows: s.status.committed() - f.begun, Offsets: at}}
		default:
			left = append(left, f)
		}
	}
	s.waiting = left
}

// refuseFlushes answers whoever waits and was not answered yet.
func (s *sink) refuseFlushes(err error) {
	for _, f := range s.waiting {
		select {
		case f.answer <- flushAnswer{err: err}:
		default:
		}
	}
	s.waiting = nil
}

// reached reports whether every format that is well has come to target.
func (s *sink) reached(ctx context.Context, target offsets) bool {
	for _, m := range s.members {
		if m.err != nil {
			continue
		}
		if !m.known || s.last(m) != nil {
			return false
		}
		if at, err := s.position(ctx, m); err != nil || at.until(target) > 0 {
			return false
		}
	}
	return true
}

// confirmed asks the tables whether they stand where they are thought to, and
// returns where the first one does; nil if one stands elsewhere.
func (s *sink) confirmed(ctx context.Context) (map[int32]int64, error) {
	first := map[int32]int64{}
	for i, m := range s.members {
		p, err := s.progress(ctx, m.table)
		if err != nil {
			s.fail(m, err, true)
			return nil, m.err
		}
		if !p.Equal(m.at) {
			m.known, m.looked = false, false
			return nil, nil
		}
		if i == 0 {
			maps.Copy(first, p.Offsets)
		}
	}
	return first, nil
}

// trouble is what is wrong with the single formats, nil if nothing is.
func (s *sink) trouble() error {
	var all []error
	for _, m := range s.members {
		if m.err != nil {
			all = append(all, m.err)
		}
	}
	return errors.Join(all...)
}
