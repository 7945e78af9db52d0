package sink

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tarn-io/tarn/tables/upsert"
)

// panicError is a defect of ours, met while one topic's tables were worked on: it
// stalls them, and nothing else of the process.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard runs do, and makes a panic in it an error. What the sink remembers is not
// trusted after one: it begins again from what is stored, as the next process
// would after a crash. So a panic at any point is one of the crashes that the
// matrix in README.md has.
func (s *sink) guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
			s.complain(err, debug.Stack())
			s.amnesia()
		}
	}()
	return do()
}

// complain logs a panic with its stack, once while the same one is repeated.
func (s *sink) complain(err error, stack []byte) {
	if text := err.Error(); text != s.panicked {
		s.panicked = text
		s.lg.Error("panic while a topic's tables were worked on: they are stalled, everything else goes on", "error", err, "stack", string(stack))
	}
	for _, m := range s.members {
		s.gauge.failed(m.name, errorInfo(s.now(), err))
	}
}

// amnesia forgets what was read of the store and of the tables, and the tables
// themselves: locks in them may still be held.
func (s *sink) amnesia() {
	s.forgetKeys()
	s.opened.clear()
	s.loaded, s.draft = false, nil
	s.pending, s.left, s.redrives, s.rebuilds = nil, nil, nil, nil
	s.barren.from, s.barren.to = nil, nil
	s.most = 0
	for _, m := range s.members {
		*m = member{name: m.name, format: m.format, index: upsert.NewIndex(s.budget)}
	}
}

// keepSafely is keepOne, where a panic counts as a round that failed.
func (m *Manager) keepSafely(ctx context.Context, s *sink) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		err := &panicError{v}
		s.lg.Error("panic in the maintenance of a topic's tables; it is tried again", "error", err, "stack", string(debug.Stack()))
		for _, format := range s.topic.Formats {
			s.upkeep.add(format, Kept{AtMs: time.Now().UnixMilli(), Rounds: 1, Failed: 1, Error: err.Error()})
		}
		s.upkeep.later(time.Now().Add(keepRetry))
	}()
	m.keepOne(ctx, s)
}
