package sink_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

const tripSchema = `{"type":"record","name":"Trip","fields":[
	{"name":"id","type":"string"},{"name":"user","type":"long"},{"name":"city","type":"string"},
	{"name":"price","type":"double"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
	{"name":"note","type":["null","string"],"default":null},{"name":"paid","type":"boolean"},{"name":"seats","type":"int"}]}`

// trip is a record of some 150 bytes.
func trip(dst []byte, id int, n int64) []byte {
	dst = schema.AppendPrefix(dst[:0], int32(id))
	text := func(s string) {
		dst = append(binary.AppendVarint(dst, int64(len(s))), s...)
	}
	text(fmt.Sprintf("trip-%032x", uint64(n)*0x9e3779b97f4a7c15))
	dst = binary.AppendVarint(dst, n*7919%1_000_003)
	text([]string{"Bern", "Berlin", "Barcelona", "Lyon"}[n%4])
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(float64(n%10_000)/100))
	dst = binary.AppendVarint(dst, 1_700_000_000_000+n)
	dst = append(dst, 2)
	text(fmt.Sprintf("a note of the kind that people leave behind, number %d", n))
	dst = append(dst, byte(n%2))
	return binary.AppendVarint(dst, n%6)
}

const (
	benchRows  = 200_000
	benchBatch = 1000 // records, as a busy producer sends them
)

// BenchmarkSink copies 200,000 records into a new Parquet table on disk: read,
// decode, encode, write, commit. Beside it stand what each part takes alone:
// the Parquet encoder on the same rows, and the decoder.
func BenchmarkSink(b *testing.B) {
	b.Run("copy", benchCopy)
	b.Run("baseline=encode-only", benchEncode)
	b.Run("baseline=decode-only", benchDecode)
}

func benchWorld(b *testing.B) (w *world, id int) {
	store, err := blob.OpenLocal(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	w = newWorldOn(b, store)
	id = w.register("orders-value", tripSchema)
	w.topics[0].Formats = []string{"parquet"}
	var value []byte
	for n := int64(0); n < benchRows; n += benchBatch {
		batch := record.NewBuilder(record.Options{Codec: record.LZ4})
		for i := range int64(benchBatch) {
			value = trip(value, id, n+i)
			batch.Append(1_700_000_000_000+n, value[5:25], value)
		}
		w.append(int32(n/benchBatch%2), batch)
	}
	return w, id
}

func perRow(b *testing.B, rows int64) {
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportAllocs()
}

func benchCopy(b *testing.B) {
	w, _ := benchWorld(b)
	round := 0
	for b.Loop() {
		b.StopTimer()
		round++
		w.topics[0].Table = fmt.Sprint("orders", round)
		w.topics[0].ID = orders
		w.items = tabletest.NewItems() // nothing is pending, and no schema known
		w.run()
		b.StartTimer()
		if f := w.flush(); f.Rows != benchRows {
			b.Fatalf("%d rows flushed, want %d", f.Rows, benchRows)
		}
		b.StopTimer()
		w.halt()
		b.StartTimer()
	}
	perRow(b, benchRows)
}

// benchBatches are the log's records as Arrow, in the columns of a table.
func decodeAll(b *testing.B, w *world, id int) []arrow.RecordBatch {
	s, err := w.reg.Schema(".", id)
	if err != nil {
		b.Fatal(err)
	}
	d, err := s.Decoder(nil)
	if err != nil {
		b.Fatal(err)
	}
	var out []arrow.RecordBatch
	rows, err := schema.NewRows(d.Columns())
	if err != nil {
		b.Fatal(err)
	}
	for p := range int32(2) {
		log, err := w.logs.Log(b.Context(), storage.TP{Topic: orders, Partition: p})
		if err != nil {
			b.Fatal(err)
		}
		var rd record.Reader
		for at := int64(0); at < log.End(); {
			raw, err := log.Read(b.Context(), at, 1<<20, log.End())
			if err != nil {
				b.Fatal(err)
			}
			for one, err := range record.Batches(raw) {
				if err != nil {
					b.Fatal(err)
				}
				if err := rd.Reset(one.Bytes, 1<<30); err != nil {
					b.Fatal(err)
				}
				for rd.Next() {
					if err := d.Decode(rd.Record().Value[5:], rows); err != nil {
						b.Fatal(err)
					}
				}
				at = one.Header.LastOffset() + 1
			}
		}
	}
	return append(out, rows.Batch())
}

func benchDecode(b *testing.B) {
	w, id := benchWorld(b)
	for b.Loop() {
		decodeAll(b, w, id)
	}
	perRow(b, benchRows)
}

// benchEncode encodes the rows that a sink has written, Kafka's columns among
// them.
func benchEncode(b *testing.B) {
	w, _ := benchWorld(b)
	var sch *tables.Schema
	var batches []arrow.RecordBatch
	cfg := sink.Encoding(w.config(), func(s *tables.Schema, rows []arrow.RecordBatch, o parquet.Options) (parquet.File, error) {
		sch, batches = s, rows
		return parquet.Encode(s, rows, o)
	})
	w.manager, w.stop = w.startWith(cfg)
	w.flush()
	w.halt()
	var size int
	for b.Loop() {
		f, err := parquet.Encode(sch, batches, parquet.Options{})
		if err != nil {
			b.Fatal(err)
		}
		size = len(f.Bytes)
	}
	b.ReportMetric(float64(size)/benchRows, "file-B/row")
	perRow(b, benchRows)
}
