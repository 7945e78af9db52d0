package query_test

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

// Decimals keep their type and their digits in results of Arrow and Parquet, whatever
// they are in SQL: numbers, or texts where those do not hold them.
func TestDecimalResults(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", `{"type":"record","name":"Priced","fields":[
		{"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]},
		{"name":"long_price","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}},
		{"name":"whole","type":{"type":"bytes","logicalType":"decimal","precision":20,"scale":0}}]}`)
	unscaled := func(b []byte, digits string) []byte {
		n, _ := new(big.Int).SetString(digits, 10)
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), 128)) // two's complement, in 16 bytes
		raw := n.Bytes()
		return append(append(b, 32), raw[len(raw)-16:]...)
	}
	nines := strings.Repeat("9", 38)
	for _, row := range [][3]string{
		{"1234", "-1", "18446744073709551615"},
		{"-5", nines, "0"},
		{"", "-" + nines, "-7"},
		{"0", "1234567890123456", "99999999999999999999"},
		{"999999999", "10", "1"},
	} {
		b := schema.AppendPrefix(nil, int32(id))
		if row[0] == "" {
			b = append(b, 0)
		} else {
			b = unscaled(append(b, 2), row[0])
		}
		w.produce(orders, 0, "k", unscaled(unscaled(b, row[1]), row[2]))
	}
	w.flush()
	big2 := nines[:36] + "." + nines[36:]
	for _, tt := range []struct{ sql, want string }{
		{"select price, long_price, whole from %s order by kafka_offset", "decimal(9, 2) 12.34 -0.05 (null) 0 9999999.99\n" +
			"decimal(38, 2) -0.01 " + big2 + " -" + big2 + " 12345678901234.56 0.1\n" +
			"decimal(20, 0) 18446744073709551615 0 -7 99999999999999999999 1"},
		{"select price from %s where price > 12 order by price", "decimal(9, 2) 12.34 9999999.99"},
		{"select price from %s where 1 = 0", "decimal(9, 2)"},
		{"select price from (select * from %s limit 1) union all select 0.005", "float64 12.34 0.005"},
		{"select price from (select * from %s limit 1) union all select '1e3'", "utf8 12.34 1e3"},
		{"select price from (select * from %s limit 1) union all select 10000000", "float64 12.34 1e+07"},
		{"select price + 1 as p from %s limit 1", "float64 13.34"},
	} {
		for _, table := range []string{"log.orders", "lake.orders"} {
			sql := strings.Replace(tt.sql, "%s", table, 1)
			got, err := w.engine.Query(t.Context(), query.Request{SQL: sql})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := got.Write(&b, "arrow-stream"); err != nil {
				t.Fatal(err)
			}
			r, err := ipc.NewReader(&b)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Next() {
				t.Fatal(r.Err())
			}
			if text := columnsOf(r.RecordBatch()); text != tt.want {
				t.Errorf("%s, arrow:\ngot\n%s\nwant\n%s", sql, text, tt.want)
			}
			b.Reset()
			if err := got.Write(&b, "parquet"); err != nil {
				t.Fatal(err)
			}
			if text := columnsOf(readParquet(t, b.Bytes())); text != tt.want {
				t.Errorf("%s, parquet:\ngot\n%s\nwant\n%s", sql, text, tt.want)
			}
		}
	}
}

// parquet runs a query and returns the columns of its Parquet file.
func (w *world) parquet(t *testing.T, sql string) string {
	t.Helper()
	got, err := w.engine.Query(t.Context(), query.Request{SQL: sql})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := got.Write(&b, "parquet"); err != nil {
		t.Fatal(err)
	}
	return columnsOf(readParquet(t, b.Bytes()))
}

// Points in time, days, times of day and booleans keep their types.
func TestTypesOfResults(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", `{"type":"record","name":"O","fields":[
		{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
		{"name":"here","type":{"type":"long","logicalType":"local-timestamp-millis"}},
		{"name":"day","type":["null",{"type":"int","logicalType":"date"}]},
		{"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
		{"name":"ok","type":"boolean"},{"name":"tags","type":{"type":"array","items":"string"}}]}`)
	for i := range int64(2) {
		b := binary.AppendVarint(schema.AppendPrefix(nil, int32(id)), -1+i*1e15)
		b = binary.AppendVarint(b, i*1500)
		if b = append(b, byte(2*i)); i == 1 {
			b = binary.AppendVarint(b, -1)
		}
		b = binary.AppendVarint(b, i*86_399_999)
		w.produce(orders, 0, "k", append(b, byte(i), 0))
	}
	w.flush()
	for _, tt := range []struct{ sql, want string }{
		{"select at, here, day, clock, ok, tags from %s order by kafka_offset", "timestamp[us, tz=UTC] 1969-12-31T23:59:59.999999Z 2001-09-09T01:46:39.999999Z\n" +
			"timestamp[us] 1970-01-01T00:00:00 1970-01-01T00:00:01.5\ndate32 (null) 1969-12-31\ntime64[us] 00:00:00.000000 23:59:59.999000\nbool false true\nutf8 [] []"},
		{"select kafka_timestamp, at from %s limit 0", "timestamp[us, tz=UTC]\ntimestamp[us, tz=UTC]"},
		{"select at from (select at from %s limit 1) union all select 'never'", "utf8 1969-12-31 23:59:59.999999 never"},
		{"select ok from (select ok from %s limit 1) union all select 5", "int64 0 5"},
		{"select max(day), max(ok) from %s", "utf8 1969-12-31\nint64 1"},
	} {
		for _, table := range []string{"log.orders", "lake.orders"} {
			sql := strings.Replace(tt.sql, "%s", table, 1)
			if text := w.parquet(t, sql); text != tt.want {
				t.Errorf("%s:\ngot\n%s\nwant\n%s", sql, text, tt.want)
			}
		}
	}
}

// Decimals of more digits than a float has are texts, and still in the order of numbers.
func TestLongDecimals(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", `{"type":"record","name":"P","fields":[{"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}}]}`)
	for _, digits := range []string{"700", "-99999999999999999901", "12345678901234567890", "9", "99999999999999999999", "-5"} {
		n, _ := new(big.Int).SetString(digits, 10)
		raw := n.Add(n, new(big.Int).Lsh(big.NewInt(1), 128)).Bytes() // two's complement, in 16 bytes
		w.produce(orders, 0, "k", append(append(schema.AppendPrefix(nil, int32(id)), 32), raw[len(raw)-16:]...))
	}
	w.flush()
	up := "-999999999999999999.01\n-0.05\n0.09\n7\n123456789012345678.90\n999999999999999999.99"
	for sql, want := range map[string]string{
		"select p from orders order by p":                                                  up,
		"select o.p from log.orders o order by o.p asc nulls last, kafka_offset limit 9":   up,
		"select p from orders order by kafka_partition, p":                                 up,
		"select p from orders order by p desc limit 2":                                     "999999999999999999.99\n123456789012345678.90",
		"select kafka_offset, min(p) < -900000000000000000 from orders":                    "1,1",
		"select kafka_offset, max(p) > 900000000000000000 from log.orders":                 "4,1",
		"select p from (select p, row_number() over (order by p) n from orders) where n=1": "-999999999999999999.01",
		"select count(*) from orders where p > 0":                                          "4",
		"select kafka_key || kafka_offset as p from orders order by p limit 1":             "k0",
		"select max(p) from orders where p < 8":                                            "7",
	} {
		if got := w.ask(sql); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", sql, got, want)
		}
	}
}

// columnsOf are a batch's columns, each with its type and values.
func columnsOf(b arrow.RecordBatch) string {
	var out []string
	for _, c := range b.Columns() {
		text := c.DataType().String()
		for k := range c.Len() {
			text += " " + c.ValueStr(k)
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

// readParquet reads a file's rows, as one batch.
func readParquet(t *testing.T, b []byte) arrow.RecordBatch {
	t.Helper()
	f, err := file.NewParquetReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 1 << 16}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var columns []arrow.Array
	for i := range int(table.NumCols()) {
		chunks := table.Column(i).Data().Chunks()
		if len(chunks) != 1 {
			t.Fatalf("%d chunks of column %d", len(chunks), i)
		}
		columns = append(columns, chunks[0])
	}
	return array.NewRecordBatch(table.Schema(), columns, table.NumRows())
}
