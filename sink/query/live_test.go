package query_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/sink"
)

// TestLive asks while records come and tables commit: every answer has all records
// that were acknowledged before it was asked for, none twice, and none that was not
// sent before it came.
func TestLive(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, format)
			id := w.register("orders-value", orderSchema)
			var sent, acknowledged atomic.Int64
			done := make(chan struct{})
			var all sync.WaitGroup
			all.Go(func() {
				defer close(done)
				rnd := rand.New(rand.NewPCG(1, 2))
				for range 60 {
					var values [][]byte
					for range 1 + rnd.IntN(20) {
						n := sent.Load() + int64(len(values)) + 1
						if values = append(values, order(id, n, "ann", 1)); rnd.IntN(8) == 0 {
							values[len(values)-1] = []byte("bad")
						}
					}
					sent.Add(int64(len(values)))
					w.produce(orders, int32(rnd.IntN(2)), "k", values...)
					acknowledged.Add(int64(len(values)))
				}
			})
			all.Go(func() {
				for {
					flushed, err := w.manager.Flush(t.Context(), "orders")
					if err != nil {
						t.Error(err)
						return
					}
					for p, to := range flushed.Offsets { // what the table has may go from the log
						if _, err := w.logs.Trim(t.Context(), storage.TP{Topic: orders, Partition: p}, to); err != nil {
							t.Error(err)
							return
						}
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
			// A table is read by the statement's own plan, so each form counts.
			forms := []string{
				"select count(*), count(*) from orders",
				"select count(*), count(distinct kafka_partition * 1000000 + kafka_offset) from orders",
				"select count(*), count(distinct kafka_partition || ' ' || kafka_offset) from orders where kafka_offset >= 0 and (id is not null or kafka_error is not null)",
			}
			for round := 0; ; round++ {
				select {
				case <-done:
					all.Wait()
					want := fmt.Sprintf("%d,%[1]d", sent.Load())
					for _, sql := range forms {
						if got := w.ask(sql); got != want {
							t.Errorf("at the end: %s: %s, want %s", sql, got, want)
						}
					}
					return
				default:
				}
				least := acknowledged.Load()
				got := w.ask(forms[round%len(forms)])
				most := sent.Load()
				a, b, _ := strings.Cut(got, ",")
				count, err := strconv.ParseInt(a, 10, 64)
				if err != nil || a != b || count < least || count > most {
					t.Fatalf("round %d: %s, want from %d to %d of both", round, got, least, most)
				}
			}
		})
	}
}

// TestMadeMeanwhile has the table made, and the log emptied, just after a query was
// told that there is no table.
func TestMadeMeanwhile(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t, format)
			id := w.register("orders-value", orderSchema)
			w.produce(orders, 0, "k", order(id, 1, "ann", 1), order(id, 2, "bob", 2))
			times := 0
			w.lake = func(ctx context.Context, topic string) (sink.Lake, error) {
				if times++; times > 1 {
					return w.manager.Lake(ctx, topic)
				}
				w.flush()
				if _, err := w.logs.Trim(t.Context(), storage.TP{Topic: orders, Partition: 0}, 2); err != nil {
					t.Error(err)
				}
				return sink.Lake{}, sink.ErrNoTable // as it was a moment ago
			}
			if got := w.ask("select id from orders where kafka_offset >= 0 order by 1"); got != "1\n2" {
				t.Errorf("got %s, want both", got)
			}
		})
	}
}
