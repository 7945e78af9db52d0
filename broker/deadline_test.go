package broker

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestDeadlines looks at connections that do nothing, too little, or do not
// read, by the clock of a bubble.
func TestDeadlines(t *testing.T) {
	hello := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)
	cases := []struct {
		name  string
		owed  bool // an answer is owed for the first 25 minutes
		act   func(t *testing.T, c net.Conn)
		after time.Duration // when the connection ends
	}{
		{"silent", false, func(*testing.T, net.Conn) {}, maxIdle},
		{"silent since its last request", false, func(t *testing.T, c net.Conn) {
			<-time.After(5 * time.Minute)
			ask(t, c, hello)
		}, 5*time.Minute + maxIdle},
		{"waiting for an answer", true, func(*testing.T, net.Conn) {}, 3 * maxIdle},
		{"a frame that does not come", false, func(t *testing.T, c net.Conn) {
			if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, 5<<20), 0, 0, 0, 3)); err != nil {
				t.Error(err)
			}
		}, frameGrace + 5*time.Second},
		{"answers that are not read", false, func(t *testing.T, c net.Conn) {
			if _, err := c.Write(hello); err != nil {
				t.Error(err)
			}
		}, writeTimeout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := Open(t.Context(), Config{Engine: memory.New(), Listeners: []Listener{{Addr: "127.0.0.1:0"}}})
				if err != nil {
					t.Fatal(err)
				}
				defer b.close()
				server, client := net.Pipe()
				defer client.Close()
				conn := b.newConnection(b.listeners[0], pipe{server})
				if c.owed {
					conn.waiting.Add(1)
					time.AfterFunc(25*time.Minute, func() { conn.waiting.Add(-1) })
				}
				begun := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					conn.run(t.Context())
					ended <- time.Since(begun)
				}()
				c.act(t, client)
				if got := <-ended; got != c.after {
					t.Errorf("ended after %v, want %v", got, c.after)
				}
			})
		})
	}
}

// pipe is an end of a net.Pipe with an address.
type pipe struct{ net.Conn }

func (pipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// ask sends a request and reads its answer.
func ask(t *testing.T, c net.Conn, frame []byte) {
	if _, err := c.Write(frame); err != nil {
		t.Error(err)
		return
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
		t.Error(err)
	}
}
