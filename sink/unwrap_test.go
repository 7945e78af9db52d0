package sink_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/parquet"
)

// envelope is the schema of a table's changes, as Debezium registers it, with more
// columns of the table.
func envelope(more string) string {
	return `{"type":"record","name":"Envelope","namespace":"shop.customers","fields":[
	{"name":"before","type":["null",{"type":"record","name":"Value","fields":[{"name":"id","type":"long"},{"name":"item","type":["null","string"],"default":null}` + more + `]}],"default":null},
	{"name":"after","type":["null","Value"],"default":null},
	{"name":"source","type":{"type":"record","name":"Source","fields":[{"name":"ts_ms","type":"long"},{"name":"table","type":"string"},{"name":"lsn","type":["null","long"],"default":null}]}},
	{"name":"op","type":"string"},
	{"name":"ts_ms","type":["null","long"],"default":null}]}`
}

// image is a row in an envelope; one without an id is none.
type image struct {
	id   int64
	item string
	more []byte // behind these
}

func (i image) append(b []byte) []byte {
	if i.id == 0 {
		return append(b, 0)
	}
	b = binary.AppendVarint(append(b, 2), i.id)
	b = binary.AppendVarint(append(b, 2), int64(len(i.item)))
	return append(append(b, i.item...), i.more...)
}

// change is a record of one change.
func change(schemaID int, op string, before, after image) []byte {
	b := schema.AppendPrefix(nil, int32(schemaID))
	b = after.append(before.append(b))
	b = binary.AppendVarint(b, 1714000000000)
	b = append(binary.AppendVarint(b, 9), "customers"...)
	b = binary.AppendVarint(append(b, 2), 4711)
	b = append(binary.AppendVarint(b, int64(len(op))), op...)
	return append(b, 0)
}

// cells reads columns of a format's table, by offset in partition 0.
func (w *world) cells(format string, names ...string) map[int64]string {
	w.t.Helper()
	out := map[int64]string{}
	live, err := w.table(format).(tables.Maintainer).Live(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range live {
		file, err := w.store.Open(w.t.Context(), f.Key)
		if err != nil {
			w.t.Fatal(err)
		}
		for b, err := range parquet.ReadWhole(w.t.Context(), file, 1<<20) {
			if err != nil {
				w.t.Fatal(err)
			}
			offsets := b.Column(b.Schema().FieldIndices("kafka_offset")[0]).(*array.Int64)
			for i := range int(b.NumRows()) {
				var cells []string
				for _, name := range names {
					cell := "(null)" // a file of before the column
					if at := b.Schema().FieldIndices(name); len(at) == 1 {
						cell = b.Column(at[0]).ValueStr(i)
					}
					cells = append(cells, cell)
				}
				out[offsets.Value(i)] = strings.Join(cells, " ")
			}
		}
		file.Close()
	}
	return out
}

// TestUnwrap: in append mode a change is a row, with the row that it leaves or
// takes away; what is no change is a dead letter, and redriven when it has become
// one. The row's schema evolves inside the envelope.
func TestUnwrap(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Unwrap = sink.Debezium
	w.topics[0].Layout = layout.Want{
		Partition: []layout.Term{{Transform: tables.Transform{Name: tables.Bucket, N: 2}, Column: "id"}},
		Sort:      []layout.Order{{Column: "kafka_cdc_op"}},
	}
	v1 := w.register("orders-value", envelope(""))
	w.run()
	a, b := image{1, "a", nil}, image{1, "b", nil}
	w.produce(0,
		change(v1, "r", image{}, a),
		change(v1, "u", a, b),
		change(v1, "d", b, image{}),
		nil,
		change(v1, "t", image{}, image{}),
		change(v1, "d", image{}, image{}),
		change(v1, "m", image{}, image{}), // 6, a letter
		[]byte("no envelope"),             // 7, a letter
		change(v1, "u", a, image{}),       // 8, a letter
	)
	w.verify(6, 3)
	email := image{2, "c", []byte{2, 2, 'e'}}
	w.produce(0, change(v1+1, "c", image{}, email)) // 9, a letter until its schema is there
	w.verify(6, 4)
	if v2 := w.register("orders-value", envelope(`,{"name":"email","type":["null","string"],"default":null}`)); v2 != v1+1 {
		t.Fatalf("the second version has id %d", v2)
	}
	if got, want := w.redrive(), "1 of 4, 3 left"; got != want {
		t.Errorf("redriven %s, want %s", got, want)
	}
	w.produce(0, change(v1, "c", image{}, image{3, "d", nil}))
	w.verify(8, 3)
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	w.check(8, 3)
	want := map[int64]string{
		0: "r 1 a (null) 4711 customers", 1: "u 1 b (null) 4711 customers", 2: "d 1 b (null) 4711 customers",
		3: "(null) (null) (null) (null) (null) (null)", 4: "t (null) (null) (null) 4711 customers", 5: "d (null) (null) (null) 4711 customers",
		9: "c 2 c e 4711 customers", 10: "c 3 d (null) 4711 customers",
	}
	for _, format := range w.topics[0].Formats {
		if got := w.cells(format, "kafka_cdc_op", "id", "item", "email", "kafka_cdc_position", "kafka_cdc_table"); !maps.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", format, got, want)
		}
	}
	w.alter(func(topic *sink.Topic) { topic.Formats = []string{"iceberg", "delta"} })
	w.flush()
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	w.check(8, 3)
	for _, format := range w.topics[0].Formats {
		if got := w.cells(format, "kafka_cdc_op", "id", "item", "email", "kafka_cdc_position", "kafka_cdc_table"); !maps.Equal(got, want) {
			t.Errorf("%s holds %v after a rebuild, want %v", format, got, want)
		}
	}
}

// TestUnwrapUpsert: a table of latest values follows the source, keyed by the
// record's key or by a column of the row.
func TestUnwrapUpsert(t *testing.T) {
	for _, key := range []string{sink.RecordKey, "id"} {
		t.Run(key, func(t *testing.T) { unwrapUpsert(t, key) })
	}
}

func unwrapUpsert(t *testing.T, key string) {
	w := newWorld(t)
	w.topics[0].Unwrap, w.topics[0].Upsert = sink.Debezium, []string{key}
	w.topics[0].Formats = []string{"iceberg", "delta"}
	value, keys := w.register("orders-value", envelope("")), w.register("orders-key", orderKey)
	put := func(id int64, value []byte) {
		b := record.NewBuilder(record.Options{})
		b.Append(1700000000000, binary.AppendVarint(schema.AppendPrefix(nil, int32(keys)), id), value)
		w.append(0, b)
	}
	letters := int64(0)
	row := func(id int64, item string) image { return image{id, item, nil} }
	w.run()
	expect := func(rows ...string) {
		t.Helper()
		w.flush()
		for _, format := range w.topics[0].Formats {
			got := slices.Sorted(maps.Values(w.cells(format, "id", "item")))
			if !slices.Equal(got, rows) {
				t.Errorf("%s holds %q, want %q", format, got, rows)
			}
		}
		r, err := w.manager.Verify(t.Context(), "orders")
		if err != nil || r.Verdict != sink.VerdictOK || r.Formats[0].DeadLetters != letters {
			t.Errorf("verification: %+v, %v", r, err)
		}
	}
	put(1, change(value, "r", image{}, row(1, "a")))
	put(2, change(value, "c", image{}, row(2, "b")))
	put(3, change(value, "c", image{}, row(3, "c")))
	put(3, change(value, "d", row(3, "c"), image{})) // within one cut
	put(3, nil)
	expect("1 a", "2 b")
	put(1, change(value, "u", row(1, "a"), row(1, "A")))
	put(2, change(value, "d", row(2, ""), image{})) // the key alone, as of PostgreSQL
	expect("1 A")
	put(2, nil)
	expect("1 A")
	// A change of the key comes as a delete, a tombstone and a create.
	put(1, change(value, "d", row(1, "A"), image{}))
	put(1, nil)
	put(4, change(value, "c", image{}, row(4, "A")))
	expect("4 A")
	put(4, change(value, "t", image{}, image{}))
	letters++
	expect("4 A")
	put(4, change(value, "d", image{}, image{}))
	if key == "id" { // nothing says which row it is, but for the tombstone
		letters++
		expect("4 A")
	}
	put(4, nil)
	expect()
	put(4, change(value, "c", image{}, row(4, "again")))
	expect("4 again")
	w.noPending()
}

// TestUnwrapFaults lets every write fail, each way, while changes with deletes go
// into a table of latest values.
func TestUnwrapFaults(t *testing.T) {
	sweep(t, false, func(w *world) {
		w.topics[0].Unwrap, w.topics[0].Upsert = sink.Debezium, []string{"id"}
		w.topics[0].Formats = []string{"iceberg", "delta"}
		v := w.register("orders-value", envelope(""))
		w.run()
		for _, values := range [][][]byte{
			{change(v, "c", image{}, image{1, "a", nil}), change(v, "c", image{}, image{2, "b", nil})},
			{change(v, "d", image{1, "a", nil}, image{}), change(v, "u", image{2, "b", nil}, image{2, "c", nil}), change(v, "x", image{}, image{})},
			{change(v, "c", image{}, image{3, "d", nil}), change(v, "d", image{2, "c", nil}, image{})},
		} {
			w.produce(0, values...)
			if _, err := w.manager.Flush(w.t.Context(), "orders"); err != nil {
				w.flushOn()
			}
		}
		w.fuse.heal()
		w.flushOn()
		r, err := w.manager.Verify(w.t.Context(), "orders")
		if err != nil || r.Verdict != sink.VerdictOK {
			w.t.Fatalf("verification: %+v, %v", r, err)
		}
		for _, format := range w.topics[0].Formats {
			if got := fmt.Sprint(w.cells(format, "id", "item")); got != "map[5:3 d]" {
				w.t.Errorf("%s holds %s", format, got)
			}
		}
		w.noPending()
	})
}

// TestUnwrapJSON: envelopes without a schema have their row as text.
func TestUnwrapJSON(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Unwrap, w.topics[0].ValueAs, w.topics[0].Formats = sink.Debezium, "json", []string{"delta"}
	w.run()
	w.produce(0,
		[]byte(`{"before":null,"after":{"id":1},"source":{"ts_ms":1,"file":"f","pos":7},"op":"c"}`),
		[]byte(`{"schema":{"type":"struct"},"payload":{"before":{"id":1},"after":null,"op":"d"}}`),
		[]byte(`{"id":1}`), nil)
	w.verify(3, 1)
	want := map[int64]string{0: `c f:7 {"id":1}`, 1: `d (null) {"id":1}`, 3: "(null) (null) (null)"}
	if got := w.cells("delta", "kafka_cdc_op", "kafka_cdc_position", "value"); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestUnwrapMisfit: a schema of no envelope is named before there is a table, and
// makes dead letters where there is one.
func TestUnwrapMisfit(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"delta"}
	flat := w.register("orders-value", orderV1)
	w.alter(func(topic *sink.Topic) { topic.Unwrap = sink.Debezium })
	misfit := sink.Check(w.reg, w.topics[0])
	if misfit == nil || misfit.Key != "tarn.table.unwrap" || !strings.Contains(misfit.Reason, "neither a field op nor a field after") {
		t.Errorf("check: %v", misfit)
	}
	w.level = 12
	w.run()
	w.produce(0, order(flat, 1, "a"))
	st := w.state(sink.WaitingForSchema)
	if !strings.Contains(st.Message, "unset tarn.table.unwrap") {
		t.Errorf("message %q", st.Message)
	}
	w.alter(func(topic *sink.Topic) { topic.Value.Subject = "changes" })
	changes := w.register("changes", envelope(""))
	if misfit := sink.Check(w.reg, w.topics[0]); misfit != nil {
		t.Errorf("check: %v", misfit)
	}
	w.produce(0, change(changes, "c", image{}, image{1, "a", nil}))
	w.verify(1, 1)
	plain := w.topics[0]
	plain.ValueAs = "string"
	if misfit := sink.Check(w.reg, plain); misfit == nil || !strings.Contains(misfit.Reason, "JSON only") {
		t.Errorf("check of values as text: %v", misfit)
	}
}
