package broker_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestTimes holds a broker to times that differ from the defaults, and one to
// the defaults.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name             string
		times            broker.Times
		txn, session, at int16 // codes of a transaction of an hour, a session of 2 s, a producer after two hours
	}{
		{"Kafka's", broker.Times{}, 50, 26, 45},
		{"others", broker.Times{ProducerExpiry: time.Hour, TxnMaxTimeout: time.Hour, MinSession: time.Second}, 0, 79, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var nowMs atomic.Int64
			nowMs.Store(time.Now().UnixMilli())
			e := memory.New()
			start := func() *brokertest.Broker {
				return brokertest.New(t, brokertest.WithEngine(e), brokertest.WithConfig(func(cfg *broker.Config) {
					cfg.Times = c.times
					cfg.Now = func() time.Time { return time.UnixMilli(nowMs.Load()) }
				}))
			}
			b := start()
			cl := client(t, b)
			createTopic(t, cl, "t", 1, nil)
			if got := initTxn(t, cl, time.Hour); got != c.txn {
				t.Errorf("a transaction of an hour: code %d, want %d", got, c.txn)
			}
			join := kmsg.NewPtrJoinGroupRequest()
			join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 2000, 2000
			join.Protocols = append(join.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range"})
			// A member that may join is told its id first.
			if resp, err := join.RequestWith(t.Context(), cl); err != nil || resp.ErrorCode != c.session {
				t.Errorf("a session of 2 s: %v, %+v, want %d", err, resp, c.session)
			}
			topic := b.Topics().View().ByName("t")
			if p := produceRaw(t, b, topic, idempotentBatch(t, 0)); p.ErrorCode != 0 {
				t.Fatalf("first batch: %+v", p)
			}
			nowMs.Add((2 * time.Hour).Milliseconds())
			cl.Close()
			b.Stop()
			if p := produceRaw(t, start(), topic, idempotentBatch(t, 9)); p.ErrorCode != c.at {
				t.Errorf("a batch far ahead, after two hours: code %d, want %d", p.ErrorCode, c.at)
			}
		})
	}
}

// initTxn begins a transactional producer with a timeout and returns the code.
func initTxn(t *testing.T, cl *kgo.Client, timeout time.Duration) int16 {
	t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	id := "long"
	req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(timeout.Milliseconds())
	resp, err := req.RequestWith(t.Context(), cl)
	if err != nil {
		t.Fatal(err)
	}
	return resp.ErrorCode
}
