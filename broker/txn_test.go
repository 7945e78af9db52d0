package broker_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/sqlite"
)

// protocols are the two transaction protocols as a client chooses them.
var protocols = map[string][]kgo.Opt{
	"TV1": {kgo.MaxVersions(kversion.V3_7_0())},
	"TV2": nil,
}

// transact produces values in one transaction and ends it.
func transact(t *testing.T, c *kgo.Client, topic string, end kgo.TransactionEndTry, values ...string) {
	t.Helper()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	send(t, c, topic, values...)
	if err := c.EndTransaction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, c *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// read consumes n values of a topic from its start.
func read(t *testing.T, b *brokertest.Broker, topic string, n int, opts ...kgo.Opt) []string {
	t.Helper()
	opts = append(opts, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var out []string
	for _, r := range consume(t, client(t, b, opts...), n) {
		out = append(out, string(r.Value))
	}
	return out
}

var committedOnly = kgo.FetchIsolationLevel(kgo.ReadCommitted())

func TestTransactions(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			b := brokertest.New(t)
			c := client(t, b, append(opts, kgo.TransactionalID("t"))...)
			createTopic(t, c, "topic", 1, nil)
			transact(t, c, "topic", kgo.TryCommit, "a", "b")
			transact(t, c, "topic", kgo.TryAbort, "x", "y")
			transact(t, c, "topic", kgo.TryCommit, "c")
			transact(t, c, "topic", kgo.TryAbort, "z")
			transact(t, c, "topic", kgo.TryCommit, "d")
			if got, want := read(t, b, "topic", 4, committedOnly), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
				t.Errorf("read committed: %v, want %v", got, want)
			}
			if got, want := read(t, b, "topic", 7), []string{"a", "b", "x", "y", "c", "z", "d"}; !slices.Equal(got, want) {
				t.Errorf("read uncommitted: %v, want %v", got, want)
			}
			// An open transaction holds back what lies behind it.
			if err := c.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			send(t, c, "topic", "open")
			send(t, client(t, b), "topic", "behind")
			stable, err := kadm.NewClient(c).ListCommittedOffsets(t.Context(), "topic")
			if o, _ := stable.Lookup("topic", 0); err != nil || o.Offset != 12 {
				t.Errorf("last stable offset %d, %v; want 12", o.Offset, err)
			}
			if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			if got := read(t, b, "topic", 6, committedOnly); !slices.Equal(got[4:], []string{"open", "behind"}) {
				t.Errorf("read committed: %v", got)
			}
		})
	}
}

// TestZombie: a second producer of the same transactional id fences the first,
// whose open transaction is aborted.
func TestZombie(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			b := brokertest.New(t)
			old := client(t, b, append(opts, kgo.TransactionalID("t"))...)
			createTopic(t, old, "topic", 1, nil)
			if err := old.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			send(t, old, "topic", "lost")
			transact(t, client(t, b, append(opts, kgo.TransactionalID("t"))...), "topic", kgo.TryCommit, "kept")
			err := old.ProduceSync(t.Context(), &kgo.Record{Topic: "topic", Value: []byte("late")}).FirstErr()
			if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
				t.Errorf("the zombie's produce: %v", err)
			}
			if err := old.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
				t.Error("the zombie's commit went through")
			}
			if got := read(t, b, "topic", 1, committedOnly); got[0] != "kept" {
				t.Errorf("read committed: %v", got)
			}
		})
	}
}

// TestTransactionTimeout: the broker aborts what takes too long, which lets
// read_committed consumers go on.
func TestTransactionTimeout(t *testing.T) {
	var ahead atomic.Int64
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		c.TxnCheckInterval = time.Millisecond
	}))
	c := client(t, b, kgo.TransactionalID("t"), kgo.TransactionTimeout(time.Minute))
	createTopic(t, c, "topic", 1, nil)
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	send(t, c, "topic", "late")
	send(t, client(t, b), "topic", "behind")
	ahead.Store(int64(2 * time.Minute))
	if got := read(t, b, "topic", 1, committedOnly); got[0] != "behind" {
		t.Errorf("read committed: %v", got)
	}
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a transaction that was aborted could be committed")
	}
}

// TestExactlyOnce copies a topic in a group's transactions, every other one
// aborted, and reads each record once.
func TestExactlyOnce(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			b := brokertest.New(t)
			p := client(t, b)
			createTopic(t, p, "in", 2, nil)
			createTopic(t, p, "out", 2, nil)
			const n = 60
			for i := range n {
				p.Produce(t.Context(), &kgo.Record{Topic: "in", Value: fmt.Append(nil, i)}, nil)
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, err := kgo.NewGroupTransactSession(append(opts, kgo.SeedBrokers(b.Address()), kgo.TransactionalID("copy"),
				kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"), committedOnly,
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			for copied, round := 0, 0; copied < n; round++ {
				records := s.PollRecords(ctx, 10).Records()
				if err := s.Begin(); err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					s.Produce(ctx, &kgo.Record{Topic: "out", Value: r.Value}, nil)
				}
				end := kgo.TransactionEndTry(round%2 == 0)
				committed, err := s.End(ctx, end)
				if err != nil {
					t.Fatal(err)
				}
				if committed {
					copied += len(records)
				}
			}
			seen := map[string]int{}
			for _, v := range read(t, b, "out", n, committedOnly) {
				seen[v]++
			}
			if len(seen) != n {
				t.Errorf("%d different records of %d", len(seen), n)
			}
			offsets, err := kadm.NewClient(p).FetchOffsets(t.Context(), "g")
			sum := int64(0)
			offsets.Each(func(o kadm.OffsetResponse) { sum += o.At })
			if err != nil || sum != n {
				t.Errorf("the group's offsets add up to %d, %v; want %d", sum, err, n)
			}
		})
	}
}

// TestTransactionAcrossRestart: a transaction goes on after the broker was
// restarted in the middle of it.
func TestTransactionAcrossRestart(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "tarn.db")
	open := func() storage.Engine {
		e, err := sqlite.Open(ctx, sqlite.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	b := brokertest.New(t, brokertest.WithEngine(e))
	addr := b.Address()
	c := client(t, b, kgo.TransactionalID("t"))
	createTopic(t, c, "topic", 1, nil)
	transact(t, c, "topic", kgo.TryAbort, "x")
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	send(t, c, "topic", "before")
	b.Stop()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open()
	defer e.Close()
	b = brokertest.New(t, brokertest.WithEngine(e), brokertest.WithConfig(func(c *broker.Config) {
		c.Listeners = []broker.Listener{{Addr: addr}}
	}))
	defer b.Stop()
	send(t, c, "topic", "after")
	if err := c.EndTransaction(ctx, kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, b, "topic", 2, committedOnly), []string{"before", "after"}; !slices.Equal(got, want) {
		t.Errorf("read committed: %v, want %v", got, want)
	}
}
