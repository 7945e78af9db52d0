package query_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
)

// What reads a record is remembered for the next one, and columns that nobody asks for
// are not kept. Neither may show: records of several schemas, in every frame, one after
// the other, some of which cannot be read for a field that nobody asks for.
func TestRecordsOfAllFrames(t *testing.T) {
	w := newWorld(t)
	first := w.register("orders-value", orderSchema)
	second := w.register("orders-value", `{"type":"record","name":"Order","fields":[
		{"name":"amount","type":"double"},{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"note","type":["null","string"],"default":null}]}`)
	newer := func(amount float64, id int64, customer string) []byte { // as the second has it
		b := order(second, id, customer, amount)
		body, number := b[5:len(b)-8], b[len(b)-8:]
		return append(append(append(append([]byte{}, b[:5]...), number...), body...), 0)
	}
	header := record.RecordHeader{Key: schema.ValueHeader, Value: schema.AppendPrefix(nil, int32(first))}
	b := record.NewBuilder(record.Options{})
	add := func(value []byte, headers ...record.RecordHeader) {
		b.Append(firstMs, nil, value, headers...)
	}
	add(order(first, 0, "a", 0.5))
	add(order(first, 1, "b", 1.5))
	add(newer(2.5, 2, "c"))
	add(order(first, 3, "d", 3.5)[5:], header)
	add(newer(4.3, 4, "e")[5:])                         // bare, without a zero at its beginning: the newest
	add(newer(5.3, 5, "f")[5:])                         // again
	add(order(first, 6, "g", 6.5))                      // framed behind bare
	add(order(first, 7, "h", 7.5)[:9])                  // its amount is cut off
	add(order(9999, 8, "i", 8.5))                       // of no schema
	add(nil)                                            // a tombstone
	add(append(order(first, 10, "j", 10.5), "more"...)) // more behind it
	add(order(first, 11, "k", 11.5))
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w.append(orders, 0, raw)
	ids := "0,0\n1,1\n2,2\n3,3\n4,4\n5,5\n6,6\n7,\n8,\n9,\n10,\n11,11"
	for _, tt := range []struct{ sql, want string }{
		{"select kafka_offset, id from log.orders", ids},
		{"select kafka_offset, customer from log.orders where id in (2, 3, 5)", "2,c\n3,d\n5,f"},
		{"select round(sum(amount), 1), count(amount), count(*) from log.orders", "35.6,8,12"},
		{"select amount from log.orders where customer >= 'f'", "5.3\n6.5\n11.5"},
		{"select kafka_offset, kafka_schema_id - " + strconv.Itoa(first) + " from log.orders where kafka_schema_id is not null and kafka_schema_id < 9999 and kafka_offset < 5",
			"0,0\n1,0\n2," + strconv.Itoa(second-first) + "\n3,0\n4," + strconv.Itoa(second-first)},
		{"select group_concat(kafka_offset) from log.orders where kafka_error is not null", `"7,8,10"`},
		{"select count(*) from log.orders where kafka_error is null and id is null", "1"},
		{"select kafka_offset, kafka_error like '%amount%' from log.orders where kafka_offset = 7", "7,1"},
	} {
		if got := w.ask(tt.sql); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.sql, strings.ReplaceAll(got, "\n", "|"), strings.ReplaceAll(tt.want, "\n", "|"))
		}
	}
}
