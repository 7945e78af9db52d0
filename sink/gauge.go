package sink

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/meter"
)

// Limits of gauge.
const (
	// maxMarks bounds the moments remembered to tell how fresh the tables are;
	// beyond it every other one is forgotten.
	maxMarks = 64
	// markEvery is the least time between two of them.
	markEvery = 250 * time.Millisecond
)

// standing is how far one format is.
type standing struct {
	// visible: below it every record that is to be in the table is there.
	visible offsets
	// drawn: below it every record is in the table, or in files that wait for
	// their commit.
	drawn offsets
}

// CommitInfo is one commit of a format's table.
type CommitInfo struct {
	AtMs int64 `json:"at_ms"` // Unix ms
	// TookMs is how long the table took, in ms.
	TookMs      int64 `json:"took_ms"`
	Rows        int64 `json:"rows"`
	DeadLetters int64 `json:"dead_letters"`
}

// ErrorInfo is the last thing that went wrong with a format's table, also when
// it is well again.
type ErrorInfo struct {
	AtMs    int64  `json:"at_ms"` // Unix ms
	Message string `json:"message"`
	// Fix says what a person can do.
	Fix string `json:"fix"`
}

// Tally counts what one format has done since its sink began: with the process,
// or with the last change of the topic's configuration.
type Tally struct {
	Commits, Failures int64
	Rows, DeadLetters int64
	CommitTime        time.Duration // of all commits
}

// gauge is what others may know of a sink's work without asking its tables. Its
// methods may be called concurrently.
type gauge struct {
	mu       sync.Mutex
	at       map[string]standing // guarded by mu; replaced, never changed
	moved    chan struct{}       // guarded by mu: closed and replaced when at or state change
	state    State               // guarded by mu
	marks    []mark              // guarded by mu: what is not visible yet, oldest first
	current  bool                // guarded by mu: all that was in the log at the last look is visible
	fresh    time.Time           // guarded by mu: all that was in the log then is visible; zero: not known
	since    time.Time           // guarded by mu: when the backlog was first seen; zero: none
	interval time.Duration       // guarded by mu: in force, see rhythm
	size     int64               // guarded by mu: mean bytes of a record, 0: none was seen
	// commits, errors, tallies and took are by format, guarded by mu.
	commits map[string]CommitInfo
	errors  map[string]ErrorInfo
	tallies map[string]Tally
	took    map[string]*meter.Histogram
	// rebuilds are those under way; guarded by mu, replaced, never changed.
	rebuilds map[string]RebuildInfo
}

// mark says what was in the log at a time.
type mark struct {
	at     time.Time
	stable offsets
}

func newGauge(interval time.Duration) *gauge {
	return &gauge{
		moved: make(chan struct{}), state: Running, interval: interval,
		commits: map[string]CommitInfo{}, errors: map[string]ErrorInfo{}, tallies: map[string]Tally{}, took: map[string]*meter.Histogram{},
	}
}

// set takes in where all formats are after a step.
func (g *gauge) set(now time.Time, state State, at map[string]standing, stable offsets) {
	g.mu.Lock()
	defer g.mu.Unlock()
	same := state == g.state && maps.EqualFunc(at, g.at, func(a, b standing) bool {
		return maps.Equal(a.visible, b.visible) && maps.Equal(a.drawn, b.drawn)
	})
	g.at, g.state = at, state
	if !same {
		close(g.moved)
		g.moved = make(chan struct{})
	}
	g.mark(now, stable)
}

// mark notes what the log holds now, and how fresh the tables are. It is called
// with mu held.
func (g *gauge) mark(now time.Time, stable offsets) {
	seen := g.least()
	if seen == nil || stable == nil {
		return
	}
	for len(g.marks) > 0 && seen.until(g.marks[0].stable) == 0 {
		g.fresh, g.marks = g.marks[0].at, g.marks[1:]
	}
	if seen.until(stable) == 0 {
		g.current, g.fresh, g.marks = true, now, nil
		return
	}
	if g.current { // what is not visible has just come
		g.current, g.fresh = false, now
	}
	if n := len(g.marks); n > 0 && now.Sub(g.marks[n-1].at) < markEvery {
		return
	}
	if len(g.marks) >= maxMarks {
		kept := g.marks[:0]
		for i, m := range g.marks {
			if i%2 == 0 {
				kept = append(kept, m)
			}
		}
		g.marks = kept
	}
	g.marks = append(g.marks, mark{now, stable})
}

// least is what is visible in every format, nil if that is not known of one. It
// is called with mu held.
func (g *gauge) least() offsets {
	var out offsets
	for _, st := range g.at {
		if st.visible == nil {
			return nil
		}
		if out == nil {
			out = maps.Clone(st.visible)
			continue
		}
		for p, off := range st.visible {
			out[p] = min(out[p], off)
		}
	}
	return out
}

// look returns what is visible in every format, the state, and a channel that is
// closed when either has changed.
func (g *gauge) look() (visible offsets, state State, moved <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.least(), g.state, g.moved
}

// pace notes the backlog, the interval in force, and the size of a record.
func (g *gauge) pace(since time.Time, interval time.Duration, size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since, g.interval, g.size = since, interval, size
}

// committed notes a commit of a format.
func (g *gauge) committed(format string, c CommitInfo, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.commits[format] = c
	t := g.tallies[format]
	t.Commits, t.Rows, t.DeadLetters, t.CommitTime = t.Commits+1, t.Rows+c.Rows, t.DeadLetters+c.DeadLetters, t.CommitTime+took
	g.tallies[format] = t
	if g.took[format] == nil {
		g.took[format] = meter.Durations()
	}
	g.took[format].Observe(took.Seconds())
}

// failed notes what went wrong with a format.
func (g *gauge) failed(format string, e ErrorInfo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errors[format] = e
	t := g.tallies[format]
	t.Failures++
	g.tallies[format] = t
}

func (g *gauge) rebuilding(all map[string]RebuildInfo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rebuilds = all
}

// formatGauge is one format's part of a gauge, copied.
type formatGauge struct {
	standing
	commit *CommitInfo
	err    *ErrorInfo
	tally  Tally
	took   meter.Snapshot
	anew   *RebuildInfo
}

func (g *gauge) format(name string) formatGauge {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := formatGauge{standing: g.at[name], tally: g.tallies[name]}
	if c, ok := g.commits[name]; ok {
		out.commit = &c
	}
	if h := g.took[name]; h != nil {
		out.took = h.Snapshot()
	}
	if r, ok := g.rebuilds[name]; ok {
		out.anew = &r
	}
	if e, ok := g.errors[name]; ok {
		out.err = &e
	}
	return out
}

// Pace is the rhythm of a topic's commits.
type Pace struct {
	// FreshMs is the time (Unix ms) of which the tables are: all that was in the
	// log then is in every table. 0: not known yet.
	FreshMs int64 `json:"fresh_ms"`
	// NextMs is when the next commit begins at the latest; 0: nothing waits.
	NextMs int64 `json:"next_commit_ms"`
	// IntervalMs is the interval in force: the configured one, or a wider one
	// while commits are slow.
	IntervalMs int64 `json:"interval_ms"`
	// ConfiguredMs is the one that was asked for.
	ConfiguredMs int64 `json:"configured_interval_ms"`
}

// rhythm says how fresh the tables are and when the next commit comes. stable is
// how far the log can be read now.
func (g *gauge) rhythm(now time.Time, stable offsets) (Pace, int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := Pace{IntervalMs: g.interval.Milliseconds()}
	seen := g.least()
	switch {
	case seen != nil && seen.until(stable) == 0:
		p.FreshMs = now.UnixMilli()
	case !g.fresh.IsZero():
		p.FreshMs = g.fresh.UnixMilli()
	}
	if !g.since.IsZero() {
		p.NextMs = g.since.Add(g.interval).UnixMilli()
	}
	return p, g.size
}

// noteStandings shows others where every format is.
func (s *sink) noteStandings(ctx context.Context, state State) {
	at := map[string]standing{}
	for _, m := range s.members {
		at[m.name] = s.standing(ctx, m)
	}
	stable, err := s.stable(ctx)
	if err != nil {
		stable = nil // the next step says what is wrong
	}
	s.gauge.set(s.now(), state, at, stable)
	s.gauge.rebuilding(s.rebuildInfos())
	s.gauge.pace(s.behindSince, s.interval(), s.recordBytes)
}

// standing is where a member is now; where that is not known, where it was.
func (s *sink) standing(ctx context.Context, m *member) standing {
	waits := slices.IndexFunc(s.pending, func(e *entry) bool {
		_, ok := e.Formats[m.name]
		return ok && !e.done[m.name]
	})
	if waits >= 0 {
		return standing{visible: s.pending[waits].From, drawn: s.last(m).To}
	}
	before := s.gauge.format(m.name).standing
	if !m.known {
		return before
	}
	at, err := s.position(ctx, m)
	if err != nil {
		return before
	}
	if s.barren.from != nil && maps.Equal(s.barren.from, at) {
		at = maps.Clone(s.barren.to)
	}
	return standing{visible: at, drawn: at}
}
