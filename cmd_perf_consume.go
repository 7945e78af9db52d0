package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type perfConsumeCmd struct {
	connect
	Topic      string   `arg:"" help:"Topic."`
	Num        int64    `short:"n" placeholder:"N" help:"End after that many records; without it, at the end that the log has at the start."`
	Offset     spanFlag `short:"o" default:"start" placeholder:"WHERE" help:"Where to begin, or FROM:TO, as of tarn consume."`
	Partitions []int32  `name:"partition" short:"p" placeholder:"N,…" help:"Only these partitions."`
	Committed  bool     `help:"Leave out transactions that are open or aborted (read_committed)."`
}

// Help shows examples.
func (c *perfConsumeCmd) Help() string {
	return `Records are read and not decoded. Latencies are those of the client's requests, which
the broker answers when it has enough.

  tarn perf consume bench
  tarn perf consume bench -n 1000000 --output json`
}

// fetchTimes measures Fetch requests. Safe for concurrent use.
type fetchTimes struct {
	mu   sync.Mutex
	took latencies // guarded by mu
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (f *fetchTimes) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key != fetchKey || e.Err() != nil || e.BytesRead < batchHeader {
		return // an empty answer came after a wait for more
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took.add(e.DurationE2E())
}

// Run reads and measures. Interrupted, it reports what it has.
func (c *perfConsumeCmd) Run(ctx context.Context, std stdio) error {
	var q quiet
	var times fetchTimes
	part := consumeCmd{connect: c.connect, Topic: c.Topic, Offset: c.Offset, Partitions: c.Partitions, Committed: c.Committed}
	opts := append(q.options(), kgo.WithHooks(&times), kgo.KeepControlRecords())
	if c.Committed {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	cl, err := c.kafka(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	at, ends, err := part.plan(ctx, kadm.NewClient(cl))
	if err != nil {
		return err
	}
	result := perfResult{topic: c.Topic}
	begun, last := time.Now(), time.Now()
	cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: at})
	err = eachRecord(ctx, cl, &q, false, ends, func(r *kgo.Record) (bool, error) {
		result.records++
		result.bytes += int64(len(r.Key) + len(r.Value))
		return result.records != c.Num, nil
	}, func() error {
		last = time.Now() // what comes after the last record is not counted
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", c.Topic, err)
	}
	result.took = last.Sub(begun)
	times.mu.Lock()
	defer times.mu.Unlock()
	return c.sayFields(std, append(result.fields(), times.took.fields("fetch_")...), result.text()+times.took.text("fetches"))
}
