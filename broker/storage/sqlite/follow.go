package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of following a store.
const (
	// pageBytesRead bounds what one look at the store collects before it hands
	// it on: a reader of ours holds no transaction while somebody else works.
	pageBytesRead = 8 << 20
	// pageItems bounds the rows of one look.
	pageItems = 1000
	// lastRows is how many touched rows are read in one transaction, at most
	// some 64 MB; where there are more, those are read in pieces first.
	lastRows = 256
	// maxRounds bounds how often those are read in pieces: a store that takes
	// more than can be read meanwhile has to be read in one piece at last.
	maxRounds = 16
)

// touched are the rows that may have changed since a Follower looked last. A
// row that is in here and has not changed costs a read and nothing else, so it
// does not matter that transactions may be undone.
type touched struct {
	chunks, cuts, logs map[int64]struct{}
	items              map[string]struct{}
	any                bool
}

func newTouched() *touched {
	return &touched{
		chunks: map[int64]struct{}{}, cuts: map[int64]struct{}{}, logs: map[int64]struct{}{}, items: map[string]struct{}{},
	}
}

func (t *touched) rows() int { return len(t.chunks) + len(t.cuts) + len(t.logs) + len(t.items) }

// touch notes what a statement changes.
func (w *writer) touch(stmt *sql.Stmt, args []any) {
	for _, f := range w.followers {
		t := f.touched
		t.any = true
		switch stmt {
		case w.insertChunk, w.deleteChunk:
			t.chunks[args[0].(int64)] = struct{}{}
		case w.insertCut, w.deleteCuts:
			t.cuts[args[0].(int64)] = struct{}{}
		case w.insertLog, w.deleteLog:
			t.logs[args[0].(int64)] = struct{}{}
		case w.updateLog:
			t.logs[args[len(args)-1].(int64)] = struct{}{}
		case w.putItem, w.deleteItem:
			t.items[string(args[0].([]byte))] = struct{}{}
		}
	}
}

// Follower reads a store whole and then what changes, while the engine works.
// It holds no transaction for longer than it takes to read 8 MB, so it keeps
// the write-ahead log from shrinking no longer than any reader; between calls
// it costs the keys of rows that changed, in memory. It is used by one
// goroutine. Make it with Engine.Follow, and close it.
type Follower struct {
	e       *Engine
	touched *touched // owned by the committer
	begun   bool
	last    int64 // chunk that was the newest when it began
}

// Follow begins to note what changes. Errors: ErrClosed.
func (e *Engine) Follow() (*Follower, error) {
	f := &Follower{e: e, touched: newTouched()}
	err := e.do(func() error {
		e.w.followers = append(e.w.followers, f)
		f.last = e.nextChunk - 1
		return nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Close ends the notes.
func (f *Follower) Close() error {
	err := f.e.do(func() error {
		f.e.w.followers = slices.DeleteFunc(f.e.w.followers, func(o *Follower) bool { return o == f })
		return nil
	})
	if errors.Is(err, storage.ErrClosed) {
		return nil
	}
	return err
}

// Next emits, the first time, everything, and later what has changed. When it
// returns nil, whoever made all changes that were ever emitted has the store as
// it was at one moment during the call, between two transactions; before, it
// may have rows of different moments. emit may keep what it is given. After an
// error the Follower is spent. changed is false if nothing was emitted.
func (f *Follower) Next(ctx context.Context, emit func(Change) error) (changed bool, err error) {
	if !f.begun {
		f.begun = true
		if err := f.everything(ctx, emit); err != nil {
			return false, err
		}
		changed = true
	}
	for round := 0; ; round++ {
		last, t, err := f.take(ctx, round == maxRounds)
		if err != nil {
			return false, err
		}
		if last == nil {
			if err := f.pieces(ctx, t, emit); err != nil {
				return false, err
			}
			changed = true
			continue
		}
		if !t.any && !changed {
			return false, last.Close()
		}
		all, err := f.read(ctx, last, t)
		if err = errors.Join(err, last.Close()); err != nil {
			return false, err
		}
		for _, c := range all {
			if err := emit(c); err != nil {
				return false, err
			}
		}
		return true, nil
	}
}

// take takes over what was touched. If that is little, or if must is set, it
// comes with a transaction that sees exactly the state after it.
func (f *Follower) take(ctx context.Context, must bool) (*snapshot, *touched, error) {
	// The committer may wait for no connection: who has one may wait for it.
	s, err := f.e.connection(ctx)
	if err != nil {
		return nil, nil, err
	}
	var t *touched
	exact := false
	err = f.e.do(func() error {
		t = f.touched
		f.touched = newTouched()
		exact = must || t.rows() <= lastRows
		if !exact {
			return nil
		}
		return s.begin(ctx)
	})
	if err != nil || !exact {
		return nil, t, errors.Join(err, s.Close())
	}
	return s, t, nil
}

// snapshot is a reading transaction; Close ends it.
type snapshot struct {
	conn  *sql.Conn
	tx    *sql.Tx // nil before begin
	leave func()
}

// Close ends the transaction.
func (s *snapshot) Close() error {
	defer s.leave()
	var err error
	if s.tx != nil {
		err = mapError(s.tx.Rollback())
	}
	return errors.Join(err, s.conn.Close())
}

// connection takes one of the reading connections, for a snapshot.
func (e *Engine) connection(ctx context.Context) (*snapshot, error) {
	if err := e.enter(ctx); err != nil {
		return nil, err
	}
	conn, err := e.rdb.Conn(ctx)
	if err != nil {
		e.leave()
		return nil, fmt.Errorf("begin to read: %w", mapError(err))
	}
	return &snapshot{conn: conn, leave: e.leave}, nil
}

// begin takes the store's state: SQLite does so at the first read.
func (s *snapshot) begin(ctx context.Context) error {
	var err error
	var n int
	if s.tx, err = s.conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}); err == nil {
		err = s.tx.QueryRowContext(ctx, "select count(*) from counter").Scan(&n)
	}
	if err != nil {
		return fmt.Errorf("begin to read: %w", mapError(err))
	}
	return nil
}

// snapshot begins a transaction that has seen the store.
func (e *Engine) snapshot(ctx context.Context) (*snapshot, error) {
	s, err := e.connection(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// pieces emits touched rows as they are now, some at a time.
func (f *Follower) pieces(ctx context.Context, t *touched, emit func(Change) error) error {
	part := newTouched()
	flush := func() error {
		s, err := f.e.snapshot(ctx)
		if err != nil {
			return err
		}
		all, err := f.read(ctx, s, part)
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
		for _, c := range all {
			if err := emit(c); err != nil {
				return err
			}
		}
		part = newTouched()
		return nil
	}
	const atOnce = pageBytesRead / maxChunkBytes
	for id := range t.chunks {
		if part.chunks[id] = struct{}{}; len(part.chunks) == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	for key := range t.items {
		if part.items[key] = struct{}{}; len(part.items) == atOnce {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	part.logs, part.cuts = t.logs, t.cuts
	return flush()
}

// read collects touched rows, and the counters, as a snapshot sees them.
func (f *Follower) read(ctx context.Context, s *snapshot, t *touched) ([]Change, error) {
	var out []Change
	for _, id := range slices.Sorted(maps.Keys(t.chunks)) {
		c := Change{Kind: PutChunk, ID: id, Blobs: make([][]byte, 2)}
		there, err := s.one(ctx, "select dir, data from chunk where id = ?", id, &c.Blobs[0], &c.Blobs[1])
		if err != nil {
			return nil, err
		}
		if !there {
			c = Change{Kind: DropChunk, ID: id}
		}
		out = append(out, c)
	}
	for _, id := range slices.Sorted(maps.Keys(t.cuts)) {
		c, err := s.cuts(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for _, id := range slices.Sorted(maps.Keys(t.logs)) {
		c := Change{Kind: PutLog, ID: id, Numbers: make([]int64, 5), Blobs: make([][]byte, 1)}
		n := c.Numbers
		there, err := s.one(ctx, `select part, start, "end", epoch, bytes, topic from log where id = ?`, id, &n[0], &n[1], &n[2], &n[3], &n[4], &c.Blobs[0])
		if err != nil {
			return nil, err
		}
		if !there {
			c = Change{Kind: DropLog, ID: id}
		}
		out = append(out, c)
	}
	for _, key := range slices.Sorted(maps.Keys(t.items)) {
		c := Change{Kind: PutItem, Key: []byte(key), Numbers: make([]int64, 1), Blobs: make([][]byte, 1)}
		there, err := s.one(ctx, "select version, value from item where key = ?", c.Key, &c.Numbers[0], &c.Blobs[0])
		if err != nil {
			return nil, err
		}
		if !there {
			c = Change{Kind: DropItem, Key: []byte(key)}
		}
		out = append(out, c)
	}
	for _, q := range []struct {
		kind ChangeKind
		key  string
		sql  string
	}{
		{PutCounter, "version", "select value from counter where name = ?"},
		{PutSequence, "log", "select seq from sqlite_sequence where name = ?"},
	} {
		c := Change{Kind: q.kind, Key: []byte(q.key), Numbers: make([]int64, 1)}
		there, err := s.one(ctx, q.sql, q.key, &c.Numbers[0])
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, c)
		}
	}
	return out, nil
}

// one reads one row into copies, if it is there.
func (s *snapshot) one(ctx context.Context, query string, key any, into ...any) (bool, error) {
	switch err := s.tx.QueryRowContext(ctx, query, key).Scan(into...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read %v: %w", key, mapError(err))
	}
	return true, nil
}

// cuts are those of one chunk, of which there may be none.
func (s *snapshot) cuts(ctx context.Context, chunk int64) (Change, error) {
	c := Change{Kind: PutCuts, ID: chunk}
	rows, err := s.tx.QueryContext(ctx, "select log, low, high from cut where chunk = ?", chunk)
	if err != nil {
		return c, fmt.Errorf("read cuts of chunk %d: %w", chunk, mapError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var log, low, high int64
		if err := rows.Scan(&log, &low, &high); err != nil {
			return c, fmt.Errorf("read cuts of chunk %d: %w", chunk, mapError(err))
		}
		c.Numbers = append(c.Numbers, log, low, high)
	}
	return c, mapError(rows.Err())
}

// everything emits all rows that are there, in pieces; what changes meanwhile is
// touched and comes again.
func (f *Follower) everything(ctx context.Context, emit func(Change) error) error {
	for _, q := range []struct {
		table, sql string
		note       func(*touched, any)
		from       any
	}{
		{"log", "select id, 0 from log where id > ? order by id limit ?", func(t *touched, k any) { t.logs[k.(int64)] = struct{}{} }, int64(0)},
		{"cut", "select distinct chunk, 0 from cut where chunk > ? order by chunk limit ?", func(t *touched, k any) { t.cuts[k.(int64)] = struct{}{} }, int64(0)},
		{"item", "select key, length(value) from item where key > ? order by key limit ?", func(t *touched, k any) { t.items[string(k.([]byte))] = struct{}{} }, []byte{}},
		{"chunk", "select id, length(data) from chunk where id > ? and id <= " + fmt.Sprint(f.last) + " order by id limit ?", func(t *touched, k any) { t.chunks[k.(int64)] = struct{}{} }, int64(0)},
	} {
		limit := pageItems
		if q.table == "chunk" {
			limit = pageBytesRead / maxChunkBytes
		}
		for from := q.from; from != nil; {
			if err := ctx.Err(); err != nil {
				return err
			}
			all, next, err := f.page(ctx, q.sql, from, limit, q.note)
			if err != nil {
				return fmt.Errorf("read table %s: %w", q.table, err)
			}
			for _, c := range all {
				if err := emit(c); err != nil {
					return err
				}
			}
			from = next
		}
	}
	return nil
}

// page reads rows above from in one transaction, until pageBytesRead are full,
// and says from where to go on; nil: there is no more.
func (f *Follower) page(ctx context.Context, query string, from any, limit int, note func(*touched, any)) ([]Change, any, error) {
	s, err := f.e.snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, next, err := s.keys(ctx, query, from, limit, note)
	var all []Change
	if err == nil {
		all, err = f.read(ctx, s, t)
	}
	return all, next, errors.Join(err, s.Close())
}

func (s *snapshot) keys(ctx context.Context, query string, from any, limit int, note func(*touched, any)) (*touched, any, error) {
	rows, err := s.tx.QueryContext(ctx, query, from, limit)
	if err != nil {
		return nil, nil, mapError(err)
	}
	defer rows.Close()
	t := newTouched()
	var next any
	n, size := 0, int64(0)
	for size < pageBytesRead && rows.Next() {
		var key any
		var length int64
		if err := rows.Scan(&key, &length); err != nil {
			return nil, nil, mapError(err)
		}
		note(t, key)
		next, size = key, size+length
		n++
	}
	if n < limit && size < pageBytesRead {
		next = nil
	}
	return t, next, mapError(rows.Err())
}
