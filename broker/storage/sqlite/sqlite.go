// Package sqlite is the default storage engine: one SQLite file, in WAL mode
// with synchronous=FULL, so that an acknowledged Write survives power loss.
//
// All batches of one transaction lie in a few chunks, each a row with a small
// directory beside the bytes; where each log's batches are is kept in memory
// and rebuilt from the directories by Open. One goroutine, the committer, owns
// the writing connection: it merges concurrent Commits into one transaction,
// judges each by itself, and deletes what nobody needs. Readers use connections
// of their own and never hold a transaction for longer than one chunk. The
// layout, and the measurements behind it, are in README.md.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	driver "modernc.org/sqlite"

	"github.com/tarn-io/tarn/broker/storage"
)

// Synchronous says what a commit waits for.
type Synchronous int

const (
	// Full waits until the commit is on the disk: it survives power loss.
	Full Synchronous = iota
	// Normal waits until the operating system has it: power loss may take the
	// last commits, up to one checkpoint, but never damages the store.
	Normal
)

// Config says where the store is and how it behaves. The zero value of
// everything but Path is the default.
type Config struct {
	// Path is the database file. It is made if there is none; its folder must
	// be there, on a local disk.
	Path string
	// Synchronous is Full by default.
	Synchronous Synchronous
	// Readers is how many cold reads may run at once; 0 means one a core,
	// and at least 2. Further ones wait.
	Readers int
	// Views are made in the file beside the engine's own, for people.
	Views []View
	// Log gets warnings, such as a WAL that does not shrink. nil: none.
	Log *slog.Logger
}

// Engine implements storage.Engine on one SQLite file. Make it with Open.
type Engine struct {
	cfg    Config
	lg     *slog.Logger
	lockF  *os.File
	wdb    *sql.DB
	rdb    *sql.DB
	read   readStatements
	cold   chan struct{} // a slot for each cold read
	pins   pins
	calls  sync.RWMutex // held for reading by calls that use rdb, for writing by Close
	queue  queue
	ended  chan struct{} // closed when the committer is gone
	closer func() error  // runs once

	mu     sync.RWMutex
	logs   map[storage.TP]*logState // guarded by mu, written by the committer
	closed bool                     // guarded by mu and calls

	// Owned by the committer after Open.
	w         *writer
	byID      map[int64]*logState // the same logs as in logs
	chunks    map[int64]chunkInfo
	dead      []deadChunk
	small     [classes][]int64 // chunks with little in them, oldest first
	nextChunk int64
	nextLog   int64
	version   int64            // last version given out
	reserved  int64            // no version above it may be given out
	versions  map[string]int64 // versions of items, as far as known
	chunker   chunkWriter
	dirty     map[*logState]struct{} // logs whose row is behind
	lastTidy  time.Time              // last look at what tidyBusy does by the clock
	putOff    time.Time              // no upkeep beside commits before then, after one failed
	lastWarn  time.Time              // last warning about the WAL
	failed    error                  // set when the index and the file may differ
}

var _ storage.Engine = (*Engine)(nil)

// Open opens the store at cfg.Path or makes it, takes its lock, rebuilds the
// index and starts the committer, which ends with Close. Errors: ErrLocked,
// ErrFormat, storage.ErrBroken, or what the disk says.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", cfg.Path, err)
	}
	cfg.Path = path
	if cfg.Readers <= 0 {
		cfg.Readers = max(2, runtime.GOMAXPROCS(0))
	}
	e := &Engine{
		cfg: cfg, lg: cfg.Log, ended: make(chan struct{}), cold: make(chan struct{}, cfg.Readers),
		logs: map[storage.TP]*logState{}, chunks: map[int64]chunkInfo{}, versions: map[string]int64{},
		byID: map[int64]*logState{}, dirty: map[*logState]struct{}{},
	}
	if e.lg == nil {
		e.lg = slog.New(slog.DiscardHandler)
	}
	e.queue.init()
	e.closer = sync.OnceValue(e.shut)
	if e.lockF, err = lock(path); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.release())
	}
	go e.commitLoop()
	return e, nil
}

// open does what Open does behind the lock.
func (e *Engine) open(ctx context.Context) error {
	err := private(e.cfg.Path)
	if err != nil {
		return err
	}
	if e.wdb, err = openDB(e.cfg.Path, "", 1); err != nil {
		return err
	}
	if e.w, err = newWriter(ctx, e.wdb, e.cfg); err != nil {
		return err
	}
	e.chunker = chunkWriter{limit: maxChunkBytes, insert: e.w.addChunk}
	// Two connections beyond the cold reads, so that Get and Scan do not wait
	// behind them.
	if e.rdb, err = openDB(e.cfg.Path, "mode=ro&_pragma=query_only(true)&_pragma=cache_size(-4096)", e.cfg.Readers+2); err != nil {
		return err
	}
	if err := e.read.prepare(ctx, e.rdb); err != nil {
		return err
	}
	return e.load(ctx)
}

// private makes a file that only its owner can read, if there is none: a store
// holds users' secrets and every record. SQLite gives its side files the same
// mode. One that is there keeps what its owner gave it.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the store: %w", err)
	}
	return f.Close()
}

// openDB makes a pool of at most n connections, which stay open.
func openDB(path, query string, n int) (*sql.DB, error) {
	path = filepath.ToSlash(path)
	if path[0] != '/' {
		path = "/" + path // C:/… on Windows
	}
	query += fmt.Sprintf("&_pragma=busy_timeout(%d)", busyMs)
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: query}
	c, err := driver.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// Close implements storage.Engine. It commits what is queued, checkpoints the
// WAL and lets the lock go. The file alone is then the whole store.
func (e *Engine) Close() error { return e.closer() }

func (e *Engine) shut() error {
	e.queue.close()
	<-e.ended
	e.calls.Lock()
	defer e.calls.Unlock()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	return e.release()
}

// release closes everything that open opened, as far as it came.
func (e *Engine) release() error {
	var errs []error
	if e.rdb != nil {
		errs = append(errs, e.rdb.Close())
	}
	if e.w != nil {
		errs = append(errs, e.w.close())
	}
	if e.wdb != nil {
		errs = append(errs, e.wdb.Close())
	}
	errs = append(errs, unlock(e.lockF))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// enter lets a call use the reading connections until leave.
func (e *Engine) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.calls.RLock()
	if e.closed {
		e.calls.RUnlock()
		return storage.ErrClosed
	}
	return nil
}

func (e *Engine) leave() { e.calls.RUnlock() }
