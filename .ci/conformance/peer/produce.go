package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// line is one record in or out.
type line struct {
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	TimestampMs int64  `json:"timestamp"`
	Key         []byte `json:"key"`
	Value       []byte `json:"value"`
	Order       *order `json:"order,omitempty"`
	N           int    `json:"n"`
}

// produce encodes the orders of standard input with sr's Serde and produces
// them; it writes where each came to lie, in the order given.
func produce(ctx context.Context, p *peer) error {
	serde, err := p.serde(ctx)
	if err != nil {
		return err
	}
	cl, err := p.client(kgo.DefaultProduceTopic(p.topic))
	if err != nil {
		return err
	}
	defer cl.Close()
	var records []*kgo.Record
	err = readLines(func(l line) error {
		value, err := serde.Encode(l.Order)
		if err != nil {
			return fmt.Errorf("encode order %s: %w", l.Order.OrderID, err)
		}
		records = append(records, &kgo.Record{Key: l.Key, Value: value, Timestamp: time.UnixMilli(l.TimestampMs)})
		return nil
	})
	if err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	for i, r := range records {
		if err := p.write(line{Partition: r.Partition, Offset: r.Offset, TimestampMs: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, N: i}); err != nil {
			return err
		}
	}
	return nil
}

// stream produces orders at a rate until standard input ends, whatever happens
// to the broker, then waits for all of them and writes what was acknowledged.
// The order of standard input's first line is the pattern; its id counts up.
func stream(ctx context.Context, p *peer) error {
	serde, err := p.serde(ctx)
	if err != nil {
		return err
	}
	cl, err := p.client(kgo.DefaultProduceTopic(p.topic), kgo.MaxBufferedRecords(100_000),
		kgo.ProducerLinger(5*time.Millisecond), kgo.UnknownTopicRetries(-1))
	if err != nil {
		return err
	}
	defer cl.Close()

	first := make(chan *order, 1)
	ended := make(chan error, 1)
	go func() {
		sent := false
		ended <- readLines(func(l line) error {
			if !sent {
				sent = true
				first <- l.Order
			}
			return nil
		})
	}()
	var pattern *order
	select {
	case pattern = <-first:
	case err := <-ended:
		return fmt.Errorf("no order on standard input: %v", err)
	}

	var mu sync.Mutex
	var done []line
	var failed error
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	n := p.start
	for running := true; running; {
		select {
		case <-tick.C:
		case err = <-ended:
			running = false
			continue
		}
		for range max(1, p.rate/100) {
			o := *pattern
			o.OrderID = fmt.Sprintf("n-%d", n)
			value, err := serde.Encode(&o)
			if err != nil {
				return err
			}
			num := n
			n++
			cl.Produce(ctx, &kgo.Record{Key: fmt.Appendf(nil, "k-%d", num%97), Value: value}, func(r *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed = fmt.Errorf("record %d: %w", num, err)
					return
				}
				done = append(done, line{Partition: r.Partition, Offset: r.Offset, N: num})
			})
		}
	}
	if err != nil {
		return err
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if failed != nil {
		// Say so, but hand over what was acknowledged before.
		fmt.Fprintln(os.Stderr, failed)
	}
	for _, l := range done {
		if err := p.write(l); err != nil {
			return err
		}
	}
	return failed
}
