package broker

import (
	"context"
	"net"

	"github.com/tarn-io/tarn/broker/auth"
)

// within is the name of the listener that connections from within the process seem to
// have come in by.
const within = "WITHIN"

// Connect is a connection to the broker from within its process, in the name of
// somebody who has been identified already: requests are judged, counted and throttled
// as those of a client that signed in. remote is the address that rules and logs see.
// The connection counts against no limit and is in no list of clients: the caller
// bounds how many there are. It ends with ctx, and when it is closed. Clients are told
// the first listener's address. The other end is served by a goroutine of its own.
func (b *Broker) Connect(ctx context.Context, who auth.Principal, remote string) net.Conn {
	near, far := net.Pipe()
	ln := &listener{name: within}
	ln.advertised.Store(b.listeners[0].advertised.Load())
	c := b.newConnection(ln, addressed{far, remoteAddr(remote)})
	c.client.Auth = auth.Known(who)
	go c.run(ctx)
	return near
}

// addressed is a connection from an address of our saying.
type addressed struct {
	net.Conn
	remote remoteAddr
}

// RemoteAddr is where the one came from on whose behalf it is.
func (a addressed) RemoteAddr() net.Addr { return a.remote }

// remoteAddr is host:port.
type remoteAddr string

// Network is that of the address.
func (a remoteAddr) Network() string { return "tcp" }

// String is host:port.
func (a remoteAddr) String() string { return string(a) }
