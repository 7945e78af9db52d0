package query_test

import (
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink/query"
)

// TestEdge asks for the newest and the oldest records of a topic: the answers are those
// of all rows sorted, and few rows are looked at where few are wanted.
func TestEdge(t *testing.T) {
	const batches, perBatch = 40, 1000
	w := newWorld(t, "parquet")
	id := w.register("orders-value", orderSchema)
	fill := func(from, to int) {
		for n := from; n < to; n++ {
			b := record.NewBuilder(record.Options{})
			for i := range perBatch {
				at := n*perBatch + i
				ms := int64(at * 10)
				if at%7 == 0 {
					ms -= 50_000 // late by five batches
				}
				b.Append(firstMs+ms, fmt.Append(nil, "k", at%100), order(id, int64(at), fmt.Sprint("c", at%10), float64(at%333)))
			}
			raw, err := b.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			w.append(orders, int32(min(n%4, 1)), raw) // three in four go to one partition
		}
	}
	fill(0, batches/2)
	for _, where := range []string{"log", "both"} {
		for _, tt := range []struct {
			sql string
			few bool
		}{
			{"select * from orders order by kafka_offset desc, kafka_partition limit 5", true},
			{"select * from orders order by kafka_offset, kafka_partition limit 5", true},
			{"select id from log.orders o order by o.kafka_timestamp desc, id limit 5 offset 3", true},
			{"select id, kafka_timestamp as t from orders as o order by kafka_timestamp asc, id limit 2, 7", false},
			{"select id from orders where customer = 'c3' -- those\n order by kafka_timestamp desc, id limit 5", true},
			{"select id from orders where id = 17 or id = 18 order by kafka_offset desc limit 5", false},
			{"select id from orders where kafka_partition = 0 order by kafka_offset desc limit 3", true},
			{"select id from orders where kafka_offset < 7000 order by kafka_offset desc, id limit 3", false},
			{"select id, upper(customer) from orders where id % 5000 = 3 order by kafka_timestamp desc, id limit 4", false},
			{"select id as kafka_offset from orders order by kafka_offset desc limit 3", false},
			{"select count(*) from orders order by kafka_offset desc limit 3", false},
			{"select customer, max(id) over () from orders order by kafka_offset desc, id limit 3", false},
			{"select distinct customer from orders order by kafka_offset desc, customer limit 3", false},
			{"select (select count(*) from orders) from orders order by kafka_offset desc limit 1", false},
			{"select id from orders order by kafka_timestamp desc nulls last, id limit 3", false},
			{"select id from orders order by amount desc, kafka_offset desc, id limit 3", false},
			{"select id from orders order by kafka_offset desc, id limit 0", false},
			{"select id from orders order by kafka_offset desc, id limit 2 + 1", false},
			{"select id from orders order by kafka_offset desc, id", false},
			{"select id from orders union all select 5 from orders order by id desc limit 3", false},
		} {
			got, err := w.engine.Query(t.Context(), query.Request{SQL: tt.sql, Rows: 15_000})
			if err != nil {
				t.Errorf("%s: %s: %v", where, tt.sql, err)
				continue
			}
			want, err := w.engine.Query(t.Context(), query.Plainly(query.Request{SQL: tt.sql, Rows: 15_000}))
			if err != nil {
				t.Fatal(err)
			}
			if g, w := fmt.Sprint(got.Rows, got.Truncated), fmt.Sprint(want.Rows, want.Truncated); g != w {
				t.Errorf("%s: %s:\ngot  %.300s\nwant %.300s", where, tt.sql, g, w)
			}
			if all := want.Scanned; tt.few && where == "log" && got.Scanned > all/2 {
				t.Errorf("%s: %s: looked at %d rows, of %d", where, tt.sql, got.Scanned, all)
			}
		}
		if where == "log" {
			w.flush()
			fill(batches/2, batches)
		}
	}
}
