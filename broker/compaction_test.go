package broker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/storage"
)

// TestCompaction produces updates and deletions of a few keys, some in
// transactions that are aborted, while the topic is compacted all the time; a
// reader that begins at the start finds the last values in the end, and few
// records beside them.
func TestCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tarn.db")
	e := openSQLite(t, path)
	defer func() { e.Close() }()
	often := brokertest.WithConfig(func(c *broker.Config) { c.CompactionCheck = time.Millisecond })
	b := brokertest.New(t, brokertest.WithEngine(e), often)
	c := client(t, b, kgo.TransactionalID("writer"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	compact, zero := "compact", "0"
	createTopic(t, c, "table", 2, map[string]*string{
		"cleanup.policy": &compact, "min.cleanable.dirty.ratio": &zero, "delete.retention.ms": &zero,
	})
	stopWatch := watchCommitted(t, b, "table")
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	records := 0
	for round := range 60 {
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		keep := kgo.TransactionEndTry(rng.IntN(4) > 0)
		for i := range 20 {
			k := rng.IntN(30)
			r := &kgo.Record{Topic: "table", Partition: int32(k % 2), Key: fmt.Append(nil, "k", k), Value: fmt.Append(nil, round, "/", i)}
			if rng.IntN(4) == 0 {
				r.Value = nil
			}
			if !keep {
				r.Value = []byte("aborted")
			}
			if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if keep {
				records++
				want[string(r.Key)] = string(r.Value)
			}
		}
		if err := c.EndTransaction(t.Context(), keep); err != nil {
			t.Fatal(err)
		}
	}
	stopWatch()
	last := &kgo.Record{Topic: "table", Partition: 0, Key: []byte("last"), Value: []byte("0")}
	plain := client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for p := range int32(2) {
		last.Partition, last.Key = p, fmt.Append(nil, "last", p)
		if err := plain.ProduceSync(t.Context(), last).FirstErr(); err != nil {
			t.Fatal(err)
		}
		want[string(last.Key)] = "0"
		awaitCompacted(t, b, e, storage.TP{Topic: b.Topics().View().ByName("table").ID, Partition: p})
	}
	check := func(b *brokertest.Broker) {
		got, n := readTable(t, b, "table", 2)
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: got %q, want %q", k, got[k], v)
			}
		}
		if len(got) > len(want) || n > 150 {
			t.Errorf("read %d keys in %d records of %d, want %d keys", len(got), n, records, len(want))
		}
	}
	check(b)
	b.Stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openSQLite(t, path)
	b = brokertest.New(t, brokertest.WithEngine(e), often)
	check(b)
	b.Stop()
}

// watchCommitted reads a topic from its start again and again, until it is told to
// stop. What was aborted must never be seen, whatever compaction does meanwhile.
func watchCommitted(t *testing.T, b *brokertest.Broker, topic string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ConsumeTopics(topic),
				kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxPartitionBytes(2000), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err != nil {
				t.Error(err)
				break
			}
			for range 10 {
				c.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
					if n++; string(r.Value) == "aborted" {
						t.Errorf("record at %d of partition %d was aborted", r.Offset, r.Partition)
					}
				})
			}
			c.Close()
		}
		ended <- n
	}()
	return func() {
		cancel()
		t.Logf("%d records read meanwhile", <-ended)
	}
}

// awaitCompacted waits until a log is compacted up to its end.
func awaitCompacted(t *testing.T, b *brokertest.Broker, e storage.Engine, tp storage.TP) {
	t.Helper()
	log, err := b.Logs().Log(t.Context(), tp)
	if err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		it, err := e.Get(t.Context(), commitlog.CompactionKey(tp))
		if err != nil {
			t.Fatal(err)
		}
		var to int64
		_, err = fmt.Sscanf(string(it.Value), `{"to":%d`, &to)
		return err == nil && to == log.End()
	})
}

// await asks again and again until ok, for something that has no event.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not come about")
		}
	}
}

// readTable reads a topic from its start to its end, committed records only, and
// returns the last value of each key, "" for a tombstone, and how many records
// there were.
func readTable(t *testing.T, b *brokertest.Broker, topic string, partitions int) (map[string]string, int) {
	t.Helper()
	c := client(t, b, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got, n := map[string]string{}, 0
	for left := partitions; left > 0; {
		fetches := c.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n++
			got[string(r.Key)] = string(r.Value)
			if len(r.Key) > 4 && string(r.Key[:4]) == "last" {
				left--
			}
		})
	}
	return got, n
}

// TestCompactionHolds leaves records alone that somebody needs, and those of
// topics that are not compacted.
func TestCompactionHolds(t *testing.T) {
	var held atomic.Int64
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.CompactionCheck = time.Millisecond
		c.Hold = func(storage.TP) int64 { return held.Load() }
	}))
	c := client(t, b)
	policy, zero := "compact,delete", "0"
	createTopic(t, c, "both", 1, map[string]*string{"cleanup.policy": &policy, "min.cleanable.dirty.ratio": &zero})
	createTopic(t, c, "plain", 1, nil)
	produce := func() {
		for _, topic := range []string{"both", "plain"} {
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 10 {
		produce()
	}
	held.Store(4)
	first := func(topic string) int64 {
		adm := kadm.NewClient(c)
		o, err := adm.ListOffsetsAfterMilli(t.Context(), 1, topic)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := o.Lookup(topic, 0)
		return at.Offset
	}
	await(t, func() bool { return first("both") == 3 })
	held.Store(1 << 40)
	await(t, func() bool { return first("both") == 9 })
	if got := first("plain"); got != 0 {
		t.Errorf("a topic that is not compacted begins at %d", got)
	}
}
