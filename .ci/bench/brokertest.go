package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tarn-io/tarn/broker/brokertest"
)

// brokerTest measures what a Go test pays for a broker of its own, from nothing to
// one that is gone again.
func (b *bench) brokerTest() error {
	return b.each(func(int) error {
		took := testing.Benchmark(func(t *testing.B) {
			for t.Loop() {
				brokertest.New(t).Stop()
			}
		})
		base := testing.Benchmark(func(t *testing.B) {
			for t.Loop() {
				httptest.NewServer(http.NotFoundHandler()).Close()
			}
		})
		b.table.add(nameTest, "ms", float64(took.NsPerOp())/1e6, float64(base.NsPerOp())/1e6, "httptest.NewServer")
		return nil
	})
}
