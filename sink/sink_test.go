package sink_test

import (
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
)

func TestCopies(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range 20 {
		w.produce(int32(i%2), order(id, int64(i), "a"), order(id, int64(i), "b"))
	}
	w.verify(40, 0)
	w.produce(0, order(id, 1, "late"))
	w.verify(41, 0)

	// A new process goes on where the tables stand.
	w.halt()
	w.produce(1, order(id, 2, "while away"))
	w.run()
	w.verify(42, 0)
	w.noPending()
	if left := w.orphans(); left != nil {
		t.Errorf("files that nobody refers to: %v", left)
	}
}

func TestEvolutionTombstonesAndDeadLetters(t *testing.T) {
	w := newWorld(t)
	v1 := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(v1, 1, "old"))
	w.verify(1, 0)
	v2 := w.register("orders-value", orderV2)
	w.produce(0, append(order(v2, 2, "new"), 2, 2, 'c'), order(v1, 3, "old again"), nil)
	w.produce(1, []byte("not avro at all"), order(9999, 1, "unknown id"), order(v1, 4, "good"))
	w.verify(5, 2)
	if _, ok := w.table("iceberg").Schema().Arrow.FieldsByName("coupon"); !ok {
		t.Errorf("no column for the new field")
	}
}

// TestNewestVersion wants the newest version's columns in the table with the
// next rows, whatever version these are of.
func TestNewestVersion(t *testing.T) {
	w := newWorld(t)
	v1 := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(v1, 1, "old"))
	w.verify(1, 0)
	w.register("orders-value", orderV2)
	w.produce(0, order(v1, 2, "still old"))
	w.verify(2, 0)
	if _, ok := w.table("parquet").Schema().Arrow.FieldsByName("coupon"); !ok {
		t.Errorf("no column for the new field")
	}
}

func TestWaitsForSchema(t *testing.T) {
	w := newWorld(t)
	w.run()
	w.state(sink.WaitingForSchema)
	r, err := w.manager.Verify(t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictUnknown || len(r.Formats) == 0 {
		t.Fatalf("verify without a table: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		if !strings.HasPrefix(f.Message, "there is no table yet: no schema is registered for subject orders-value") {
			t.Errorf("%s: %q", f.Format, f.Message)
		}
	}
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	if _, err := w.manager.Flush(t.Context(), "nothing"); err == nil {
		t.Error("flush of a topic without tables: want an error")
	}
	w.halt()
	if _, err := w.manager.Flush(t.Context(), "orders"); err == nil {
		t.Error("flush after the end: want an error")
	}
}

// TestPlainDeadLetters: what is no JSON, or no text, is a dead letter; a topic
// that gets a schema goes on in the same table.
func TestPlainDeadLetters(t *testing.T) {
	w := newWorld(t)
	w.alter(func(t *sink.Topic) { t.KeyAs, t.ValueAs = "string", "json" })
	w.run()
	b := record.NewBuilder(record.Options{})
	b.Append(1700000000000, []byte("k"), []byte(`{"a":1}`))
	b.Append(1700000000000, []byte("k"), []byte(`{"a":`))
	b.Append(1700000000000, []byte("\xff"), []byte(`[]`))
	b.Append(1700000000000, nil, []byte(`"x"`))
	w.append(0, b)
	w.verify(2, 2)
	id := w.register("orders-value", orderV1)
	w.alter(func(t *sink.Topic) { t.ValueAs = sink.AsSchema })
	w.produce(0, order(id, 1, "a"))
	w.verify(3, 2)
}

// TestPlainBesideSchema: values that are taken without a schema are brought to
// no version, though their subject has some.
func TestPlainBesideSchema(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.alter(func(t *sink.Topic) { t.ValueAs, t.ValueVersion = "binary", sink.LatestVersion })
	w.run()
	w.produce(0, order(id, 1, "a"), []byte("no order"))
	w.verify(2, 0)
}

// TestSchemaOfEmptyTables restarts between the making of tables and their first
// rows, when a newer version would give its columns other field ids.
func TestSchemaOfEmptyTables(t *testing.T) {
	w := newWorld(t)
	w.register("orders-value", `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"}]}`)
	w.run()
	w.flush()
	w.halt()
	v2 := w.register("orders-value", `{"type":"record","name":"Order","fields":[{"name":"item","type":"string","default":""},{"name":"id","type":"long"}]}`)
	w.run()
	b := order(v2, 0, "")[:5]
	w.produce(0, append(b, 2, 'x', 14))
	w.verify(1, 0)
	for _, format := range w.topics[0].Formats {
		s := w.table(format).Schema()
		if s.ID != 1 || s.Arrow.FieldIndices("id")[0] > s.Arrow.FieldIndices("item")[0] {
			t.Errorf("%s: schema %d %v, want the first one with a column added", format, s.ID, s.Arrow)
		}
	}
}

// TestSubjectDeleted restarts where the subject is gone: the tables go on.
func TestSubjectDeleted(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.halt()
	if _, err := w.reg.DeleteSubject(t.Context(), "orders-value", false); err != nil {
		t.Fatal(err)
	}
	w.produce(0, order(id, 2, "b"))
	w.run()
	w.verify(2, 0)
}

// TestKeySchemaLater registers the key's schema while the sink runs.
func TestKeySchemaLater(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	if _, ok := w.table("delta").Schema().Arrow.FieldsByName("kafka_key_decoded"); ok {
		t.Error("a column for decoded keys without a schema of keys")
	}
	w.register("orders-key", `{"type":"record","name":"Key","fields":[{"name":"k","type":"string"}]}`)
	w.produce(0, order(id, 2, "b")) // its key is "k", which is no Key
	w.verify(1, 1)
	w.halt()
	w.run()
	w.produce(0, order(id, 3, "c"))
	w.verify(1, 2)
	if _, ok := w.table("delta").Schema().Arrow.FieldsByName("kafka_key_decoded"); !ok {
		t.Error("no column for decoded keys")
	}
}

// TestLaterFormat adds a format to a topic that has tables already.
func TestLaterFormat(t *testing.T) {
	w := newWorld(t)
	all := w.topics[0].Formats
	w.topics[0].Formats = all[:1]
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range 10 {
		w.produce(0, order(id, int64(i), "x"), order(id, int64(i), "y"))
	}
	w.verify(20, 0)
	w.halt()
	w.topics[0].Formats = all
	w.topics[0].CommitRows = 7 // cuts that end inside batches and lanes
	w.run()
	w.produce(1, order(id, 1, "z"))
	w.verify(21, 0)
	w.produce(1, order(id, 1, "together"))
	w.verify(22, 0)
	iceberg, err := w.table("iceberg").Status(t.Context())
	if err != nil || iceberg.Files != 3 {
		t.Errorf("iceberg has %d files (%v), want 3: the others caught up by themselves", iceberg.Files, err)
	}
}

// TestPartitionsAdded adds partitions while the sink runs.
func TestPartitionsAdded(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.halt()
	w.topics[0].Partitions = 4
	w.produce(3, order(id, 2, "b"), order(id, 3, "c"))
	w.run()
	w.verify(3, 0)
	w.produce(3, order(id, 4, "d"))
	w.verify(4, 0)
}

// TestStartLatest begins at the log end as it was when the table was made.
func TestStartLatest(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Start.Latest = true
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "before"), order(id, 2, "before"))
	w.run()
	w.verify(0, 0)
	w.halt()
	// What comes between two runs is after the start, even before the first row.
	w.produce(0, order(id, 3, "between"))
	w.run()
	w.produce(0, order(id, 4, "after"))
	w.produce(1, order(id, 5, "after"))
	w.verify(3, 0)
}

// TestNameTaken finds a file of somebody else where the table would be, and goes on
// when it is gone.
func TestNameTaken(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"parquet"}
	const theirs = "default/orders/parquet/theirs.parquet"
	if err := w.store.Put(t.Context(), theirs, []byte("PAR1")); err != nil {
		t.Fatal(err)
	}
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	if st := w.state(sink.NameTaken); !strings.Contains(st.Message, "tarn table flush") {
		t.Errorf("message %q", st.Message)
	}
	if err := w.store.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	w.verify(1, 0)
}

// TestLogReplaced runs on tables that were written from another log.
func TestLogReplaced(t *testing.T) {
	w := newWorld(t)
	id := w.register("orders-value", orderV1)
	w.run()
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	w.halt()
	w.topics[0].ID = storage.TopicID{8}
	w.run()
	w.state(sink.LogReplaced)
}
