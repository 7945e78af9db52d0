package broker_test

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/brokertest"
)

// TestClients shows who is connected, until they leave.
func TestClients(t *testing.T) {
	b := brokertest.New(t)
	if n := len(b.Clients()); n != 0 {
		t.Fatalf("%d clients before any", n)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ClientID("shop"), kgo.SoftwareNameAndVersion("checkout", "1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := b.Clients()
	if len(all) == 0 {
		t.Fatal("nobody is there")
	}
	got := all[0]
	if got.ClientID != "shop" || got.Software != "checkout" || got.SoftwareVersion != "1.2.3" || got.User != "ANONYMOUS" ||
		got.Listener != "PLAINTEXT" || !slices.Contains(got.Keys, 18) || got.Requests < 2 || got.Last.Before(got.Since) || got.Remote == "" {
		t.Errorf("got %+v", got)
	}
	c.Close()
	left := false
	for deadline := time.Now().Add(10 * time.Second); !left && time.Now().Before(deadline); {
		left = len(b.Clients()) == 0
	}
	if !left {
		t.Error("a client that left is still listed")
	}
}

// TestConnectionsPerAddress closes what one address opens beyond its limit, and
// lets it come again when another has left.
func TestConnectionsPerAddress(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.MaxConnectionsPerIP = 2 }))
	open := func() net.Conn {
		nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	// closed waits for the end of a connection, or a little.
	closed := func(nc net.Conn, patience time.Duration) bool {
		if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := nc.Read(make([]byte, 1))
		return err != nil && !os.IsTimeout(err)
	}
	a, c := open(), open()
	if closed(a, 50*time.Millisecond) || closed(c, 50*time.Millisecond) {
		t.Fatal("within the limit, and yet closed")
	}
	if !closed(open(), 10*time.Second) {
		t.Error("the third is not closed")
	}
	a.Close()
	again := false
	for deadline := time.Now().Add(10 * time.Second); !again && time.Now().Before(deadline); {
		again = !closed(open(), 50*time.Millisecond)
	}
	if !again {
		t.Error("no place after one has left")
	}
}

// TestConnectionsOfSomeAddress holds an address to a limit of its own.
func TestConnectionsOfSomeAddress(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.MaxConnectionsPerIP = 5
		c.IPConnections = map[string]int{"127.0.0.1": 1}
	}))
	c := socket(t, b)
	sendTo(t, c, frame(1, kmsg.NewPtrApiVersionsRequest()))
	receiveFrom(t, c)
	mustClose(t, "second of one", socket(t, b))
}

// TestConnectionLimit holds for all listeners together. Who comes beyond it waits
// until somebody leaves.
func TestConnectionLimit(t *testing.T) {
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.MaxConnections = 2
		c.Listeners = append(c.Listeners, broker.Listener{Name: "second", Addr: "127.0.0.1:0"})
	}))
	hello := frame(1, kmsg.NewPtrApiVersionsRequest())
	open := []net.Conn{socket(t, b), socket(t, b)}
	for _, c := range open {
		sendTo(t, c, hello)
		receiveFrom(t, c)
	}
	third := socket(t, b)
	sendTo(t, third, hello)
	if n := len(b.Clients()); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	open[0].Close()
	if id, _ := receiveFrom(t, third); id != 1 {
		t.Errorf("correlation id %d", id)
	}
}
