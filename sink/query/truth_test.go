package query_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/layout"
)

// fact is a record as its writer knows it.
type fact struct {
	partition int32
	offset    int64
	key       string
	id        int64
	ms        int64 // after firstMs
	aborted   bool
}

// truth is what the topic orders holds, told by its writer: SQL has no part in it.
type truth struct {
	*world
	r       *rand.Rand
	id      int // of the schema
	upsert  bool
	facts   []*fact
	open    map[int64][]*fact // by producer
	begun   map[int64]bool
	seq     map[int64]int32
	flushed map[int32]int64
	lake    []*fact
}

func (w *truth) log(p int32) *commitlog.Log {
	w.t.Helper()
	g, err := w.logs.Log(w.t.Context(), storage.TP{Topic: orders, Partition: p})
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// put appends a batch; producer 0 has no transaction.
func (w *truth) put(p int32, producer int64) {
	o := record.Options{}
	n := 1 + w.r.IntN(5)
	if producer > 0 {
		o = record.Options{Transactional: true, Producer: &record.Producer{ID: producer, BaseSequence: w.seq[producer]}}
		w.seq[producer] += int32(n)
		w.begun[producer] = true
	}
	b, at := record.NewBuilder(o), w.log(p).End()
	for i := range n {
		f := &fact{partition: p, offset: at + int64(i), key: fmt.Sprint(p, "/", w.r.IntN(6)), id: int64(len(w.facts) + 1), ms: w.r.Int64N(400)}
		switch w.r.IntN(8) { // a key is in one partition
		case 0:
			f.key = []string{"", " "}[p]
		case 1, 2:
			f.key = fmt.Sprint(2*int32(w.r.IntN(20)) + p)
		}
		w.facts = append(w.facts, f)
		if producer > 0 {
			w.open[producer] = append(w.open[producer], f)
		}
		b.Append(firstMs+f.ms, []byte(f.key), order(w.id, f.id, []string{"ann", "bob", "eve"}[f.id%3], 1))
	}
	raw, err := b.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(orders, p, raw)
}

// end ends the transaction of a producer, if it has one.
func (w *truth) end(p int32, producer int64, commit bool) {
	if !w.begun[producer] {
		return
	}
	raw, err := record.Marker{ProducerID: producer, Commit: commit, Timestamp: firstMs}.Batch()
	if err != nil {
		w.t.Fatal(err)
	}
	w.append(orders, p, raw)
	for _, f := range w.open[producer] {
		f.aborted = !commit
	}
	delete(w.open, producer)
	delete(w.begun, producer)
}

// fill appends what comes to its mind.
func (w *truth) fill() {
	for range 24 {
		p := int32(w.r.IntN(2))
		producer := int64(p)*10 + 1 + int64(w.r.IntN(2))
		switch n := w.r.IntN(6); {
		case n < 2:
			w.put(p, 0)
		case n < 4:
			w.put(p, producer)
		default:
			w.end(p, producer, n == 4)
		}
	}
}

// settle ends what is open.
func (w *truth) settle() {
	for _, producer := range slices.Sorted(maps.Keys(w.begun)) {
		w.end(int32(producer/10), producer, w.r.IntN(2) == 0)
	}
}

// visible are the committed records that the log still has, from where on is said.
func (w *truth) visible(from map[int32]int64) (out []*fact) {
	there := map[[2]int64]bool{}
	stable := map[int32]int64{}
	for p := range int32(2) {
		g := w.log(p)
		stable[p] = g.LastStable()
		for at := int64(0); at < g.End(); {
			raw, err := g.Read(w.t.Context(), at, 1<<20, g.End())
			if err != nil {
				w.t.Fatal(err)
			}
			if len(raw) == 0 {
				break
			}
			for b, err := range record.Batches(raw) {
				if err != nil {
					w.t.Fatal(err)
				}
				var rd record.Reader
				if err := rd.Reset(b.Bytes, 1<<20); err != nil {
					w.t.Fatal(err)
				}
				for !b.Header.Control() && rd.Next() {
					there[[2]int64{int64(p), rd.Record().Offset}] = true
				}
				at = b.Header.LastOffset() + 1
			}
		}
	}
	for _, f := range w.facts {
		if !f.aborted && f.offset >= from[f.partition] && f.offset < stable[f.partition] && there[[2]int64{int64(f.partition), f.offset}] {
			out = append(out, f)
		}
	}
	return out
}

// commit has the table take what it can.
func (w *truth) commit() {
	w.t.Helper()
	got, err := w.manager.Flush(w.t.Context(), "orders")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range w.visible(w.flushed) {
		if f.offset >= got.Offsets[f.partition] {
			continue
		}
		if w.upsert {
			w.lake = slices.DeleteFunc(w.lake, func(o *fact) bool { return o.key == f.key })
		}
		w.lake = append(w.lake, f)
	}
	w.flushed = got.Offsets
}

// whole are the rows of a topic whose table has come to a point.
func (w *truth) whole(progress map[int32]int64) []*fact {
	out := w.visible(progress)
	for _, f := range w.lake {
		if f.offset < progress[f.partition] {
			out = append(out, f)
		}
	}
	return out
}

// check asks a table in some ways, as they are answered and now and then of SQLite
// alone, and holds the answers to what is true.
func (w *truth) check(moment, table string, facts []*fact) {
	w.t.Helper()
	a, b, p := w.r.Int64N(40), w.r.Int64N(60), int32(w.r.IntN(2))
	key, other, until := fmt.Sprint(p, "/", w.r.IntN(6)), fmt.Sprint(a), 1+w.r.Int64N(399) // a whole second has no ".000"
	for _, c := range []struct {
		where string
		holds func(f *fact) bool
	}{
		{" where kafka_key = ''", func(f *fact) bool { return f.key == "" }},
		{fmt.Sprintf(" where kafka_key = '%s'", key), func(f *fact) bool { return f.key == key }},
		{fmt.Sprintf(" where kafka_key = %s", other), func(f *fact) bool { return f.key == other }},
		{fmt.Sprintf(" where kafka_key in ('%s', '%s')", key, other), func(f *fact) bool { return f.key == key || f.key == other }},
		{fmt.Sprintf(" where kafka_key = '%s' and kafka_offset <= %d", other, b), func(f *fact) bool { return f.key == other && f.offset <= b }},
		{fmt.Sprintf(" where kafka_timestamp < '2023-11-14 22:13:20.%03d'", until), func(f *fact) bool { return f.ms < until }},
		{fmt.Sprintf(" where kafka_key = '%s' and kafka_timestamp >= '2023-11-14 22:13:20.%03d'", key, until), func(f *fact) bool { return f.key == key && f.ms >= until }},
		{"", func(*fact) bool { return true }},
		{fmt.Sprintf(" where kafka_offset >= %d and kafka_offset < %d", a, a+b), func(f *fact) bool { return f.offset >= a && f.offset < a+b }},
		{fmt.Sprintf(" where kafka_partition = %d and kafka_offset <= %d", p, b), func(f *fact) bool { return f.partition == p && f.offset <= b }},
		{fmt.Sprintf(" where id > %d and customer <> 'eve'", a), func(f *fact) bool { return f.id > a && f.id%3 != 2 }},
	} {
		n, sum, least, most, of := 0, int64(0), int64(math.MaxInt64), int64(0), map[int32]int64{}
		for _, f := range facts {
			if c.holds(f) {
				n, sum, least, most = n+1, sum+f.id, min(least, f.offset), max(most, f.id)
				of[f.partition]++
			}
		}
		numbers := fmt.Sprintf("%d,%d,%d,%d,%d", n, n, sum, least, most)
		if n == 0 {
			numbers = "0,0,,,"
		}
		var groups []string
		for _, p := range slices.Sorted(maps.Keys(of)) {
			groups = append(groups, fmt.Sprintf("%d,%d", p, of[p]))
		}
		for _, q := range []struct{ sql, want string }{
			{"select count(*) from " + table + c.where, fmt.Sprint(n)},
			{"select count(*), count(id), sum(id), min(kafka_offset), max(id) from " + table + c.where, numbers},
			{"select kafka_partition, count(*) from " + table + c.where + " group by 1 order by 1", strings.Join(groups, "\n")},
		} {
			requests := []query.Request{{SQL: q.sql}}
			if strings.Contains(c.where, "kafka_key") { // by what the first has left behind
				requests = append(requests, requests[0])
			}
			if w.r.IntN(4) == 0 {
				requests = append(requests, query.Plainly(requests[0]))
			}
			for _, r := range requests {
				if got := w.askWith(r); got != q.want {
					w.t.Errorf("%s: %+v\ngot  %s\nwant %s", moment, r, got, q.want)
				}
			}
		}
	}
}

// TestTruth asks for a topic with transactions that end either way and stay open,
// whose log is compacted, whose table is partitioned, whose files are rewritten, and
// has come to the middle of a batch.
func TestTruth(t *testing.T) {
	for _, c := range []struct {
		format    string
		partition layout.Term
		upsert    bool
	}{
		{format: "iceberg", partition: layout.Term{Transform: tables.Transform{Name: tables.Identity}, Column: "customer"}},
		{format: "delta"},
		{format: "parquet"},
		{format: "iceberg", upsert: true},
		{format: "delta", upsert: true},
	} {
		t.Run(fmt.Sprint(c.format, " ", c.partition.Column, " upsert ", c.upsert), func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := &truth{
				world: newWorld(t, c.format), r: rand.New(rand.NewPCG(seed, 1)), upsert: c.upsert,
				open: map[int64][]*fact{}, begun: map[int64]bool{}, seq: map[int64]int32{}, flushed: map[int32]int64{},
			}
			w.alter(func(o *sink.Topic) {
				if c.partition.Column != "" {
					o.Layout.Partition = []layout.Term{c.partition}
				}
				if c.upsert {
					o.Upsert = []string{sink.RecordKey}
				}
			})
			query.Remember(w.engine, 1+w.r.IntN(3), []int64{1 << 20, 2000}[w.r.IntN(2)])
			defer func() {
				if query.Remembered(w.engine) == 0 {
					t.Error("nothing is remembered of the logs")
				}
			}()
			w.id = w.register("orders-value", orderSchema)
			both := func(moment string) {
				t.Helper()
				w.check(moment, "log.orders", w.visible(nil))
				if len(w.lake) > 0 {
					w.check(moment, "lake.orders", w.lake)
				}
				if !c.upsert {
					w.check(moment, "orders", w.whole(w.flushed))
				}
			}
			w.fill()
			w.settle()
			w.commit()
			w.fill()
			both("a tail")
			w.compact()
			if !c.upsert {
				w.middle(both)
			}
			w.fill()
			w.settle()
			w.commit()
			if _, err := w.manager.Compact(t.Context(), "orders"); err != nil {
				t.Fatal(err)
			}
			w.fill()
			w.compact()
			both("files rewritten, log compacted")
		})
	}
}

// compact compacts the log, in which the table has no say here.
func (w *truth) compact() {
	w.t.Helper()
	for p := range int32(2) {
		if _, err := w.logs.Compact(w.t.Context(), storage.TP{Topic: orders, Partition: p}, commitlog.Compaction{Head: math.MaxInt64, MaxLagMs: math.MaxInt64}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// middle has queries told that the table has come less far than its files: into the
// middle of what they hold, and so of batches.
func (w *truth) middle(ask func(moment string)) {
	w.t.Helper()
	was, lake := w.flushed, w.lake
	defer func() { w.flushed, w.lake, w.world.lake = was, lake, nil }()
	for p, to := range was {
		w.flushed = maps.Clone(w.flushed)
		w.flushed[p] = to - w.r.Int64N(8)
	}
	w.world.lake = func(ctx context.Context, topic string) (sink.Lake, error) {
		l, err := w.manager.Lake(ctx, topic)
		l.Progress, l.Beyond = w.flushed, true
		return l, err
	}
	ask("the middle of a batch")
}

// TestForeignDeletes holds that no count is taken from files of which others have
// deleted rows, be it by their statistics.
func TestForeignDeletes(t *testing.T) {
	w := newWorld(t, "iceberg")
	id := w.register("orders-value", orderSchema)
	w.produce(orders, 0, "a", order(id, 1, "ann", 1), order(id, 2, "bob", 2))
	w.flush()
	var failed error
	w.lake = func(ctx context.Context, topic string) (sink.Lake, error) {
		l, err := w.manager.Lake(ctx, topic)
		if failed != nil {
			return sink.Lake{}, failed
		}
		for i := range l.Rows {
			l.Rows[i].Deletes = true
		}
		return l, err
	}
	for _, failed = range []error{nil, fmt.Errorf("%w: a deletion vector", tables.ErrFeature), tables.ErrForeign} {
		for _, sql := range []string{"select count(*) from orders", "select max(id) from lake.orders", "select count(*) from orders where kafka_offset >= 1", "select id from orders"} {
			_, err := w.engine.Query(t.Context(), query.Request{SQL: sql, Time: time.Minute})
			if err == nil || !strings.HasPrefix(err.Error(), query.ErrRefused.Error()) {
				t.Errorf("%s: %v, want it refused", sql, err)
			}
		}
		if got := w.ask("select count(*), max(id) from log.orders"); got != "2,2" {
			t.Errorf("the log: %s", got)
		}
	}
}
