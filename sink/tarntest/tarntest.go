// Package tarntest gives Go tests a whole Tarn in one line: broker, schema registry,
// tables and SQL, the code of production in memory, gone when the test ends.
//
//	x := tarntest.New(t)
//	x.RegisterAvro(t, "orders-value", schema)
//	x.Topic(t, "orders", 3, "tarn.table.formats=iceberg", "tarn.value.schema.validation=payload")
//	…                                   // x.Brokers(), x.RegistryURL(), x.Client(t)
//	x.Table(t, "orders").Has(tarntest.Row{"customer": "ada", "amount": 42})
//	rows := x.Table(t, "orders").Rows()
//	refused := x.Rejections("orders")
//
// Package broker/brokertest has the broker alone.
package tarntest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/rest"
	"github.com/tarn-io/tarn/registry/validate"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/sink/wiring"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
)

// namespace is where tables are.
const namespace = "default"

// Tarn is a running broker with registry and tables. Its methods are safe for
// concurrent use, those with a testing.TB from the test's goroutine.
type Tarn struct {
	*brokertest.Broker
	registry  *registry.Registry
	validator *validate.Validator
	sinks     *sink.Manager
	sql       *query.Engine
	web       func() *httptest.Server
	endSinks  func()
}

// New starts a Tarn that stops when the test ends. Options are those of brokertest; an
// engine of the caller's keeps what it has, tables are in memory.
func New(t testing.TB, options ...brokertest.Option) *Tarn {
	t.Helper()
	x := &Tarn{}
	lg := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	var engine storage.Engine
	// Options of the caller come first, and say which engine it is.
	own := brokertest.WithConfig(func(c *broker.Config) {
		if c.Engine == nil {
			c.Engine = memory.New()
		}
		engine = c.Engine
		var err error
		if x.registry, err = registry.Open(t.Context(), registry.Config{Engine: engine, Log: lg}); err != nil {
			t.Fatal(err)
		}
		x.validator = validate.New(validate.Config{Registry: x.registry, Log: lg})
		c.Validate = wiring.Validation(x.validator)
		c.Hold = func(tp storage.TP) int64 { return x.sinks.Needs(tp) }
	})
	x.Broker = brokertest.New(t, append(options, own)...)
	store, items := blob.NewMemory(), wiring.Items{Engine: engine}
	cat := catalog.New(catalog.Config{Items: items, Store: store})
	x.sinks = sink.New(sink.Config{
		Logs: x.Logs(), Registry: x.registry, Topics: wiring.Topics(x.Topics(), x.registry),
		Formats: map[string]tables.Format{
			"iceberg": iceberg.New(cat, store, iceberg.Options{Logger: lg, Kept: true}),
			"delta":   delta.New(store, delta.Config{}),
			"parquet": parquet.New(store, parquet.Config{}),
		},
		Store: store, Items: items, Incarnation: x.Incarnation(), Namespace: namespace, Log: lg,
	})
	x.run(t)
	// Many tests never ask over HTTP, whose routes are half of what a start costs.
	x.web = sync.OnceValue(func() *httptest.Server {
		mux := http.NewServeMux()
		mux.Handle("/iceberg/", catalog.Handler(cat, catalog.Options{}))
		mux.Handle("/", rest.Handler(x.registry, rest.Options{Version: "test", ClusterID: x.ClusterID(), Log: lg}))
		web := httptest.NewServer(mux)
		t.Cleanup(web.Close)
		return web
	})
	var err error
	x.sql, err = query.New(query.Config{
		Logs: x.Logs(), Registry: x.registry, Store: store, Lake: x.sinks.Lake, Log: lg,
		Topics: func() []sink.Topic {
			var out []sink.Topic
			for _, top := range x.Topics().View().All() {
				out = append(out, wiring.Topic(x.registry, top))
			}
			return out
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// run runs the sinks until the test ends.
func (x *Tarn) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.sinks.Run(ctx) }()
	x.endSinks = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("tables: %v", err)
		}
	})
	t.Cleanup(x.endSinks)
}

// Stop ends broker and tables before their test ends.
func (x *Tarn) Stop() {
	x.endSinks()
	x.Broker.Stop()
}

// RegistryURL is where the schema registry answers.
func (x *Tarn) RegistryURL() string { return x.web().URL }

// CatalogURL is where the Iceberg REST catalog answers. Its tables' files are in
// memory: readers of other programs want tarn test.
func (x *Tarn) CatalogURL() string { return x.web().URL + "/iceberg" }

// RegisterAvro registers an Avro schema under a subject and returns its id.
func (x *Tarn) RegisterAvro(t testing.TB, subject, text string) int {
	t.Helper()
	return x.register(t, subject, schema.Avro, text)
}

// RegisterProtobuf registers a Protobuf schema under a subject and returns its id.
func (x *Tarn) RegisterProtobuf(t testing.TB, subject, text string) int {
	t.Helper()
	return x.register(t, subject, schema.Protobuf, text)
}

// RegisterJSON registers a JSON schema under a subject and returns its id.
func (x *Tarn) RegisterJSON(t testing.TB, subject, text string) int {
	t.Helper()
	return x.register(t, subject, schema.JSON, text)
}

func (x *Tarn) register(t testing.TB, subject string, kind schema.Type, text string) int {
	t.Helper()
	v, err := x.registry.Register(t.Context(), subject, registry.Request{Type: kind, Text: text})
	if err != nil {
		t.Fatalf("register %s: %v", subject, err)
	}
	return v.ID
}

// Rejections are the last records of a topic that did not fit its schema, oldest
// first: who sent them, which field it was, what was expected and what found.
func (x *Tarn) Rejections(topic string) []validate.Rejection {
	of := x.Topics().View().ByName(topic)
	if of == nil {
		return nil
	}
	list, _ := x.validator.Since(topic, of.ID, 0)
	return list
}

// Row is a row by the names of its columns: nil, int64, float64, string and []byte.
type Row map[string]any

// Table is a topic's lake table.
type Table struct {
	t     testing.TB
	x     *Tarn
	topic string
}

// Table is the table of a topic, which must have one.
func (x *Tarn) Table(t testing.TB, topic string) *Table { return &Table{t, x, topic} }

// Rows are all rows of the table, after everything that the log holds has been
// committed to it, by partition and offset.
func (b *Table) Rows() []Row {
	b.t.Helper()
	b.flush()
	return b.x.SQL(b.t, `select * from lake.`+strconv.Quote(b.topic)+` order by kafka_partition, kafka_offset`)
}

// flush commits everything that the log holds.
func (b *Table) flush() {
	b.t.Helper()
	if _, err := b.x.sinks.Flush(b.t.Context(), b.topic); err != nil {
		b.t.Fatalf("flush the tables of %s: %v", b.topic, err)
	}
}

// SQL runs a query over topics and tables, as tarn sql does.
func (x *Tarn) SQL(t testing.TB, text string) []Row {
	t.Helper()
	got, err := x.sql.Query(t.Context(), query.Request{SQL: text})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out := make([]Row, len(got.Rows))
	for i, values := range got.Rows {
		out[i] = Row{}
		for j, c := range got.Columns {
			out[i][c.Name] = values[j]
		}
	}
	return out
}
