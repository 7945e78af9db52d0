package main

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

const (
	// scaleRecords is how many records one producer spreads over all
	// partitions of a run.
	scaleRecords = 50_000
	// idleConnections is how many clients sit there and say nothing.
	idleConnections = 10_000
	// topicPartitions is the most partitions put into one topic.
	topicPartitions = 1000
)

// scale measures what many partitions and many connections cost: throughput
// into them, memory, and the next start.
func (b *bench) scale() error {
	for _, n := range []int{1, 1000, 10_000} {
		if err := b.partitions(n); err != nil {
			return fmt.Errorf("%d partitions: %w", n, err)
		}
	}
	return b.connections(idleConnections)
}

// partitions measures a broker with n of them. The topic written to holds at
// most a thousand; the others stand beside it.
func (b *bench) partitions(n int) error {
	name := fmt.Sprintf("%d partitions: ", n)
	s, err := b.serve("scale")
	if err != nil {
		return err
	}
	begun := time.Now()
	for made := 0; made < n; made += topicPartitions {
		if err := s.topic(fmt.Sprintf("wide-%d", made/topicPartitions), int32(min(n, topicPartitions)), nil); err != nil {
			return err
		}
	}
	b.table.add(name+"made in", "ms", float64(time.Since(begun))/1e6, 0, "")
	value := noise(recordBytes)
	err = b.each(func(int) error {
		count := b.amount(scaleRecords)
		took, err := s.send("wide-0", 1, count, value)
		if err == nil {
			b.table.add(name+"produce", "MB/s", mbs(count*len(value), took), 0, "")
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	err = b.each(func(int) error {
		s, err := b.serve("scale")
		if err != nil {
			return err
		}
		b.table.add(name+"start to ready", "ms", float64(time.Since(s.Began))/1e6, 0, "")
		if err := b.idle(name+"memory idle", s); err != nil {
			return err
		}
		return s.stop()
	})
	if err != nil {
		return err
	}
	if s, err = b.serve("scale"); err != nil {
		return err
	}
	return s.end()
}

// connections measures the memory of a broker to which n clients are connected
// that say nothing.
func (b *bench) connections(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	// The broker's own limit is this process's, which it inherits.
	if limit.Cur < uint64(n)+1000 {
		limit.Cur = min(limit.Max, uint64(n)+1000)
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
	}
	s, err := b.serve("scale")
	if err != nil {
		return err
	}
	open := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range n {
		c, err := net.Dial("tcp", s.ready.Kafka)
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(open)+1, err)
		}
		open = append(open, c)
	}
	// One that speaks, behind them: all before it have been accepted.
	if err := s.speak(); err != nil {
		return fmt.Errorf("a client beside %d idle ones: %w", n, err)
	}
	if err := b.idle(fmt.Sprintf("memory, %d idle connections", n), s); err != nil {
		return err
	}
	return s.end()
}

// speak asks for the broker's topics as a new client.
func (s *server) speak() error {
	ctx, cancel := context.WithTimeout(s.bench.ctx, patience)
	defer cancel()
	cl, err := s.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).ListTopics(ctx)
	return err
}
