package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// from is a connection of a client elsewhere.
type from struct {
	net.Conn
	remote string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.remote), 40000))
}

func (f from) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("172.18.0.2:9092"))
}

// TestLostClients tells of clients that were told an address that cannot be right for
// them, and of no others.
func TestLostClients(t *testing.T) {
	first := []kmsg.Request{kmsg.NewPtrApiVersionsRequest(), kmsg.NewPtrMetadataRequest(), kmsg.NewPtrFindCoordinatorRequest()}
	atWork := append(first[:2:2], kmsg.NewPtrListOffsetsRequest())
	away := "do=\"if it hangs, have it told an address that it can reach, such as tarn listener advertise PLAINTEXT://172.18.0.2:9092\""
	cases := []struct {
		name, told, remote string
		ask                []kmsg.Request
		other              []kmsg.Request // of another connection of the same address, which is gone
		stays              time.Duration
		want               string // in the log; "": nothing
	}{
		{"told localhost", "localhost:9092", "172.18.0.5", first, nil, time.Hour, "localhost is the client's own machine"},
		{"what to do", "localhost:9092", "172.18.0.5", first, nil, time.Hour, away},
		{"told a loopback address", "127.0.0.1:9092", "172.18.0.5", first, nil, time.Hour, "127.0.0.1 is the client's own machine"},
		{"told a name that nobody knows", "kafka:9092", "127.0.0.1", first, nil, time.Hour, "its name is not known here"},
		{"on this machine", "localhost:9092", "127.0.0.1", first, nil, time.Hour, ""},
		{"told another machine's address, which may be a proxy's", "192.0.2.7:9092", "172.18.0.5", first, nil, time.Hour, ""},
		{"told a name of another machine", "proxy:9092", "172.18.0.5", first, nil, time.Hour, ""},
		{"only lists what there is", "localhost:9092", "172.18.0.5", first, nil, 5 * time.Second, ""},
		{"does not ask where the broker is", "localhost:9092", "172.18.0.5", first[:1], nil, time.Hour, ""},
		{"came there", "localhost:9092", "172.18.0.5", atWork, nil, time.Hour, ""},
		{"came there by another connection", "localhost:9092", "172.18.0.5", first, atWork, time.Hour, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				b, err := Open(t.Context(), Config{
					Engine: memory.New(), Log: slog.New(slog.NewTextHandler(&out, nil)),
					Listeners: []Listener{{Addr: "127.0.0.1:0", Advertise: c.told}},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer b.close()
				b.lost.lookup = lookupOfTests
				ctx, cancel := context.WithCancel(t.Context())
				for _, asked := range [][]kmsg.Request{c.other, c.ask, c.ask} { // the second of those is not told of again
					client, server := net.Pipe()
					defer client.Close()
					go b.admit(ctx, b.listeners[0], from{server, c.remote})
					for _, r := range asked {
						ask(t, client, kmsg.NewRequestFormatter().AppendRequest(nil, r, 1))
					}
					if len(c.other) > 0 && &asked[0] == &c.other[0] {
						client.Close()
					} else {
						time.AfterFunc(c.stays, func() { client.Close() })
					}
				}
				go func() { _ = b.watchLost(ctx) }()
				<-time.After(2 * time.Minute)
				synctest.Wait()
				cancel()
				synctest.Wait()
				got := out.String()
				if n := strings.Count(got, "did not come there"); (c.want != "") != (n == 1) || !strings.Contains(got, c.want) {
					t.Errorf("told %d times: %s", n, got)
				}
			})
		})
	}
}

// lookupOfTests knows two names.
func lookupOfTests(_ context.Context, host string) ([]netip.Addr, error) {
	switch host {
	case "localhost":
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, nil
	case "proxy":
		return []netip.Addr{netip.MustParseAddr("192.0.2.7")}, nil
	}
	return nil, errors.New("no such host")
}

// TestLostClientsAreBounded remembers so many, and then tells of none.
func TestLostClientsAreBounded(t *testing.T) {
	var l lost
	for i := range maxLost + 10 {
		l.remember(way{ip: fmt.Sprint(i)})
	}
	if len(l.known) != maxLost || l.news(way{ip: "another"}) {
		t.Errorf("%d are known", len(l.known))
	}
}
