package sink

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tarn-io/tarn/tables"
)

// Explained says what a topic's tables cost in commits, files and requests, from
// what they did lately.
type Explained struct {
	Topic string `json:"topic"`
	Table string `json:"table"`
	// IntervalMs is the configured commit interval, CommitBytes what a commit
	// holds at most.
	IntervalMs  int64             `json:"interval_ms"`
	CommitBytes int64             `json:"commit_bytes"`
	Formats     []ExplainedFormat `json:"formats"`
	Longer      []ExplainedLonger `json:"longer"`
}

// ExplainedFormat is one format's table.
type ExplainedFormat struct {
	Format string `json:"format"`
	// WindowMs is how far back was looked, Commits what was found there, those of
	// maintenance not among them.
	WindowMs int64 `json:"window_ms"`
	Commits  int64 `json:"commits"`
	// CommitsPerDay is that for a whole day; each writes one data file.
	CommitsPerDay float64 `json:"commits_per_day"`
	Files         int64   `json:"files"`
	Bytes         int64   `json:"bytes"`
	AverageBytes  int64   `json:"average_file_bytes"`
	// Puts and Gets are requests a day, of commits: what S3 bills as PUT, COPY,
	// POST or LIST, and as GET or anything else.
	Puts float64 `json:"puts_per_day"`
	Gets float64 `json:"gets_per_day"`
}

// ExplainedLonger is what a longer interval would make of it.
type ExplainedLonger struct {
	IntervalMs    int64   `json:"interval_ms"`
	CommitsPerDay float64 `json:"commits_per_day"`
	Puts          float64 `json:"puts_per_day"`
	Gets          float64 `json:"gets_per_day"`
}

// requests are what one commit sends to an object store.
type requests struct{ puts, gets float64 }

// perCommit is counted by a test: data file, metadata and the look before and
// after. A commit with dead letters is two.
func perCommit(format string) requests {
	switch format {
	case "iceberg":
		return requests{puts: 4, gets: 2}
	case "delta":
		return requests{puts: 2.1, gets: 8}
	}
	return requests{puts: 3, gets: 10}
}

// maxWindow is how far back commits are counted: a day has its own rhythm.
const maxWindow = 24 * time.Hour

// longer are the intervals that are compared with the present one.
func longer() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
}

// Explain measures a topic's tables. Errors: ErrNoTable, ErrStopped, or a failed
// read.
func (m *Manager) Explain(ctx context.Context, topic string) (Explained, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Explained{}, err
	}
	out := Explained{
		Topic: s.topic.Name, Table: s.topic.Table, IntervalMs: s.topic.CommitInterval.Milliseconds(),
		CommitBytes: s.topic.CommitBytes, Formats: []ExplainedFormat{}, Longer: []ExplainedLonger{},
	}
	now := s.now()
	for _, name := range s.topic.Formats {
		t, err := s.maintained(ctx, name, s.topic.Table, false)
		if err != nil {
			return out, err
		}
		if t == nil {
			continue
		}
		f, err := explainTable(ctx, now, name, t)
		if err != nil {
			return out, fmt.Errorf("%s table %s: %w", name, s.topic.Table, err)
		}
		out.Formats = append(out.Formats, f)
	}
	for _, every := range longer() {
		if every > s.topic.CommitInterval {
			out.Longer = append(out.Longer, out.at(every))
		}
	}
	return out, nil
}

// explainTable measures one table by its own history.
func explainTable(ctx context.Context, now time.Time, format string, t tables.Maintainer) (ExplainedFormat, error) {
	out := ExplainedFormat{Format: format}
	st, err := t.Status(ctx)
	if err != nil {
		return out, err
	}
	out.Files, out.Bytes = st.Files, st.Bytes
	if st.Files > 0 {
		out.AverageBytes = st.Bytes / st.Files
	}
	history, err := t.History(ctx)
	if err != nil {
		return out, err
	}
	oldest := now
	for _, v := range history {
		at := time.UnixMilli(v.TimeMs)
		if now.Sub(at) > maxWindow {
			oldest = now.Add(-maxWindow)
			break
		}
		oldest = at
		if appends(v.Operation) {
			out.Commits++
		}
	}
	out.WindowMs = max(1, now.Sub(oldest).Milliseconds())
	// The first commit begins the window and is not within it.
	n := out.Commits
	if now.Sub(oldest) < maxWindow && n > 0 {
		n--
	}
	out.CommitsPerDay = float64(n) * float64(maxWindow.Milliseconds()) / float64(max(out.WindowMs, time.Minute.Milliseconds()))
	per := perCommit(format)
	out.Puts, out.Gets = out.CommitsPerDay*per.puts, out.CommitsPerDay*per.gets
	return out, nil
}

// appends reports whether a state of a table's history came by new rows.
func appends(operation string) bool {
	switch operation {
	case "append", "WRITE", "overwrite", "commit":
		return true
	}
	return false
}

// at is what another interval would make of the commits: as many fewer as it is
// longer, for commits come by time; until they are as large as they may be.
func (e Explained) at(every time.Duration) ExplainedLonger {
	out := ExplainedLonger{IntervalMs: every.Milliseconds()}
	for _, f := range e.Formats {
		n := f.CommitsPerDay * float64(e.IntervalMs) / float64(every.Milliseconds())
		full := f.CommitsPerDay * float64(f.AverageBytes) / float64(cmp.Or(e.CommitBytes, math.MaxInt64))
		n = min(f.CommitsPerDay, max(n, full))
		per := perCommit(f.Format)
		out.CommitsPerDay += n
		out.Puts, out.Gets = out.Puts+n*per.puts, out.Gets+n*per.gets
	}
	return out
}

// Prices are those of an object store, in dollars.
type Prices struct {
	Puts    float64 // a thousand PUT, COPY, POST or LIST requests
	Gets    float64 // a thousand GET and all other requests
	Storage float64 // a GB for a month
}

// monthDays is how many days a month has on a bill.
const monthDays = 30

// Requests is what requests cost a month.
func (p Prices) Requests(putsPerDay, getsPerDay float64) float64 {
	return monthDays * (putsPerDay*p.Puts + getsPerDay*p.Gets) / 1000
}

// Stored is what bytes cost a month.
func (p Prices) Stored(bytes int64) float64 { return float64(bytes) / 1e9 * p.Storage }
