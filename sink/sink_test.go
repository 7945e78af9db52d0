package sink_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
)

var orders = storage.TopicID{7}

// world is everything a sink stands on; it outlives the sinks that run on it.
type world struct {
	t       *testing.T
	engine  storage.Engine
	store   blob.Store
	items   tables.Items
	reg     *registry.Registry
	logs    *commitlog.Logs
	formats map[string]tables.Format
	topics  []sink.Topic
	changed chan struct{}
	manager *sink.Manager
	stop    func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, engine: memory.New(), store: blob.NewMemory(), items: newItems(), changed: make(chan struct{})}
	var err error
	if w.reg, err = registry.Open(t.Context(), registry.Config{Engine: w.engine}); err != nil {
		t.Fatal(err)
	}
	w.logs = commitlog.New(commitlog.Config{Engine: w.engine})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.logs.Run(ctx) }()
	t.Cleanup(func() {
		w.halt()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.open()
	w.topics = []sink.Topic{{
		ID: orders, Name: "orders", Partitions: 2, Table: "orders", Formats: []string{"iceberg", "delta", "parquet"},
		CommitInterval: time.Hour, KeySubject: "orders-key", ValueSubject: "orders-value", JSONExtra: true,
	}}
	return w
}

// open makes the formats over the world's stores.
func (w *world) open() {
	cat := catalog.New(catalog.Config{Items: w.items, Store: w.store})
	w.formats = map[string]tables.Format{
		"iceberg": iceberg.New(cat, w.store, iceberg.Options{}),
		"delta":   delta.New(w.store, delta.Config{}),
		"parquet": parquet.New(w.store, parquet.Config{}),
	}
}

// run starts a manager; halt ends it.
func (w *world) run() *sink.Manager {
	w.t.Helper()
	w.manager = sink.New(sink.Config{
		Logs: w.logs, Registry: w.reg, Formats: w.formats, Store: w.store, Items: w.items,
		Topics:      func() ([]sink.Topic, <-chan struct{}) { return w.topics, w.changed },
		Incarnation: "first", Namespace: "default",
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	m := w.manager
	go func() { done <- m.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	return w.manager
}

func (w *world) halt() {
	if w.stop != nil {
		w.stop()
	}
}

func (w *world) register(subject, text string) int {
	w.t.Helper()
	v, err := w.reg.Register(w.t.Context(), subject, registry.Request{Type: schema.Avro, Text: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.ID
}

// produce appends values to a partition as one batch.
func (w *world) produce(partition int32, values ...[]byte) {
	w.t.Helper()
	b := record.NewBuilder(record.Options{})
	for _, v := range values {
		b.Append(1700000000000, []byte("k"), v, record.RecordHeader{Key: "h", Value: []byte("x")})
	}
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	h, err := record.ParseHeader(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	wait, err := w.logs.Append(w.t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{
		TP: storage.TP{Topic: orders, Partition: partition}, Bytes: raw, Header: h,
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := wait(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// verify flushes and expects every format to hold rows and letters.
func (w *world) verify(rows, letters int64) {
	w.t.Helper()
	for {
		_, err := w.manager.Flush(w.t.Context(), "orders")
		if err == nil {
			break
		}
		w.t.Fatal(err)
	}
	w.check(rows, letters)
}

func (w *world) check(rows, letters int64) {
	w.t.Helper()
	r, err := w.manager.Verify(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	if r.Verdict != sink.VerdictOK || len(r.Formats) != len(w.topics[0].Formats) {
		w.t.Fatalf("verification: %+v", r)
	}
	for _, f := range r.Formats {
		if f.Rows != rows || f.DeadLetters != letters {
			w.t.Errorf("%s: %d rows and %d dead letters, want %d and %d", f.Format, f.Rows, f.DeadLetters, rows, letters)
		}
	}
}

const orderV1 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"item","type":"string"}]}`
const orderV2 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"item","type":"string"},{"name":"coupon","type":["null","string"],"default":null}]}`

// order is an Avro payload of orderV1 with its prefix.
func order(schemaID int, id int64, item string) []byte {
	b := schema.AppendPrefix(nil, int32(schemaID))
	b = binary.AppendVarint(b, id)
	b = binary.AppendVarint(b, int64(len(item)))
	return append(b, item...)
}

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
	w.open()
	w.run()
	w.verify(42, 0)
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
	tbl, err := w.formats["iceberg"].Open(t.Context(), tables.Spec{Namespace: "default", Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := tbl.Schema().Arrow.FieldsByName("coupon"); !ok {
		t.Errorf("no column for the new field: %v", tbl.Schema().Arrow)
	}
}

func TestWaitsForSchema(t *testing.T) {
	w := newWorld(t)
	w.run()
	if _, err := w.manager.Flush(t.Context(), "orders"); err == nil {
		t.Error("flush without a schema: want an error")
	}
	st, err := w.manager.Status(t.Context(), "orders")
	if err != nil || st.State != sink.WaitingForSchema {
		t.Fatalf("status %+v, %v", st, err)
	}
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"))
	w.verify(1, 0)
	if _, err := w.manager.Flush(t.Context(), "nothing"); err == nil {
		t.Error("flush of a topic without tables: want an error")
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
	if _, err := w.manager.Flush(t.Context(), "orders"); err == nil {
		t.Error("flush into another log's table: want an error")
	}
	st, err := w.manager.Status(t.Context(), "orders")
	if err != nil || st.State != sink.LogReplaced || st.Message == "" {
		t.Errorf("status %+v, %v; want log_replaced", st, err)
	}
}
