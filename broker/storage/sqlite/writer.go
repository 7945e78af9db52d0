package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/record"
)

// writer is the one connection that writes, with its statements. The committer
// owns it. Statements run without a context that can end: a commit that has
// begun is seen through.
type writer struct {
	conn  *sql.Conn
	stmts []*sql.Stmt // all of those below

	begin, commit, rollback          *sql.Stmt
	insertChunk, deleteChunk, getDir *sql.Stmt
	getChunk                         *sql.Stmt
	insertLog, updateLog, deleteLog  *sql.Stmt
	insertCut, deleteCuts            *sql.Stmt
	putItem, deleteItem, itemVersion *sql.Stmt
	setCounter                       *sql.Stmt

	followers []*Follower // that are told what changes
}

func newWriter(ctx context.Context, db *sql.DB, cfg Config) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Path, mapError(err))
	}
	w := &writer{conn: conn}
	if err := prepare(ctx, conn, cfg); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *writer) prepare(ctx context.Context) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		{&w.begin, "begin immediate"},
		{&w.commit, "commit"},
		{&w.rollback, "rollback"},
		{&w.insertChunk, "insert into chunk(id, dir, data) values(?, ?, ?)"},
		{&w.deleteChunk, "delete from chunk where id = ?"},
		{&w.getDir, "select dir from chunk where id = ?"},
		{&w.getChunk, "select dir, data from chunk where id = ?"},
		{&w.insertLog, `insert into log(id, topic, part, start, "end", epoch, bytes) values(?, ?, ?, ?, ?, ?, ?)`},
		{&w.updateLog, `update log set start = ?, "end" = ?, epoch = ?, bytes = ? where id = ?`},
		{&w.deleteLog, "delete from log where id = ?"},
		{&w.insertCut, "insert or replace into cut(chunk, log, low, high) values(?, ?, ?, ?)"},
		{&w.deleteCuts, "delete from cut where chunk = ?"},
		{&w.putItem, `insert into item(key, version, value) values(?, ?, ?)
			on conflict(key) do update set version = excluded.version, value = excluded.value`},
		{&w.deleteItem, "delete from item where key = ?"},
		{&w.itemVersion, "select version from item where key = ?"},
		{&w.setCounter, `insert into counter(name, value) values(?, ?)
			on conflict(name) do update set value = excluded.value`},
	} {
		stmt, err := w.conn.PrepareContext(ctx, p.sql)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.sql, mapError(err))
		}
		*p.stmt = stmt
		w.stmts = append(w.stmts, stmt)
	}
	return nil
}

// exec runs a statement that gives no rows.
func (w *writer) exec(stmt *sql.Stmt, args ...any) error {
	if len(w.followers) > 0 {
		w.touch(stmt, args)
	}
	_, err := stmt.ExecContext(context.Background(), args...)
	return mapError(err)
}

// transact runs f in a transaction. If anything fails, nothing of it is in the
// store as this process sees it; errUndone says that even this is not certain.
func (w *writer) transact(f func() error) error {
	if err := w.exec(w.begin); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := f()
	if err == nil {
		if err = w.exec(w.commit); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite has rolled back by itself after some errors (a full disk, an I/O
	// error), and then says that there is no transaction. A second begin tells
	// whether the connection is good for another one.
	_ = w.exec(w.rollback)
	if again := w.exec(w.begin); again != nil {
		return fmt.Errorf("%w: %w (%w)", errUndone, again, err)
	}
	if again := w.exec(w.rollback); again != nil {
		return fmt.Errorf("%w: %w (%w)", errUndone, again, err)
	}
	return err
}

// errUndone says that a failed transaction could not be undone either.
var errUndone = errors.New("transaction could not be rolled back")

// addChunk inserts a chunk; it keeps neither slice.
func (w *writer) addChunk(id int64, dir, data []byte) error {
	if err := w.exec(w.insertChunk, id, dir, data); err != nil {
		return fmt.Errorf("insert chunk: %w", err)
	}
	return nil
}

// one runs a query of at most one row and hands its columns to f while they are
// valid. It reports whether there was a row.
func one(stmt *sql.Stmt, args []any, columns []any, f func() error) (bool, error) {
	rows, err := stmt.QueryContext(context.Background(), args...)
	if err != nil {
		return false, mapError(err)
	}
	defer rows.Close()
	if !rows.Next() {
		return false, mapError(rows.Err())
	}
	if err := rows.Scan(columns...); err != nil {
		return false, mapError(err)
	}
	return true, f()
}

// committerEntries yields the batches of a run, read by the writing connection.
func (e *Engine) committerEntries(r run, yield func(pos uint32, h record.Header) bool) error {
	var dir sql.RawBytes
	found, err := one(e.w.getDir, []any{r.chunk}, []any{&dir}, func() error {
		return entriesOf(dir, r, yield)
	})
	switch {
	case errors.Is(err, errDir) || err == nil && !found:
		return broken(r.chunk, "no directory of the batches at %d", r.base)
	case err != nil:
		return fmt.Errorf("read directory of chunk %d: %w", r.chunk, err)
	}
	return nil
}

// close checkpoints the WAL and closes the connection. Statements come first:
// database/sql forgets those of a Conn, and SQLite keeps the file open, and the
// WAL beside it, while one is left.
func (w *writer) close() error {
	_, err := w.conn.ExecContext(context.Background(), "pragma wal_checkpoint(truncate)")
	errs := []error{mapError(err)}
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}
