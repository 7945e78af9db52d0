package record

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchBatch is a batch of n records with 1 KiB of JSON-like text each.
func benchBatch(b *testing.B, c Codec, n int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	builder := NewBuilder(Options{Codec: c})
	for i := range n {
		value := make([]byte, 0, 1100)
		for len(value) < 1024 {
			value = fmt.Appendf(value, `{"id":%d,"amount":%d},`, rng.IntN(1e9), rng.IntN(1000))
		}
		builder.Append(int64(i), fmt.Appendf(nil, "key-%d", i), value[:1024], RecordHeader{"trace", []byte("0123456789")})
	}
	batch, err := builder.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	return batch
}

func BenchmarkRead(b *testing.B) {
	const n = 1000
	for _, c := range codecs {
		batch := benchBatch(b, c, n)
		b.Run(c.String(), func(b *testing.B) {
			var r Reader
			b.ReportAllocs()
			b.SetBytes(n * 1024)
			for b.Loop() {
				if err := r.Reset(batch, testLimit); err != nil {
					b.Fatal(err)
				}
				for r.Next() {
				}
				if r.Err() != nil {
					b.Fatal(r.Err())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	const n = 1000
	value := make([]byte, 1024)
	builder := NewBuilder(Options{})
	b.ReportAllocs()
	for b.Loop() {
		builder.Reset(Options{})
		for i := range n {
			builder.Append(int64(i), nil, value)
		}
		if _, err := builder.Bytes(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkCheckProduced(b *testing.B) {
	batch := benchBatch(b, None, 1000)
	b.SetBytes(int64(len(batch)))
	for b.Loop() {
		if _, err := CheckProduced(batch); err != nil {
			b.Fatal(err)
		}
	}
}
