package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/upsert"
)

// sink copies one topic into its tables. One goroutine, run, does everything;
// fields below members are its own.
type sink struct {
	topic       Topic
	logs        *commitlog.Logs
	registry    *registry.Registry
	formats     map[string]tables.Format
	store       blob.Store
	items       tables.Items
	incarnation string
	fault       func(topic, format string, made bool) error // nil outside of tests
	tracer      *trace.Tracer                               // nil: nobody traces
	namespace   string
	lg          *slog.Logger
	now         func() time.Time
	encode      encoder

	cuts       chan struct{} // a place for each cut that may be under way, of all sinks
	cutting    func() func() // called around each
	flushes    chan *flush   // requests
	chores     chan *chore   // requests
	status     *statusBoard  // what others may see
	done       chan struct{} // closed when run has ended
	needs      needs         // what retention may ask
	opened     openTables    // what others may read
	unanswered atomic.Int32  // questions to tables that are not answered yet
	upkeep     *upkeep       // what the keeper knows
	gauge      *gauge        // how far and how fresh the tables are
	drafted    fileSet       // files of the draft

	noteCommit func()         // tells the keeper
	budget     *upsert.Budget // of all tables' keys

	members  []*member
	panicked string // the last panic that was logged; empty: none

	// What is stored, as of the last load; load reads it again when loaded is
	// false.
	loaded         bool
	schema         *tables.Schema // of the newest entry; nil until one is stored
	schemaVersion  int64          // of its item; 0: not stored
	head           head
	headVersion    int64
	pending        []*entry
	left           []*leftover
	trimmed        trimmed
	trimmedVersion int64 // of its item; 0: not stored

	draft     *entry // whose storing had an unknown outcome; nil mostly
	draftHead int64  // headVersion when it was cut

	redrives map[string]*redriving // by format
	rebuilds map[string]*rebuilding

	waiting     []*flush  // flushes not answered yet
	asks        []*chore  // chores not done yet
	behindSince time.Time // when the backlog was first seen; zero: none
	failed      bool      // the last cut was not made
	recordBytes int64     // mean size of a record in the last cut
	rowBytes    float64   // mean size of a row in the last data file; 0: not known
	most        int64     // rows of a cut, below what the topic says; 0: as it says
	barren      struct {  // from here to there the log holds no rows
		from, to offsets
	}
	sought  offsets // below these no value names a schema, see firstColumns
	turn    int     // counts cuts, for lanes to take turns
	wide    int     // how often the interval is doubled, see interval
	waiter  *commitlog.Waiter
	watched map[int32]*commitlog.Log
}

// run goes on until ctx ends. Errors are shown in the status and tried again.
func (s *sink) run(ctx context.Context) {
	defer close(s.done)
	defer s.refuseFlushes(ErrStopped)
	s.waiter, s.watched = commitlog.NewWaiter(), map[int32]*commitlog.Log{}
	defer s.unwatch()
	defer s.forgetKeys()
	retry := firstRetry
	for ctx.Err() == nil {
		registered := s.registry.Changed()
		more, err := s.pass(ctx)
		if ctx.Err() != nil {
			return
		}
		var defect *panicError
		if errors.As(err, &defect) {
			retry = lastRetry // what is broken stays so
		}
		switch {
		case err != nil:
			s.wait(ctx, registered, retry, err)
			retry = min(2*retry, lastRetry)
		case more:
			retry = firstRetry
			s.takeFlushes()
		default:
			retry = firstRetry
			s.wait(ctx, registered, s.pause(), nil)
		}
	}
}

// pass is one step, what is shown of it, and what others asked for. A panic ends
// it, and whoever waits for it is told.
func (s *sink) pass(ctx context.Context) (more bool, err error) {
	err = s.guard(func() (err error) {
		more, err = s.step(s.heeding(ctx, s.topic.Formats...))
		return err
	})
	if ctx.Err() != nil {
		return false, err
	}
	after := s.guard(func() error {
		s.noteStandings(ctx, s.report(err))
		s.noteNeeds(ctx)
		s.status.look(s.schema)
		s.judgeNewest()
		s.drafted.set(s.draft)
		s.answerFlushes(ctx, more, err)
		if len(s.asks) > 0 {
			s.doChores(ctx, err)
			more = true // what they have changed is looked at
		}
		return nil
	})
	if after != nil {
		s.report(after)
		s.refuseFlushes(after)
		return false, after
	}
	return more, err
}

// watch has the waiter woken when any partition advances.
func (s *sink) watch(ctx context.Context) error {
	for p := range s.topic.Partitions {
		if s.watched[p] != nil {
			continue
		}
		log, err := s.log(ctx, p)
		if err != nil {
			return fmt.Errorf("open log of partition %d: %w", p, err)
		}
		log.Watch(s.waiter)
		s.watched[p] = log
	}
	return nil
}

func (s *sink) unwatch() {
	for _, log := range s.watched {
		log.Unwatch(s.waiter)
	}
}

// wait sleeps until there may be something to do; a negative pause means until
// something happens. While a backlog or a retry waits for its time appends do
// not wake the sink: only its size is looked at now and then. A sink without
// schema waits for one and for nothing else; where records name it, for those.
func (s *sink) wait(ctx context.Context, registered <-chan struct{}, pause time.Duration, err error) {
	appended := s.waiter.C
	switch {
	case errors.Is(err, errNoSchema):
		appended, pause = nil, -1
	case errors.Is(err, errNoRecord):
		pause = -1
	}
	var timer <-chan time.Time
	if pause >= 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		timer, appended = t.C, nil
	}
	if s.schema != nil {
		registered = nil // a new version matters when a record uses it
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-appended:
	case <-registered:
	case f := <-s.flushes:
		s.waiting = append(s.waiting, f)
	case c := <-s.chores:
		s.asks = append(s.asks, c)
	}
	s.takeFlushes()
}

// pause is how long the sink may sleep: negative for until something happens.
func (s *sink) pause() time.Duration {
	pause := time.Duration(-1)
	sooner := func(d time.Duration) {
		if d = max(0, d); pause < 0 || d < pause {
			pause = d
		}
	}
	if !s.behindSince.IsZero() {
		sooner(min(checkEvery, s.behindSince.Add(s.interval()).Sub(s.now())))
	}
	for _, m := range s.members {
		if m.err != nil {
			sooner(max(firstRetry, m.until.Sub(s.now())))
		}
	}
	if len(s.waiting) > 0 {
		sooner(checkEvery)
	}
	return pause
}

// step does what there is to do now: open tables, finish what is pending, and
// make one cut if one is due. more says that there may be another. The error is
// one that keeps the whole sink from going on; those of single formats stay
// with their members.
func (s *sink) step(ctx context.Context) (more bool, err error) {
	if err := s.watch(ctx); err != nil {
		return false, err
	}
	if err := s.aim(ctx); err != nil {
		return false, err
	}
	if !s.loaded {
		if err := s.load(ctx); err != nil {
			return false, err
		}
	}
	if err := s.settleDraft(ctx); err != nil {
		return false, err
	}
	if err := s.settleSchema(ctx); err != nil {
		return false, err
	}
	if err := s.checkKey(); err != nil {
		return false, err
	}
	s.openTables(ctx)
	if err := s.finishRedrives(ctx); err != nil {
		return false, err
	}
	if err := s.finishRebuilds(ctx); err != nil {
		return false, err
	}
	if err := s.finish(ctx); err != nil {
		return false, err
	}
	if err := s.judge(ctx); err != nil {
		return false, err
	}
	s.refresh(ctx)
	if err := s.trim(ctx); err != nil {
		return false, err
	}
	s.refresh(ctx) // trimming reads what is stored anew
	return s.cutNext(ctx)
}
