package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/storagetest"
)

// fillRuns makes a store of so many chunks with a run of each of so many logs.
func fillRuns(b *testing.B, path string, chunks, logs int) {
	e := openWith(b, Config{Path: path, Synchronous: Normal})
	never := func() error { e.putOff = time.Now().Add(time.Hour); return nil }
	if err := e.do(never); err != nil { // merged, they would be fewer
		b.Fatal(err)
	}
	for n := range int64(chunks) {
		var w storage.Write
		for l := range logs {
			w.Append = append(w.Append, storage.Append{TP: tpOf(l), Expect: n, End: n + 1,
				Batches: storagetest.Batch(n, 1, 100)})
		}
		mustCommit(b, e, w)
	}
	if err := e.Close(); err != nil {
		b.Fatalf("Close: %v", err)
	}
}

// BenchmarkOpen rebuilds the index of 300,000 runs: of chunks full of runs, as
// busy brokers write them, and of tiny ones that nobody had the time to merge.
func BenchmarkOpen(b *testing.B) {
	for _, s := range []struct{ chunks, logs int }{{300, 1000}, {30_000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", s.chunks, s.logs), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "tarn.db")
			fillRuns(b, path, s.chunks, s.logs)
			var before, after runtime.MemStats
			for b.Loop() {
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&before)
				b.StartTimer()
				e, err := Open(context.Background(), Config{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&after)
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(s.chunks*s.logs), "heapB/run")
		})
	}
}
