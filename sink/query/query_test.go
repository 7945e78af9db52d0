package query_test

import (
	"math"
	"testing"
)

func floatBits(f float64) uint64 { return math.Float64bits(f) }

func TestUnion(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet", "none"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, format)
			if format == "none" {
				w = newWorld(t)
			}
			id := w.register("orders-value", orderSchema)
			w.produce(orders, 0, "a", order(id, 1, "ann", 10.5), order(id, 2, "bob", 20))
			w.produce(orders, 1, "b", order(id, 3, "cat", 30), []byte("bad"))
			for round := range 3 {
				for _, c := range []struct{ sql, want string }{
					{"select count(*) from orders", "4"},
					{"select count(*) from log.orders", "4"},
					{"SELECT count ( * ) AS n FROM log.\"orders\";", "4"},
					{"select count(*) from orders o", "4"},
					{"select count(*) from orders where kafka_offset > 0", "2"},
					{"select id, customer, amount from orders where id is not null order by id", "1,ann,10.5\n2,bob,20\n3,cat,30"},
					{"select kafka_partition, kafka_offset, kafka_error is not null from orders order by 1, 2", "0,0,0\n0,1,0\n1,0,0\n1,1,1"},
					{"select kafka_timestamp, kafka_key, kafka_headers, kafka_schema_id from orders where id = 2", `2023-11-14 22:13:21,a,"[{""key"":""h"",""value"":""x\""""}]",1`},
					{"select id from orders where kafka_key = 'b' and kafka_offset = 0", "3"},
					{"select id from orders where kafka_timestamp >= '2023-11-14 22:13:21' and id > 0 ", "2"},
					{"select id from orders where id in (1, 3) order by 1", "1\n3"},
					{"select sum(amount) from orders where customer > 'ann'", "50"},
				} {
					if got := w.ask(c.sql); got != c.want {
						t.Errorf("round %d: %s\ngot  %s\nwant %s", round, c.sql, got, c.want)
					}
				}
				if round == 0 && format != "none" {
					w.flush()
				}
			}
		})
	}
}
