package query_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink/query"
)

// keys appends a batch of records with some keys, nil among them; times are the
// offsets', backwards where asked.
func (w *world) keys(topic storage.TopicID, firstMs, stepMs int64, keys ...[]byte) {
	w.t.Helper()
	b := record.NewBuilder(record.Options{})
	for i, k := range keys {
		b.Append(firstMs+int64(i)*stepMs, k, []byte("v"))
	}
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(topic, 0, raw)
}

// read runs a query and returns what it read of the log, in bytes and batches.
func (w *world) read(sql string) (rows int, read query.Read) {
	w.t.Helper()
	got, err := w.engine.Query(w.t.Context(), query.Request{SQL: sql})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(got.Rows), got.Read
}

// TestKeys asks twice for keys of all kinds: what the first has left behind changes
// no answer.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	query.Remember(w.engine, 2, 1<<20)
	id := w.register("my.Plain-key", `{"type":"record","name":"K","fields":[{"name":"k","type":"long"}]}`)
	typed := binary.AppendVarint(schema.AppendPrefix(nil, int32(id)), 7)
	for i := range 10 {
		w.keys(plain, firstMs, 1, nil, []byte{}, []byte("a"), []byte(fmt.Sprint(i)), nil, []byte{0xff, byte(i)}, typed, []byte("5.0"))
	}
	for _, c := range []struct{ where, want string }{
		{"kafka_key = ''", "10"},
		{"kafka_key is null", "20"},
		{"kafka_key = null", "0"},
		{"kafka_key is not null", "60"},
		{"kafka_key = 'a'", "10"},
		{"kafka_key = x'61'", "0"}, // a text is no blob
		{"kafka_key = cast(x'61' as text)", "10"},
		{"kafka_key = 'A' collate nocase", "10"},
		{"kafka_key = 5", "1"},
		{"kafka_key = '5'", "1"},
		{"kafka_key = 5.0", "10"},
		{"kafka_key = x'ff03'", "1"},
		{fmt.Sprintf("kafka_key = '%x'", typed), "0"},
		{fmt.Sprintf("kafka_key = x'%x'", typed), "10"},
		{"kafka_key in ('a', '3', 'none')", "11"},
		{"kafka_key in ('a', 3)", "11"},
		{"kafka_key in (select '3')", "1"},
		{"kafka_key = 'a' or kafka_key = '3'", "11"},
		{"kafka_key = 'a' and kafka_key = '3'", "0"},
		{"kafka_key <> 'a'", "50"},
		{"kafka_key_decoded ->> 'k' = 7", "10"},
		{"kafka_key_decoded ->> 'k' = 7 and value = 'v' and kafka_error is null", "10"},
		{"value = 'v' and kafka_value = x'76'", "80"},
		{"kafka_key = 'none'", "0"},
	} {
		sql := `select count(*) from "my.Plain" where ` + c.where
		for i, r := range []query.Request{{SQL: sql}, {SQL: sql}, query.Plainly(query.Request{SQL: sql}), query.Plainly(query.Request{SQL: sql})} {
			if got := w.askWith(r); got != c.want {
				t.Errorf("%s, time %d: %s, want %s", c.where, i+1, got, c.want)
			}
		}
	}
}

// TestBlocks holds that a scan for a key reads only blocks that have it, from the
// second time on, whatever the log's start and batches are, and nothing for a time
// before all of a block.
func TestBlocks(t *testing.T) {
	w := newWorld(t)
	query.Remember(w.engine, 3, 1<<20)
	tp := storage.TP{Topic: plain}
	for i := range 400 { // 1,200 records; later ones are older
		w.keys(plain, firstMs-int64(i)*1000, -1, []byte(fmt.Sprint("k", i)), []byte("x"), []byte(fmt.Sprint("k", i, "b")))
	}
	if _, err := w.logs.Trim(t.Context(), tp, 5); err != nil {
		t.Fatal(err)
	}
	const none = `select kafka_offset from "my.Plain" where kafka_key = 'none'`
	if _, all := w.read(none); all.Batches != 399 || all.BatchesPassed != 0 {
		t.Errorf("the first time: %+v", all)
	}
	// Blocks so small have few bits, and keys are spread by chance: now and then one
	// falls on the bits of the key that all blocks have, and is looked for in all.
	absent, present := 0, 0
	for i := range 9 {
		if rows, again := w.read(fmt.Sprintf(`select kafka_offset from "my.Plain" where kafka_key = 'none%d'`, i)); rows != 0 {
			t.Errorf("none%d: %d rows", i, rows)
		} else if again.Batches <= 100 && again.BatchesPassed >= 300 {
			absent++
		}
		if rows, one := w.read(fmt.Sprintf(`select * from "my.Plain" where kafka_key = 'k%db'`, 20+i)); rows != 1 {
			t.Errorf("one: %d rows, %+v", rows, one)
		} else if one.Batches <= 100 {
			present++
		}
	}
	if absent < 5 || present < 5 {
		t.Errorf("blocks were passed for %d of 9 keys that are nowhere, and for %d of 9 that are somewhere", absent, present)
	}
	rows, all := w.read(`select * from "my.Plain" where kafka_key = 'x'`)
	if rows != 398 || all.Batches < 399 {
		t.Errorf("a key of all blocks: %d rows, %+v", rows, all)
	}
	rows, some := w.read(`select * from "my.Plain" where kafka_timestamp < '2023-11-14 22:06:45'`)
	if rows != 14 || some.Batches > 8 {
		t.Errorf("by time: %d rows, %+v", rows, some)
	}
	// What is new is there at once, and what is gone is gone.
	w.keys(plain, firstMs, 1, []byte("none"))
	if rows, _ := w.read(none); rows != 1 {
		t.Errorf("a new record: %d rows", rows)
	}
	if _, err := w.logs.Trim(t.Context(), tp, 66); err != nil {
		t.Fatal(err)
	}
	if rows, _ := w.read(`select * from "my.Plain" where kafka_key = 'k20b'`); rows != 0 {
		t.Errorf("a record that was deleted: %d rows", rows)
	}
	if _, err := w.logs.Compact(t.Context(), tp, commitlog.Compaction{Head: 1 << 40, MaxLagMs: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rows, _ := w.read(`select * from "my.Plain" where kafka_key = 'x'`); rows != 1 {
			t.Errorf("a key that was compacted: %d rows", rows)
		}
	}
}
