package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	topics     = 20
	partitions = 6
	// withTables are the first topics, each with another format.
	withTables = 3
	// retained bounds a partition of the others.
	retained = "20000000"
	schema   = `{"type":"record","name":"Order","fields":[{"name":"id","type":"long"},{"name":"customer","type":"string"},{"name":"amount","type":"double"},{"name":"note","type":"string"}]}`
)

func topicName(i int) string { return fmt.Sprintf("load_%02d", i) }

// makeTopics makes three topics with a table of a format each, seven that are
// compacted, and ten that keep little.
func (l *load) makeTopics(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.kafka))
	if err != nil {
		return err
	}
	defer cl.Close()
	text := func(s string) *string { return &s }
	for i := range topics {
		configs := map[string]*string{"retention.bytes": text(retained), "segment.bytes": text("4000000")}
		switch {
		case i < withTables:
			id, err := l.api.Register(ctx, topicName(i)+"-value", schema)
			if err != nil {
				return err
			}
			l.ids[i] = id
			configs["tarn.table.formats"] = text([]string{"iceberg", "delta", "parquet"}[i])
		case i < 10:
			configs["cleanup.policy"] = text("compact")
			delete(configs, "retention.bytes")
		}
		if _, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, 1, configs, topicName(i)); err != nil {
			return fmt.Errorf("create %s: %w", topicName(i), err)
		}
	}
	return nil
}

// value is a record's value: an order in Avro with Confluent's prefix, or bytes of
// which half repeat.
func (l *load) value(r *rand.Rand, topic int) []byte {
	b := make([]byte, 0, 256)
	if topic < withTables {
		b = binary.BigEndian.AppendUint32(append(b, 0), uint32(l.ids[topic]))
		b = binary.AppendVarint(b, r.Int64N(1<<40))
		for _, s := range []string{"customer " + strconv.Itoa(r.IntN(5000)), ""} {
			if s == "" {
				b = binary.LittleEndian.AppendUint64(b, uint64(0x4059000000000000)) // 100.0
				s = fmt.Sprintf("note %x, leave it at the door", r.Uint64())
			}
			b = append(binary.AppendVarint(b, int64(len(s))), s...)
		}
		return b
	}
	for len(b) < 200 {
		b = append(binary.LittleEndian.AppendUint64(b, r.Uint64()), "the same"...)
	}
	return b
}

// produce sends at a rate to all topics until ctx ends; half of it to those that have
// tables. A record that fails is counted.
func (l *load) produce(ctx context.Context, n, perSecond int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.kafka), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(20000),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ClientID("producer-"+strconv.Itoa(n)))
	if err != nil {
		return err
	}
	defer cl.Close()
	r := rand.New(rand.NewPCG(uint64(n), 1))
	const piece = 10 // records between looks at the clock
	started := time.Now()
	for pieces := int64(1); ctx.Err() == nil; pieces++ {
		if perSecond > 0 {
			due := started.Add(time.Duration(pieces * piece * int64(time.Second) / int64(perSecond)))
			if wait := time.Until(due); wait > time.Millisecond {
				time.Sleep(wait)
			}
		}
		for i := range piece {
			topic := r.IntN(withTables)
			if i%2 == 1 {
				topic = withTables + r.IntN(topics-withTables)
			}
			begun := time.Now()
			cl.Produce(ctx, &kgo.Record{Topic: topicName(topic), Key: strconv.AppendInt(nil, r.Int64N(200_000), 10), Value: l.value(r, topic)}, func(_ *kgo.Record, err error) {
				if ctx.Err() == nil {
					l.sent.add(time.Since(begun), err)
				}
			})
		}
	}
	return nil
}

// consume is a member of one of ten groups, of two topics each.
func (l *load) consume(ctx context.Context, i int) error {
	group := i % 10
	cl, err := kgo.NewClient(kgo.SeedBrokers(l.kafka), kgo.ConsumerGroup("group-"+strconv.Itoa(group)), kgo.FetchMaxBytes(4<<20),
		kgo.ConsumeTopics(topicName(2*group), topicName(2*group+1)), kgo.ClientID("consumer-"+strconv.Itoa(i)), kgo.BlockRebalanceOnPoll())
	if err != nil {
		return err
	}
	defer cl.CloseAllowingRebalance()
	for {
		if f := cl.PollFetches(ctx); f.IsClientClosed() || ctx.Err() != nil {
			return nil
		}
		cl.AllowRebalance()
	}
}

// idleConnections opens connections that say which versions they want, as clients do,
// and then nothing.
func (l *load) idleConnections(ctx context.Context) error {
	hello := []byte{0, 0, 0, 14, 0, 18, 0, 0, 0, 0, 0, 1, 0, 4, 'i', 'd', 'l', 'e'} // ApiVersions, version 0
	for range l.idle {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.kafka)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("an idle connection: %w", err)
		}
		defer c.Close()
		if _, err := c.Write(hello); err != nil {
			return fmt.Errorf("an idle connection: %w", err)
		}
	}
	<-ctx.Done()
	return nil
}

// tally counts how long something took. Safe for
// concurrent use.
type tally struct {
	mu      sync.Mutex
	n, bad  int64
	samples []time.Duration
}

const maxSamples = 1 << 20

func (t *tally) add(d time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.bad++
		return
	}
	t.n++
	if len(t.samples) < maxSamples {
		t.samples = append(t.samples, d)
	} else if i := rand.Int64N(t.n); i < maxSamples { // each has the same chance to stay
		t.samples[i] = d
	}
}

func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n, t.bad, t.samples = 0, 0, nil
}

func (t *tally) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

func (t *tally) failed() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bad
}

func (t *tally) percentile(p float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.samples) == 0 {
		return 0
	}
	slices.Sort(t.samples)
	return t.samples[min(len(t.samples)-1, int(p/100*float64(len(t.samples))))].Round(10 * time.Microsecond)
}
