package sink_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// TestGenerated: computed columns are columns like others, of partitions and sort
// orders too; a record for which one cannot be computed is a dead letter.
func TestGenerated(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Generated = "day = date(kafka_timestamp), half = 100 / id, name = upper(item) || '!', code = coalesce(coupon, 'none')"
	w.topics[0].Layout = layout.Want{
		Partition: []layout.Term{{Transform: tables.Transform{Name: tables.Identity}, Column: "day"}, {Transform: tables.Transform{Name: tables.Bucket, N: 2}, Column: "name"}},
		Sort:      []layout.Order{{Column: "half"}},
	}
	v1 := w.register("orders-value", orderV1)
	w.level = 12
	w.run()
	w.produce(0, order(v1, 4, "a"))
	st := w.state(sink.WaitingForSchema)
	if !strings.Contains(st.Message, "code: there is no column coupon") {
		t.Errorf("message %q", st.Message)
	}
	v2 := w.register("orders-value", orderV2)
	w.produce(0, order(v1, 0, "b"), append(order(v2, 5, "c"), 2, 4, 'x', 'y'), nil, []byte("bad"))
	w.verify(3, 2) // nothing is divided by 0
	want := map[int64]string{
		0: "4 2023-11-14 25 A! none", 2: "5 2023-11-14 20 C! xy", 3: "(null) 2023-11-14 (null) (null) none",
	}
	check := func() {
		t.Helper()
		for _, format := range w.topics[0].Formats {
			if got := w.cells(format, "id", "day", "half", "name", "code"); !maps.Equal(got, want) {
				t.Errorf("%s holds %v, want %v", format, got, want)
			}
		}
	}
	check()
	if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	check()

	// Another formula of the same name and type counts from the next rows on; the
	// letter is a row by it.
	w.alter(func(topic *sink.Topic) {
		topic.Generated = strings.Replace(topic.Generated, "100 / id", "if(id = 0, 0.0, 200 / id)", 1)
	})
	w.produce(0, order(v1, 8, "d"))
	want[5] = "8 2023-11-14 25 D! none"
	w.verify(4, 2)
	check()
	if got := w.redrive(); got != "1 of 2, 1 left" {
		t.Errorf("redriven %s", got)
	}
	want[1] = "0 2023-11-14 0 B! none"
	check()
	w.check(5, 1)

	// None any more: the columns stay, and are null.
	w.alter(func(topic *sink.Topic) { topic.Generated = ""; topic.Layout = layout.Want{} })
	w.produce(0, order(v1, 9, "e"))
	want[6] = "9 (null) (null) (null) (null)"
	w.alter(func(topic *sink.Topic) { topic.Formats = []string{"iceberg", "parquet"} }) // Delta keeps its partitions
	w.verify(6, 1)
	check()

	// Rebuilt, all rows are of the formulas of now.
	w.alter(func(topic *sink.Topic) {
		topic.Generated, topic.Formats = "half = id * 0.5", []string{"iceberg"}
	})
	w.flush()
	if _, err := w.manager.Rebuild(t.Context(), "orders", false); err != nil {
		t.Fatal(err)
	}
	want = map[int64]string{
		0: "4 (null) 2 (null) (null)", 1: "0 (null) 0 (null) (null)", 2: "5 (null) 2.5 (null) (null)", 3: "(null) (null) (null) (null) (null)",
		5: "8 (null) 4 (null) (null)", 6: "9 (null) 4.5 (null) (null)",
	}
	check()
}

// TestGeneratedKey: a computed column keys a table of latest values, and is computed
// of the rows in change envelopes too.
func TestGeneratedKey(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Unwrap, w.topics[0].Upsert = sink.Debezium, []string{"bucket"}
	w.topics[0].Generated = "bucket = id % 10, by = kafka_key_decoded.id"
	w.topics[0].Formats = []string{"iceberg", "delta"}
	value, key := w.register("orders-value", envelope("")), w.register("orders-key", orderKey)
	w.run()
	row := func(id int64, item string) image { return image{id, item, nil} }
	for _, v := range [][]byte{
		change(value, "c", image{}, row(1, "a")), change(value, "c", image{}, row(11, "b")), change(value, "c", image{}, row(2, "c")),
		change(value, "d", row(22, ""), image{}), change(value, "c", image{}, row(3, "d")), nil,
	} {
		b := record.NewBuilder(record.Options{})
		b.Append(1700000000000, binary.AppendVarint(schema.AppendPrefix(nil, int32(key)), 77), v)
		w.append(0, b)
		w.flush()
	}
	for _, format := range w.topics[0].Formats {
		if got, want := fmt.Sprint(w.cells(format, "id", "bucket", "by")), "map[1:11 1 77 4:3 3 77]"; got != want {
			t.Errorf("%s holds %s, want %s", format, got, want)
		}
	}
	r, err := w.manager.Verify(t.Context(), "orders")
	if err != nil || r.Verdict != sink.VerdictOK || r.Formats[0].DeadLetters != 1 { // the tombstone says no bucket
		t.Errorf("verification: %+v, %v", r, err)
	}
}

// TestGeneratedMisfit: what cannot be computed is refused when it is asked for, and
// a column of that name that comes later makes dead letters.
func TestGeneratedMisfit(t *testing.T) {
	w := newWorld(t)
	w.topics[0].Formats = []string{"delta"}
	w.register("orders-value", orderV1)
	for text, want := range map[string]string{
		"day = date(kafka_timestamp), x = id + 1.5": "",
		"day = date(kafka_time":                     "at 22: expected a comma, an operator or a closing parenthesis, found the end",
		"item = upper(item)":                        "the schema has a column that is computed (tarn.table.generated): item",
		"ITEM = upper(item)":                        "the schema has a column that is computed (tarn.table.generated): item",
		"a = item * 2":                              "a: * takes numbers, not string and long",
		"a = 1, b = a + 1":                          "b: column a is computed itself",
		"a = b.c":                                   "a: there is no column b.c",
		"a = item.c":                                "a: there is no column item.c",
		"kafka_day = 1":                             "names that begin with kafka_ are the table's own",
		"a = length(kafka_headers)":                 "which no expression takes",
	} {
		topic := w.topics[0]
		topic.Generated = text
		switch misfit := sink.Check(w.reg, topic); {
		case want == "" && misfit != nil:
			t.Errorf("%s: %v", text, misfit)
		case want != "" && (misfit == nil || misfit.Key != "tarn.table.generated" || !strings.Contains(misfit.Reason, want)):
			t.Errorf("%s: %v, want %q", text, misfit, want)
		}
	}
	w.alter(func(topic *sink.Topic) { topic.Generated = "coupon = 'c' || cast(id as string)" })
	w.run()
	w.produce(0, order(1, 4, "a"))
	w.verify(1, 0)
	v2 := w.register("orders-value", orderV2)
	w.produce(0, append(order(v2, 5, "c"), 2, 4, 'x', 'y'), order(1, 6, "b"))
	w.verify(2, 1)
	if got, want := fmt.Sprint(w.cells("delta", "id", "coupon")), "map[0:4 c4 2:6 c6]"; got != want {
		t.Errorf("the table holds %s, want %s", got, want)
	}
}
