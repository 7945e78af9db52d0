package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// perfHeader is the record header by which a run knows its records.
	perfHeader = "tarn.perf"
	// maxE2e bounds the records of a run: their times are kept.
	maxE2e = 10_000_000
)

type perfE2eCmd struct {
	connect
	Topic   string        `arg:"" help:"Topic."`
	Num     int64         `short:"n" default:"1000" help:"How many records."`
	Rate    float64       `short:"r" default:"100" placeholder:"N" help:"Records a second; 0 is one after the other, each when the one before has come."`
	Timeout time.Duration `default:"10s" help:"How long the last records are waited for."`
	perfLoad
}

// Help shows examples.
func (c *perfE2eCmd) Help() string {
	return `A client produces and another one reads, both here, so that one clock measures. The
first latency is to the acknowledgement, the second until the consumer has the record.

  tarn perf e2e bench
  tarn perf e2e bench --rate 1000 -n 30000 --output json`
}

// e2e is one run of tarn perf e2e.
type e2e struct {
	cmd   *perfE2eCmd
	run   uint64
	begun time.Time
	sent  []atomic.Int64 // when each record was sent, as ns after begun; 0: not yet, or it has come

	acks perfTally

	mu   sync.Mutex
	came latencies     // guarded by mu
	seen chan struct{} // one for each record that came
}

// Run measures.
func (c *perfE2eCmd) Run(ctx context.Context, std stdio) error {
	switch {
	case c.Num < 1 || c.Num > maxE2e:
		return fmt.Errorf("-n %d: from 1 to %d records", c.Num, maxE2e)
	case c.Rate < 0:
		return fmt.Errorf("--rate %v: records a second, or 0 for one after the other", c.Rate)
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	e := &e2e{cmd: c, run: rand.Uint64(), sent: make([]atomic.Int64, c.Num), seen: make(chan struct{}, c.Num)}
	producer, err := c.kafka(ctx, append(opts, kgo.DefaultProduceTopic(c.Topic))...)
	if err != nil {
		return err
	}
	defer producer.Close()
	consumer, err := e.consumer(ctx)
	if err != nil {
		return err
	}
	defer consumer.Close()
	pool, err := c.pool(ctx, &c.connect, producer, c.Topic)
	if err != nil {
		return err
	}
	e.begun = time.Now()
	rctx, cancel := context.WithCancel(ctx)
	reading := make(chan error, 1)
	go func() { reading <- e.read(rctx, consumer) }()
	sent := e.send(ctx, std, producer, pool)
	if c.Rate > 0 {
		e.await(ctx, sent)
	}
	cancel()
	if err := <-reading; err != nil {
		return fmt.Errorf("read %s: %w", c.Topic, err)
	}
	return e.report(std, sent)
}

// consumer begins at the end of the log.
func (e *e2e) consumer(ctx context.Context) (*kgo.Client, error) {
	cl, err := e.cmd.kafka(ctx)
	if err != nil {
		return nil, err
	}
	b, err := logBounds(ctx, kadm.NewClient(cl), e.cmd.Topic, false)
	if err != nil {
		cl.Close()
		return nil, err
	}
	at := map[int32]kgo.Offset{}
	b.ends.Each(func(o kadm.ListedOffset) { at[o.Partition] = kgo.NewOffset().At(o.Offset) })
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{e.cmd.Topic: at})
	return cl, nil
}

// send sends all records, and returns how many it has sent.
func (e *e2e) send(ctx context.Context, std stdio, cl *kgo.Client, pool []*kgo.Record) (n int64) {
	bar := startProgress(ctx, std, e.cmd.Topic, func() (int64, float64) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.came.n, float64(e.came.n) / float64(e.cmd.Num)
	})
	defer bar.stop()
	sending := context.WithoutCancel(ctx)
	p := newPace(e.cmd.Rate)
	for n < e.cmd.Num && p.next(ctx) == nil {
		if _, failed := e.acks.count(); failed != nil {
			break
		}
		from := pool[n%perfPool]
		mark := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, e.run), uint64(n))
		r := &kgo.Record{Key: from.Key, Value: from.Value, Headers: []kgo.RecordHeader{{Key: perfHeader, Value: mark}}}
		start := time.Now()
		e.sent[n].Store(max(1, int64(start.Sub(e.begun))))
		n++
		cl.Produce(sending, r, func(r *kgo.Record, err error) { e.acks.done(r, start, err) })
		if e.cmd.Rate == 0 && !e.await(ctx, 1) {
			break
		}
	}
	flush, cancel := context.WithTimeout(sending, flushTime)
	defer cancel()
	_ = cl.Flush(flush) // what is not sent by then does not come, and is counted
	return n
}

// read notes when records of this run come.
func (e *e2e) read(ctx context.Context, cl *kgo.Client) error {
	for ctx.Err() == nil {
		records, err := poll(ctx, cl, 0)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		now := int64(time.Since(e.begun))
		for _, r := range records {
			if i, ok := e.number(r); ok {
				if at := e.sent[i].Swap(0); at > 0 {
					e.mu.Lock()
					e.came.add(time.Duration(now - at))
					e.mu.Unlock()
					e.seen <- struct{}{}
				}
			}
		}
	}
	return nil
}

// number is the place of a record in this run.
func (e *e2e) number(r *kgo.Record) (int64, bool) {
	for _, h := range r.Headers {
		if h.Key == perfHeader && len(h.Value) == 16 && binary.BigEndian.Uint64(h.Value) == e.run {
			i := binary.BigEndian.Uint64(h.Value[8:])
			return int64(i), i < uint64(len(e.sent))
		}
	}
	return 0, false
}

// await waits for so many records; false means that they did not come in time.
func (e *e2e) await(ctx context.Context, n int64) bool {
	late := time.NewTimer(e.cmd.Timeout)
	defer late.Stop()
	for range n {
		select {
		case <-e.seen:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (e *e2e) report(std stdio, sent int64) error {
	e.acks.mu.Lock()
	defer e.acks.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	result := perfResult{topic: e.cmd.Topic, records: e.came.n, bytes: e.acks.bytes, took: time.Since(e.begun)}
	fields := append(append(result.fields(), e.acks.took.fields("ack_")...), e.came.fields("")...)
	err := e.cmd.sayFields(std, fields, result.text()+e.acks.took.text("acknowledged")+e.came.text("received"))
	if e.acks.failed != nil {
		err = errors.Join(err, fmt.Errorf("produce to %s: %w", e.cmd.Topic, e.acks.failed))
	}
	if lost := sent - e.came.n; lost > 0 && e.acks.failed == nil {
		err = errors.Join(err, fmt.Errorf("%d of %d records had not come %v after the last was sent", lost, sent, e.cmd.Timeout))
	}
	return err
}
