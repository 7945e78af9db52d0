package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
)

// copyBytes is how much of a copy lies in one transaction.
const copyBytes = 64 << 20

// Copy is a store that is being put together from changes. It is no store before
// Finish has returned nil. It is used by one goroutine. Make it with NewCopy.
type Copy struct {
	path string
	db   *sql.DB
	conn *sql.Conn
	size int // bytes since the last commit
}

// NewCopy makes a file at path, in the place of one that is there.
func NewCopy(ctx context.Context, path string) (*Copy, error) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("make room for a copy: %w", err)
		}
	}
	if err := private(path); err != nil {
		return nil, err
	}
	db, err := openDB(path, "", 1)
	if err != nil {
		return nil, err
	}
	c := &Copy{path: path, db: db}
	if c.conn, err = db.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", path, mapError(err)), db.Close())
	}
	// Half a copy is worth nothing, so nothing is kept to undo it.
	err = create(ctx, c.conn)
	for _, q := range []string{"pragma journal_mode=off", "pragma synchronous=off", "begin"} {
		if err == nil {
			_, err = c.conn.ExecContext(ctx, q)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", path, mapError(err)), c.Close())
	}
	return c, nil
}

// Apply makes one change. It keeps nothing of it. Errors: storage.ErrFull, or
// what the disk says.
func (c *Copy) Apply(ctx context.Context, ch Change) error {
	var err error
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = c.conn.ExecContext(ctx, query, args...)
		}
	}
	switch n := ch.Numbers; ch.Kind {
	case PutChunk:
		exec("insert or replace into chunk(id, dir, data) values(?, ?, ?)", ch.ID, notNil(ch.Blobs[0]), notNil(ch.Blobs[1]))
	case DropChunk:
		exec("delete from chunk where id = ?", ch.ID)
		exec("delete from cut where chunk = ?", ch.ID)
	case PutLog:
		exec("delete from log where id = ?", ch.ID)
		exec(`insert or replace into log(id, topic, part, start, "end", epoch, bytes) values(?, ?, ?, ?, ?, ?, ?)`,
			ch.ID, notNil(ch.Blobs[0]), n[0], n[1], n[2], n[3], n[4])
	case DropLog:
		exec("delete from log where id = ?", ch.ID)
	case PutCuts:
		exec("delete from cut where chunk = ?", ch.ID)
		for ; len(n) >= 3; n = n[3:] {
			exec("insert or replace into cut(chunk, log, low, high) values(?, ?, ?, ?)", ch.ID, n[0], n[1], n[2])
		}
	case PutItem:
		exec("insert or replace into item(key, version, value) values(?, ?, ?)", notNil(ch.Key), n[0], notNil(ch.Blobs[0]))
	case DropItem:
		exec("delete from item where key = ?", notNil(ch.Key))
	case PutCounter:
		exec("insert or replace into counter(name, value) values(?, ?)", string(ch.Key), n[0])
	case PutSequence:
		exec("delete from sqlite_sequence where name = 'log'")
		exec("insert into sqlite_sequence(name, seq) values('log', ?)", n[0])
	}
	if c.size += ch.Size(); c.size > copyBytes {
		exec("commit")
		exec("begin")
		c.size = 0
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", c.path, mapError(err))
	}
	return nil
}

// Finish checks the copy as Check does, makes it durable and closes it. views
// are made in it beside the engine's own.
func (c *Copy) Finish(ctx context.Context, views []View) error {
	_, err := c.conn.ExecContext(ctx, "commit")
	if err == nil {
		err = makeViews(ctx, c.conn, Config{Views: views})
	}
	if err == nil {
		_, err = c.conn.ExecContext(ctx, "pragma journal_mode=wal")
	}
	err = errors.Join(mapError(err), c.Close())
	if err == nil {
		err = Check(ctx, c.path)
	}
	if err == nil {
		err = syncFile(c.path)
	}
	if err == nil {
		err = syncFile(filepath.Dir(c.path))
	}
	if err != nil {
		return fmt.Errorf("finish %s: %w", c.path, err)
	}
	return nil
}

// Close gives the copy up, unless Finish has closed it.
func (c *Copy) Close() error {
	if c.db == nil {
		return nil
	}
	err := errors.Join(c.conn.Close(), c.db.Close())
	c.db = nil
	return err
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Check reads a store that nobody has open: SQLite's own integrity check, the
// format, the directories of all chunks, and the CRC of every record batch.
// Errors: ErrFormat, ErrLocked, storage.ErrBroken, or what the disk says.
func Check(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	if err := checkPages(ctx, path); err != nil {
		return err
	}
	e, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	err = e.checkBatches(ctx)
	return errors.Join(err, e.Close(), os.Remove(path+".lock"))
}

func checkPages(ctx context.Context, path string) error {
	db, err := openDB(path, "mode=ro", 1)
	if err != nil {
		return err
	}
	return errors.Join(integrity(ctx, db, path), db.Close())
}

func integrity(ctx context.Context, db *sql.DB, path string) error {
	var app int64
	if err := db.QueryRowContext(ctx, "pragma application_id").Scan(&app); err != nil {
		return mapError(err)
	}
	if app != applicationID { // an empty file would be made ours by Open
		return fmt.Errorf("%w: %s is no store of Tarn (application id %#x)", ErrFormat, path, app)
	}
	var says string
	if err := db.QueryRowContext(ctx, "pragma integrity_check(1)").Scan(&says); err != nil {
		return mapError(err)
	}
	if says != "ok" {
		return fmt.Errorf("%w: %s", storage.ErrBroken, says)
	}
	return nil
}

// checkBatches reads every log whole.
func (e *Engine) checkBatches(ctx context.Context) error {
	e.mu.RLock()
	logs := make([]storage.TP, 0, len(e.logs))
	for tp := range e.logs {
		logs = append(logs, tp)
	}
	e.mu.RUnlock()
	for _, tp := range logs {
		b, err := e.Bounds(ctx, tp)
		for at := b.Start; err == nil && at < b.End; {
			var data []byte
			if data, err = e.Read(ctx, tp, at, pageBytesRead); err != nil || len(data) == 0 {
				break
			}
			at, err = checkCRC(tp, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCRC checks batches and returns the offset after the last one.
func checkCRC(tp storage.TP, data []byte) (int64, error) {
	next := int64(0)
	for h, b := range storage.Batches(data) {
		if err := record.CheckCRC(b); err != nil {
			return 0, fmt.Errorf("%w: %s, batch at %d: %w", storage.ErrBroken, tp, h.BaseOffset, err)
		}
		next = h.LastOffset() + 1
	}
	if next == 0 {
		return 0, fmt.Errorf("%w: %s: no batch where one should be", storage.ErrBroken, tp)
	}
	return next, nil
}

// Forget deletes all items whose keys begin with any of prefixes, which end below
// 0xff, from a store that nobody has open.
func Forget(ctx context.Context, path string, prefixes ...string) error {
	db, err := openDB(path, "", 1)
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		if err == nil {
			_, err = db.ExecContext(ctx, "delete from item where key >= ? and key < ?", []byte(prefix), prefixEnd(prefix))
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("change %s: %w", path, mapError(err))
	}
	return nil
}

// Holds reports whether a store that nobody has open has an item whose key begins
// with prefix, which ends below 0xff.
func Holds(ctx context.Context, path, prefix string) (bool, error) {
	db, err := openDB(path, "mode=ro", 1)
	if err != nil {
		return false, err
	}
	var there bool
	err = db.QueryRowContext(ctx, "select exists (select 1 from item where key >= ? and key < ?)", []byte(prefix), prefixEnd(prefix)).Scan(&there)
	if err = errors.Join(err, db.Close()); err != nil {
		return false, fmt.Errorf("look into %s: %w", path, mapError(err))
	}
	return there, nil
}
