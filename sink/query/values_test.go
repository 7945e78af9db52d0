package query_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

const allTypes = `{"type":"record","name":"All","fields":[
	{"name":"big","type":"long"},
	{"name":"yes","type":"boolean"},
	{"name":"real","type":"double"},
	{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
	{"name":"long_price","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
	{"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"clock","type":{"type":"long","logicalType":"time-micros"}},
	{"name":"raw","type":"bytes"},
	{"name":"text","type":["null","string"]},
	{"name":"list","type":{"type":"array","items":{"type":"record","name":"Item","fields":[{"name":"n","type":"long"},{"name":"note","type":["null","string"]}]}}}]}`

// TestValues holds every type to its form in SQL, in the log and in each table.
func TestValues(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, format)
			b := schema.AppendPrefix(nil, int32(w.register("orders-value", allTypes)))
			b = append(binary.AppendVarint(b, math.MaxInt64), 1)
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(0.1))
			b = append(b, 4, 0x04, 0xd2)                                                  // 12.34
			b = append(b, 20, 0x01, 0x8e, 0xe9, 0x0f, 0xf6, 0xc3, 0x73, 0xe0, 0xee, 0x4e) // more digits than a float has
			b = binary.AppendVarint(b, 1_760_000_000_123_456)
			b = binary.AppendVarint(b, 20_000)
			b = binary.AppendVarint(b, 3_600_000_000)
			b = append(b, 4, 0xff, 0x00)                                    // raw
			b = append(append(b, 2, 10), "a\"\nü"...)                       // text
			b = append(binary.AppendVarint(append(b, 4), math.MinInt64), 0) // two items
			b = append(binary.AppendVarint(b, 7), 2, 2, 'x', 0)
			w.produce(orders, 0, "k", b)
			want := "9223372036854775807,true,0.1,12.34,73585980541912125886.22,2025-10-09 08:53:20.123456,2024-10-04,01:00:00,\\xff00,\"a\"\"\nü\",\"[{\"\"n\"\":-9223372036854775808},{\"\"n\"\":7,\"\"note\"\":\"\"x\"\"}]\""
			for _, where := range []string{"log", "table"} {
				got := w.ask("select big, yes, real, price, long_price, at, day, clock, raw, text, list from orders")
				if got != want {
					t.Errorf("%s:\ngot  %s\nwant %s", where, got, want)
				}
				if got := w.ask("select typeof(big), typeof(price), typeof(long_price), typeof(raw), list ->> '$[1].note' from orders"); got != "integer,real,text,blob,x" {
					t.Errorf("%s: types %s", where, got)
				}
				if where == "log" {
					w.flush()
				}
			}
		})
	}
}

// TestBooleans holds columns of booleans to what each form says of them, and what is only
// called so to numbers.
func TestBooleans(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", `{"type":"record","name":"B","fields":[{"name":"ok","type":["null","boolean"]}]}`)
	record := func(tail ...byte) []byte { return append(schema.AppendPrefix(nil, int32(id)), tail...) }
	w.produce(orders, 0, "k", record(2, 1), record(2, 0), record(0))
	for _, where := range []string{"log", "table"} {
		for _, c := range []struct{ sql, format, want string }{
			{"select ok from orders order by kafka_offset", "jsonl", `{"ok":true} {"ok":false} {"ok":null}`},
			{"select ok as o from (select * from orders) order by 1", "csv", `o "" false true`},
			{"select distinct ok from orders where ok = 'true' or not ok order by ok", "text", `ok ----- false true (2 rows)`},
			{"select ok, count(*) as n from orders group by ok order by ok", "jsonl", `{"ok":null,"n":1} {"ok":false,"n":1} {"ok":true,"n":1}`},
			{"select max(ok) as m, sum(ok) as s from orders", "jsonl", `{"m":1,"s":1}`},
			{"select ok from orders where ok union all select 5 order by 1", "jsonl", `{"ok":1} {"ok":5}`},
			{"select ok is true as x, ok and 1 as y from orders where ok", "jsonl", `{"x":1,"y":1}`},
		} {
			got, err := w.engine.Query(t.Context(), query.Request{SQL: c.sql})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := got.Write(&b, c.format); err != nil || strings.Join(strings.Fields(b.String()), " ") != c.want {
				t.Errorf("%s: %s as %s: %v\n%s", where, c.sql, c.format, err, b.String())
			}
		}
		if where == "log" {
			w.flush()
		}
	}
}

// TestPlain asks for a topic without a schema, whose name needs quotes.
func TestPlain(t *testing.T) {
	w := newWorld(t)
	w.produce(plain, 0, "k1", []byte(`{"a":1}`), nil, []byte{0xff, 0x00})
	got := w.ask(`select kafka_offset, value, value ->> '$.a', kafka_value, kafka_error from "my.plain" where kafka_offset = 0 union all select kafka_offset, value, null, kafka_value, kafka_error from "my.Plain" where kafka_offset > 0`)
	if want := "0,\"{\"\"a\"\":1}\",1,\\x7b2261223a317d,\n1,,,,\n2,\\xff00,,\\xff00,"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCommitted asks while transactions are open and aborted.
func TestCommitted(t *testing.T) {
	w := newWorld(t)
	put := func(producer int64, sequence int32) {
		b := record.NewBuilder(record.Options{Transactional: true, Producer: &record.Producer{ID: producer, BaseSequence: sequence}})
		b.Append(firstMs, []byte("k"), []byte("v"))
		raw, err := b.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		w.append(plain, 0, raw)
	}
	w.produce(plain, 0, "k", []byte("a"))
	put(9, 0)
	w.produce(plain, 0, "k", []byte("b"))
	if got := w.ask(`select count(*), max(kafka_offset) from "my.plain"`); got != "1,0" {
		t.Errorf("behind an open transaction: %s", got)
	}
}

// TestWrite holds results to their forms.
func TestWrite(t *testing.T) {
	w := newWorld(t)
	const sql = "select 1 as n, 'a,\"b' as s, x'00ff' as b, null as z, 0.5 as n union all select 9007199254740993, 'c' || char(27), null, null, 1e300"
	got, err := w.engine.Query(t.Context(), query.Request{SQL: sql})
	if err != nil {
		t.Fatal(err)
	}
	got.Elapsed = 5 * time.Millisecond
	for _, c := range []struct{ format, want string }{
		{"json", `{"columns":[{"name":"n","type":""},{"name":"s","type":""},{"name":"b","type":""},{"name":"z","type":""},{"name":"n","type":""}],"rows":[
[1,"a,\"b",{"base64":"AP8="},null,0.5],
[9007199254740993,"c\u001b",null,null,1e+300]],"row_count":2,"truncated":false,"scanned":0,"read":{"files":0,"files_passed":0,"row_groups":0,"row_groups_passed":0,"row_groups_answered":0,"log_batches":0,"log_batches_passed":0,"log_bytes":0},"elapsed_ms":5}
`},
		{"objects", `[
{"n":1,"s":"a,\"b","b":{"base64":"AP8="},"z":null,"n_2":0.5},
{"n":9007199254740993,"s":"c\u001b","b":null,"z":null,"n_2":1e+300}
]
`},
		{"jsonl", `{"n":1,"s":"a,\"b","b":{"base64":"AP8="},"z":null,"n_2":0.5}
{"n":9007199254740993,"s":"c\u001b","b":null,"z":null,"n_2":1e+300}
`},
		{"csv", "n,s,b,z,n\n1,\"a,\"\"b\",\\x00ff,,0.5\n9007199254740993,c\x1b,,,1e+300\n"},
		{"text", `               n  s      b          z       n
----------------  -----  ------  ----  ------
               1  a,"b   \x00ff  NULL     0.5
9007199254740993  c\x1b  NULL    NULL  1e+300
(2 rows)
`},
	} {
		var b strings.Builder
		if err := got.Write(&b, c.format); err != nil || b.String() != c.want {
			t.Errorf("%s: %v\ngot\n%s\nwant\n%s", c.format, err, b.String(), c.want)
		}
	}
	mixed, err := w.engine.Query(t.Context(), query.Request{SQL: `select 9007199254740993 as m, '' as s, cast(x'ff41' as text) as t, ' a' as l, 7 as n union all select 0.5, null, 'b' || char(13), '\.', 1.5`})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := mixed.Write(&text, "csv"); err != nil || text.String() != "m,s,t,l,n\n9007199254740993,\"\",\uFFFDA,\" a\",7\n0.5,,\"b\r\",\"\\.\",1.5\n" {
		t.Errorf("csv: %v\n%q", err, text.String())
	}
	var stream bytes.Buffer
	if err := mixed.Write(&stream, "arrow-stream"); err != nil {
		t.Fatal(err)
	}
	if r, err := ipc.NewReader(&stream); err != nil || !r.Next() || r.RecordBatch().Column(0).ValueStr(0) != "9007199254740993" || r.RecordBatch().Column(0).ValueStr(1) != "0.5" || r.RecordBatch().Column(4).ValueStr(0) != "7" {
		t.Errorf("arrow of whole numbers and others: %v", err)
	}
	// Without a value, a column is what it was declared as.
	w.register("orders-value", strings.Replace(allTypes, `"All"`, `"None"`, 1))
	none, err := w.engine.Query(t.Context(), query.Request{SQL: "select big, yes, real, raw, text from orders"})
	if err != nil {
		t.Fatal(err)
	}
	stream.Reset()
	if err := none.Write(&stream, "arrow-stream"); err != nil {
		t.Fatal(err)
	}
	if r, err := ipc.NewReader(&stream); err != nil || strings.Join(strings.Fields(r.Schema().String()), " ") != "schema: fields: 5 - big: type=int64, nullable - yes: type=bool, nullable - real: type=float64, nullable - raw: type=binary, nullable - text: type=utf8, nullable" {
		t.Errorf("arrow of no rows: %v, %v", err, r.Schema())
	}
	if err := got.Write(&strings.Builder{}, "xml"); !errors.Is(err, query.ErrInvalid) {
		t.Errorf("xml: %v", err)
	}
	var b bytes.Buffer
	if err := got.Write(&b, "arrow-stream"); err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(&b)
	if err != nil || !r.Next() || r.RecordBatch().NumRows() != 2 || r.Schema().String() != `schema:
  fields: 5
    - n: type=int64, nullable
    - s: type=utf8, nullable
    - b: type=binary, nullable
    - z: type=utf8, nullable
    - n_2: type=float64, nullable` {
		t.Errorf("arrow: %v, %v", err, r.Schema())
	}
	b.Reset()
	if err := got.Write(&b, "parquet"); err != nil {
		t.Fatal(err)
	}
	pf, err := file.NewParquetReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := fr.ReadTable(context.Background())
	if err != nil || table.NumRows() != 2 || table.NumCols() != 5 {
		t.Errorf("parquet: %v", err)
	}
}

// FuzzStatement wants an answer or an error of every statement, and the engine in
// order afterwards.
func FuzzStatement(f *testing.F) {
	w := newWorld(f, "iceberg")
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "a", order(id, 1, "ann", 10.5), []byte("bad"))
	w.flush()
	w.produce(orders, 1, "b", order(id, 2, "bob", 20))
	long := money{who: "a", big: big.NewInt(math.MaxInt64), whole: big.NewInt(-1)}
	w.produce(plain, 0, "k", long.encode(w.register("my.Plain-value", exactSchema)))
	for _, sql := range []string{
		"select * from orders where id in (1, 2) and kafka_timestamp > '2020-01-01' order by 1 desc limit 3",
		"select * from log.orders l left join lake.orders r on l.id = r.id and r.kafka_key = 'a' collate nocase",
		`with c as (select 1) select count(*), group_concat("customer", x'00') over () from "orders", c`,
		"select customer like '%n_' escape '_', customer glob '[a-c]*', instr(customer, 'n'), replace(customer, 'n', '') from orders",
		"explain query plan select 1 from orders where kafka_offset = 1.5 or kafka_partition is null",
		`select who w, sum(big) as s, max(p.big) filter (where 1), coalesce(avg(price), 0) from "my.Plain" p group by 1 having s > 1 order by s desc, 3, max(big)`,
		`select sum(case when who = 'a' then big else 0 end) over (order by big rows 1 preceding) from "my.Plain" union all select min(whole) from "my.Plain" order by 1`,
		"values (1), (2) -- x", "select 'a' /* b */ || [c]", "select * from lake.orders__dead_letters", "select count(*) from orders;",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		got, err := w.engine.Query(context.Background(), query.Request{SQL: sql, Time: 200 * time.Millisecond, Rows: 100})
		if (got == nil) == (err == nil) {
			t.Fatalf("%v, %v", got, err)
		}
		if err != nil && strings.Contains(err.Error(), "a fault in Tarn") {
			t.Fatal(err)
		}
		if again, err := w.engine.Query(context.Background(), query.Request{SQL: "select count(*), count(id) from orders where kafka_offset >= 0"}); err != nil || again.Rows[0][0] != int64(3) || again.Rows[0][1] != int64(2) {
			t.Fatalf("afterwards: %+v, %v", again, err)
		}
	})
}

// TestArrowFile has a file of rows, and one of none.
func TestArrowFile(t *testing.T) {
	w := newWorld(t)
	for sql, rows := range map[string]int64{"select 7 as n union all select 8": 2, "select 7 as n where 0": 0} {
		got, err := w.engine.Query(t.Context(), query.Request{SQL: sql})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := got.Write(&b, "arrow"); err != nil {
			t.Fatal(err)
		}
		file, err := ipc.NewFileReader(bytes.NewReader(b.Bytes()))
		if err != nil || file.NumRecords() != 1 {
			t.Fatalf("%s: %v", sql, err)
		}
		batch, err := file.RecordBatchAt(0)
		if err != nil || batch.NumRows() != rows || batch.ColumnName(0) != "n" || rows > 0 && batch.Column(0).ValueStr(1) != "8" {
			t.Errorf("%s: %v, %v", sql, batch, err)
		}
	}
}
