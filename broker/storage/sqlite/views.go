package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// View is a view for people who open the file with sqlite3. The engine makes
// those that are missing and replaces those whose text has changed; it reads
// none itself.
type View struct {
	Name string // an identifier that needs no quotes
	SQL  string // the SELECT, without a semicolon at its end
}

// engineViews are those that need no more than the engine's own tables.
var engineViews = []View{
	{"partitions", `select lower(hex(topic)) as topic, part as partition, start, "end", epoch, bytes from log order by topic, part`},
	{"items", `select cast(key as text) as key, version, length(value) as bytes, value from item`},
	{"chunks", `select id, length(dir) as dir_bytes, length(data) as data_bytes from chunk`},
	{"directories", directoriesView},
	{"runs", runsView},
	{"batches", batchesView},
}

// allBytes is a blob in which the byte b, from 1 up, stands at position b.
var allBytes = func() string {
	b := make([]byte, 255)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return fmt.Sprintf("x'%X'", b)
}()

// directoriesView splits the directories of chunks into numbers, one a row, in
// their order: n 0 is the number of runs, then come 8 for each run and 12 for
// each batch, of which the fifth (k 4) is the CRC. Signed ones are still
// zigzag. It reads no record data.
var directoriesView = `with recursive t(chunk, dir, at, n, shift, value, runs, done) as (
    select id, dir, 6, 0, 0, 0, null, 0 from chunk
  union all
    select chunk, dir, at + case when ` + atCRC + ` then 4 else 1 end,
      n + (` + atCRC + ` or ` + lastByte + `),
      case when ` + atCRC + ` or ` + lastByte + ` then 0 else shift + 7 end,
      case when ` + atCRC + ` then 0 else case when done then 0 else value end | ((instr(` + allBytes + `, substr(dir, at, 1)) & 127) << shift) end,
      case when n = 0 and ` + lastByte + ` then case when done then 0 else value end | (instr(` + allBytes + `, substr(dir, at, 1)) << shift) else runs end,
      ` + atCRC + ` or ` + lastByte + `
    from t where at <= length(dir)
  )
  select chunk, n - 1 as n, value, runs,
    case when n - 1 > 8 * runs then (n - 2 - 8 * runs) / 12 end as batch,
    case when n - 1 > 8 * runs then (n - 2 - 8 * runs) % 12 when n > 1 then (n - 2) % 8 end as k
  from t where done`

const (
	// lastByte asks whether the byte at hand ends its number, atCRC whether it
	// begins the CRC of a batch, which is no varint.
	lastByte = "substr(dir, at, 1) < x'80'"
	atCRC    = "(n > 0 and n > 8 * runs and (n - 1 - 8 * runs) % 12 = 4)"
)

// zigzag is SQL for the signed number that v stands for.
func zigzag(v string) string {
	half := "((" + v + " >> 1) & 0x7fffffffffffffff)"
	return "case " + v + " & 1 when 0 then " + half + " else -1 - " + half + " end"
}

// runsView has a row for each run: batches of one log, one after another in a
// chunk's data from pos (0 is its first byte).
var runsView = `select chunk, run, log, base, base + span as last, batches, bytes,
    sum(bytes) over (partition by chunk order by run) - bytes as pos,
    sum(batches) over (partition by chunk order by run) - batches as first_batch,
    ` + zigzag("ts") + ` as timestamp
  from (select chunk, (n - 1) / 8 as run,
      max(case k when 0 then value end) as log, max(case k when 1 then value end) as base,
      max(case k when 2 then value end) as span, max(case k when 3 then value end) as batches,
      max(case k when 4 then value end) as bytes, max(case k when 6 then value end) as ts
    from directories where batch is null and n > 0 group by chunk, (n - 1) / 8)`

// batchesView has a row for each record batch that a reader can get: those below
// the start of their log, and those that compaction or merging has replaced, are
// left out.
var batchesView = `with d as materialized (select * from directories),
  r as materialized (` + runsView + `),
  b as materialized (select chunk, batch,
      max(case k when 0 then value end) as size, max(case k when 1 then value end) as gap,
      max(case k when 2 then value end) as delta, max(case k when 3 then value end) as missing,
      max(case k when 5 then value end) as attributes, max(case k when 7 then ` + zigzag("value") + ` end) as ts,
      max(case k when 8 then ` + zigzag("value") + ` end) as newest, max(case k when 9 then ` + zigzag("value") + ` end) as producer,
      max(case k when 10 then ` + zigzag("value") + ` end) as generation, max(case k when 11 then ` + zigzag("value") + ` end) as sequence
    from d where batch is not null group by chunk, batch),
  x as (select r.log, r.chunk, r.pos + sum(b.size) over w - b.size as pos, b.size as bytes,
      r.base + sum(b.gap + b.delta + 1) over w - b.delta - 1 as base,
      r.base + sum(b.gap + b.delta + 1) over w - 1 as last,
      b.delta + 1 - b.missing as records, r.timestamp + sum(b.ts) over w as first_ms,
      r.timestamp + sum(b.ts) over w + b.newest as newest_ms, b.attributes, b.producer, b.generation, b.sequence
    from r join b on b.chunk = r.chunk and b.batch >= r.first_batch and b.batch < r.first_batch + r.batches
    window w as (partition by r.chunk, r.run order by b.batch))
  select lower(hex(l.topic)) as topic, l.part as partition, x.base as base_offset, x.last as last_offset, x.records, x.bytes,
    x.first_ms as timestamp_ms, x.newest_ms as max_timestamp_ms,
    case x.attributes & 7 when 0 then 'none' when 1 then 'gzip' when 2 then 'snappy' when 3 then 'lz4' when 4 then 'zstd' end as compression,
    (x.attributes >> 4) & 1 as transactional, (x.attributes >> 5) & 1 as control,
    nullif(x.producer, -1) as producer_id, nullif(x.generation, -1) as producer_epoch, nullif(x.sequence, -1) as base_sequence,
    x.chunk, x.pos
  from x join log l on l.id = x.log
  where x.last >= l.start and not exists (select 1 from cut c where c.chunk = x.chunk
    and (c.log = 0 or c.log = x.log and x.base >= c.low and x.base < c.high))
  order by l.topic, l.part, x.base`

// makeViews makes the engine's views and those of cfg as they should be, in one
// transaction, if any differs.
func makeViews(ctx context.Context, c *sql.Conn, cfg Config) error {
	there := map[string]string{}
	rows, err := c.QueryContext(ctx, "select name, sql from sqlite_schema where type = 'view'")
	if err != nil {
		return fmt.Errorf("look at the views: %w", mapError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return fmt.Errorf("look at the views: %w", mapError(err))
		}
		there[name] = text
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look at the views: %w", mapError(err))
	}
	change := ""
	for _, v := range append(engineViews[:len(engineViews):len(engineViews)], cfg.Views...) {
		want := "CREATE VIEW " + v.Name + " as " + v.SQL
		if there[v.Name] != want {
			change += "drop view if exists " + v.Name + "; " + want + "; "
		}
	}
	if change == "" {
		return nil
	}
	if _, err := c.ExecContext(ctx, "begin immediate; "+change+"commit;"); err != nil {
		return fmt.Errorf("make the views: %w", mapError(err))
	}
	return nil
}
