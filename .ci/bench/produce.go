package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	recordBytes = 1000 // the value; some bytes of framing come on top
	bulkRecords = 200_000
	partitions  = 8
	// closedFor is how long one run of one-by-one producers goes on.
	closedFor = 2 * time.Second
)

// produce measures durable produce: in bulk, and with each producer waiting for
// every record.
func (b *bench) produce() error {
	s, err := b.load("produce")
	if err != nil {
		return err
	}
	value := noise(recordBytes)
	if err := s.topic("bulk", partitions, nil); err != nil {
		return err
	}
	for _, producers := range []int{1, 16, 64} {
		if err := b.each(func(int) error { return b.bulk(s, producers, value) }); err != nil {
			return err
		}
	}
	for _, producers := range []int{1, 16, 64} {
		if err := b.each(func(int) error { return b.closed(s, producers, value) }); err != nil {
			return err
		}
	}
	return s.end()
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return b
}

// bulk sends records as fast as producers take them.
func (b *bench) bulk(s *server, producers int, value []byte) error {
	count := b.amount(bulkRecords)
	bytes := count * len(value)
	name := nameBulk
	if producers > 1 {
		name = fmt.Sprintf("produce, %d producers", producers)
	}
	effort, err := s.effort()
	if err != nil {
		return err
	}
	took, err := s.send("bulk", producers, count, value)
	if err != nil {
		return err
	}
	used, err := effort()
	if err != nil {
		return err
	}
	raw, err := b.rawAppend(noise(1<<20), bytes, 0)
	if err != nil {
		return err
	}
	base := sum(raw)
	b.table.add(name, "MB/s", mbs(bytes, took), mbs(bytes, base), "append+fdatasync of 1 MB pieces")
	b.table.add(name+", records", "1/s", float64(count)/took.Seconds(), float64(count)/base.Seconds(), "append+fdatasync of 1 MB pieces")
	b.addEffort(name, used, bytes)
	return nil
}

// send produces count records and returns how long it took until all were
// acknowledged.
func (s *server) send(topic string, producers, count int, value []byte) (time.Duration, error) {
	clients, done, err := s.clients(producers)
	if err != nil {
		return 0, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	if err := warm(ctx, clients, topic, value); err != nil {
		return 0, err
	}
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	begun := time.Now()
	for _, cl := range clients {
		all.Go(func() {
			for range count / producers {
				cl.Produce(ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
					if err != nil {
						failed.Store(&err)
					}
				})
			}
			if err := cl.Flush(ctx); err != nil {
				failed.Store(&err)
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	if err := failed.Load(); err != nil {
		return 0, fmt.Errorf("produce: %w", *err)
	}
	return took, nil
}

// warm sends one record from each client, so that connections and producer ids
// are there.
func warm(ctx context.Context, clients []*kgo.Client, topic string, value []byte) error {
	for _, cl := range clients {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
			return fmt.Errorf("first record: %w", err)
		}
	}
	return nil
}

// closed has each producer wait for every record.
func (b *bench) closed(s *server, producers int, value []byte) error {
	took, all, err := s.oneByOne(producers, value)
	if err != nil {
		return err
	}
	// A perfect group commit writes one record of each producer at a time.
	raw, err := b.rawAppend(noise(producers*len(value)), 0, closedFor/2)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("produce one by one, %d", producers)
	b.table.add(name, "records/s", float64(len(all))/took.Seconds(),
		float64(len(raw)*producers)/sum(raw).Seconds(), fmt.Sprintf("append+fdatasync of %d records", producers))
	return nil
}

// oneByOne produces for closedFor and returns how long each record took.
func (s *server) oneByOne(producers int, value []byte) (time.Duration, []time.Duration, error) {
	clients, done, err := s.clients(producers, kgo.ProducerLinger(0))
	if err != nil {
		return 0, nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	if err := warm(ctx, clients, "bulk", value); err != nil {
		return 0, nil, err
	}
	took := make([][]time.Duration, producers)
	errs := make([]error, producers)
	var all sync.WaitGroup
	begun := time.Now()
	for n, cl := range clients {
		all.Go(func() {
			for time.Since(begun) < closedFor {
				at := time.Now()
				if errs[n] = cl.ProduceSync(ctx, &kgo.Record{Topic: "bulk", Value: value}).FirstErr(); errs[n] != nil {
					return
				}
				took[n] = append(took[n], time.Since(at))
			}
		})
	}
	all.Wait()
	total := time.Since(begun)
	for _, err := range errs {
		if err != nil {
			return 0, nil, err
		}
	}
	return total, slices.Concat(took...), nil
}

// latency measures how long one producer waits for one record.
func (b *bench) latency() error {
	s, err := b.load("latency")
	if err != nil {
		return err
	}
	if err := s.topic("bulk", 1, nil); err != nil {
		return err
	}
	value := noise(recordBytes)
	err = b.each(func(int) error {
		_, took, err := s.oneByOne(1, value)
		if err != nil {
			return err
		}
		raw, err := b.rawAppend(value, 0, closedFor/2)
		if err != nil {
			return err
		}
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			b.table.add("produce latency "+q.name, "ms", quantile(took, q.at), quantile(raw, q.at), "append+fdatasync of one record")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

// quantile is in milliseconds.
func quantile(d []time.Duration, q float64) float64 {
	d = slices.Sorted(slices.Values(d))
	return float64(d[min(len(d)-1, int(q*float64(len(d))))]) / 1e6
}
