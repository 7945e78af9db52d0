package query_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

// TestSift asks everything twice: with comparisons that narrow what is read, and with
// the same behind a plus sign, which hides the column from the table. The answers are
// the same wherever the rows are.
func TestSift(t *testing.T) {
	const big = int64(1)<<53 + 1 // no float64 holds it
	w := newWorld(t, "parquet")
	id := w.register("orders-value", orderSchema)
	at := int64(0)
	fill := func() {
		for _, customer := range []string{"", "ann", "anna", "bob", "b\x00b", "über", "10"} {
			for _, amount := range []float64{math.Inf(-1), -1.5, math.Copysign(0, -1), 3, math.NaN(), float64(big), math.Inf(1)} {
				ids := []int64{at, big, -big, math.MaxInt64, math.MinInt64}
				w.produce(orders, int32(at%2), fmt.Sprint("k", at%3), order(id, ids[at%5], customer, amount))
				at++
			}
		}
		w.produce(orders, 0, "k1", schema.AppendPrefix(nil, int32(id)), []byte("bad"))
	}
	fill()
	columns := map[string][]string{
		"id":              {"0", "3.5", "9007199254740993", "9007199254740992.0", "9223372036854775807", "9.3e18", "-9007199254740993", "'3'", "null", "x'33'"},
		"amount":          {"0", "3", "3.0", "-1.5", "9007199254740993", "9007199254740992", "9e999", "'3'", "null"},
		"customer":        {"'ann'", "''", "10", "'10'", "'b'", "x'620062'", "'über'", "null"},
		"kafka_offset":    {"1", "7.5", "'7'", "-3"},
		"kafka_partition": {"0", "1", "2"},
		"kafka_key":       {"'k1'", "'k9'", "x'6b31'"},
		"kafka_timestamp": {"'2023-11-14 22:13:20'", "'2023-11-14 22:13:21'", "'2023-11-14'", "'2024'", "5+0"},
	}
	for _, where := range []string{"log", "both"} {
		for column, values := range columns {
			for _, op := range []string{"=", "<", "<=", ">", ">=", "is"} {
				for _, v := range values {
					sql := "select kafka_partition, kafka_offset from orders where %s%s %s %s order by 1, 2"
					got, want := w.ask(fmt.Sprintf(sql, "", column, op, v)), w.ask(fmt.Sprintf(sql, "+", column, op, v))
					// A plus sign takes the column's affinity away, too.
					if strings.HasPrefix(v, "'") != (column == "customer" || strings.HasPrefix(column, "kafka_k") || strings.HasPrefix(column, "kafka_t")) {
						want = w.ask(fmt.Sprintf("select kafka_partition, kafka_offset from (select *, row_number() over () from orders) where %s %s %s order by 1, 2", column, op, v))
					}
					if got != want {
						t.Errorf("%s: %s %s %s\ngot  %s\nwant %s", where, column, op, v, got, want)
					}
				}
			}
		}
		w.flush()
		fill()
	}
}

// TestRead counts what queries read, and what they pass over.
func TestRead(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, format)
			id := w.register("orders-value", orderSchema)
			for n := range int64(4) { // a file each
				w.produce(orders, 0, "k", order(id, 10*n, "ann", 1), order(id, 10*n+1, "bob", 2))
				w.flush()
			}
			w.produce(orders, 0, "k", order(id, 100, "cat", 3))
			w.produce(orders, 0, "k", order(id, 101, "cat", 3))
			// Plain Parquet lists what each file covers, so that files are not opened;
			// the others' footers tell it.
			passed := func(r query.Read, n int64) query.Read {
				if r.Files = 4; format == "parquet" {
					r.Files, r.FilesPassed = 4-n, n
				} else {
					r.RowGroupsPassed = n
				}
				return r
			}
			for _, c := range []struct {
				sql     string
				want    string
				read    query.Read
				scanned int64
			}{
				{"select id from lake.orders where id > 29", "30\n31", query.Read{Files: 4, RowGroups: 1, RowGroupsPassed: 3}, 2},
				{"select id from lake.orders where id = 20", "20", query.Read{Files: 4, RowGroups: 1, RowGroupsPassed: 3}, 2},
				{"select id from lake.orders where customer > 'c'", "", query.Read{Files: 4, RowGroupsPassed: 4}, 0},
				{"select id from orders where kafka_offset = 3 and kafka_partition = 0", "11", passed(query.Read{RowGroups: 1}, 3), 2},
				{"select id from orders where kafka_partition = 1", "", passed(query.Read{}, 4), 0},
				{"select id from orders where kafka_offset >= 9", "101", passed(query.Read{Batches: 1}, 4), 1},
				{"select id from orders where id > 100", "101", query.Read{Files: 4, RowGroupsPassed: 4, Batches: 2}, 2},
				{"select id from log.orders where kafka_timestamp > '2024-01-01'", "", query.Read{}, 0},
				{"select count(*) from orders", "10", query.Read{Files: 4, RowGroupsAnswered: 4}, 10},
				{"select count(*) from orders where kafka_offset < 4", "4", passed(query.Read{RowGroupsAnswered: 2}, 2), 4},
				{"select min(id), max(kafka_timestamp), count(customer) from lake.orders where id < 29 and customer is not null", "0", query.Read{Files: 4, RowGroups: 3, RowGroupsPassed: 1}, 6},
				{"select max(id), max(kafka_timestamp), count(customer) from lake.orders where id < 29 and kafka_timestamp > '2023-01-01'", "21", query.Read{Files: 4, RowGroupsAnswered: 3, RowGroupsPassed: 1}, 6},
			} {
				got, err := w.engine.Query(t.Context(), query.Request{SQL: c.sql})
				if err != nil {
					t.Fatal(err)
				}
				var rows []string
				for _, row := range got.Rows {
					rows = append(rows, fmt.Sprint(row[0]))
				}
				got.Read.LogBytes = 0
				if s := strings.Join(rows, "\n"); s != c.want || got.Read != c.read || got.Scanned != c.scanned {
					t.Errorf("%s\ngot  %q, scanned %d, %+v\nwant %q, scanned %d, %+v", c.sql, s, got.Scanned, got.Read, c.want, c.scanned, c.read)
				}
			}
		})
	}
}

// TestDescribe asks for what there is, and for plans.
func TestDescribe(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "k", order(id, 1, "ann", 1))
	w.flush()
	for _, c := range []struct{ sql, want string }{
		{"show tables", "\"\"\"my.Plain\"\"\",my.Plain,9,records of the log\n" +
			"orders,orders,10,\"rows of the table, and records of the log that it does not have yet\"\n" +
			"log.orders,orders,11,records of the log\nlake.orders,orders,9,rows of the table\nlake.orders__dead_letters,orders,10,its dead letters"},
		{"DESCRIBE lake.Orders;", "kafka_partition,INTEGER\nkafka_offset,INTEGER\nkafka_timestamp,TIMESTAMP TEXT\nkafka_key,TEXT\nkafka_headers,JSON TEXT\nkafka_schema_id,INTEGER\nid,INTEGER\ncustomer,TEXT\namount,REAL"},
		{"desc \"my.Plain\"", "kafka_partition,INTEGER\nkafka_offset,INTEGER\nkafka_timestamp,TIMESTAMP TEXT\nkafka_key,TEXT\nkafka_headers,JSON TEXT\nkafka_schema_id,INTEGER\nvalue,TEXT\nkafka_value,BLOB\nkafka_error,TEXT"},
		{"explain query plan select id from orders o where kafka_offset >= 3 and amount < 2", "SCAN o: rows where kafka_offset >= ? and amount < ?; 3 of 10 columns"},
		{"explain query plan select * from log.orders", "SCAN log.orders: every row; 11 of 11 columns"},
	} {
		got := w.ask(c.sql)
		if strings.HasPrefix(c.sql, "explain") { // behind SQLite's numbers
			got = got[max(0, len(got)-len(c.want)):]
		}
		if got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.sql, got, c.want)
		}
	}
	for _, sql := range []string{"show columns from log.orders", "describe table lake.orders__dead_letters", "desc [my.Plain]"} {
		if got := w.ask(sql); !strings.HasPrefix(got, "kafka_partition,INTEGER\n") {
			t.Errorf("%s: %s", sql, got)
		}
	}
}

// TestReserved holds names that are words of SQL to their quotes.
func TestReserved(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	w.topics[1].Name = "All"
	w.mu.Unlock()
	if got := w.ask("show tables"); !strings.Contains(got, `"""All""",All,`) {
		t.Errorf("show tables: %s", got)
	}
	if got := w.ask(`select count(*) from "All"`); got != "0" {
		t.Errorf("count: %s", got)
	}
}
