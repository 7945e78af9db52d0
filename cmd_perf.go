package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type perfCmd struct {
	Produce perfProduceCmd `cmd:"" help:"Produce as many records as there can be, or at a rate, and say how many a second and how long each took."`
	Consume perfConsumeCmd `cmd:"" help:"Read a topic's records as fast as they come, and say how many a second."`
	E2e     perfE2eCmd     `cmd:"" name:"e2e" help:"Say how long records take from the producer to a consumer."`
}

const (
	// perfPool is how many payloads are made before the clock starts, so that making
	// them is not measured.
	perfPool = 1000
	// maxPerfSize is the largest payload that brokers take by default.
	maxPerfSize = 1 << 20
	// megabyte is what throughput is counted in.
	megabyte = 1e6
)

// perfLoad says which records are sent, and how.
type perfLoad struct {
	Size        int           `default:"1024" placeholder:"BYTES" help:"Size of a value, unless the topic has a schema."`
	Payload     string        `enum:"auto,schema,random,zeros" default:"auto" help:"What values are: made by the topic's schema, random bytes (which do not compress), or zeros; auto is by the schema if there is one, else random."`
	Acks        acksFlag      `default:"all" placeholder:"all|1|0" help:"Who has to have a record before it is acknowledged: all (or -1), 1 (the leader), 0 (nobody)."`
	Compression string        `short:"z" enum:"none,gzip,snappy,lz4,zstd" default:"none" help:"How the client compresses batches: none, gzip, snappy, lz4 or zstd."`
	Linger      time.Duration `default:"0s" help:"How long the client waits for a batch to fill."`
	BatchBytes  int32         `default:"1000012" placeholder:"BYTES" help:"Largest batch of the client."`
	Seed        uint64        `default:"1" help:"Where randomness begins."`
}

// options are those of the client.
func (l *perfLoad) options() ([]kgo.Opt, error) {
	if l.Size < 0 || l.Size > maxPerfSize {
		return nil, fmt.Errorf("--size %d: from 0 to %d bytes", l.Size, maxPerfSize)
	}
	if l.BatchBytes < 1<<10 {
		return nil, fmt.Errorf("--batch-bytes %d: at least 1024", l.BatchBytes)
	}
	return append(sending(l.Compression, l.Acks), kgo.ProducerLinger(l.Linger), kgo.ProducerBatchMaxBytes(l.BatchBytes)), nil
}

// pool makes the values that are sent, over and over.
func (l *perfLoad) pool(ctx context.Context, c *connect, cl *kgo.Client, topic string) ([]*kgo.Record, error) {
	out := make([]*kgo.Record, perfPool)
	random := rand.NewChaCha8([32]byte{byte(l.Seed), byte(l.Seed >> 8), byte(l.Seed >> 16), byte(l.Seed >> 24)})
	made, err := c.newMadeUp(ctx, cl, topic, l.Seed, "")
	bySchema := l.Payload == "schema" || l.Payload == "auto" && !errors.Is(err, errNoSchema)
	if bySchema && err != nil {
		return nil, err
	}
	for i := range out {
		switch {
		case bySchema:
			if out[i], err = made.record(ctx); err != nil {
				return nil, err
			}
		default:
			out[i] = &kgo.Record{Value: make([]byte, l.Size)}
			if l.Payload != "zeros" {
				_, _ = random.Read(out[i].Value) // it never fails
			}
		}
	}
	return out, nil
}

// perfResult is what was measured.
type perfResult struct {
	topic   string
	records int64
	bytes   int64 // of keys and values
	took    time.Duration
}

// fields are the result's numbers, and those of each kind of latency.
func (r *perfResult) fields() []field {
	seconds := max(r.took.Seconds(), 1e-9)
	return []field{
		{"topic", r.topic}, {"records", r.records}, {"bytes", r.bytes}, {"seconds", rounded(r.took.Seconds())},
		{"records_per_s", rounded(float64(r.records) / seconds)}, {"mb_per_s", rounded(float64(r.bytes) / megabyte / seconds)},
	}
}

// text is the result for people, in front of latencies.
func (r *perfResult) text() string {
	seconds := max(r.took.Seconds(), 1e-9)
	return fmt.Sprintf("%s: %d records, %.1f MB in %.2f s\n  throughput  %.0f records/s  %.2f MB/s",
		r.topic, r.records, float64(r.bytes)/megabyte, r.took.Seconds(), float64(r.records)/seconds, float64(r.bytes)/megabyte/seconds)
}

// quantiles are the parts that are told of latencies.
func quantiles() []struct {
	name, word string
	part       float64
} {
	return []struct {
		name, word string
		part       float64
	}{{"p50_ms", "p50", 0.5}, {"p95_ms", "p95", 0.95}, {"p99_ms", "p99", 0.99}, {"p999_ms", "p99.9", 0.999}, {"max_ms", "max", 1}}
}

// fields are percentiles in ms; prefix tells kinds apart.
func (l *latencies) fields(prefix string) []field {
	var out []field
	for _, q := range quantiles() {
		out = append(out, field{prefix + q.name, rounded(float64(l.at(q.part)) / 1e6)})
	}
	return out
}

// text is a line of percentiles.
func (l *latencies) text(what string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n  %-11s", what)
	for _, q := range quantiles() {
		fmt.Fprintf(&b, " %s %.2f ms ", q.word, float64(l.at(q.part))/1e6)
	}
	return strings.TrimRight(b.String(), " ")
}

// rounded keeps three digits behind the point.
func rounded(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }
