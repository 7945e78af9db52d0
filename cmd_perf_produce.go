package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

type perfProduceCmd struct {
	connect
	Topic string        `arg:"" help:"Topic; an unknown one is made if the broker does so."`
	Num   int64         `short:"n" default:"100000" help:"How many records."`
	For   time.Duration `help:"End after this time, if -n has not been reached."`
	Rate  float64       `short:"r" placeholder:"N" help:"Records a second; without it, as many as there can be."`
	perfLoad
}

// Help shows examples.
func (c *perfProduceCmd) Help() string {
	return `A latency is the time from handing a record to the client to its acknowledgement.
Without --rate most of that is the client's own queue: give a rate below what the
broker takes to see how long the broker needs.

  tarn perf produce bench -n 1000000 --size 100
  tarn perf produce bench --rate 5000 --for 30s --linger 5ms
  tarn perf produce orders --compression zstd --output json`
}

// perfTally counts what is acknowledged. Safe for concurrent use.
type perfTally struct {
	mu     sync.Mutex
	bytes  int64     // guarded by mu
	took   latencies // guarded by mu
	failed error     // guarded by mu; the first
}

func (t *perfTally) done(r *kgo.Record, since time.Time, err error) {
	d := time.Since(since)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		if t.failed == nil {
			t.failed = err
		}
		return
	}
	t.bytes += int64(len(r.Key) + len(r.Value))
	t.took.add(d)
}

func (t *perfTally) count() (n int64, failed error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.took.n, t.failed
}

// Run produces and measures. Interrupted, it reports what it has.
func (c *perfProduceCmd) Run(ctx context.Context, std stdio) error {
	if c.Num < 1 {
		return fmt.Errorf("-n %d: at least one record", c.Num)
	}
	opts, err := c.options()
	if err != nil {
		return err
	}
	cl, err := c.kafka(ctx, append(opts, kgo.DefaultProduceTopic(c.Topic), kgo.AllowAutoTopicCreation())...)
	if err != nil {
		return err
	}
	defer cl.Close()
	pool, err := c.pool(ctx, &c.connect, cl, c.Topic)
	if err != nil {
		return err
	}
	var t perfTally
	took, err := c.send(ctx, std, cl, pool, &t)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	result := perfResult{topic: c.Topic, records: t.took.n, bytes: t.bytes, took: took}
	err = c.sayFields(std, append(result.fields(), t.took.fields("")...), result.text()+t.took.text("latency"))
	if t.failed != nil {
		err = errors.Join(err, fmt.Errorf("produce to %s, after %d records: %w", c.Topic, t.took.n, t.failed))
	}
	return err
}

// send sends until there are enough, the time is over, or one fails.
func (c *perfProduceCmd) send(ctx context.Context, std stdio, cl *kgo.Client, pool []*kgo.Record, t *perfTally) (time.Duration, error) {
	bar := startProgress(ctx, std, c.Topic, func() (int64, float64) {
		n, _ := t.count()
		return n, float64(n) / float64(c.Num)
	})
	defer bar.stop()
	sending := context.WithoutCancel(ctx)
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	begun, p := time.Now(), newPace(c.Rate)
	for i := int64(0); i < c.Num && p.next(ctx) == nil; i++ {
		if i%perfPool == 0 {
			if _, failed := t.count(); failed != nil {
				break
			}
		}
		from, start := pool[i%perfPool], time.Now()
		r := &kgo.Record{Key: from.Key, Value: from.Value}
		cl.Produce(sending, r, func(r *kgo.Record, err error) { t.done(r, start, err) })
	}
	flush, cancel := context.WithTimeout(sending, flushTime)
	defer cancel()
	if err := cl.Flush(flush); err != nil {
		return 0, fmt.Errorf("send the last records: %w", err)
	}
	return time.Since(begun), nil
}
