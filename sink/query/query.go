// Package query answers SQL over topics and lake tables, live: SQLite reads them as
// virtual tables, which stand on the log, on the tables' files, and on both together
// so that a record is seen as soon as it is acknowledged, and once.
//
// README.md says which tables there are, what their columns hold, and what bounds a
// query.
package query

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables/blob"
)

// Limits of a query.
const (
	// maxSQL bounds the text of a statement, in bytes.
	maxSQL = 100_000
	// maxValueBytes bounds one value: what a function may make, and what a column
	// may hold. Functions take time with the square of it at worst.
	maxValueBytes = 4 << 20
	// maxResultBytes bounds what a result holds in memory, about.
	maxResultBytes = 64 << 20
	// maxTables bounds the tables of a statement.
	maxTables = 64
	// maxColumns is how many columns a table has in SQL: below SQLite's own limit.
	maxColumns = 1900
	// maxSpill bounds the temporary files of all queries together.
	maxSpill = 2 << 30
	// maxAtOnce bounds the queries that run at a time: each keeps a processor busy.
	maxAtOnce = 4

	// DefaultRows and MaxRows bound the rows of a result.
	DefaultRows = 10_000
	MaxRows     = 1_000_000
	// DefaultTime and MaxTime bound how long a query may take.
	DefaultTime = 30 * time.Second
	MaxTime     = 10 * time.Minute
)

// Errors of Query. All others mean that reading failed.
var (
	// ErrInvalid is refused: the statement is no query, or not right.
	ErrInvalid = errors.New("SQL")
	// ErrRefused is refused: the query may not see a table, or the table cannot be
	// read in this way.
	ErrRefused = errors.New("refused")
	// ErrLimit says that a limit has ended the query.
	ErrLimit = errors.New("limit")
)

// Config is what an Engine stands on. All fields but Log are required.
type Config struct {
	Logs     *commitlog.Logs
	Registry *registry.Registry
	// Topics lists all topics, those without tables too.
	Topics func() []sink.Topic
	// Lake tells what a topic's tables hold now. Errors: sink.ErrNoTable where
	// there is no table, or not yet.
	Lake func(ctx context.Context, topic string) (sink.Lake, error)
	// Store is where the tables' files lie.
	Store blob.Store
	// Log takes what should not happen; nil is silent.
	Log *slog.Logger
}

// Engine runs queries. Safe for concurrent use.
type Engine struct {
	cfg    Config
	driver *sqlite.Driver
	places chan struct{} // one for each query that may run
	last   atomic.Int64  // number of the last session
	blocks *blocks       // what scans have seen of logs
	// memoAfter is what scans for a join cost before their rows are kept, maxMemo how
	// many bytes of these a session keeps.
	memoAfter, maxMemo int64

	mu       sync.Mutex
	sessions map[string]*session // guarded by mu, those that run
}

// New makes an Engine. It opens nothing. An engine stays in memory as long as the
// process lives: the SQLite driver remembers its modules.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{
		cfg: cfg, driver: &sqlite.Driver{}, sessions: map[string]*session{}, blocks: newBlocks(blockBits, maxBlocksBytes),
		memoAfter: memoAfter, maxMemo: maxMemoBytes,
		places: make(chan struct{}, max(1, min(maxAtOnce, runtime.GOMAXPROCS(0)))),
	}
	if err := e.driver.RegisterModule(moduleName, module{e}); err != nil {
		return nil, fmt.Errorf("register virtual tables: %w", err)
	}
	if err := registerFunctions(e.driver); err != nil {
		return nil, fmt.Errorf("register functions: %w", err)
	}
	return e, nil
}

// Request is a query.
type Request struct {
	SQL string
	// Rows bounds the rows of the result, 0 is DefaultRows; what is more is left
	// out. Time bounds the work, 0 is DefaultTime.
	Rows int
	Time time.Duration
	// Allow refuses topics that the asker may not read; nil allows all.
	Allow func(topic string) error

	plain bool // SQLite does all of it, for tests
}

// Result is what a query has found.
type Result struct {
	Columns []Column
	// Rows hold nil, int64, float64, string and []byte, and bool in columns of booleans.
	Rows [][]any
	// Truncated says that there are more rows than were asked for, or than a
	// result may hold.
	Truncated bool
	// Note says what people should know of the values, "" if nothing.
	Note string
	// Scanned counts the rows that were looked at.
	Scanned int64
	// Read counts what they were in.
	Read    Read
	Elapsed time.Duration

	bytes int64
}

// Read counts what a query has read of tables and logs, and what it has passed over
// by offsets, statistics and indexes. A table that stands in a statement twice, or in
// the inner part of a join, counts each time.
type Read struct {
	Files           int64 `json:"files"`
	FilesPassed     int64 `json:"files_passed"`
	RowGroups       int64 `json:"row_groups"`
	RowGroupsPassed int64 `json:"row_groups_passed"`
	// RowGroupsAnswered told by their statistics all that was asked of them.
	RowGroupsAnswered int64 `json:"row_groups_answered"`
	// Batches of the log, those that were opened: counting needs their headers only.
	Batches       int64 `json:"log_batches"`
	BatchesPassed int64 `json:"log_batches_passed"`
	LogBytes      int64 `json:"log_bytes"`
}

// Column is a column of a result.
type Column struct {
	Name string `json:"name"`
	// Type is the declared type of the table's column, "" for expressions. Exact sums
	// of decimals, and their least and greatest, have that of decimals.
	Type string `json:"type"`
}

// Query runs one query. It ends when ctx does.
func (e *Engine) Query(ctx context.Context, r Request) (*Result, error) {
	if r.Rows == 0 {
		r.Rows = DefaultRows
	}
	if r.Time == 0 {
		r.Time = DefaultTime
	}
	if r.Rows < 0 || r.Rows > MaxRows {
		return nil, fmt.Errorf("%w: %d rows: want 1 to %d", ErrInvalid, r.Rows, MaxRows)
	}
	if r.Time < 0 || r.Time > MaxTime {
		return nil, fmt.Errorf("%w: a time limit of %v: want up to %v", ErrInvalid, r.Time, MaxTime)
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, r.Time, fmt.Errorf(
		"%w: the query took longer than %v: narrow it by kafka_offset or kafka_timestamp, or allow it more time (--timeout, timeout_ms; %g minutes at most)",
		ErrLimit, r.Time, MaxTime.Minutes()))
	defer cancel()
	if out, ok, err := e.describe(ctx, r); ok || err != nil {
		if err == nil {
			err = ctx.Err() // a table that was not looked at in time is not described
		}
		if err != nil {
			return nil, overtaken(ctx, err)
		}
		out.Elapsed = time.Since(begun)
		return out, nil
	}
	st, err := parse(r.SQL)
	if err != nil {
		return nil, err
	}
	select {
	case e.places <- struct{}{}:
		defer func() { <-e.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other queries: %w", context.Cause(ctx))
	}
	var s *session
	for try := 0; ; try++ {
		s = e.enter(ctx, st, r)
		err = s.waited(overtaken(s.ctx, s.run()))
		e.leave(s)
		// Maintenance may take a file away between the look at the table and the
		// reading, and the sink records that the table has by now from the log: then
		// everything is read again, as it is now.
		if !isGone(err) && !errors.Is(err, errTrimmed) || try == maxTries-1 {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	s.out.sayTruth()
	s.noteRounded()
	s.out.Elapsed, s.out.Scanned = time.Since(begun), s.scanned
	return s.out, nil
}

// overtaken is the error of work whose context may be over: then why it is, for logs,
// tables and SQLite each say in their own words that they were stopped.
func overtaken(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// waited is the error of a query that was stopped by its time: it says so if that went by
// on tables that do not answer.
func (s *session) waited(err error) error {
	if !errors.Is(err, ErrLimit) || s.ctx.Err() == nil {
		return err
	}
	for name, src := range s.topics {
		if src.lakeErr != nil && !errors.Is(src.lakeErr, sink.ErrNoTable) {
			first, _, _ := strings.Cut(src.lakeErr.Error(), "\n")
			return fmt.Errorf("%w; the time went by on the table of %s, where log.%[2]s can be asked without it: %s", err, bare(name), first)
		}
	}
	return err
}

// maxTries is how often a query is begun again because files or records have gone.
const maxTries = 10

func (e *Engine) enter(ctx context.Context, st *statement, r Request) *session {
	s := &session{engine: e, st: st, asked: st, req: r, id: strconv.FormatInt(e.last.Add(1), 10), out: &Result{}, topics: map[string]*source{}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions[s.id] = s
	return s
}

func (e *Engine) leave(s *session) {
	s.cancel(nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.id)
}

func (e *Engine) session(id string) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}
