package query_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"slices"
	"strings"
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
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

var orders, plain = storage.TopicID{7}, storage.TopicID{8}

// world is a log, a registry, tables and an engine of queries on them.
type world struct {
	t       testing.TB
	logs    *commitlog.Logs
	reg     *registry.Registry
	manager *sink.Manager
	engine  *query.Engine
	// lake is what queries are told of tables instead of the truth; nil is the truth.
	// Set before the first query.
	lake    func(ctx context.Context, topic string) (sink.Lake, error)
	mu      sync.Mutex
	topics  []sink.Topic  // guarded by mu
	changed chan struct{} // closed when topics are others; guarded by mu
}

// newWorld makes a world; its topic orders has tables of the given formats.
func newWorld(t testing.TB, formats ...string) *world {
	t.Helper()
	return newWorldOn(t, commitlog.Config{Engine: memory.New()}, formats...)
}

// newWorldOn makes a world whose log is as cfg says.
func newWorldOn(t testing.TB, cfg commitlog.Config, formats ...string) *world {
	t.Helper()
	engine := cfg.Engine
	w := &world{t: t, changed: make(chan struct{})}
	var err error
	if w.reg, err = registry.Open(t.Context(), registry.Config{Engine: engine}); err != nil {
		t.Fatal(err)
	}
	cfg.Admit = func(storage.TP, record.Header) error { return nil } // every transaction is known
	w.logs = commitlog.New(cfg)
	w.topics = []sink.Topic{
		{ID: orders, Name: "orders", Partitions: 2, Table: "orders", Formats: formats, CommitInterval: time.Hour, JSONExtra: true},
		{ID: plain, Name: "my.Plain", Partitions: 1, Table: "my_2e__50_lain"},
	}
	store, items := blob.NewMemory(), tabletest.NewItems()
	cat := catalog.New(catalog.Config{Items: items, Store: store})
	w.manager = sink.New(sink.Config{
		Logs: w.logs, Registry: w.reg, Store: store, Items: items, Incarnation: "first", Namespace: "default",
		Formats: map[string]tables.Format{
			"iceberg": iceberg.New(cat, store, iceberg.Options{}), "delta": delta.New(store, delta.Config{}), "parquet": parquet.New(store, parquet.Config{}),
		},
		Topics: w.withTables,
		Log:    slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	w.engine, err = query.New(query.Config{
		Logs: w.logs, Registry: w.reg, Store: store,
		Lake: func(ctx context.Context, topic string) (sink.Lake, error) {
			if w.lake != nil {
				return w.lake(ctx, topic)
			}
			return w.manager.Lake(ctx, topic)
		},
		Topics: func() []sink.Topic { w.mu.Lock(); defer w.mu.Unlock(); return w.topics },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.manager.Run(ctx) })
	logs, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.logs.Run(logs) }()
	t.Cleanup(func() {
		cancel()
		running.Wait()
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) withTables() ([]sink.Topic, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []sink.Topic
	for _, t := range w.topics {
		if len(t.Formats) > 0 {
			out = append(out, t)
		}
	}
	return out, w.changed
}

// alter changes the topic orders, and those that run its sink hear of it.
func (w *world) alter(change func(*sink.Topic)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics = slices.Clone(w.topics)
	change(&w.topics[0])
	close(w.changed)
	w.changed = make(chan struct{})
}

// register registers a version of a subject and returns its id.
func (w *world) register(subject, text string) int {
	w.t.Helper()
	v, err := w.reg.Register(w.t.Context(), subject, registry.Request{Type: schema.Avro, Text: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.ID
}

const firstMs = 1700000000000 // 2023-11-14 22:13:20

// produce appends one batch; records are a second apart.
func (w *world) produce(topic storage.TopicID, partition int32, key string, values ...[]byte) {
	w.t.Helper()
	b := record.NewBuilder(record.Options{})
	for i, v := range values {
		b.Append(firstMs+int64(i)*1000, []byte(key), v, record.RecordHeader{Key: "h", Value: []byte("x\"")})
	}
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(topic, partition, raw)
}

func (w *world) append(topic storage.TopicID, partition int32, raw []byte) {
	w.t.Helper()
	h, err := record.ParseHeader(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	wait, err := w.logs.Append(w.t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{
		TP: storage.TP{Topic: topic, Partition: partition}, Bytes: raw, Header: h,
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := wait(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) flush() {
	w.t.Helper()
	if _, err := w.manager.Flush(w.t.Context(), "orders"); err != nil {
		w.t.Fatal(err)
	}
}

// ask runs a query and returns its result as CSV, or the error.
func (w *world) ask(sql string) string {
	w.t.Helper()
	return w.askWith(query.Request{SQL: sql})
}

func (w *world) askWith(r query.Request) string {
	w.t.Helper()
	got, err := w.engine.Query(w.t.Context(), r)
	if err != nil {
		return "error: " + err.Error()
	}
	var b strings.Builder
	if err := got.Write(&b, "csv"); err != nil {
		w.t.Fatal(err)
	}
	_, body, _ := strings.Cut(b.String(), "\n")
	if got.Truncated {
		body += "…\n"
	}
	return strings.TrimSuffix(body, "\n")
}

// orderSchema is a record with what tables can hold.
const orderSchema = `{"type":"record","name":"Order","fields":[
	{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"amount","type":"double"}]}`

// order encodes a record of orderSchema, with Confluent's prefix.
func order(schemaID int, id int64, customer string, amount float64) []byte {
	b := schema.AppendPrefix(nil, int32(schemaID))
	b = binary.AppendVarint(b, id)
	b = append(binary.AppendVarint(b, int64(len(customer))), customer...)
	return binary.LittleEndian.AppendUint64(b, floatBits(amount))
}
