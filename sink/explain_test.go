package sink_test

import (
	"context"
	"iter"
	"math"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// countedStore counts requests as S3 bills them.
type countedStore struct {
	blob.Store
	puts, gets *atomic.Int64
}

func (s countedStore) Put(ctx context.Context, key string, data []byte) error {
	s.puts.Add(1)
	return s.Store.Put(ctx, key, data)
}

func (s countedStore) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	s.puts.Add(1)
	return s.Store.PutIfAbsent(ctx, key, data)
}

func (s countedStore) Copy(ctx context.Context, from, to string) error {
	s.puts.Add(1)
	return s.Store.Copy(ctx, from, to)
}

func (s countedStore) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	s.puts.Add(1)
	return s.Store.List(ctx, prefix)
}

func (s countedStore) Get(ctx context.Context, key string) ([]byte, error) {
	s.gets.Add(1)
	return s.Store.Get(ctx, key)
}

func (s countedStore) Open(ctx context.Context, key string) (blob.File, error) {
	s.gets.Add(1)
	return s.Store.Open(ctx, key)
}

// TestRequestsOfCommits holds what Explain says of requests against what commits
// send.
func TestRequestsOfCommits(t *testing.T) {
	for _, format := range []string{"iceberg", "delta", "parquet"} {
		var puts, gets atomic.Int64
		w := newWorld(t)
		w.topics[0].Formats, w.topics[0].CommitRows = []string{format}, 1
		id := w.register("orders-value", orderV1)
		cfg := w.config()
		cfg.Store = countedStore{w.store, &puts, &gets}
		cfg.Formats = map[string]tables.Format{format: formatsOver(cfg.Store, w.items)[format]}
		w.manager, w.stop = w.startWith(cfg)
		const warm, n = 3, 30
		for i := range int64(warm + n) {
			if i == warm {
				puts.Store(0)
				gets.Store(0)
			}
			w.produce(0, order(id, i, "x"))
			if _, err := w.manager.Wait(t.Context(), "orders", nil); err != nil {
				t.Fatal(err)
			}
		}
		wantPuts, wantGets := sink.PerCommit(format)
		p, g := float64(puts.Load())/n, float64(gets.Load())/n
		t.Logf("%s: %.2f puts and %.2f gets a commit", format, p, g)
		if math.Abs(p-wantPuts) > 0.5 || math.Abs(g-wantGets) > 2 {
			t.Errorf("%s: %.2f puts and %.2f gets a commit, explained are %v and %v", format, p, g, wantPuts, wantGets)
		}
		e, err := w.manager.Explain(t.Context(), "orders")
		if err != nil || len(e.Formats) != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		if f := e.Formats[0]; f.Commits != warm+n || f.Files != warm+n || f.AverageBytes <= 0 || f.CommitsPerDay <= 0 || f.Puts <= f.CommitsPerDay {
			t.Errorf("%s: %+v, want %d commits", format, f, warm+n)
		}
		w.halt()
	}
}

func TestLongerInterval(t *testing.T) {
	e := sink.Explained{IntervalMs: 10_000, CommitBytes: 1000, Formats: []sink.ExplainedFormat{
		{Format: "iceberg", CommitsPerDay: 8640, AverageBytes: 100},
	}}
	for ms, want := range map[int64]float64{60_000: 1440, 100_000: 864, 3_600_000: 864} {
		if got := sink.AtInterval(e, ms); math.Abs(got-want) > 0.001 {
			t.Errorf("every %d ms: %v commits a day, want %v", ms, got, want)
		}
	}
	p := sink.Prices{Puts: 0.005, Gets: 0.0004, Storage: 0.023}
	if got := p.Requests(1000, 10_000); math.Abs(got-30*(0.005+0.004)) > 1e-9 {
		t.Errorf("requests cost %v", got)
	}
	if got := p.Stored(2e9); math.Abs(got-0.046) > 1e-9 {
		t.Errorf("2 GB cost %v", got)
	}
}
