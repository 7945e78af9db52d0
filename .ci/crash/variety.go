package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/.ci/process"
)

// idHeader holds the identity of a record of these topics: a tombstone has no
// value to say it.
const idHeader = "id"

// kind is one way in which a topic's tables are set up.
type kind struct {
	name       string
	partitions int32
	formats    []string
	config     map[string]string
	bare       bool // values are JSON without a schema
	trims      bool // the log is deleted behind the tables
	// changes are what its configs are set to while it is under load, one or another.
	changes []map[string]string
	grows   bool // versions of its schema come while it is under load
	// draw makes a record of an identity: key, value, timestamp, partition.
	draw func(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record
	// key names the row of a record in a table of latest values; nil: every record
	// has a row of its own.
	key func(r *kgo.Record) string
	// lettered reports whether a record is to be a dead letter.
	lettered func(r *kgo.Record) bool
}

// kinds are the topics beside orders and transfers.
func kinds() []kind {
	all, two := []string{"iceberg", "delta", "parquet"}, []string{"iceberg", "delta"}
	return []kind{
		{name: "daily", partitions: 2, formats: all, draw: drawSpread, config: map[string]string{
			"tarn.table.partition": "day(kafka_timestamp), bucket(3, seq)",
			"tarn.table.sort":      "pad desc nulls last, seq"}},
		{name: "latest", partitions: 2, formats: two, draw: drawKeyed,
			key:      func(r *kgo.Record) string { return string(r.Key) },
			lettered: func(r *kgo.Record) bool { return r.Key == nil },
			config:   map[string]string{"tarn.table.mode": "upsert"}},
		{name: "bypad", partitions: 1, formats: two, draw: drawNarrow,
			key:      func(r *kgo.Record) string { return string(r.Value[len(r.Value)-min(len(r.Value), narrow(r.Value)):]) },
			lettered: func(r *kgo.Record) bool { return r.Value == nil },
			config: map[string]string{"tarn.table.mode": "upsert", "tarn.table.key": "pad",
				"tarn.table.partition": "bucket(2, seq)", "tarn.table.sort": "seq"}},
		{name: "drained", partitions: 2, formats: all, draw: drawSpread, trims: true, config: map[string]string{
			"tarn.table.log": "until_commit"}},
		{name: "grown", partitions: 2, formats: all, draw: drawGrown, grows: true, changes: []map[string]string{
			{"tarn.table.sort": "seq desc"}, {"tarn.table.sort": "pad, kafka_offset"}, {"tarn.table.sort": ""},
			{"tarn.table.compression": "snappy"}, {"tarn.table.compression": "zstd"}}},
		{name: "moved", partitions: 2, formats: []string{"iceberg"}, draw: drawSpread, changes: []map[string]string{
			{"tarn.table.partition": "day(kafka_timestamp)"}, {"tarn.table.partition": "bucket(3, seq), day(kafka_timestamp)"},
			{"tarn.table.partition": "kafka_partition", "tarn.table.sort": "seq"}, {"tarn.table.partition": ""}}},
		{name: "bare", partitions: 2, formats: all, draw: drawBare, bare: true,
			lettered: func(r *kgo.Record) bool { return !json.Valid(r.Value) },
			config:   map[string]string{"tarn.table.value.as": "json", "tarn.table.key.as": "string", "tarn.table.partition": "kafka_partition"}},
	}
}

// drawSpread spreads records over three days.
func drawSpread(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	r := &kgo.Record{Partition: rng.Int32N(k.partitions), Value: encode(k.schemaID, id, padding(rng))}
	r.Timestamp = time.Now().Add(-time.Duration(rng.IntN(3)) * 24 * time.Hour)
	return r
}

// drawGrown writes by one of the versions that there are.
func drawGrown(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	versions := k.versions()
	n := rng.IntN(len(versions))
	value := encode(versions[n], id, padding(rng))
	return &kgo.Record{Partition: rng.Int32N(k.partitions), Value: append(value, make([]byte, n)...)} // each field more is null
}

// drawKeyed draws one of few keys, each in one partition; some records delete,
// and few have no key.
func drawKeyed(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	slot := rng.Int32N(60)
	r := &kgo.Record{Partition: slot % k.partitions, Key: fmt.Appendf(nil, "key-%d", slot), Value: encode(k.schemaID, id, padding(rng))}
	switch n := rng.IntN(100); {
	case n < 15:
		r.Value = nil
	case n < 17:
		r.Key = nil
	}
	return r
}

// drawNarrow has few different paddings, which are the table's key. A record
// without a value cannot say which.
func drawNarrow(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	r := &kgo.Record{Value: encode(k.schemaID, id, rng.IntN(3))}
	if rng.IntN(50) == 0 {
		r.Value = nil
	}
	return r
}

// narrow is the size of the padding of a value that drawNarrow has made.
func narrow(value []byte) int {
	n := 0
	for n < len(value) && value[len(value)-1-n] >= 'a' && n < 2 {
		n++
	}
	return n
}

// bareValue is a record as JSON.
type bareValue struct {
	Producer int    `json:"producer"`
	Seq      int64  `json:"seq"`
	Pad      string `json:"pad"`
}

// drawBare writes JSON, some of it cut off.
func drawBare(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	value, _ := json.Marshal(bareValue{id.producer(), id.seq(), strings.Repeat("x", padding(rng))}) // of three plain fields
	if rng.IntN(40) == 0 {
		value = value[:len(value)-1]
	}
	return &kgo.Record{Partition: rng.Int32N(k.partitions), Key: []byte("k"), Value: value}
}

// kindLoad is a kind under load.
type kindLoad struct {
	kind
	schemaID int
	ledger   *ledger

	mu    sync.Mutex
	later []int // guarded by mu: ids of versions beyond the first
	set   int   // guarded by mu: changes of configs that were acknowledged
}

// maxVersions bounds how far a schema grows: each version is a column more.
const maxVersions = 12

// versions are the ids of a schema's versions; the n-th has n fields more than the
// first.
func (k *kindLoad) versions() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]int{k.schemaID}, k.later...)
}

// grow registers the next version: a column comes, and another one widens. Cut off, it may be registered: the next one to
// try gets its id.
func (k *kindLoad) grow(ctx context.Context, api *process.API) {
	n := len(k.versions())
	if n == maxVersions {
		return
	}
	text := strings.TrimSuffix(recordSchema, "]}")
	for i := range n {
		typ := "long" // which widens what the version before has brought
		if i == n-1 {
			typ = "int"
		}
		text += fmt.Sprintf(`,{"name":"more%d","type":["null","%s"],"default":null}`, i, typ)
	}
	id, err := api.Register(ctx, k.name+"-value", text+"]}")
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && len(k.later) == n-1 {
		k.later = append(k.later, id)
	}
}

// variety is the load on all kinds. Safe for concurrent use.
type variety struct {
	kafka string
	kinds []*kindLoad
}

// newVariety makes the topics.
func newVariety(ctx context.Context, kafka string, api *process.API) (*variety, error) {
	v := &variety{kafka: kafka}
	for _, k := range kinds() {
		l := &kindLoad{kind: k, ledger: newLedger()}
		if !k.bare {
			var err error
			if l.schemaID, err = api.Register(ctx, k.name+"-value", recordSchema); err != nil {
				return nil, err
			}
		}
		config := map[string]string{"tarn.table.formats": strings.Join(k.formats, ",")}
		maps.Copy(config, k.config)
		if err := createTopic(ctx, kafka, k.name, k.partitions, config); err != nil {
			return nil, err
		}
		v.kinds = append(v.kinds, l)
	}
	return v, nil
}

// change sets a topic's configs, or registers a version of its schema, in the midst
// of whatever its tables are at. What a kill cuts off is done or not, either is fine.
func (v *variety) change(ctx context.Context, api *process.API, rng *rand.Rand) func() {
	var some []*kindLoad
	for _, k := range v.kinds {
		if k.grows || len(k.changes) > 0 {
			some = append(some, k)
		}
	}
	k := some[rng.IntN(len(some))]
	if k.grows && rng.IntN(2) == 0 {
		return func() { k.grow(ctx, api) }
	}
	var set []kadm.AlterConfig
	for key, value := range k.changes[rng.IntN(len(k.changes))] {
		set = append(set, kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: &value})
	}
	return func() {
		cl, err := client(v.kafka)
		if err != nil {
			return
		}
		defer cl.Close()
		limited, cancel := context.WithTimeout(ctx, changeLimit)
		defer cancel()
		answers, err := kadm.NewClient(cl).AlterTopicConfigs(limited, set, k.name)
		for _, a := range answers {
			if err == nil && a.Err != nil {
				k.ledger.complain(fmt.Errorf("set %v of %s: %w: %s", set, k.name, a.Err, a.ErrMessage))
			} else if err == nil {
				k.mu.Lock()
				k.set++
				k.mu.Unlock()
			}
		}
	}
}

// changeLimit is how long a change of configs waits for a broker that is killed.
const changeLimit = 2 * time.Second

// pick is any topic with tables.
func (v *variety) pick(rng *rand.Rand) string {
	if n := rng.IntN(len(v.kinds) + 1); n < len(v.kinds) {
		return v.kinds[n].name
	}
	return topicName
}

// produceVariety sends bursts to one topic after the other until ctx ends.
func (l *load) produceVariety(ctx context.Context, cl *kgo.Client, producer int, rng *rand.Rand) {
	for ctx.Err() == nil {
		l.gate.while(func() {
			k := l.variety.kinds[rng.IntN(len(l.variety.kinds))]
			for range 1 + rng.IntN(40) {
				if ctx.Err() != nil {
					return
				}
				id := k.ledger.next(producer)
				r := k.draw(k, id, rng)
				r.Topic, r.Headers = k.name, []kgo.RecordHeader{{Key: idHeader, Value: fmt.Append(nil, uint64(id))}}
				cl.Produce(ctx, r, func(r *kgo.Record, err error) { l.answered(ctx, k.ledger, id, r, err) })
			}
		})
		pause(ctx, time.Duration(rng.IntN(30))*time.Millisecond)
	}
}

// expected is what a topic's tables should hold, by the log.
type expected struct {
	rows    map[place]identity
	letters map[place]identity
}

// read reads a topic's log and works out what the tables should hold.
func (k *kindLoad) read(ctx context.Context, kafka string) (copyLog, expected, error) {
	log := make(copyLog, k.partitions)
	want := expected{map[place]identity{}, map[place]identity{}}
	latest := map[string]place{}
	err := readAll(ctx, kafka, k.name, k.partitions, func(r *kgo.Record) error {
		id, err := identityOf(r)
		if err == nil {
			err = log.place(r, id)
		}
		if err != nil {
			return err
		}
		at := place{r.Partition, r.Offset}
		switch {
		case k.lettered != nil && k.lettered(r):
			want.letters[at] = id
		case k.key == nil:
			want.rows[at] = id
		default:
			key := k.key(r)
			if before, ok := latest[key]; ok {
				delete(want.rows, before)
			}
			if delete(latest, key); r.Value != nil {
				latest[key], want.rows[at] = at, id
			}
		}
		return nil
	})
	return log, want, err
}

func identityOf(r *kgo.Record) (identity, error) {
	for _, h := range r.Headers {
		if h.Key == idHeader {
			return parseIdentity(h.Value)
		}
	}
	return 0, fmt.Errorf("partition %d offset %d has no header %s", r.Partition, r.Offset, idHeader)
}

// verify checks logs and tables of all kinds. Their producers are held up, and
// everything they sent is acknowledged.
func (v *variety) verify(ctx context.Context, api *process.API, warehouse string, check func(string, error)) {
	for _, k := range v.kinds {
		k.verify(ctx, v.kafka, api, warehouse, func(what string, err error) { check(what+" of "+k.name, err) })
	}
}

func (k *kindLoad) verify(ctx context.Context, kafka string, api *process.API, warehouse string, check func(string, error)) {
	check("answers", errors.Join(k.ledger.complaints()...))
	var want expected
	if !k.trims {
		log, w, err := k.read(ctx, kafka)
		if check("reading the log", err); err != nil {
			return
		}
		check("the log", k.ledger.compare(log))
		want = w
	}
	check("flush", api.Flush(ctx, k.name))
	report, err := api.Verify(ctx, k.name)
	if err == nil && (report.Verdict != "ok" || len(report.Formats) != len(k.formats)) {
		err = fmt.Errorf("the broker says %+v", report)
	}
	check("table verify", err)
	for _, format := range k.formats {
		rows, err := k.rows(ctx, api, warehouse, format, "")
		if err == nil {
			if k.trims {
				err = k.compareAcknowledged(rows)
			} else {
				err = compareRows(rows, want.rows)
			}
		}
		check("the "+format+" table", err)
		if k.lettered == nil || len(want.letters) == 0 {
			continue
		}
		letters, err := k.rows(ctx, api, warehouse, format, lettersSuffix)
		if err == nil {
			err = compareRows(letters, want.letters)
		}
		check("the dead letters in "+format, err)
	}
}

// lettersSuffix is what the name of a table of dead letters adds.
const lettersSuffix = "__dead_letters"

func (k *kindLoad) rows(ctx context.Context, api *process.API, warehouse, format, suffix string) ([]row, error) {
	from := fromColumns
	switch {
	case suffix != "":
		from = fromHeaders
	case k.bare:
		from = fromValue
	}
	return tableRows(ctx, api, warehouse, k.name+suffix, format, from)
}

// compareAcknowledged holds a table against what was acknowledged, for a log that
// is not there any more: the rows must make up a log as one could have read it.
func (k *kindLoad) compareAcknowledged(rows []row) error {
	slices.SortFunc(rows, func(a, b row) int { return int(a.offset - b.offset) })
	log := make(copyLog, k.partitions)
	for _, r := range rows {
		if want := int64(len(log[r.partition])); r.offset != want {
			return fmt.Errorf("the table has partition %d offset %d where %d is due", r.partition, r.offset, want)
		}
		log[r.partition] = append(log[r.partition], r.id)
	}
	return k.ledger.compare(log)
}

// progress says how much of each kind is acknowledged, and how much of the log
// is deleted.
func (v *variety) progress(ctx context.Context) string {
	var out []string
	cl, err := client(v.kafka)
	if err != nil {
		return err.Error()
	}
	defer cl.Close()
	for _, k := range v.kinds {
		text := fmt.Sprintf("%s %d", k.name, k.ledger.acknowledged())
		if k.trims {
			gone := int64(0)
			starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, k.name)
			if err == nil {
				starts.Each(func(o kadm.ListedOffset) { gone += o.Offset })
			}
			text += fmt.Sprintf(" (%d of them deleted from the log)", gone)
		}
		if k.grows || len(k.changes) > 0 {
			versions := len(k.versions())
			k.mu.Lock()
			text += fmt.Sprintf(" (%d versions of its schema, %d changes of configs)", versions, k.set)
			k.mu.Unlock()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// disturb asks something of a topic's tables that the kill is to cut off.
func (r *trial) disturb(ctx context.Context) *sync.WaitGroup {
	topic := r.load.variety.pick(r.rng)
	method, verb := http.MethodPost, []string{"flush", "flush", "compact", "expire", "rebuild", "abort", "redrive"}[r.rng.IntN(7)]
	if verb == "abort" { // of a rebuild that an earlier kill has cut off
		method, verb = http.MethodDelete, "rebuild"
	}
	var done sync.WaitGroup
	done.Go(func() {
		_ = r.api.Flush(ctx, topic) // most are cut off, as they are meant to be
		if verb != "flush" {
			_ = r.api.Call(ctx, method, "/api/tables/"+topic+"/"+verb, nil, nil)
		}
	})
	return &done
}
