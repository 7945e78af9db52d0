package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"slices"

	"github.com/tarn-io/tarn/broker/storage"
)

// maxScanBytes bounds what a Scan collects before it begins to hand items out.
// Up to there its transaction is over before the caller sees the first item;
// beyond, it stays open while the caller works.
const maxScanBytes = 64 << 20

// itemOverhead is what an item takes beside its value, about.
const itemOverhead = 100

// readStatements are prepared on the reading connections.
type readStatements struct {
	dir, data, part *sql.Stmt
	item            *sql.Stmt
	scan, scanAll   *sql.Stmt
}

func (s *readStatements) prepare(ctx context.Context, db *sql.DB) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		sql  string
	}{
		{&s.dir, "select dir from chunk where id = ?"},
		{&s.data, "select data from chunk where id = ?"},
		{&s.part, "select substr(data, ?, ?) from chunk where id = ?"},
		{&s.item, "select version, value from item where key = ?"},
		{&s.scan, "select key, version, value from item where key >= ? and key < ? order by key"},
		{&s.scanAll, "select key, version, value from item where key >= ? order by key"},
	} {
		stmt, err := db.PrepareContext(ctx, p.sql)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", p.sql, mapError(err))
		}
		*p.stmt = stmt
	}
	return nil
}

// itemVersion is the version of the item at key, for the committer.
func (e *Engine) itemVersion(key string) (int64, error) {
	if v, ok := e.versions[key]; ok {
		return v, nil
	}
	var v int64
	_, err := one(e.w.itemVersion, []any{[]byte(key)}, []any{&v}, func() error { return nil })
	if err != nil {
		return 0, fmt.Errorf("read version of %q: %w", key, err)
	}
	if len(e.versions) >= maxVersions {
		clear(e.versions)
	}
	e.versions[key] = v
	return v, nil
}

// Get implements storage.Engine.
func (e *Engine) Get(ctx context.Context, key string) (storage.Item, error) {
	if err := e.enter(ctx); err != nil {
		return storage.Item{}, err
	}
	defer e.leave()
	it := storage.Item{Key: key}
	var value sql.RawBytes
	_, err := one(e.read.item, []any{[]byte(key)}, []any{&it.Version, &value}, func() error {
		it.Value = append([]byte{}, value...)
		return nil
	})
	if err != nil {
		return storage.Item{}, fmt.Errorf("get %q: %w", key, err)
	}
	return it, nil
}

// Scan implements storage.Engine.
func (e *Engine) Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error] {
	return func(yield func(storage.Item, error) bool) {
		items, rest, err := e.scan(ctx, prefix)
		if err != nil {
			yield(storage.Item{}, err)
			return
		}
		if rest != nil {
			defer rest.Close()
		}
		for len(items) > 0 {
			for _, it := range items {
				if err := ctx.Err(); err != nil {
					yield(storage.Item{}, err)
					return
				}
				if !yield(it, nil) {
					return
				}
			}
			if rest == nil {
				return
			}
			if items, _, err = collect(rest); err != nil {
				yield(storage.Item{}, err)
				return
			}
		}
	}
}

// scan collects items up to maxScanBytes, and returns the open rows if there
// are more.
func (e *Engine) scan(ctx context.Context, prefix string) ([]storage.Item, *sql.Rows, error) {
	if err := e.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer e.leave()
	stmt, args := e.read.scanAll, []any{[]byte(prefix)}
	if end := prefixEnd(prefix); end != nil {
		stmt, args = e.read.scan, append(args, end)
	}
	rows, err := stmt.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, nil, fmt.Errorf("scan %q: %w", prefix, mapError(err))
	}
	items, more, err := collect(rows)
	if err != nil || !more {
		rows.Close()
		return items, nil, err
	}
	return items, rows, nil
}

// collect reads items until the rows end or maxScanBytes are full; more says
// which.
func collect(rows *sql.Rows) (items []storage.Item, more bool, err error) {
	size := 0
	for size < maxScanBytes {
		if !rows.Next() {
			if err := rows.Err(); err != nil {
				return nil, false, fmt.Errorf("scan: %w", mapError(err))
			}
			return items, false, nil
		}
		var key, value sql.RawBytes
		var it storage.Item
		if err := rows.Scan(&key, &it.Version, &value); err != nil {
			return nil, false, fmt.Errorf("scan: %w", mapError(err))
		}
		it.Key, it.Value = string(key), append([]byte{}, value...)
		items = append(items, it)
		size += len(it.Key) + len(it.Value) + itemOverhead
	}
	return items, true, nil
}

// prefixEnd is the first key above all that begin with prefix, or nil if there
// is none.
func prefixEnd(prefix string) []byte {
	end := slices.Clone([]byte(prefix))
	for len(end) > 0 {
		if end[len(end)-1]++; end[len(end)-1] != 0 {
			return end
		}
		end = end[:len(end)-1]
	}
	return nil
}
