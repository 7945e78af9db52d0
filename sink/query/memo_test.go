package query_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/sink/query"
)

// joinQuery makes up a statement that asks a table anew for each row of another one.
func joinQuery(r *rand.Rand, tables []string) string {
	table := func() string { return tables[r.IntN(len(tables))] }
	columns := []string{"whole", "small", "real", "name", "kafka_key", "kafka_partition", "kafka_offset", "day", "yes", "raw", "price", "kafka_timestamp"}
	on := func() string {
		left, right := columns[r.IntN(5)], columns[r.IntN(5)]
		if r.IntN(3) > 0 {
			right = left
		}
		out := "b." + right + " " + []string{"=", "=", "=", "is"}[r.IntN(4)] + " a." + left
		for range r.IntN(3) {
			c := columns[r.IntN(len(columns))]
			switch r.IntN(4) {
			case 0:
				out += " and b." + c + " = a." + c
			case 1:
				out += " and b.small " + []string{">", "<=", "<>"}[r.IntN(3)] + " a.small"
			case 2:
				out += " and b.small " + []string{">", "<", "="}[r.IntN(3)] + fmt.Sprint(" ", r.IntN(12)-3)
			default:
				out += " and b.kafka_offset " + []string{">", "<"}[r.IntN(2)] + fmt.Sprint(" ", r.IntN(9))
			}
		}
		return out
	}
	wanted := "a.kafka_partition ap, a.kafka_offset ao, a.whole"
	switch r.IntN(5) {
	case 0:
		return "select " + wanted + ", b.kafka_partition bp, b.kafka_offset bo, b.name, b.tags from " + table() + " a left join " + table() + " b on " + on() + " order by 1, 2, 4, 5"
	case 1:
		return "select " + wanted + " from " + table() + " a where exists (select 1 from " + table() + " b where " + on() + ") order by 1, 2"
	case 2:
		return "select " + wanted + ", (select count(*) || '/' || coalesce(sum(b.small), '-') from " + table() + " b where " + on() + ") from " + table() + " a order by 1, 2"
	case 3:
		return "select count(*), sum(a.small), max(b.name) from " + table() + " a join " + table() + " b on " + on() + " join " + table() + " c on c.name = b.name and c.small = a.small"
	default:
		return "select " + wanted + ", b.kafka_partition bp, b.kafka_offset bo, b.real, b.price from " + table() + " a join " + table() + " b on " + on() + " order by 1, 2, 4, 5"
	}
}

// TestJoins asks made up joins twice: with the rows of the inner table kept, and of
// SQLite alone, which reads them anew for each row.
func TestJoins(t *testing.T) {
	for _, kept := range []struct {
		name      string
		after, at int64
	}{{"at once", 0, 1 << 20}, {"after some scans", 3000, 1 << 20}, {"no room", 0, 2000}} {
		t.Run(kept.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, "iceberg")
			query.Keep(w.engine, kept.after, kept.at)
			id := w.register("orders-value", fmt.Sprintf(foldSchema, ""))
			fill := func() {
				for n := range 6 {
					var values [][]byte
					for range 1 + r.IntN(6) {
						values = append(values, foldRecord(r, id, true, func(b []byte) []byte { return b }))
					}
					if r.IntN(4) == 0 {
						values = append(values, []byte("bad"))
					}
					w.produce(orders, int32(n%2), []string{"k", "5", "5.0", "1"}[r.IntN(4)], values...)
				}
			}
			fill()
			w.flush()
			fill()
			saved := 0
			for range 60 {
				sql := joinQuery(r, []string{"orders", "log.orders", "lake.orders"})
				got, want := w.ask(sql), w.askWith(query.Plainly(query.Request{SQL: sql}))
				if got != want {
					t.Errorf("%s\ngot  %s\nwant %s", sql, got, want)
				}
				if strings.HasPrefix(want, "error") {
					t.Errorf("%s: %s", sql, want)
				}
				if w.scanned(query.Request{SQL: sql}) < w.scanned(query.Plainly(query.Request{SQL: sql})) {
					saved++
				}
			}
			if (saved > 20) != (kept.at > 1<<19) {
				t.Errorf("%d of 60 joins looked at fewer rows", saved)
			}
		})
	}
}

// scanned is how many rows a statement looks at.
func (w *world) scanned(r query.Request) int64 {
	w.t.Helper()
	got, err := w.engine.Query(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Scanned
}
