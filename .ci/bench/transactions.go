package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transactionFor is how long one run of transactions goes on.
const transactionFor = 3 * time.Second

// transactions measures whole transactions: begin, one record, commit, each
// waited for.
func (b *bench) transactions() error {
	s, err := b.load("transactions")
	if err != nil {
		return err
	}
	if err := s.topic("txn", partitions, nil); err != nil {
		return err
	}
	value := noise(recordBytes)
	for _, producers := range []int{1, 16} {
		if err := b.each(func(int) error { return b.commits(s, producers, value) }); err != nil {
			return err
		}
	}
	return s.end()
}

// commits runs as many transactions as producers get through.
func (b *bench) commits(s *server, producers int, value []byte) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	var begun time.Time
	start := make(chan struct{})
	for n := range producers {
		cl, err := s.client(kgo.TransactionalID(fmt.Sprintf("bench-%d", n)), kgo.DefaultProduceTopic("txn"), kgo.ProducerLinger(0))
		if err != nil {
			return err
		}
		defer cl.Close()
		if err := transaction(ctx, cl, value); err != nil { // it has its producer id now
			return err
		}
		all.Go(func() {
			<-start
			for time.Since(begun) < transactionFor {
				if err := transaction(ctx, cl, value); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	begun = time.Now()
	close(start)
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	took := time.Since(begun)
	flushes, err := b.rawAppend(value, 1000*len(value), 0)
	if err != nil {
		return err
	}
	b.table.add(fmt.Sprintf("transactions, %d producers", producers), "1/s",
		float64(done.Load())/took.Seconds(), 1000/sum(flushes).Seconds(), "append+fdatasync of 1 KB pieces")
	return nil
}

func transaction(ctx context.Context, cl *kgo.Client, value []byte) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr(); err != nil {
		return err
	}
	return cl.EndTransaction(ctx, kgo.TryCommit)
}
