package sink_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
	"github.com/tarn-io/tarn/tables/parquet"
)

func partitionBy(transform, column string) layout.Want {
	tr, err := tables.ParseTransform(transform)
	if err != nil {
		panic(err)
	}
	return layout.Want{Partition: []layout.Term{{Transform: tr, Column: column}}}
}

func byBoth(a, b layout.Want) layout.Want {
	return layout.Want{Partition: append(a.Partition, b.Partition...)}
}

// partitions counts the partitions in which a format's files lie.
func (w *world) partitions(format string) int {
	w.t.Helper()
	live, err := w.table(format).(tables.Maintainer).Live(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var words []string
	for _, f := range live {
		words = append(words, f.Partition)
	}
	slices.Sort(words)
	return len(slices.Compact(words))
}

// TestPartitioned changes the partition spec of live tables: Iceberg and plain
// Parquet go on with the new one, Delta says why not, and goes on when it is set
// back.
func TestPartitioned(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Layout = partitionBy("identity", "item")
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"), order(id, 2, "b"), []byte("bad"), order(id, 3, "a"))
	w.produce(1, order(id, 4, "c"))
	w.run()
	w.verify(4, 1)
	for _, f := range w.topics[0].Formats {
		if n := w.partitions(f); n != 3 {
			t.Errorf("%s: files of %d partitions, want 3", f, n)
		}
	}
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	w.check(4, 1)
	w.alter(func(t *sink.Topic) { t.Layout = partitionBy("bucket[2]", "id") })
	w.produce(0, order(id, 5, "a"), order(id, 6, "d"))
	st := w.state(sink.Stalled)
	for _, f := range st.Formats {
		if want := map[bool]sink.State{true: sink.Stalled, false: sink.Running}[f.Format == "delta"]; f.State != want {
			t.Errorf("%s is %s (%s), want %s", f.Format, f.State, f.Message, want)
		}
		if f.Format == "delta" && !strings.Contains(f.Message, "keeps the partition columns") {
			t.Errorf("delta says %q", f.Message)
		}
	}
	if n := w.partitions("iceberg"); n < 4 {
		t.Errorf("iceberg: files of %d partitions, want those of both specs", n)
	}
	w.alter(func(t *sink.Topic) { t.Layout = partitionBy("identity", "item") })
	w.state(sink.Running)
	w.produce(0, order(id, 7, "e"))
	w.verify(7, 1)
	w.noPending()
}

// TestColumnToCome partitions by a column that a later schema brings.
func TestColumnToCome(t *testing.T) {
	w := newWorld(t)
	w.level = 12
	w.topics[0].Layout = partitionBy("identity", "coupon")
	id := w.register("orders-value", orderV1)
	w.produce(0, order(id, 1, "a"))
	w.run()
	st := w.state(sink.WaitingForSchema)
	if !strings.Contains(st.Message, "no column coupon") {
		t.Errorf("message %q", st.Message)
	}
	w.register("orders-value", orderV2)
	w.state(sink.Running)
	w.verify(1, 0)
	if got := w.table("delta").Schema().Layout.Partition; len(got) != 1 || got[0].Name != "coupon" {
		t.Errorf("delta is partitioned by %v", got)
	}
}

// TestManyPartitions has more partitions in one cut than files in a commit: it is
// made in several.
func TestManyPartitions(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Layout, w.topics[0].Formats = partitionBy("identity", "id"), []string{"iceberg"}
	id := w.register("orders-value", orderV1)
	const rows = 2500
	for from := int64(0); from < rows; from += 500 {
		var values [][]byte
		for i := range int64(500) {
			values = append(values, order(id, from+i, "x"))
		}
		w.produce(int32(from/500%2), values...)
	}
	w.run()
	w.verify(rows, 0)
	if n := w.partitions("iceberg"); n != rows {
		t.Errorf("files of %d partitions, want %d", n, rows)
	}
}

// TestFileBytes cuts a partition's rows into files of the size that is asked for,
// once it is known what a row takes.
func TestFileBytes(t *testing.T) {
	w := newWorld(t)
	w.topics[0].FileBytes = 3000
	id := w.register("orders-value", orderV1)
	w.run()
	produce := func(first int) {
		var values [][]byte
		for i := range 1000 {
			values = append(values, order(id, int64(first+i), strings.Repeat(fmt.Sprintf("%08x", (first+i)*2654435761), 20)))
		}
		w.produce(0, values...)
		w.verify(int64(first+1000), 0)
	}
	produce(0)
	produce(1000)
	live, err := w.table("iceberg").(tables.Maintainer).Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(live) < 3 {
		t.Errorf("%d files, want the second commit's rows in several", len(live))
	}
	w.noPending()
}

// TestCompression has files compressed as the topic says, merged ones too.
func TestCompression(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Compression, w.topics[0].Formats = parquet.Snappy, []string{"iceberg"}
	id := w.register("orders-value", orderV1)
	w.run()
	for i := range int64(3) {
		w.produce(0, order(id, i, "a"))
		w.verify(i+1, 0)
	}
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	live, err := w.table("iceberg").(tables.Maintainer).Live(t.Context())
	if err != nil || len(live) != 1 {
		t.Fatalf("%d files, %v; want one", len(live), err)
	}
	f, err := w.store.Open(t.Context(), live[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := parquet.CodecOf(t.Context(), f); err != nil || got != parquet.Snappy {
		t.Errorf("the merged file is compressed by %s, %v", got, err)
	}
}

// TestStoredFile reads an entry of the time when a format had one file.
func TestStoredFile(t *testing.T) {
	for text, want := range map[string]int{
		`{"expect":{},"progress":{},"file":{"path":"a"}}`:                 1,
		`{"expect":{},"progress":{},"files":[{"path":"a"},{"path":"b"}]}`: 2,
		`{"expect":{},"progress":{}}`:                                     0,
	} {
		files, err := sink.StoredFiles([]byte(text))
		if err != nil || len(files) != want || want > 0 && files[0].Path != "a" {
			t.Errorf("%s has files %v, %v; want %d", text, files, err, want)
		}
		again, err := json.Marshal(files)
		if err != nil || want > 0 && !strings.Contains(string(again), `"path":"a"`) {
			t.Errorf("written as %s, %v", again, err)
		}
	}
}

// TestUpsertPartitioned has keys move from partition to partition, and Iceberg's
// spec change below them.
func TestUpsertPartitioned(t *testing.T) {
	k := newKeyed(t)
	k.topics[0].Layout = partitionBy("identity", "item")
	k.id = k.register("orders-value", orderV1)
	k.run()
	for _, key := range []string{"a", "b", "c", "d"} {
		k.put(key, "first")
	}
	k.flush()
	k.checkKeys()
	k.put("a", "second")
	k.put("b", "third")
	k.put("c", "")
	k.flush()
	k.checkKeys()
	if n := k.partitions("iceberg"); n != 3 {
		t.Errorf("files of %d partitions, want 3", n)
	}
	k.alter(func(topic *sink.Topic) {
		topic.Layout, topic.Formats = partitionBy("bucket[4]", "id"), []string{"iceberg"}
	})
	k.put("a", "third")
	k.put("e", "first")
	k.put("d", "")
	k.flush()
	k.checkKeys()
	if _, err := k.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	k.checkKeys()
	k.noPending()
}

// TestLayoutMisfit names partitions and sort orders that no schema to come can
// mend, before there is a table.
func TestLayoutMisfit(t *testing.T) {
	w := newWorld(t)
	topic := w.topics[0]
	topic.Layout = partitionBy("identity", "tags")
	if misfit := sink.Check(w.reg, topic); misfit != nil {
		t.Errorf("no schema yet: %v", misfit)
	}
	w.register("orders-value", `{"type": "record", "name": "Order", "fields": [
		{"name": "id", "type": "long"}, {"name": "ok", "type": "boolean"}, {"name": "raw", "type": "bytes"},
		{"name": "net", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
		{"name": "gross", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
		{"name": "tags", "type": {"type": "array", "items": "string"}},
		{"name": "to", "type": {"type": "record", "name": "Address", "fields": [{"name": "zip", "type": "string"}, {"name": "lines", "type": {"type": "array", "items": "string"}}]}}]}`)
	sortBy := func(column string) layout.Want { return layout.Want{Sort: []layout.Order{{Column: column}}} }
	for _, tt := range []struct {
		layout    layout.Want
		key, says string // "" is taken
		formats   []string
	}{
		{partitionBy("identity", "tags"), "tarn.table.partition", "column tags is list", nil},
		{partitionBy("bucket[4]", "to.lines"), "tarn.table.partition", "column to.lines is list", nil},
		{partitionBy("identity", "to"), "tarn.table.partition", "column to is", nil},
		{partitionBy("identity", "raw"), "tarn.table.partition", "a bucket of it can be one", nil},
		{partitionBy("identity", "raw"), "", "", []string{"iceberg", "parquet"}},
		{partitionBy("bucket[4]", "raw"), "", "", nil},
		{partitionBy("day", "ok"), "tarn.table.partition", "day", nil},
		{partitionBy("identity", "to.zip"), "", "", nil},
		{partitionBy("identity", "later"), "", "", nil},
		{partitionBy("identity", "to.later"), "", "", nil},
		{byBoth(partitionBy("identity", "net"), partitionBy("truncate[50]", "gross")), "tarn.table.partition", "columns net and gross are both decimals", nil},
		{byBoth(partitionBy("identity", "net"), partitionBy("bucket[4]", "gross")), "", "", nil},
		{byBoth(partitionBy("identity", "net"), partitionBy("identity", "gross")), "", "", []string{"delta", "parquet"}},
		{sortBy("tags"), "tarn.table.sort", "which has no one value a row", nil},
		{sortBy("kafka_headers"), "tarn.table.sort", "kafka_headers", nil},
		{sortBy("raw"), "", "", nil},
		{sortBy("id"), "", "", nil},
	} {
		topic.Layout, topic.Formats = tt.layout, w.topics[0].Formats
		if tt.formats != nil {
			topic.Formats = tt.formats
		}
		misfit := sink.Check(w.reg, topic)
		switch {
		case tt.says == "" && misfit != nil:
			t.Errorf("%+v: %v, want it taken", tt.layout, misfit)
		case tt.says != "" && (misfit == nil || misfit.Key != tt.key || !strings.Contains(misfit.Reason, tt.says)):
			t.Errorf("%+v: %v, want %s: …%s", tt.layout, misfit, tt.key, tt.says)
		}
	}
}
