package brokertest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/wire"
)

func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", v, err)
		}
	}
}

func values(all []*kgo.Record) string {
	var out []string
	for _, r := range all {
		out = append(out, string(r.Value))
	}
	return strings.Join(out, " ")
}

// TestPlain produces and reads, also a transaction that is aborted.
func TestPlain(t *testing.T) {
	b := brokertest.New(t)
	b.Topic(t, "a", 1, "retention.ms=-1")
	if got := b.Records(t, "a"); len(got) != 0 {
		t.Errorf("an empty topic holds %q", values(got))
	}
	produce(t, b.Client(t), "a", "1", "2")
	tx := b.Client(t, kgo.TransactionalID("tx"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, tx, "a", map[bool]string{true: "kept", false: "gone"}[bool(end)])
		if err := tx.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	if got := values(b.Records(t, "a")); got != "1 2 kept" {
		t.Errorf("the topic holds %q", got)
	}
}

// TestSecure signs in over TLS; who does not, or wrongly, is refused.
func TestSecure(t *testing.T) {
	b := brokertest.New(t, brokertest.WithTLS(), brokertest.WithAuth("alice", "pw"), brokertest.WithAuth("bob", "pw2"))
	produce(t, b.Client(t), "a", "1")
	if got := values(b.Records(t, "a")); got != "1" {
		t.Errorf("the topic holds %q", got)
	}
	for user, good := range map[[2]string]bool{{"bob", "pw2"}: true, {"bob", "pw"}: false} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(b.Brokers()...), kgo.DialTLSConfig(b.TLS()),
			kgo.SASL(scram.Auth{User: user[0], Pass: user[1]}.AsSha256Mechanism()), kgo.RequestRetries(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.Ping(t.Context()); err == nil != good {
			t.Errorf("%v: %v", user, err)
		}
		cl.Close()
	}
}

// TestFaults lets a request fail, and all go well again.
func TestFaults(t *testing.T) {
	hits := make(chan broker.Asked, 10)
	b := brokertest.New(t, brokertest.WithFault(func(a broker.Asked) broker.Fault {
		if a.Key != wire.KeyProduce {
			return broker.Fault{}
		}
		hits <- a
		return broker.Fault{Code: wire.MessageTooLarge}
	}))
	cl := b.Client(t, kgo.ClientID("me"))
	b.Topic(t, "a", 1)
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a record was taken that should be too large")
	}
	if a := <-hits; a.ClientID != "me" || len(a.Topics) != 1 || a.Topics[0] != "a" {
		t.Errorf("asked %+v", a)
	}
	b.SetFault(nil)
	produce(t, cl, "a", "1")
	if got := values(b.Records(t, "a")); got != "1" {
		t.Errorf("the topic holds %q", got)
	}
}

// TestClock gives records the time of another clock.
func TestClock(t *testing.T) {
	at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	b := brokertest.New(t, brokertest.WithClock(func() time.Time { return at }))
	b.Topic(t, "a", 1, "message.timestamp.type=LogAppendTime")
	produce(t, b.Client(t), "a", "1")
	if got := b.Records(t, "a"); len(got) != 1 || !got[0].Timestamp.Equal(at) {
		t.Errorf("got %+v", got)
	}
}

// BenchmarkNew is what a test pays for a broker, from nothing to one that is gone
// again.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		brokertest.New(b).Stop()
	}
}
