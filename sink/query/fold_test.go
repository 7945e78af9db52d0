package query_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

const foldSchema = `{"type":"record","name":"F","fields":[
	{"name":"whole","type":["null","long"]},
	{"name":"small","type":"int"},
	{"name":"real","type":["null","double"]},
	{"name":"yes","type":"boolean"},
	{"name":"name","type":["null","string"]},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
	{"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
	{"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"clock","type":{"type":"long","logicalType":"time-micros"}},
	{"name":"raw","type":"bytes"},
	{"name":"tags","type":{"type":"array","items":"string"}}%s]}`

// foldRecord makes a record of foldSchema from a few values each, so that groups meet;
// odd says that values may be such as are rare.
func foldRecord(r *rand.Rand, id int, odd bool, more func(b []byte) []byte) []byte {
	b := schema.AppendPrefix(nil, int32(id))
	maybe := func(put func()) {
		if r.IntN(4) == 0 {
			b = append(b, 0)
			return
		}
		b = append(b, 2)
		put()
	}
	wholes := []int64{0, 1, -1, 7, 100, 1 << 40, -(1 << 53), 1<<53 + 1}
	reals := []float64{0, 1, -2.5, 0.1, 1e15, 3}
	names := []string{"", "ann", "Ann", "bob", "über", "日本", "10"}
	if odd {
		wholes = append(wholes, math.MaxInt64, math.MinInt64)
		reals = append(reals, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 1e300)
		names = append(names, "b\x00b", "\U0001F600")
	}
	maybe(func() { b = binary.AppendVarint(b, wholes[r.IntN(len(wholes))]) })
	b = binary.AppendVarint(b, int64(r.IntN(20)-5))
	maybe(func() { b = binary.LittleEndian.AppendUint64(b, math.Float64bits(reals[r.IntN(len(reals))])) })
	b = append(b, byte(r.IntN(2)))
	maybe(func() { n := names[r.IntN(len(names))]; b = append(binary.AppendVarint(b, int64(len(n))), n...) })
	if odd && r.IntN(8) == 0 {
		b = append(b, 20, 0x01, 0x8e, 0xe9, 0x0f, 0xf6, 0xc3, 0x73, 0xe0, 0xee, 0x4e) // more digits than a float has
	} else {
		b = append(b, 4, byte(r.IntN(256)), byte(r.IntN(4)*100))
	}
	maybe(func() {
		ats := []int64{1_760_000_000_123_456, 1_760_000_000_000_000, 1_760_000_000_123_000, -1, 0}
		if odd {
			ats = append(ats, 400_000_000_000_000_000, -70_000_000_000_000_000)
		}
		b = binary.AppendVarint(b, ats[r.IntN(len(ats))])
	})
	b = binary.AppendVarint(b, int64(r.IntN(3)*10_000-5))
	b = binary.AppendVarint(b, int64(r.IntN(3))*3_600_000_500)
	b = append(b, 4, 0xff, byte(r.IntN(2)))
	b = append(b, 2, 2, byte('a'+r.IntN(2)), 0)
	return more(b)
}

var (
	foldColumns = []string{"whole", "small", "real", "yes", "name", "price", "at", "day", "clock", "raw", "tags", "kafka_partition", "kafka_offset", "kafka_timestamp", "kafka_key", "kafka_schema_id", "added"}
	foldValues  = map[string][]string{
		"whole": {"0", "7", "1.5", "-9007199254740993", "9e99"}, "small": {"3", "-1", "2.5", "100"}, "real": {"0", "0.1", "3", "-2.5", "9007199254740993"},
		"yes": {"1", "0", "true"}, "name": {"'ann'", "'b'", "''", "'10'", "lower('BOB')"}, "price": {"10", "'10'"},
		"at":  {"'2025-10-09 08:53:20.123'", "'2025-10-09'", "datetime(1760000000, 'unixepoch')", "'1970-01-01 00:00:00'", "'9'"},
		"day": {"'1997-05-14'", "'1997'", "date('1970-01-01', '-5 days')"}, "clock": {"'01:00:00'", "'00'", "'01:00:00.000500'"},
		"raw": {"x'ff00'"}, "tags": {"'[\"a\"]'"}, "kafka_partition": {"0", "1", "2"}, "kafka_offset": {"3", "9", "-1", "7.5", "40"},
		"kafka_timestamp": {"'2023-11-14 22:13:22'", "'2023-11-14 22:13:22.000'", "'2023'", "'2024'"},
		"kafka_key":       {"'k1'", "'k'"}, "kafka_schema_id": {"1", "2"}, "added": {"0", "2.5"},
	}
)

// foldWhere makes a condition; simple is one that is always folded.
func foldWhere(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		return fmt.Sprintf("%s %s %s", foldWhere(r, depth-1), []string{"and", "or"}[r.IntN(2)], foldWhere(r, depth-1))
	}
	c := foldColumns[r.IntN(len(foldColumns))]
	v := func() string { return foldValues[c][r.IntN(len(foldValues[c]))] }
	switch r.IntN(9) {
	case 0:
		return c + " between " + v() + " and " + v()
	case 1:
		return c + " in (" + v() + ", " + v() + ")"
	case 2:
		return c + []string{" is null", " is not null", " notnull", " isnull"}[r.IntN(4)]
	case 3:
		return "not (" + foldWhere(r, 0) + ")"
	case 4:
		return c + []string{" like 'a%'", " not like '%0%'", " not in (" + v() + ")", " not between " + v() + " and " + v()}[r.IntN(4)]
	}
	return c + " " + []string{"=", "==", "<>", "!=", "<", "<=", ">", ">="}[r.IntN(8)] + " " + v()
}

func foldQuery(r *rand.Rand, table string) string {
	column := func() string { return foldColumns[r.IntN(len(foldColumns))] }
	var items, keys []string
	for range r.IntN(3) {
		keys = append(keys, column())
	}
	items = append(items, keys...)
	for range 1 + r.IntN(4) {
		switch f := []string{"count", "count", "sum", "avg", "total", "min", "max"}[r.IntN(7)]; {
		case f == "count" && r.IntN(3) == 0:
			items = append(items, "count(*)")
		case f == "count" && r.IntN(3) == 0:
			items = append(items, "count(distinct "+column()+")")
		default:
			items = append(items, f+"("+column()+")")
		}
	}
	sql := "select " + strings.Join(items, ", ") + " from " + table
	if r.IntN(3) > 0 {
		sql += " where " + foldWhere(r, r.IntN(3))
	}
	if len(keys) > 0 {
		sql += " group by " + strings.Join(keys, ", ")
		switch r.IntN(3) {
		case 0:
			sql += " having count(*) > 1 and not " + keys[0] + " is null"
		case 1:
			sql += " order by count(*) desc, " + strings.Join(keys, ", ") + " limit 4"
		}
	}
	return sql
}

// TestFold asks made up questions twice: as they are answered, and of SQLite alone. The
// answers are the same to the last bit.
func TestFold(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		for _, odd := range []bool{false, true} {
			if odd == (format == "delta") {
				continue // how files are listed and what is in them go their own ways
			}
			t.Run(fmt.Sprint(format, " odd ", odd), func(t *testing.T) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				r := rand.New(rand.NewPCG(seed, 1))
				w := newWorld(t, format)
				first := w.register("orders-value", fmt.Sprintf(foldSchema, ""))
				second := 0
				fill := func() {
					for n := range 6 {
						var values [][]byte
						for range r.IntN(8) {
							if second > 0 && r.IntN(2) == 0 {
								values = append(values, foldRecord(r, second, odd, func(b []byte) []byte { return append(b, 2, byte(r.IntN(10))) }))
								continue
							}
							values = append(values, foldRecord(r, first, odd, func(b []byte) []byte { return b }))
						}
						if r.IntN(6) == 0 {
							values = append(values, []byte("bad"))
						}
						if len(values) > 0 {
							w.produce(orders, int32(n%2), fmt.Sprint("k", r.IntN(3)), values...)
						}
					}
				}
				folds := 0
				ask := func(tables ...string) {
					for range 10 {
						sql := foldQuery(r, tables[r.IntN(len(tables))])
						got, want := w.ask(sql), w.askWith(query.Plainly(query.Request{SQL: sql}))
						if got != want {
							t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
						}
						if strings.Contains(w.ask("explain query plan "+sql), "FOLD ") {
							folds++
						}
					}
				}
				fill()
				second = w.register("orders-value", fmt.Sprintf(foldSchema, `,{"name":"added","type":["null","int"],"default":null}`))
				fill()
				ask("orders", "log.orders")
				w.flush()
				ask("orders", "log.orders", "lake.orders")
				fill()
				ask("orders", "log.orders", "lake.orders")
				if folds < 4 {
					t.Errorf("%d of 30 were folded", folds)
				}
			})
		}
	}
}

// TestFoldCommitted folds over ranges of offsets and times, and behind an open
// transaction.
func TestFoldCommitted(t *testing.T) {
	w := newWorld(t)
	put := func(o record.Options, n int) {
		b := record.NewBuilder(o)
		for i := range n {
			b.Append(firstMs+int64(i), []byte("k"), []byte("v"))
		}
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		w.append(plain, 0, raw)
	}
	put(record.Options{}, 3)
	put(record.Options{}, 4)
	for _, c := range []struct{ sql, want string }{
		{`select count(*) from "my.plain" where kafka_offset >= 2 and kafka_offset < 5`, "3"},
		{`select count(*), count(kafka_key), max(kafka_offset), min(kafka_timestamp), max(kafka_timestamp) from "my.plain" where kafka_timestamp > '2023-11-14 22:13:20.001'`, "3,3,6,2023-11-14 22:13:20.002,2023-11-14 22:13:20.003"},
		{`select count(*) from "my.plain" where kafka_partition = 1`, "0"},
		{`select max(kafka_offset) from "my.plain" where kafka_partition = 1`, ""},
	} {
		if got := w.ask(c.sql); strings.Trim(got, `"`) != c.want {
			t.Errorf("%s: got %s, want %s", c.sql, got, c.want)
		}
	}
	put(record.Options{Transactional: true, Producer: &record.Producer{ID: 9}}, 2)
	put(record.Options{}, 2)
	if got := w.ask(`select count(*), max(kafka_offset) from "my.plain" where kafka_offset > 1`); got != "5,6" {
		t.Errorf("behind an open transaction: %s", got)
	}
}

// TestFolds holds which statements are folded, and which are left to SQLite.
func TestFolds(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "k", order(id, 1, "ann", 1), order(id, 2, "bob", 2), order(id, 3, "ann", 4))
	for _, c := range []struct {
		sql, want string
		folds     bool
	}{
		{"select count(*) from orders", "3", true},
		{"SELECT Count( * ) AS n, max(o.ID) FROM main.orders AS o WHERE o.customer='ann'", "2,3", true},
		{"select customer, sum(amount) total from orders group by 1 order by total desc", "ann,5\nbob,2", true},
		{"select customer c, round(sum(amount) / count(*), 1) from orders group by c having sum(amount) > 2", "ann,2.5", true},
		{"select case when count(*) > 2 then 'many' else 'few' end, -max(id) from orders", "many,-3", true},
		{"select distinct customer from orders", "ann\nbob", true},
		{"select count(distinct customer) from log.orders", "2", true},
		{"select customer from orders group by customer order by max(id) desc limit 1 offset 1", "bob", true},
		{"select count(*) from orders where id > 1 or not (customer = 'bob' and amount <= 2.0e0)", "3", true},
		{"select count(*) from orders where kafka_timestamp > datetime('now', '-1 hour')", "0", true},
		{"select avg(amount) from orders where id between 2 and 3 and customer in ('ann', 'bob') and customer like 'B%'", "2", true},
		{"select sum(amount) from orders where id <> -1 and id >= +2 -- and so on\n", "6", true},
		{"select customer, max(id), amount from orders", "ann,3,4", false},
		{"select count(*) from orders, log.orders l", "9", false},
		{"select count(*) from orders where id = amount", "2", false},
		{"select count(*) from orders where id = '2'", "1", false},
		{"select count(*) from orders where id + 1 = 2", "1", false},
		{"select count(*) filter (where id > 1) from orders", "2", false},
		{"select sum(id) over () from orders limit 1", "6", false},
		{"select min(id, 2) from orders", "1\n2\n2", false},
		{"select upper(customer), count(*) from orders group by upper(customer)", "ANN,2\nBOB,1", false},
		{"select count(*) from orders where customer = 'ANN' collate nocase", "2", false},
		{"select group_concat(id) from orders", "\"1,2,3\"", false},
		{"select count(*) from (select * from orders)", "3", false},
		{"select id as amount, count(*) from orders group by amount", "1,1\n2,1\n3,1", false},
		{"select count(*) from orders union all select 1", "3\n1", false},
		{"select (select max(id) from orders), count(*) from orders", "3,3", false},
		{"with orders as (select 1) select count(*) from orders", "1", false},
		{"select *, count(*) from (select 1)", "1,1", false},
	} {
		if got := w.ask(c.sql); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.sql, got, c.want)
		}
		if got := strings.Contains(w.ask("explain query plan "+c.sql), "FOLD "); got != c.folds {
			t.Errorf("%s: folded %v, want %v", c.sql, got, c.folds)
		}
	}
}
