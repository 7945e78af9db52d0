package sink_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"path"
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
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/tabletest"
)

var orders = storage.TopicID{7}

// world is everything a sink stands on; it outlives the sinks that run on it.
// What sinks write goes through the fuse, what the test looks at does not.
type world struct {
	t       testing.TB
	fuse    *fuse
	store   blob.Store   // behind the fuse
	items   tables.Items // behind the fuse
	reg     *registry.Registry
	logs    *commitlog.Logs
	wrap    func(tables.Format) tables.Format // around each format that sinks get; nil: none
	mu      sync.Mutex
	topics  []sink.Topic  // guarded by mu while a manager runs
	changed chan struct{} // guarded by mu: closed and replaced with topics
	manager *sink.Manager
	stop    func()
	level   slog.Level
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, blob.NewMemory())
}

func newWorldOn(t testing.TB, store blob.Store) *world {
	t.Helper()
	engine := memory.New()
	w := &world{
		t: t, fuse: &fuse{left: -1}, store: store, items: tabletest.NewItems(), changed: make(chan struct{}), level: slog.LevelWarn,
	}
	var err error
	if w.reg, err = registry.Open(t.Context(), registry.Config{Engine: engine}); err != nil {
		t.Fatal(err)
	}
	w.logs = commitlog.New(commitlog.Config{Engine: engine})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func(logs *commitlog.Logs) { done <- logs.Run(ctx) }(w.logs)
	t.Cleanup(func() {
		w.halt()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.topics = []sink.Topic{{
		ID: orders, Name: "orders", Partitions: 2, Table: "orders", Formats: []string{"iceberg", "delta", "parquet"},
		CommitInterval: time.Hour, JSONExtra: true,
	}}
	return w
}

// formatsOver makes the formats anew over a store, as a new process does.
func formatsOver(store blob.Store, items tables.Items) map[string]tables.Format {
	cat := catalog.New(catalog.Config{Items: items, Store: store})
	return map[string]tables.Format{
		"iceberg": iceberg.New(cat, store, iceberg.Options{}),
		"delta":   delta.New(store, delta.Config{}),
		"parquet": parquet.New(store, parquet.Config{}),
	}
}

// config is what a manager of this world gets: everything anew but the stores.
func (w *world) config() sink.Config {
	store, items := fusedStore{w.store, w.fuse}, fusedItems{w.items, w.fuse}
	formats := formatsOver(store, items)
	for name, f := range formats {
		if w.wrap != nil {
			formats[name] = w.wrap(f)
		}
	}
	return sink.Config{
		Logs: w.logs, Registry: w.reg, Formats: formats, Store: store, Items: items,
		Topics:      w.list,
		Incarnation: "first", Namespace: "default",
		Log: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: w.level})),
	}
}

func (w *world) list() ([]sink.Topic, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.topics), w.changed
}

// alter changes the topic as a user does, while sinks run.
func (w *world) alter(change func(t *sink.Topic)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics = slices.Clone(w.topics)
	change(&w.topics[0])
	close(w.changed)
	w.changed = make(chan struct{})
}

// run starts a manager; halt ends it.
func (w *world) run() *sink.Manager {
	w.t.Helper()
	w.manager, w.stop = w.start()
	return w.manager
}

// start starts a manager beside those that run.
func (w *world) start() (*sink.Manager, func()) {
	return w.startWith(w.config())
}

func (w *world) startWith(cfg sink.Config) (*sink.Manager, func()) {
	m := sink.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	return m, sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) halt() {
	if w.stop != nil {
		w.stop()
	}
}

func (w *world) register(subject, text string) int {
	w.t.Helper()
	return w.registerAs(schema.Avro, subject, text)
}

func (w *world) registerAs(language schema.Type, subject, text string) int {
	w.t.Helper()
	v, err := w.reg.Register(w.t.Context(), subject, registry.Request{Type: language, Text: text})
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
	w.append(partition, b)
}

func (w *world) append(partition int32, b *record.Builder) {
	w.t.Helper()
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	w.appendBatch(partition, raw)
}

func (w *world) appendBatch(partition int32, raw []byte) {
	w.t.Helper()
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

// trim deletes what lies below offset.
func (w *world) trim(partition int32, offset int64) {
	w.t.Helper()
	if _, err := w.logs.Trim(w.t.Context(), storage.TP{Topic: orders, Partition: partition}, offset); err != nil {
		w.t.Fatal(err)
	}
}

// flush flushes and must succeed.
func (w *world) flush() sink.Flushed {
	w.t.Helper()
	f, err := w.manager.Flush(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// maxFlushes bounds how often a flush is tried again in tests of faults.
const maxFlushes = 20

// flushOn flushes until it succeeds.
func (w *world) flushOn() {
	w.t.Helper()
	var err error
	for range maxFlushes {
		if _, err = w.manager.Flush(w.t.Context(), "orders"); err == nil {
			return
		}
	}
	w.t.Fatalf("flush still fails: %v", err)
}

// verify flushes and expects every format to hold rows and letters.
func (w *world) verify(rows, letters int64) {
	w.t.Helper()
	w.flush()
	w.check(rows, letters)
}

// check has the sink verify itself, and holds it against an audit of its own.
func (w *world) check(rows, letters int64) sink.Report {
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
		if got := len(w.rowIDs(f.Format)); int64(got) != rows+letters {
			w.t.Errorf("%s: audit finds %d records, want %d", f.Format, got, rows+letters)
		}
	}
	return r
}

// rowIDs reads back all records that a format's two tables hold, and fails if
// one stands twice. It opens the tables itself and knows nothing of the sink.
func (w *world) rowIDs(format string) map[tables.RowID]bool {
	w.t.Helper()
	all := map[tables.RowID]bool{}
	for _, name := range []string{"orders", "orders__dead_letters"} {
		tbl, err := formatsOver(w.store, w.items)[format].Open(w.t.Context(), tables.Spec{Namespace: "default", Name: name})
		if err != nil {
			if name == "orders" {
				w.t.Fatal(err)
			}
			continue
		}
		for id, err := range tbl.Rows(w.t.Context()) {
			if err != nil {
				w.t.Fatalf("%s table %s: %v", format, name, err)
			}
			if all[id] {
				w.t.Errorf("%s table %s: partition %d offset %d stands twice", format, name, id.Partition, id.Offset)
			}
			all[id] = true
		}
	}
	return all
}

// table opens a format's main table for the test.
func (w *world) table(format string) tables.Table {
	w.t.Helper()
	tbl, err := formatsOver(w.store, w.items)[format].Open(w.t.Context(), tables.Spec{Namespace: "default", Name: "orders"})
	if err != nil {
		w.t.Fatal(err)
	}
	return tbl
}

// state waits for the sink's state to become want. Each look is a flush, which
// the sink answers after it has looked itself.
func (w *world) state(want sink.State) sink.Status {
	w.t.Helper()
	_, err := w.manager.Flush(w.t.Context(), "orders")
	if (err == nil) != (want == sink.Running) {
		w.t.Errorf("flush: %v, want state %s", err, want)
	}
	st, err := w.manager.Status(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	if st.State != want || st.Message == "" && want != sink.Running {
		w.t.Errorf("state %s (%s), want %s", st.State, st.Message, want)
	}
	return st
}

// noPending expects that no pending entry is left.
func (w *world) noPending() {
	w.t.Helper()
	for it, err := range w.items.Scan(w.t.Context(), fmt.Sprintf("sink/%s/pending/", orders)) {
		w.t.Errorf("left pending: %s %s, %v", it.Key, it.Value, err)
	}
}

// orphans are data files that no table refers to.
func (w *world) orphans() []string {
	w.t.Helper()
	files := map[string]bool{}
	for info, err := range w.store.List(w.t.Context(), "default/") {
		if err != nil {
			w.t.Fatal(err)
		}
		if slices.Contains([]string{"data", "dead"}, kindOf(info.Key)) {
			files[info.Key] = true
		}
	}
	live := int64(0)
	for _, format := range w.topics[0].Formats {
		for _, name := range []string{"orders", "orders__dead_letters"} {
			tbl, err := formatsOver(w.store, w.items)[format].Open(w.t.Context(), tables.Spec{Namespace: "default", Name: name})
			if err != nil {
				continue
			}
			st, err := tbl.Status(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			live += st.Files
		}
	}
	if int64(len(files)) == live {
		return nil
	}
	return append(slices.Sorted(maps.Keys(files)), fmt.Sprintf("%d files, %d live", len(files), live))
}

// kindOf is the first word of a data file's name.
func kindOf(key string) string {
	kind, _, _ := strings.Cut(path.Base(key), "-")
	return kind
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
