package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/wiring"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/delta"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/parquet"
)

// setting is a topic's config with the values that are tried, the default first.
type setting struct {
	key    string
	values []string
}

// tableSettings are the configs of tables. Numbers stand for what they change: the
// smallest, the default, and one that makes a difference for a few records.
func tableSettings() []setting {
	return []setting{
		{"tarn.table.formats", []string{"iceberg", "delta", "parquet", "iceberg,delta", "iceberg,delta,parquet"}},
		{"tarn.table.mode", []string{"append", "upsert"}},
		{"tarn.table.key", []string{"", "id", "region,id", "kafka_key", "kafka_offset", "address", "price", "value"}},
		{"tarn.table.partition", []string{"", "region", "day(kafka_timestamp),bucket(3,id)", "truncate(1,region)", "void(id),hour(kafka_timestamp)",
			"kafka_partition", "address.city", "bucket(2,kafka_key)", "price", "value", "month(day)", "coupon"}},
		{"tarn.table.sort", []string{"", "id desc nulls last,region", "address.city nulls first", "kafka_key", "price,kafka_offset desc", "tags", "value"}},
		{"tarn.table.file.bytes", []string{"134217728", "1048576"}},
		{"tarn.table.compression", []string{"zstd", "snappy", "gzip", "lz4", "none"}},
		{"tarn.table.compression.level", []string{"0", "1", "22"}},
		{"tarn.table.log", []string{"keep", "until_commit"}},
		{"tarn.table.foreign", []string{"maintenance", "none", "append", "all"}},
		{"tarn.table.unwrap", []string{"none", "debezium"}},
		{"tarn.table.generated", []string{"", "made = date(kafka_timestamp), part = kafka_partition % 2 + 1", "double = id * 2, town = coalesce(address.city, coupon), cents = cast(price * 100 as long)"}},
		{"tarn.table.value.as", []string{"schema", "binary", "string", "json"}},
		{"tarn.table.key.as", []string{"schema", "binary", "string", "json"}},
		{"tarn.table.value.version", []string{"own", "latest", "1", "2"}},
		{"tarn.table.start", []string{"earliest", "latest", "offset:1", "offset:1=2", "timestamp:1700000001000"}},
		{"tarn.table.commit.rows", []string{"1000000", "5"}},
		{"tarn.table.commit.bytes", []string{"67108864", "65536"}},
		{"tarn.table.commit.interval.ms", []string{"10000", "100"}},
		{"tarn.table.compact", []string{"auto", "all", "none"}},
		{"tarn.table.compact.bytes", []string{"67108864", "1048576"}},
		{"tarn.table.retention.ms", []string{"-1", "1"}},
		{"tarn.table.snapshot.max", []string{"500", "10"}},
		{"tarn.table.snapshot.retention.ms", []string{"86400000", "60000"}},
		{"tarn.table.orphan.retention.ms", []string{"259200000", "3600000"}},
		{"tarn.table.json.extra", []string{"true", "false"}},
		{"tarn.table.invalid", []string{"dlq"}},
		{"tarn.table.name", []string{"", "other"}},
		{"cleanup.policy", []string{"delete", "compact", "compact,delete"}},
	}
}

// TestTableSettingsKnown wants every config of tables in the test of pairs.
func TestTableSettingsKnown(t *testing.T) {
	t.Parallel()
	for _, d := range topic.Definitions() {
		known := slices.ContainsFunc(tableSettings(), func(s setting) bool { return s.key == d.Name })
		if strings.HasPrefix(d.Name, "tarn.table.") && !known {
			t.Errorf("%s is not in tableSettings: pairs with it are not tested", d.Name)
		}
	}
}

// wants says what is to become of a topic with these configs: "refused", the state
// in which its tables stop, or sink.Running.
func wants(c map[string]string) string {
	formats := strings.Split(c["tarn.table.formats"], ",")
	upsert := c["tarn.table.mode"] == topic.ModeUpsert
	switch {
	case c["tarn.table.key"] != "" && !upsert,
		upsert && slices.Contains(formats, "parquet"),
		c["tarn.table.unwrap"] == "debezium" && (c["tarn.table.value.as"] == "binary" || c["tarn.table.value.as"] == "string"),
		c["tarn.table.log"] == "until_commit" && strings.Contains(c["cleanup.policy"], "compact"):
		return "refused"
	}
	columns := []string{"kafka_key", "kafka_offset", "kafka_partition", "kafka_timestamp"}
	if c["tarn.table.value.as"] == "schema" {
		columns = append(columns, "id", "region", "price", "day", "address", "address.city")
		if c["tarn.table.value.version"] != "1" {
			columns = append(columns, "coupon")
		}
	} else {
		columns = append(columns, "value")
	}
	named := func(key string) (out []string) {
		for word := range strings.FieldsFuncSeq(c[key], func(r rune) bool { return strings.ContainsRune("(), ", r) }) {
			if !slices.Contains([]string{"desc", "nulls", "first", "last", "day", "bucket", "truncate", "void", "hour", "month", "2", "1", "3"}, word) ||
				word == "day" && strings.Contains(c[key], "(day)") {
				out = append(out, word)
			}
		}
		return out
	}
	lacks := func(key string) bool {
		return slices.ContainsFunc(named(key), func(n string) bool { return !slices.Contains(columns, n) })
	}
	switch {
	case strings.HasPrefix(c["tarn.table.generated"], "double") && !slices.Contains(columns, "coupon"):
		return string(sink.WaitingForSchema)
	case lacks("tarn.table.key"), upsert && slices.Contains([]string{"address", "price"}, c["tarn.table.key"]):
		return string(sink.BadKey)
	case lacks("tarn.table.partition"), lacks("tarn.table.sort"): // tags has many values a row
		return string(sink.WaitingForSchema)
	case c["tarn.table.partition"] == "value" && c["tarn.table.value.as"] == "binary" && slices.Contains(formats, "delta"):
		return string(sink.Stalled) // binary is no partition column of Delta
	}
	return string(sink.Running)
}

// plan is a set of configs in which each pair of values of two settings stands that
// can work, and each pair that cannot, with nothing else beside it.
func plan() (works, not []map[string]string) {
	settings := tableSettings()
	base := map[string]string{}
	for _, s := range settings {
		base[s.key] = s.values[0]
	}
	covered := map[[4]string]bool{}
	pairs := func(c map[string]string, each func(p [4]string)) {
		for i, a := range settings {
			for _, b := range settings[:i] {
				each([4]string{a.key, c[a.key], b.key, c[b.key]})
			}
		}
	}
	take := func(c map[string]string) {
		works = append(works, c)
		pairs(c, func(p [4]string) { covered[p] = true })
	}
	for i, a := range settings {
		for _, b := range settings[:i] {
			for _, va := range a.values {
				for _, vb := range b.values {
					pair := [4]string{a.key, va, b.key, vb}
					if covered[pair] {
						continue
					}
					c := complete(settings, base, pair, covered)
					if c != nil {
						take(c)
						continue
					}
					c = maps.Clone(base)
					c[a.key], c[b.key] = va, vb
					not = append(not, c)
				}
			}
		}
	}
	return works, not
}

// complete makes a config that works of a pair, with as many pairs as it can that
// are not covered yet; nil if there is none.
func complete(settings []setting, base map[string]string, pair [4]string, covered map[[4]string]bool) map[string]string {
	c := maps.Clone(base)
	c[pair[0]], c[pair[2]] = pair[1], pair[3]
	fixed := map[string]bool{pair[0]: true, pair[2]: true}
	running := string(sink.Running)
	// What a value needs beside it: one other setting, or two.
	mend := func(depth int) bool { return false }
	mend = func(depth int) bool {
		if wants(c) == running {
			return true
		}
		if depth == 0 {
			return false
		}
		for _, s := range settings {
			if fixed[s.key] || c[s.key] != base[s.key] {
				continue
			}
			for _, v := range s.values[1:] {
				c[s.key] = v
				if mend(depth - 1) {
					return true
				}
			}
			c[s.key] = base[s.key]
		}
		return false
	}
	if !mend(1) && !mend(2) {
		return nil
	}
	for _, s := range settings {
		if fixed[s.key] {
			continue
		}
		best, most := c[s.key], -1
		for _, v := range s.values {
			c[s.key] = v
			if wants(c) != running {
				continue
			}
			fresh := 0
			for other := range fixed {
				a, b := s.key, other
				if slices.IndexFunc(settings, func(x setting) bool { return x.key == a }) < slices.IndexFunc(settings, func(x setting) bool { return x.key == b }) {
					a, b = b, a
				}
				if !covered[[4]string{a, c[a], b, c[b]}] {
					fresh++
				}
			}
			if fresh > most {
				best, most = v, fresh
			}
		}
		c[s.key], fixed[s.key] = best, true
	}
	return c
}

// TestTablePairs sets every pair of settings of tables on a topic, and has its
// tables written, verified, maintained, rebuilt and gone on with by a new process.
// What cannot be is refused, or stops in a state that says so.
func TestTablePairs(t *testing.T) {
	t.Parallel()
	works, not := plan()
	t.Logf("%d configs that work, %d that do not", len(works), len(not))
	for i, c := range slices.Concat(works, not) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			set := map[string]string{}
			for _, s := range tableSettings() {
				if c[s.key] != s.values[0] || s.key == "tarn.table.formats" {
					set[s.key] = c[s.key]
				}
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("configs %v", set)
				}
			})
			runPair(t, set, wants(c))
		})
	}
}

const (
	pairValueV1 = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"region","type":"string"},` +
		`{"name":"price","type":"double"},{"name":"day","type":{"type":"int","logicalType":"date"}},` +
		`{"name":"tags","type":{"type":"array","items":"string"}},` +
		`{"name":"address","type":{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}}` + pairValueEnd
	pairValueEnd = `]}`
	pairCoupon   = `,{"name":"coupon","type":["null","string"],"default":null}]}`
	pairKey      = `{"type":"record","name":"Key","fields":[{"name":"region","type":"string"},{"name":"id","type":"long"}]}`
)

// pairWorld is everything that one topic's tables stand on.
type pairWorld struct {
	t      *testing.T
	engine storage.Engine
	store  blob.Store
	reg    *registry.Registry
	logs   *commitlog.Logs
	topics *topic.Topics
	topic  *topic.Topic
	ids    [3]int32 // of the schemas of keys and of both versions of values
	sent   int64
}

// runPair follows one topic.
func runPair(t *testing.T, configs map[string]string, want string) {
	w := &pairWorld{t: t, engine: memory.New(), store: blob.NewMemory()}
	w.open()
	var err error
	w.topic, err = w.topics.Create(t.Context(), topic.Spec{Name: "orders", Partitions: 2, Configs: configs})
	if refused := (*topic.ConfigError)(nil); errors.As(err, &refused) != (want == "refused") {
		t.Fatalf("creating the topic: %v, want it %s", err, want)
	} else if refused != nil {
		if configs[refused.Key] == "" || len(refused.Reason) < 20 {
			t.Errorf("refused by %q, which does not say what to do", err)
		}
		return
	}
	w.ids[0] = w.register("orders-key", pairKey)
	w.ids[1] = w.register("orders-value", w.wrapped(pairValueV1))
	w.ids[2] = w.register("orders-value", w.wrapped(strings.TrimSuffix(pairValueV1, pairValueEnd)+pairCoupon))
	w.produce(1)
	m, stop := w.start()
	if _, err = m.Flush(t.Context(), "orders"); want != string(sink.Running) {
		st, serr := m.Status(t.Context(), "orders")
		if err == nil || serr != nil || string(st.State) != want || len(st.Message) < 20 {
			t.Errorf("flush: %v; state %s (%s), %v, want %s", err, st.State, st.Message, serr, want)
		}
		stop()
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	w.verify(m)
	w.produce(2)
	w.verify(m)
	for verb, err := range map[string]error{
		"compact": second(m.Compact(t.Context(), "orders")), "expire": second(m.Expire(t.Context(), "orders")),
		"redrive": second(m.Redrive(t.Context(), "orders")), "rebuild": second(m.Rebuild(t.Context(), "orders", false)),
	} {
		if err != nil && !errors.Is(err, sink.ErrLatest) && !errors.Is(err, sink.ErrNoRebuild) && !errors.Is(err, sink.ErrLogShort) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	w.verify(m)
	stop()
	m, stop = w.start()
	w.produce(2)
	w.verify(m)
	stop()
}

func second[T any](_ T, err error) error { return err }

func (w *pairWorld) open() {
	t := w.t
	var err error
	if w.reg, err = registry.Open(t.Context(), registry.Config{Engine: w.engine}); err != nil {
		t.Fatal(err)
	}
	if w.topics, err = topic.Open(t.Context(), w.engine, topic.Defaults{}); err != nil {
		t.Fatal(err)
	}
	w.logs = commitlog.New(commitlog.Config{Engine: w.engine})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.logs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *pairWorld) register(subject, text string) int32 {
	w.t.Helper()
	v, err := w.reg.Register(w.t.Context(), subject, registry.Request{Type: schema.Avro, Text: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return int32(v.ID)
}

// wrapped is a schema of values, in an envelope if the topic's values have one.
func (w *pairWorld) wrapped(text string) string {
	if w.topic.Config.TableUnwrap == "" {
		return text
	}
	return `{"type":"record","name":"Envelope","fields":[{"name":"before","type":["null",` + text + `],"default":null},` +
		`{"name":"after","type":["null","Order"],"default":null},{"name":"op","type":"string"}]}`
}

// formats opens all formats anew, as a new process does.
func (w *pairWorld) formats() map[string]tables.Format {
	cat := catalog.New(catalog.Config{Items: wiring.Items{Engine: w.engine}, Store: w.store})
	return map[string]tables.Format{
		"iceberg": iceberg.New(cat, w.store, iceberg.Options{}),
		"delta":   delta.New(w.store, delta.Config{}),
		"parquet": parquet.New(w.store, parquet.Config{}),
	}
}

// start starts a sink.
func (w *pairWorld) start() (*sink.Manager, func()) {
	m := sink.New(sink.Config{
		Logs: w.logs, Registry: w.reg, Formats: w.formats(), Store: w.store, Items: wiring.Items{Engine: w.engine},
		Topics: wiring.Topics(w.topics, w.reg), Incarnation: "first", Namespace: "default",
		Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return m, stop
}

// produce appends records of all kinds to both partitions: rows with values of a
// version, text without a schema, records without key or value, and bad ones.
func (w *pairWorld) produce(version int) {
	w.t.Helper()
	for part := range int32(2) {
		b := record.NewBuilder(record.Options{})
		add := func(key, value []byte) {
			b.Append(1_700_000_000_000+500*w.sent, key, value, record.RecordHeader{Key: "n", Value: fmt.Append(nil, w.sent)})
			w.sent++
		}
		add(w.key(1, "eu"), w.value(version, 1, "eu", "Rome"))
		add(w.key(2, "us"), w.value(version, 2, "us", ""))
		add(w.key(1, "eu"), w.value(version, 1, "eu", "Ulm"))
		add(w.key(2, "us"), nil)
		add([]byte("plain"), []byte(`{"id": 7, "region": "jp"}`))
		if w.topic.Config.TableUnwrap != "" {
			add([]byte("plain"), []byte(`{"op": "c", "after": {"id": 7, "region": "jp"}}`))
		}
		add(nil, w.value(version, 3, "", "Bern"))
		add([]byte{0xff, 0}, []byte{0, 0, 0, 0, 9, 1})
		add(nil, nil)
		raw, err := b.Bytes()
		if err != nil {
			w.t.Fatal(err)
		}
		h, err := record.ParseHeader(raw)
		if err != nil {
			w.t.Fatal(err)
		}
		wait, err := w.logs.Append(w.t.Context(), commitlog.Entry{Batches: []commitlog.Batch{{
			TP: storage.TP{Topic: w.topic.ID, Partition: part}, Bytes: raw, Header: h}}})
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := wait(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func text(b []byte, s string) []byte {
	return append(binary.AppendVarint(b, int64(len(s))), s...)
}

func (w *pairWorld) key(id int64, region string) []byte {
	return binary.AppendVarint(text(schema.AppendPrefix(nil, w.ids[0]), region), id)
}

func (w *pairWorld) value(version int, id int64, region, city string) []byte {
	b := schema.AppendPrefix(nil, w.ids[version])
	wrapped := w.topic.Config.TableUnwrap != ""
	if wrapped {
		b = append(b, 0, 2) // nothing before, a row after
	}
	b = text(binary.AppendVarint(b, id), region)
	b = append(b, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f) // 1.5
	b = binary.AppendVarint(b, 19_000+id)
	b = append(text(binary.AppendVarint(b, 1), "tag"), 0)
	b = text(b, city)
	if version == 2 {
		b = text(binary.AppendVarint(b, 1), "half")
	}
	if wrapped {
		b = text(b, "u")
	}
	return b
}

// verify flushes, has the sink compare log and tables, and reads the tables itself.
func (w *pairWorld) verify(m *sink.Manager) {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := m.Flush(ctx, "orders"); err != nil {
		w.t.Fatal(err)
	}
	r, err := m.Verify(ctx, "orders")
	if err != nil || r.Verdict != sink.VerdictOK || len(r.Formats) != len(w.topic.Config.TableFormats) {
		w.t.Fatalf("verification: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		rows, letters := w.read(f.Format, w.topic.Table()), w.read(f.Format, w.topic.Table()+"__dead_letters")
		if rows != f.Rows || letters != f.DeadLetters {
			w.t.Errorf("%s: %d rows and %d dead letters, the sink counts %d and %d", f.Format, rows, letters, f.Rows, f.DeadLetters)
		}
		c := &w.topic.Config
		all := c.TableMode == "append" && c.TableRetentionMs < 0 && w.topic.Overrides["tarn.table.start"] == ""
		if all && rows+letters != w.sent {
			w.t.Errorf("%s: %d rows and %d dead letters of %d records", f.Format, rows, letters, w.sent)
		}
		if c.TableMode == topic.ModeUpsert && rows > w.sent/2 {
			w.t.Errorf("%s: %d rows, one for each key of %d records", f.Format, rows, w.sent)
		}
	}
}

// read counts the rows of a table; none may stand twice.
func (w *pairWorld) read(format, name string) int64 {
	w.t.Helper()
	tbl, err := w.formats()[format].Open(w.t.Context(), tables.Spec{Namespace: "default", Name: name})
	if err != nil {
		return 0 // there are no letters, or the count of rows tells
	}
	all := map[tables.RowID]bool{}
	for id, err := range tbl.Rows(w.t.Context()) {
		if err != nil || all[id] {
			w.t.Fatalf("%s table %s: partition %d offset %d: twice, or %v", format, name, id.Partition, id.Offset, err)
		}
		all[id] = true
	}
	return int64(len(all))
}
