package sink

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/maintenance"
)

// Rhythm of the keeper.
const (
	// defaultKeepEvery is how long a table's commits gather before the keeper
	// looks at it.
	defaultKeepEvery = 30 * time.Second
	// keepAgain is when it looks once more after it has done something, though no
	// commit came: what it has replaced may be forgotten then.
	keepAgain = 15 * time.Minute
	// expireEvery and sweepEvery are how often old states, and files that nothing
	// names, are looked for.
	expireEvery = 10 * time.Minute
	sweepEvery  = time.Hour
	// idleShare, idleLeast and idleMost say how often a table without commits is
	// looked at while something of it may still become old enough to go: each
	// fourth of the shorter of its two times, within these bounds.
	idleShare = 4
	idleLeast = expireEvery
	idleMost  = 6 * time.Hour
	// keepRetry is the pause after a round that failed.
	keepRetry = 5 * time.Minute
	// maxMerges bounds the rewrites of one table in a round, so that a table with
	// years of small files does not hold up the others.
	maxMerges = 100
	// maxRest bounds the pause after a rewrite.
	maxRest = time.Minute
)

// Kept says what maintenance has done to a format's tables, dead letters among
// them.
type Kept struct {
	AtMs int64 `json:"at_ms"` // end of the last round, Unix ms; 0: none yet
	// Rounds were looks at the table, of which Failed went wrong.
	Rounds int `json:"rounds"`
	Failed int `json:"failed"`
	// Merged files became Made; since this process began.
	Merged  int   `json:"merged"`
	Made    int   `json:"made"`
	Bytes   int64 `json:"bytes"` // read in merging
	Expired int   `json:"expired"`
	Removed int   `json:"removed"` // files deleted
	// Dropped rows were past tarn.table.retention.ms.
	Dropped int64  `json:"dropped"`
	Error   string `json:"error,omitempty"` // of the last round
}

// upkeep is what the keeper knows of one sink's tables.
type upkeep struct {
	// working holds the place of the one who maintains the tables, or reads all
	// of them to verify.
	working chan struct{}

	mu      sync.Mutex
	kept    map[string]Kept      // guarded by mu, by format
	files   map[string]fileCount // guarded by mu, by format
	commits int                  // guarded by mu: since the last round began
	due     time.Time            // guarded by mu; zero: nothing to do
	latest  time.Time            // guarded by mu: the last commit, or the start
	expired time.Time            // guarded by mu: the last look for old states
	swept   time.Time            // guarded by mu

	newest map[string]int64 // newest row of files by key, Unix ms; owned by working
}

func newUpkeep(due time.Time) *upkeep {
	return &upkeep{working: make(chan struct{}, 1), kept: map[string]Kept{}, files: map[string]fileCount{}, newest: map[string]int64{}, due: due, latest: time.Now()}
}

// enter takes the place; leave gives it back.
func (u *upkeep) enter(ctx context.Context) error {
	select {
	case u.working <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *upkeep) leave() { <-u.working }

// note counts a commit, and reports whether it is the first since the last
// round: then the keeper has to learn of it.
func (u *upkeep) note(due time.Time) (first bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.commits++
	u.latest = time.Now()
	if !u.due.IsZero() && !u.due.After(due) {
		return false
	}
	u.due = due
	return true
}

func (u *upkeep) dueAt() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.due
}

// idle asks for another round of a table to which nothing may come any more: its
// old states, replaced files and orphans go when their time has come, and not
// only with the next commit. When all of them must be gone it ends.
func (u *upkeep) idle(t Topic, now time.Time) {
	u.mu.Lock()
	last := u.latest
	u.mu.Unlock()
	every := min(max(min(t.History, t.OrphanAge)/idleShare, idleLeast), idleMost)
	if now.Sub(last) < t.History+t.OrphanAge+2*every {
		u.later(now.Add(every))
	}
}

// begin starts a round.
func (u *upkeep) begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.commits, u.due = 0, time.Time{}
}

// later asks for another round by then at the latest.
func (u *upkeep) later(at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.due.IsZero() || at.Before(u.due) {
		u.due = at
	}
}

// every reports whether it is time for what is done each d, and notes it.
func (u *upkeep) every(last *time.Time, d time.Duration, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !last.IsZero() && now.Sub(*last) < d {
		return false
	}
	*last = now
	return true
}

func (u *upkeep) add(format string, more Kept) {
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.kept[format]
	k.AtMs, k.Error = more.AtMs, more.Error
	k.Rounds, k.Failed = k.Rounds+more.Rounds, k.Failed+more.Failed
	k.Merged, k.Made, k.Bytes = k.Merged+more.Merged, k.Made+more.Made, k.Bytes+more.Bytes
	k.Expired, k.Removed, k.Dropped = k.Expired+more.Expired, k.Removed+more.Removed, k.Dropped+more.Dropped
	u.kept[format] = k
}

func (u *upkeep) get(format string) Kept {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.kept[format]
}

// fileCount is what files a table had at the last look.
type fileCount struct {
	count, bytes int64
	looked       bool
}

// saw notes the files of a format's table.
func (u *upkeep) saw(format string, live []tables.LiveFile) {
	c := fileCount{count: int64(len(live)), looked: true}
	for i := range live {
		c.bytes += live[i].Size
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.files[format] = c
}

func (u *upkeep) filesOf(format string) fileCount {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.files[format]
}

// nudge wakes the keeper.
func (m *Manager) nudge() {
	select {
	case m.nudged <- struct{}{}:
	default:
	}
}

// keep maintains the tables of all topics, one at a time, some time after they
// got commits, until ctx ends. It sleeps while nothing is due.
func (m *Manager) keep(ctx context.Context) {
	for ctx.Err() == nil {
		s, at := m.nextDue()
		wait := time.Duration(-1)
		if s != nil {
			if wait = time.Until(at); wait <= 0 {
				m.keepSafely(ctx, s)
				continue
			}
		}
		m.rest(ctx, wait)
	}
}

// rest sleeps until a sink nudges, or for d if that is not negative.
func (m *Manager) rest(ctx context.Context, d time.Duration) {
	var timer <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-timer:
	case <-m.nudged:
	}
}

// nextDue is the sink whose tables are to be looked at first.
func (m *Manager) nextDue() (s *sink, at time.Time) {
	m.mu.Lock()
	all := slices.Collect(maps.Values(m.sinks))
	m.mu.Unlock()
	for _, r := range all {
		if due := r.upkeep.dueAt(); !due.IsZero() && (s == nil || due.Before(at)) {
			s, at = r.sink, due
		}
	}
	return s, at
}

// keepOne is one round of one topic.
func (m *Manager) keepOne(ctx context.Context, s *sink) {
	u := s.upkeep
	u.begin()
	select {
	case u.working <- struct{}{}:
	default:
		// Somebody verifies, or maintains by hand: other topics do not wait.
		u.later(time.Now().Add(m.cfg.KeepEvery))
		return
	}
	defer u.leave()
	now := time.Now()
	r := round{s: s, opened: true, rest: true,
		expire: u.every(&u.expired, expireEvery, now), sweep: u.every(&u.swept, sweepEvery, now)}
	did, err := r.run(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		u.later(time.Now().Add(keepRetry))
	case did:
		u.later(time.Now().Add(keepAgain))
	default:
		u.idle(s.topic, time.Now())
	}
	if s.topic.Retention > 0 {
		u.later(time.Now().Add(max(time.Minute, s.topic.Retention/20)))
	}
}

// Compact merges all small files of a topic's tables now, in plain Parquet too.
// Errors: ErrNoTable, ErrStopped, or what went wrong.
func (m *Manager) Compact(ctx context.Context, topic string) (map[string]Kept, error) {
	return m.demand(ctx, topic, round{whole: true})
}

// Expire forgets the states of a topic's tables that need not stay, now, and
// removes files that nothing names.
func (m *Manager) Expire(ctx context.Context, topic string) (map[string]Kept, error) {
	return m.demand(ctx, topic, round{expire: true, sweep: true, noMerge: true})
}

// WouldCompact is what Compact would do now; groups of files that it would merge again
// when they are merged are counted once.
func (m *Manager) WouldCompact(ctx context.Context, topic string) (map[string]Kept, error) {
	return m.demand(ctx, topic, round{whole: true, dry: true})
}

// WouldExpire is what Expire would do now.
func (m *Manager) WouldExpire(ctx context.Context, topic string) (map[string]Kept, error) {
	return m.demand(ctx, topic, round{expire: true, sweep: true, noMerge: true, dry: true})
}

// demand runs a round that somebody asks for, and says what it did.
func (m *Manager) demand(ctx context.Context, topic string, r round) (map[string]Kept, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return nil, err
	}
	if err := s.upkeep.enter(ctx); err != nil {
		return nil, err
	}
	defer s.upkeep.leave()
	r.s, r.did = s, map[string]Kept{}
	if _, err := r.run(ctx); err != nil {
		return nil, fmt.Errorf("maintain tables of topic %q: %w", topic, err)
	}
	return r.did, nil
}

// TableFiles are the files of one table.
type TableFiles struct {
	Format string            `json:"format"`
	Table  string            `json:"table"`
	Files  []tables.LiveFile `json:"files"`
	// Bound is how many small files compaction leaves.
	Bound int `json:"bound"`
}

// Files lists the data files of a topic's tables.
func (m *Manager) Files(ctx context.Context, topic string) ([]TableFiles, error) {
	out := []TableFiles{}
	err := m.each(ctx, topic, func(s *sink, format, name string, t tables.Maintainer) error {
		files, err := t.Live(ctx)
		out = append(out, TableFiles{format, name, append([]tables.LiveFile{}, files...), maintenance.MaxFiles(s.topic.CompactBytes)})
		return err
	})
	return out, err
}

// TableHistory are the states of one table.
type TableHistory struct {
	Format   string           `json:"format"`
	Table    string           `json:"table"`
	Versions []tables.Version `json:"versions"`
}

// History lists the states of a topic's tables, the newest first.
func (m *Manager) History(ctx context.Context, topic string) ([]TableHistory, error) {
	out := []TableHistory{}
	err := m.each(ctx, topic, func(_ *sink, format, name string, t tables.Maintainer) error {
		versions, err := t.History(ctx)
		out = append(out, TableHistory{format, name, append([]tables.Version{}, versions...)}) // a list as JSON, too, where there is none
		return err
	})
	return out, err
}

// each visits a topic's tables, dead letters among them.
func (m *Manager) each(ctx context.Context, topic string, visit func(s *sink, format, name string, t tables.Maintainer) error) error {
	s, err := m.find(ctx, topic)
	if err != nil {
		return err
	}
	for _, format := range s.topic.Formats {
		for _, name := range []string{s.topic.Table, s.topic.Table + deadSuffix} {
			t, err := s.maintained(ctx, format, name, false)
			if err != nil {
				return err
			}
			if t == nil {
				continue
			}
			if err := visit(s, format, name, t); err != nil {
				return fmt.Errorf("%s table %s: %w", format, name, err)
			}
		}
	}
	return nil
}

// maintained returns a table for its upkeep, nil if it is not there or its
// format knows none. With opened, only tables that the sink has opened count.
func (s *sink) maintained(ctx context.Context, format, name string, opened bool) (tables.Maintainer, error) {
	t := s.opened.get(format, name)
	if t == nil && !opened {
		var err error
		if t, err = s.reopen(ctx, format, name); err != nil {
			if isAbsent(err) {
				return nil, nil
			}
			return nil, err
		}
	}
	m, _ := t.(tables.Maintainer)
	return m, nil
}
