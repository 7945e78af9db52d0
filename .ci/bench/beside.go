package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	wideFields  = 50      // of numbers, and as many of text
	wideRecords = 120_000 // some 150 MB
	// pacedRate and pacedEvery are how many records a second are sent, and how often
	// some of them.
	pacedRate  = 20_000
	pacedEvery = 5 * time.Millisecond
	pacedFor   = 6 * time.Second
)

// beside measures what tables cost who shares the broker with them: memory at full
// rate, and how long producers wait.
func (b *bench) beside() error {
	if err := b.each(func(int) error { return b.besideMemory() }); err != nil {
		return err
	}
	return b.besideLatency()
}

// besideMemory sends wide rows as fast as they are taken, into tables of three
// formats with many partitions. Beside it stands the same without tables.
func (b *bench) besideMemory() error {
	above := map[string]int64{}
	for _, tables := range []string{"", "iceberg,delta,parquet"} {
		s, err := b.load("wide")
		if err != nil {
			return err
		}
		idle, _, err := s.Resident()
		if err != nil {
			return err
		}
		id, err := s.api.Register(b.ctx, "wide-value", wideSchema())
		if err != nil {
			return err
		}
		configs := map[string]string{}
		if tables != "" {
			configs = map[string]string{"tarn.table.formats": tables, "tarn.table.partition": "bucket(32, n0)", "tarn.table.commit.interval.ms": "1000"}
		}
		if err := s.topic("wide", partitions, configs); err != nil {
			return err
		}
		if err := s.sendWide("wide", id, b.amount(wideRecords)); err != nil {
			return err
		}
		if tables != "" {
			if err := s.api.Flush(b.ctx, "wide"); err != nil {
				return err
			}
		}
		above[tables] = s.peak.Load() - idle
		if err := s.end(); err != nil {
			return err
		}
	}
	b.table.add("memory above idle, wide rows to 3 formats", "MB", float64(above["iceberg,delta,parquet"])/1e6, float64(above[""])/1e6, "the same without tables")
	return nil
}

// wideSchema has many fields.
func wideSchema() string {
	var fields []string
	for n := range wideFields {
		fields = append(fields, fmt.Sprintf(`{"name":"n%d","type":"long"},{"name":"t%d","type":"string"}`, n, n))
	}
	return `{"type":"record","name":"Wide","fields":[` + strings.Join(fields, ",") + `]}`
}

// sendWide produces count records of wideSchema, no two alike.
func (s *server) sendWide(topic string, id, count int) error {
	cl, err := s.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	var once sync.Once
	var failed error
	for i := range count {
		v := binary.BigEndian.AppendUint32([]byte{0}, uint32(id))
		for n := range wideFields {
			v = binary.AppendVarint(v, int64(i*wideFields+n))
			text := fmt.Sprintf("%x", rand.Uint64())
			v = append(binary.AppendVarint(v, int64(len(text))), text...)
		}
		cl.Produce(s.bench.ctx, &kgo.Record{Topic: topic, Value: v}, func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
		})
	}
	if err := cl.Flush(s.bench.ctx); err != nil {
		return err
	}
	return failed
}

// besideLatency sends records at a steady rate to a topic with a table and to one
// without, in turns.
func (b *bench) besideLatency() error {
	s, err := b.load("beside")
	if err != nil {
		return err
	}
	value, err := s.order("tabled", orders[0])
	if err != nil {
		return err
	}
	for topic, configs := range map[string]map[string]string{
		"plain": nil, "tabled": {"tarn.table.formats": "iceberg", "tarn.table.commit.interval.ms": "1000"},
	} {
		if err := s.topic(topic, partitions, configs); err != nil {
			return err
		}
		if _, err := s.paced(topic, value, time.Second); err != nil { // warm
			return err
		}
	}
	err = b.each(func(run int) error {
		took := map[string][]time.Duration{}
		for n := range 2 {
			topic := []string{"plain", "tabled"}[(run+n)%2] // neither is always the first
			if took[topic], err = s.paced(topic, value, pacedFor); err != nil {
				return err
			}
			if err := s.api.Flush(b.ctx, "tabled"); err != nil { // nothing is left for the other
				return err
			}
		}
		for _, q := range []struct {
			name string
			at   float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			b.table.add("produce "+q.name+" beside a sink, 20000 records/s", "ms", quantile(took["tabled"], q.at), quantile(took["plain"], q.at), "the same without tables")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.end()
}

// paced sends pacedRate records a second and returns how long each waited, from when
// it was to be sent.
func (s *server) paced(topic string, value []byte, long time.Duration) ([]time.Duration, error) {
	cl, err := s.client(kgo.ProducerLinger(0), kgo.MaxBufferedRecords(pacedRate))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	if err := warm(s.bench.ctx, []*kgo.Client{cl}, topic, value); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var took []time.Duration
	var failed error
	begun := time.Now()
	for due := begun; due.Sub(begun) < long; due = due.Add(pacedEvery) {
		time.Sleep(time.Until(due))
		for range pacedRate * int(pacedEvery/time.Millisecond) / 1000 {
			cl.Produce(s.bench.ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if took = append(took, time.Since(due)); err != nil {
					failed = err
				}
			})
		}
	}
	if err := cl.Flush(s.bench.ctx); err != nil {
		return nil, err
	}
	mu.Lock()
	defer mu.Unlock()
	return took, failed
}
