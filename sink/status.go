package sink

import (
	"context"
	"errors"
	"sync"

	"github.com/tarn-io/tarn/tables"
)

// State says what a sink is doing, in a word that scripts may rely on.
type State string

// States. All but Running say in Status.Message what is wrong and what to do.
const (
	Running          State = "running"
	WaitingForSchema State = "waiting_for_schema"
	// LogReplaced: the table was written from another log, one restored from a
	// backup or a topic made again under the old name.
	LogReplaced State = "log_replaced"
	// TableAhead: the table holds offsets that the log does not have.
	TableAhead State = "table_ahead"
	// RolledBack: somebody set the table back to an earlier state.
	RolledBack State = "rolled_back"
	// Diverged: the table stands where no commit of ours leads on from.
	Diverged State = "diverged"
	// Stalled: the last attempt failed; it is repeated.
	Stalled State = "stalled"
)

// advice says for each state what resumes it.
var advice = map[State]string{
	LogReplaced: "to go on with this log, move the old table away (drop it in the catalog, or move its folder), and restart; or set tarn.table.name to another table",
	TableAhead:  "the log is older than the table: restore a newer log, or move the table away and restart",
	RolledBack:  "roll the table forward again, or move it away and restart to write it anew from the log",
	Diverged:    "another writer may be at work on this table: stop it, and restart",
}

// Status is what a person wants to know of a topic's tables.
type Status struct {
	Topic   string `json:"topic"`
	Table   string `json:"table"`
	State   State  `json:"state"`
	Message string `json:"message,omitempty"`
	// Behind is how many offsets the tables are behind the log.
	Behind  int64          `json:"behind"`
	Formats []FormatStatus `json:"formats"`
}

// FormatStatus is one format's table.
type FormatStatus struct {
	tables.Status
	Offsets     map[int32]int64 `json:"offsets"`
	DeadLetters int64           `json:"dead_letters"`
}

// Flushed says what a flush has brought.
type Flushed struct {
	Topic string `json:"topic"`
	// Rows were committed while the flush waited, dead letters among them.
	Rows    int64           `json:"rows"`
	Offsets map[int32]int64 `json:"offsets"`
}

// statusBoard is the part of a sink that others read.
type statusBoard struct {
	mu      sync.Mutex
	state   State
	message string
	behind  int64
	rows    int64 // committed by this process, dead letters among them
}

func (b *statusBoard) set(state State, message string) (changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	changed = b.state != state || b.message != message
	b.state, b.message = state, message
	return changed
}

func (b *statusBoard) setBehind(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.behind = n
}

func (b *statusBoard) addRows(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows += n
}

func (b *statusBoard) get() (state State, message string, behind, rows int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.message, b.behind, b.rows
}

// report shows how the last step went.
func (s *sink) report(ctx context.Context, err error) {
	state, message := Running, ""
	if err != nil {
		state, message = Stalled, err.Error()
		var stop *stopError
		if errors.As(err, &stop) {
			state = stop.state
			if a := advice[state]; a != "" {
				message += "; " + a
			}
		}
	}
	if s.status.set(state, message) && err != nil {
		level := s.lg.Error
		if state == WaitingForSchema {
			level = s.lg.Info
		}
		level("sink does not go on", "state", state, "reason", message)
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

// answerFlushes answers the flushes whose target all formats have reached, or
// all of them if the step failed.
func (s *sink) answerFlushes(ctx context.Context, err error) {
	var left []*flush
	for _, f := range s.waiting {
		if err != nil {
			f.answer <- flushAnswer{err: err}
			continue
		}
		reached, at, err := s.reached(ctx, f.target)
		switch {
		case err != nil:
			f.answer <- flushAnswer{err: err}
		case reached:
			_, _, _, rows := s.status.get()
			f.answer <- flushAnswer{flushed: Flushed{Topic: s.topic.Name, Rows: rows - f.begun, Offsets: at}}
		default:
			left = append(left, f)
		}
	}
	s.waiting = left
	if len(left) > 0 && s.behindSince.IsZero() {
		s.behindSince = s.now().Add(-s.topic.CommitInterval) // go on at once
	}
}

func (s *sink) refuseFlushes(err error) {
	for _, f := range s.waiting {
		f.answer <- flushAnswer{err: err}
	}
	s.waiting = nil
}

// reached reports whether every format's table has come to target.
func (s *sink) reached(ctx context.Context, target offsets) (bool, map[int32]int64, error) {
	var at map[int32]int64
	for _, t := range s.tables {
		p, err := s.progress(ctx, t)
		if err != nil {
			return false, nil, err
		}
		at = p.Offsets
		for part, off := range target {
			log, err := s.log(ctx, part)
			if err != nil {
				return false, nil, err
			}
			if have, ok := p.Offsets[part]; !ok && off > log.Start() || ok && have < off {
				return false, nil, nil
			}
		}
	}
	return true, at, nil
}
