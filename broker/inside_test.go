package broker_test

import (
	"context"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestConnect speaks Kafka within the process, and ends with the context.
func TestConnect(t *testing.T) {
	b := brokertest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		return b.Connect(ctx, auth.User("alice"), "192.0.2.7:99"), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: make([]byte, 900_000)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if all, err := adm.ListTopics(ctx); err != nil || len(all["t"].Partitions) != 2 {
		t.Errorf("topics: %v %v", all, err)
	}
	if n := len(b.Clients()); n != 0 {
		t.Errorf("%d clients are listed", n)
	}
	cancel()
	nc := b.Connect(ctx, auth.User("alice"), "192.0.2.7:99")
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open after its context has ended")
	}
}
