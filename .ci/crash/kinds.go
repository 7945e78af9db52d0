package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kind is one way in which a topic's tables are set up.
type kind struct {
	name       string
	partitions int32
	schema     string // of values; empty: recordSchema
	formats    []string
	config     map[string]string
	bare       bool // values are JSON without a schema
	trims      bool // the log is deleted behind the tables
	compacts   bool // the log is compacted
	// steady: no client leaves a record whose fate is unknown, so that what was
	// acknowledged says by itself what the tables hold.
	steady bool
	// mends are configs by which no record is a dead letter; a redrive after they are
	// set leaves none. Until then who is one depends on when the sink came by.
	mends map[string]string
	// rebuilt: its tables are rebuilt to the end at every other verification.
	rebuilt bool
	// verbs are what is asked of its tables most, in the midst of which it is killed.
	verbs []string
	// changes are what its configs are set to while it is under load, one or another.
	changes []map[string]string
	grows   bool // versions of its schema come while it is under load
	// draw makes a record of an identity: key, value, timestamp, partition.
	draw func(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record
	// key names the row of a record in a table of latest values; nil: every record
	// has a row of its own.
	key    func(r *kgo.Record) string
	column string // of the tables, that has the key
	// gone reports whether a record deletes its key's row; nil: if it has no value.
	gone func(r *kgo.Record) bool
	// lettered reports whether a record is to be a dead letter.
	lettered func(r *kgo.Record) bool
	// expires reports whether a record's row is past its time.
	expires func(r *kgo.Record) bool
}

// kinds are the topics beside orders and transfers.
func kinds() []kind {
	all, two := []string{"iceberg", "delta", "parquet"}, []string{"iceberg", "delta"}
	rebuilding := []string{"rebuild", "rebuild", "abort", "compact"}
	return []kind{
		{name: "daily", partitions: 2, formats: all, draw: drawSpread, rebuilt: true, verbs: rebuilding, config: map[string]string{
			"tarn.table.partition": "day(kafka_timestamp), bucket(3, seq)",
			"tarn.table.sort":      "pad desc nulls last, seq"}},
		{name: "latest", partitions: 2, formats: two, draw: drawKeyed, key: recordKey, column: keyColumn, rebuilt: true, verbs: rebuilding,
			lettered: func(r *kgo.Record) bool { return r.Key == nil },
			config:   map[string]string{"tarn.table.mode": "upsert"}},
		{name: "bypad", partitions: 1, formats: two, draw: drawNarrow, column: "pad", rebuilt: true,
			key:      func(r *kgo.Record) string { return string(r.Value[len(r.Value)-min(len(r.Value), narrow(r.Value)):]) },
			lettered: func(r *kgo.Record) bool { return r.Value == nil },
			config: map[string]string{"tarn.table.mode": "upsert", "tarn.table.key": "pad",
				"tarn.table.partition": "bucket(2, seq)", "tarn.table.sort": "seq"}},
		{name: "drained", partitions: 2, formats: all, draw: drawSpread, trims: true, config: map[string]string{
			"tarn.table.log": "until_commit"}},
		{name: "grown", partitions: 2, formats: all, draw: drawGrown, grows: true, rebuilt: true, verbs: rebuilding, changes: []map[string]string{
			{"tarn.table.sort": "seq desc"}, {"tarn.table.sort": "pad, kafka_offset"}, {"tarn.table.sort": ""},
			{"tarn.table.compression": "snappy"}, {"tarn.table.compression": "zstd"}}},
		{name: "moved", partitions: 2, formats: []string{"iceberg"}, draw: drawSpread, rebuilt: true, verbs: rebuilding, changes: []map[string]string{
			{"tarn.table.partition": "day(kafka_timestamp)"}, {"tarn.table.partition": "bucket(3, seq), day(kafka_timestamp)"},
			{"tarn.table.partition": "kafka_partition", "tarn.table.sort": "seq"}, {"tarn.table.partition": ""}}},
		{name: "bare", partitions: 2, formats: all, draw: drawBare, bare: true, rebuilt: true,
			lettered: func(r *kgo.Record) bool { return !json.Valid(r.Value) },
			config:   map[string]string{"tarn.table.value.as": "json", "tarn.table.key.as": "string", "tarn.table.partition": "kafka_partition"}},
		{name: "changes", partitions: 2, formats: two, draw: drawChange, schema: changeSchema, column: keyColumn, rebuilt: true, verbs: rebuilding,
			key: recordKey, gone: deletes, lettered: noChange,
			config: map[string]string{"tarn.table.unwrap": "debezium", "tarn.table.mode": "upsert"}},
		{name: "slots", partitions: 2, formats: two, draw: drawChange, schema: changeSchema, column: "slot", rebuilt: true, verbs: rebuilding,
			key: slotOf, gone: deletes, lettered: noSlot,
			config: map[string]string{"tarn.table.unwrap": "debezium", "tarn.table.mode": "upsert", "tarn.table.key": "slot"}},
		{name: "compacted", partitions: 2, formats: all, draw: drawCompacted, compacts: true, key: recordKey, config: compacting(nil)},
		{name: "newest", partitions: 2, formats: two, draw: drawCompacted, compacts: true, steady: true,
			key: recordKey, column: keyColumn, config: compacting(map[string]string{"tarn.table.mode": "upsert"})},
		{name: "expiring", partitions: 2, formats: all, draw: drawSpread, expires: old, rebuilt: true, verbs: []string{"compact", "compact", "expire"},
			config: map[string]string{"tarn.table.retention.ms": retention, "tarn.table.partition": "day(kafka_timestamp)"}},
		{name: "fading", partitions: 2, formats: two, draw: drawFading, key: recordKey, column: keyColumn, expires: old, rebuilt: true,
			verbs: []string{"compact", "compact", "expire"}, config: map[string]string{
				"tarn.table.mode": "upsert", "tarn.table.retention.ms": retention, "tarn.table.partition": "day(kafka_timestamp)"}},
		{name: "mended", partitions: 2, formats: all, draw: drawSpread, rebuilt: true, verbs: []string{"redrive", "redrive", "rebuild", "abort"},
			config: dividing(0), changes: []map[string]string{dividing(0), dividing(1), dividing(2), dividing(9)}, mends: dividing(9)},
	}
}

// keyColumn has the key of a record.
const keyColumn = "kafka_key"

func recordKey(r *kgo.Record) string { return string(r.Key) }

// The rows of records of two days ago are past their time, those of one day ago are not.
const retention = "129600000" // 36 h in ms

func old(r *kgo.Record) bool { return time.Since(r.Timestamp) > 42*time.Hour }

// dividing has a column computed that every fifth record has no value for, or, by
// numbers above 4, none.
func dividing(by int) map[string]string {
	return map[string]string{"tarn.table.generated": fmt.Sprintf("part = 100 / (seq %% 5 - %d)", by)}
}

// compacting adds the configs of a log that is compacted as often as can be, and
// forgets tombstones at once.
func compacting(config map[string]string) map[string]string {
	out := map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}
	maps.Copy(out, config)
	return out
}

// drawFading draws one of few keys, of today or of some days ago.
func drawFading(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	r := drawSpread(k, id, rng)
	slot := rng.Int32N(200)
	r.Partition, r.Key = slot%k.partitions, fmt.Appendf(nil, "key-%d", slot)
	if rng.IntN(10) == 0 {
		r.Value = nil
	}
	return r
}

// drawCompacted draws one of few keys; some records delete.
func drawCompacted(k *kindLoad, id identity, rng *rand.Rand) *kgo.Record {
	r := drawKeyed(k, id, rng)
	if r.Key == nil {
		r.Key = fmt.Appendf(nil, "key-%d", r.Partition) // which a compacted log asks for
	}
	return r
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
