package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const (
	// applicationID marks the file as ours: "Tarn" in ASCII.
	applicationID = 0x5461726e
	// formatVersion is the layout that this code writes, and the newest that
	// it reads. It stands in the file's user_version.
	formatVersion = 1
	pageBytes     = 16384
	// checkpointPages is how long the WAL grows before a commit checkpoints it:
	// 2 MB. Throughput is the same at any size, the slowest commits are not.
	checkpointPages = 128
	// walKeepBytes is what stays of a WAL that an outside reader let grow.
	walKeepBytes = 64 << 20
	// busyMs is how long a commit waits for an outside writer to let go.
	busyMs = 5000
)

// ErrFormat says that the file is not a store of Tarn, or one that a newer
// Tarn wrote.
var ErrFormat = errors.New("unsupported store format")

// schema makes the tables of a new file. Comments in it stay in the file, where
// people who open it with sqlite3 will look.
const schema = `
create table chunk(
  id   integer primary key, -- rises with every commit
  dir  blob not null,       -- which batches of which logs lie in data; see README.md of the sqlite engine
  data blob not null        -- whole record batches, one after another
);
create table log(
  id    integer primary key autoincrement, -- never used again
  topic blob not null,                     -- 16 bytes
  part  integer not null,
  start integer not null,                  -- first offset that may be read
  "end" integer not null,                  -- may be behind: chunks know better
  epoch integer not null,
  bytes integer not null,                  -- may be behind
  unique(topic, part)
);
create table cut(
  chunk integer not null, -- in this chunk
  log   integer not null, -- of this log (0: of all)
  low   integer not null, -- batches from this offset
  high  integer not null, -- to below this one are dead
  primary key(chunk, log, low)
) without rowid;
create table item(
  key     blob primary key,
  version integer not null,
  value   blob not null
) without rowid;
create table counter(
  name  text primary key, -- "version": no item has a version above value
  value integer not null
) without rowid;
`

// prepare makes a new file ours, or checks that an old one is, and sets what a
// connection has to set each time.
func prepare(ctx context.Context, c *sql.Conn, cfg Config) error {
	var app, version, objects int64
	for _, q := range []struct {
		sql  string
		into *int64
	}{
		{"pragma application_id", &app}, {"pragma user_version", &version},
		{"select count(*) from sqlite_schema", &objects},
	} {
		if err := c.QueryRowContext(ctx, q.sql).Scan(q.into); err != nil {
			return fmt.Errorf("look at the store: %w", mapError(err))
		}
	}
	switch {
	case app == 0 && objects == 0:
		if err := create(ctx, c); err != nil {
			return err
		}
	case app != applicationID:
		return fmt.Errorf("%w: %s is no store of Tarn (application id %#x)", ErrFormat, cfg.Path, app)
	case version > formatVersion:
		return fmt.Errorf("%w: %s has format %d, this Tarn reads up to %d; use a newer one",
			ErrFormat, cfg.Path, version, formatVersion)
	case version < 1:
		return fmt.Errorf("%w: %s has format %d", ErrFormat, cfg.Path, version)
	}
	if err := setPragmas(ctx, c, cfg); err != nil {
		return err
	}
	return makeViews(ctx, c, cfg)
}

func create(ctx context.Context, c *sql.Conn) error {
	// In one call and in this order: once auto_vacuum or WAL is set, a page
	// size is silently ignored. The driver would reorder them in a DSN.
	first := fmt.Sprintf("pragma page_size=%d; pragma auto_vacuum=incremental; pragma journal_mode=wal;", pageBytes)
	rest := fmt.Sprintf("begin immediate; %s pragma application_id=%d; pragma user_version=%d; commit;",
		schema, applicationID, formatVersion)
	for _, q := range []string{first, "pragma synchronous=full", rest} {
		if _, err := c.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("create the store: %w", mapError(err))
		}
	}
	return nil
}

// setPragmas sets what holds for a connection and asserts it, together with
// what the file itself must have: a pragma that does not take says nothing.
func setPragmas(ctx context.Context, c *sql.Conn, cfg Config) error {
	level := int64(2)
	if cfg.Synchronous == Normal {
		level = 1
	}
	set := fmt.Sprintf("pragma busy_timeout=%d; pragma synchronous=%d; pragma wal_autocheckpoint=%d; pragma journal_size_limit=%d;",
		busyMs, level, checkpointPages, walKeepBytes)
	if _, err := c.ExecContext(ctx, set); err != nil {
		return fmt.Errorf("set pragmas: %w", mapError(err))
	}
	for _, p := range []struct {
		name string
		want any
	}{
		{"page_size", int64(pageBytes)}, {"auto_vacuum", int64(2)}, {"journal_mode", "wal"},
		{"synchronous", level}, {"wal_autocheckpoint", int64(checkpointPages)},
		{"journal_size_limit", int64(walKeepBytes)}, {"busy_timeout", int64(busyMs)},
	} {
		var got any
		if err := c.QueryRowContext(ctx, "pragma "+p.name).Scan(&got); err != nil {
			return fmt.Errorf("read pragma %s: %w", p.name, mapError(err))
		}
		if got != p.want {
			return fmt.Errorf("%w: pragma %s is %v, expected %v", ErrFormat, p.name, got, p.want)
		}
	}
	return nil
}
