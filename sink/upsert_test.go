package sink_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
)

// keyed is a world whose tables hold the latest row of every key, and a model of
// what they hold.
type keyed struct {
	*world
	id      int // of the schema
	live    map[string]tables.RowID
	ends    map[int32]int64
	letters int64
}

func newKeyed(t testing.TB) *keyed {
	w := newWorld(t)
	w.topics[0].Formats = []string{"iceberg", "delta"}
	w.topics[0].Upsert = []string{sink.RecordKey}
	return &keyed{world: w, live: map[string]tables.RowID{}, ends: map[int32]int64{}}
}

// put produces a record of a key, in the partition that its last byte says;
// without an item it has no value.
func (k *keyed) put(key, item string) {
	k.t.Helper()
	part := int32(key[len(key)-1]) % 2
	b := record.NewBuilder(record.Options{})
	var value []byte
	if item != "" {
		value = order(k.id, k.ends[part], item)
	}
	b.Append(1700000000000, []byte(key), value)
	k.append(part, b)
	k.live[key] = tables.RowID{Partition: part, Offset: k.ends[part]}
	if item == "" {
		delete(k.live, key)
	}
	k.ends[part]++
}

// spoil produces a record that cannot become a row.
func (k *keyed) spoil(part int32, key []byte, value []byte) {
	k.t.Helper()
	b := record.NewBuilder(record.Options{})
	b.Append(1700000000000, key, value)
	k.append(part, b)
	k.ends[part]++
	k.letters++
}

// held reads back which row each key has, and fails if one has two.
func (k *keyed) held(format string) map[string]tables.RowID {
	k.t.Helper()
	out := map[string]tables.RowID{}
	live, err := k.table(format).(tables.Maintainer).Live(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range live {
		file, err := k.store.Open(k.t.Context(), f.Key)
		if err != nil {
			k.t.Fatal(err)
		}
		for b, err := range parquet.ReadRows(k.t.Context(), file, []string{"kafka_partition", "kafka_offset", "kafka_key"}) {
			if err != nil {
				k.t.Fatal(err)
			}
			for i := range int(b.NumRows()) {
				key := string(b.Column(2).(*array.Binary).Value(i))
				if _, twice := out[key]; twice {
					k.t.Errorf("%s: key %s has two rows", format, key)
				}
				out[key] = tables.RowID{Partition: b.Column(0).(*array.Int32).Value(i), Offset: b.Column(1).(*array.Int64).Value(i)}
			}
		}
		file.Close()
	}
	return out
}

// checkKeys holds all tables against the model, and has the sink verify itself.
func (k *keyed) checkKeys() {
	k.t.Helper()
	for _, format := range k.topics[0].Formats {
		if got := k.held(format); !maps.Equal(got, k.live) {
			k.t.Errorf("%s holds %v, want %v", format, got, k.live)
		}
	}
	r, err := k.manager.Verify(k.t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictOK {
		k.t.Fatalf("verification: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		if f.Rows != int64(len(k.live)) || f.DeadLetters != k.letters {
			k.t.Errorf("%s: %d rows and %d dead letters, want %d and %d", f.Format, f.Rows, f.DeadLetters, len(k.live), k.letters)
		}
	}
}

// noKeyFiles expects that no file of keys is left.
func (k *keyed) noKeyFiles() {
	k.t.Helper()
	for info, err := range k.store.List(k.t.Context(), "default/") {
		if err != nil || kindOf(info.Key) == "keys" {
			k.t.Errorf("%s stays, %v", info.Key, err)
		}
	}
}

// TestUpsert follows a table of latest values through cuts that hold a key more
// than once, deletes, records without a key, evolution, compaction and a format
// that comes later.
func TestUpsert(t *testing.T) {
	k := newKeyed(t)
	k.id = k.register("orders-value", orderV1)
	k.run()
	for _, key := range []string{"a", "b", "c", "a", "d"} {
		k.put(key, "first")
	}
	k.put("c", "")
	k.put("never", "")
	k.flush()
	k.checkKeys()
	k.put("a", "second")
	k.put("b", "")
	k.put("b", "again")
	k.put("d", "")
	k.spoil(0, nil, order(k.id, 1, "no key"))
	k.spoil(1, []byte("a"), []byte("no order"))
	k.flush()
	k.checkKeys()
	k.put("e", "")
	k.put("a", "")
	k.flush()
	k.checkKeys()

	v2 := k.register("orders-value", orderV2)
	k.spoil(0, []byte("x"), []byte("no order"))
	b := record.NewBuilder(record.Options{})
	b.Append(1700000000000, []byte("b"), append(order(v2, 7, "coupon"), 0))
	k.append(0, b)
	k.live["b"] = tables.RowID{Offset: k.ends[0]}
	k.ends[0]++
	for i := range 30 {
		k.put(fmt.Sprint("k", i%7), "many")
		if i%3 == 0 {
			k.flush()
		}
	}
	k.flush()
	k.checkKeys()
	if _, err := k.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	k.checkKeys()
	k.put("k3", "")
	k.put("k4", "after the merge")
	k.flush()
	k.checkKeys()
	k.alter(func(topic *sink.Topic) { topic.Formats = []string{"iceberg"} })
	k.put("k5", "iceberg alone")
	k.flush()
	k.alter(func(topic *sink.Topic) { topic.Formats = []string{"iceberg", "delta"} })
	k.flush()
	k.checkKeys()
	k.noPending()
	k.noKeyFiles()

	// More in a cut than stand in columns at a time.
	const many = 40_000
	for _, item := range []string{"many", ""} {
		b := record.NewBuilder(record.Options{})
		for i := range many {
			key := fmt.Sprint("m", i)
			var value []byte
			if item != "" || i%2 == 0 {
				value = order(k.id, int64(i), "many")
				k.live[key] = tables.RowID{Offset: k.ends[0]}
			} else {
				delete(k.live, key)
			}
			b.Append(1700000000000, []byte(key), value)
			k.ends[0]++
		}
		k.append(0, b)
		k.flush()
		k.checkKeys()
	}
}

// orderKey is a key that says the column that keys the table.
const orderKey = `{"type":"record","name":"Key","fields":[{"name":"id","type":"long"}]}`

// TestUpsertByColumn keys a table by a column of the value; a record without one
// says it in its own key, and is a dead letter if it does not.
func TestUpsertByColumn(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats, w.topics[0].Upsert = []string{"iceberg", "delta"}, []string{"id"}
	value, key := w.register("orders-value", orderV1), w.register("orders-key", orderKey)
	keyOf := func(id int64) []byte { return order(key, id, "")[:len(order(key, id, ""))-1] }
	b := record.NewBuilder(record.Options{})
	b.Append(1, keyOf(1), order(value, 1, "a"))
	b.Append(2, nil, order(value, 2, "b"))
	b.Append(3, keyOf(9), order(value, 1, "c"))
	b.Append(4, nil, order(value, 3, "d"))
	w.append(0, b)
	w.run()
	w.flush()
	b = record.NewBuilder(record.Options{})
	b.Append(5, keyOf(3), nil)
	b.Append(6, nil, nil)
	w.append(0, b)
	w.flush()
	for _, format := range w.topics[0].Formats {
		got := w.rowIDs(format)
		want := map[tables.RowID]bool{{Offset: 1}: true, {Offset: 2}: true, {Offset: 5}: true} // the last a letter
		if !maps.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", format, got, want)
		}
	}
	r, err := w.manager.Verify(t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictOK || r.Formats[0].Rows != 2 || r.Formats[0].DeadLetters != 1 {
		t.Errorf("verification: %+v, %v", r, err)
	}
}

// TestUpsertStates wants a table of another mode, and keys that are none, to stop
// the sink in a state that a person can resume from.
func TestUpsertStates(t *testing.T) {
	k := newKeyed(t)
	k.level = 12
	k.id = k.register("orders-value", orderV1)
	k.run()
	k.put("a", "first")
	k.flush()
	for _, other := range [][]string{nil, {"id"}} {
		k.alter(func(topic *sink.Topic) { topic.Upsert = other })
		if st := k.state(sink.ModeChanged); !strings.Contains(st.Message, "set tarn.table.mode and tarn.table.key back") {
			t.Errorf("message %q", st.Message)
		}
		if r, err := k.manager.Verify(t.Context(), "orders"); err != nil || r.Verdict != sink.VerdictUnknown {
			t.Errorf("verification in another mode: %+v, %v", r, err)
		}
	}
	k.alter(func(topic *sink.Topic) { topic.Upsert = []string{"nothing"} })
	k.state(sink.BadKey)
	k.alter(func(topic *sink.Topic) { topic.Upsert = []string{"kafka_headers"} })
	k.state(sink.BadKey)
	k.alter(func(topic *sink.Topic) { topic.Upsert = []string{sink.RecordKey} })
	k.put("a", "second")
	k.flushOn()
	k.state(sink.Running)
	k.checkKeys()
}

// TestUpsertVerify finds rows that are missing, stale, or there twice.
func TestUpsertVerify(t *testing.T) {
	k := newKeyed(t)
	k.id = k.register("orders-value", orderV1)
	k.run()
	k.put("a", "first")
	k.put("c", "first")
	k.flush()
	old, err := k.table("delta").(tables.Maintainer).Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.put("a", "second")
	k.put("e", "first")
	k.flush()
	k.checkKeys()
	verify := func(want string) {
		t.Helper()
		r, err := k.manager.Verify(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		f := r.Formats[1]
		if got := fmt.Sprint(f.Format, " ", f.Verdict, " ", f.Gaps, f.Stale, f.Duplicates); got != want {
			t.Errorf("verification: %s, want %s", got, want)
		}
	}
	// A stray commit of another writer puts the first file back.
	tbl := k.table("delta").(tables.Maintainer)
	file, err := k.store.Get(t.Context(), old[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	stray := tables.DataFile{Path: tbl.DataPath("stray"), Size: int64(len(file)), Rows: old[0].Rows}
	if err := k.store.Put(t.Context(), stray.Path, file); err != nil {
		t.Fatal(err)
	}
	if err := tbl.Replace(t.Context(), tables.Replacement{ID: "stray", Add: []tables.DataFile{stray}, Drop: true}); err != nil {
		t.Fatal(err)
	}
	verify("delta bad [] [{1 0 1} {1 1 2}] []")
}

// keyedStory is a day in the life of a table of latest values.
var keyedStory = []func(k *keyed){
	func(k *keyed) {
		k.id = k.register("orders-value", orderV1)
		for _, key := range []string{"a", "b", "c", "a"} {
			k.put(key, "first")
		}
	},
	func(k *keyed) {
		k.put("b", "second")
		k.put("c", "")
		k.spoil(0, nil, nil)
	},
	func(k *keyed) {
		k.put("a", "")
		k.put("d", "first")
		k.put("b", "third")
	},
}

// TestUpsertFaults and TestUpsertCrashes let every write of the story fail, each
// way, and expect the latest row of each key.
func TestUpsertFaults(t *testing.T) {
	sweepKeyed(t, false, func(k *keyed) { k.flushOn() })
}

func TestUpsertCrashes(t *testing.T) {
	sweepKeyed(t, true, func(k *keyed) {
		k.halt()
		k.fuse.heal()
		k.run()
		k.flushOn()
	})
}

func sweepKeyed(t *testing.T, crash bool, again func(k *keyed)) {
	for n := 0; ; n += pace {
		more := false
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d/before=%v", n, before), func(t *testing.T) {
				k := newKeyed(t)
				k.level = 12
				k.fuse.arm(n, before, crash)
				k.run()
				for _, act := range keyedStory {
					act(k)
					if _, err := k.manager.Flush(t.Context(), "orders"); err != nil {
						again(k)
					}
				}
				blown := k.fuse.heal()
				more = blown != ""
				k.flushOn()
				k.checkKeys()
				k.noPending()
				k.put("a", "encore")
				k.put("d", "")
				k.flushOn()
				k.checkKeys()
				if t.Failed() {
					t.Logf("fault at %s", blown)
				}
			})
		}
		if !more || t.Failed() {
			if n < 20 && !t.Failed() {
				t.Errorf("only %d writes met a fault", n)
			}
			return
		}
	}
}

// TestUpsertSimulation lets producers, faults, crashes, merges and second
// managers do what they like, and after each round expects the latest row of
// each key.
func TestUpsertSimulation(t *testing.T) {
	for i := range *seeds {
		seed := *firstSeed + uint64(i)
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { simulateKeyed(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func simulateKeyed(t *testing.T, rnd *rand.Rand) {
	k := newKeyed(t)
	k.level = 12
	k.topics[0].CommitRows = []int64{3, 10, 1 << 20}[rnd.IntN(3)]
	k.id = k.register("orders-value", orderV1)
	k.run()
	for round := range 12 {
		note := k.round(rnd)
		k.fuse.heal()
		k.flushOn()
		k.checkKeys()
		if t.Failed() {
			t.Fatalf("round %d: %s", round, note)
		}
	}
	k.halt()
	k.run()
	k.flushOn()
	k.checkKeys()
	k.noPending()
}

func (k *keyed) round(rnd *rand.Rand) (note string) {
	switch rnd.IntN(4) {
	case 0:
		dice := rand.New(rand.NewPCG(rnd.Uint64(), 0)) // thrown by the sinks
		k.fuse.gamble(func(string) (bool, bool) { return dice.IntN(6) == 0, dice.IntN(2) == 0 })
		note = "faults; "
	case 1:
		k.fuse.arm(rnd.IntN(30), rnd.IntN(2) == 0, true)
		note = "crash; "
	}
	second := k.manager
	if rnd.IntN(4) == 0 {
		m, stop := k.start()
		second = m
		defer stop()
		note += "second manager; "
	}
	for range 1 + rnd.IntN(4) {
		for range rnd.IntN(8) {
			key := fmt.Sprint("key", rnd.IntN(12))
			item := "item"
			if rnd.IntN(3) == 0 {
				item = ""
			}
			k.put(key, item)
		}
		if rnd.IntN(6) == 0 {
			k.spoil(rnd.Int32N(2), nil, nil)
		}
		for _, m := range []*sink.Manager{k.manager, second} {
			if rnd.IntN(2) == 0 {
				_, err := m.Flush(k.t.Context(), "orders")
				note += fmt.Sprint("flush: ", err, "; ")
			}
		}
		if rnd.IntN(5) == 0 {
			_, err := second.Rebuild(k.t.Context(), "orders", false)
			note += fmt.Sprint("rebuild: ", err, "; ")
		}
		if rnd.IntN(8) == 0 {
			_, err := second.AbortRebuild(k.t.Context(), "orders")
			note += fmt.Sprint("abort: ", err, "; ")
		}
		if rnd.IntN(4) == 0 {
			_, err := second.Compact(k.t.Context(), "orders")
			note += fmt.Sprint("merge: ", err, "; ")
			if errors.Is(err, context.Canceled) {
				k.t.Error(err)
			}
		}
	}
	if rnd.IntN(3) == 0 {
		k.halt()
		k.fuse.heal()
		k.run()
		note += "restart; "
	}
	return note
}

// TestUpsertRetention drops rows and letters by time: verification counts both as
// expired.
func TestUpsertRetention(t *testing.T) {
	k := newKeyed(t)
	k.topics[0].Retention = time.Millisecond
	k.id = k.register("orders-value", orderV1)
	k.put("a", "first")
	k.spoil(0, []byte("b"), []byte("bad"))
	k.spoil(1, nil, order(k.id, 1, "no key"))
	k.run()
	k.flush()
	k.checkKeys()
	if _, err := k.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	r, err := k.manager.Verify(t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictOK {
		t.Fatalf("verification: %+v, %v", r, err)
	}
	for _, f := range r.Formats {
		if f.Rows != 0 || f.DeadLetters != 0 || f.Expired != 3 {
			t.Errorf("%s: %d rows, %d letters, %d expired, want 0, 0 and 3", f.Format, f.Rows, f.DeadLetters, f.Expired)
		}
	}
}
