package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/quota"
)

// listener is a bound Listener and what it advertises.
type listener struct {
	net.Listener
	name       string
	configured address                 // what clients are told unless it was set at run time
	advertised atomic.Pointer[address] // what they are told
	tls        *auth.TLS               // nil: plain
	sasl       *auth.SASL              // nil: nobody is asked
	limits     Listener                // as configured
	entrance   entrance
}

// address is what a client that came in by the listener is told.
func (ln *listener) address() (host string, port int32) {
	a := ln.advertised.Load()
	return a.host, a.port
}

// listen binds l and works out its advertised address.
func (b *Broker) listen(ctx context.Context, l Listener) (*listener, error) {
	sasl, err := b.saslOf(l)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln := l.Socket
	if ln == nil {
		ln, err = lc.Listen(ctx, "tcp", l.Addr)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("kafka address %s is taken by another process: stop it, or choose another with --kafka.listen (port 0 takes a free one): %w", l.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for Kafka on %s (--kafka.listen): %w", l.Addr, err)
	}
	port := int32(ln.Addr().(*net.TCPAddr).Port)
	advertise := l.Advertise
	if advertise == "" {
		advertise = l.Addr
	}
	out := &listener{
		Listener: ln, name: b.nameOf(l), tls: l.TLS, sasl: sasl,
		limits: l, entrance: entrance{max: l.MaxConnections, pace: quota.NewPace(l.ConnectionRate)},
	}
	if out.configured, err = parseAddress(advertise, port); err != nil {
		ln.Close()
		return nil, fmt.Errorf("%w (--kafka.advertise)", err)
	}
	out.advertised.Store(&out.configured)
	return out, nil
}

// nameOf is the name of a listener: its own, or its protocol, with a number
// behind it if another one has it already.
func (b *Broker) nameOf(l Listener) string {
	name := l.Name
	if name == "" {
		name = "PLAINTEXT"
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(b.listeners, func(ln *listener) bool { return strings.EqualFold(ln.name, name) })
	}
	for n := 2; taken(name); n++ {
		name = fmt.Sprintf("%s_%d", strings.TrimSuffix(name, fmt.Sprintf("_%d", n-1)), n)
	}
	return name
}

// serve accepts connections until ctx ends and waits for all of them.
func (b *Broker) serve(ctx context.Context, ln *listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if nc != nil {
				nc.Close()
			}
			return nil
		case exhausted(err):
			b.lg.Error("the system is out of files or memory for connections, they wait", "error", err)
			_ = sleep(ctx, time.Second) // the next round sees the context's end
			continue
		case err != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		long := time.AfterFunc(longWait, func() {
			b.crowded("connections wait: there are too many, or they come too fast", ln.name, nc.RemoteAddr())
		})
		err = b.door.enter(ctx, &ln.entrance)
		long.Stop()
		if err != nil {
			nc.Close()
			return nil
		}
		wg.Go(func() {
			defer b.door.leave(&ln.entrance)
			b.admit(ctx, ln, nc)
		})
	}
}

// admit serves a connection unless its address has too many or makes too many.
func (b *Broker) admit(ctx context.Context, ln *listener, nc net.Conn) {
	if wait := b.quotas.Connect(ipOf(nc.RemoteAddr())); wait > 0 {
		b.door.uncount(&ln.entrance)
		b.hold(ctx, nc, wait)
		return
	}
	p := b.peers.enter(ln, nc)
	if p == nil {
		b.crowded("too many connections from one address, one refused", ln.name, nc.RemoteAddr())
		nc.Close()
		return
	}
	defer b.peers.leave(p)
	defer b.left(p)
	c := b.newConnection(ln, nc)
	c.peer = p
	c.run(ctx)
}

// longWait is how long a connection has to wait for its place before the log says
// so: a rate that is held at its limit makes every one wait a little.
const longWait = 100 * time.Millisecond

// crowded says that there are too many connections. One line a second is logged
// at most: whoever comes in vain comes often.
func (b *Broker) crowded(what, listener string, remote net.Addr) {
	now := time.Now().UnixMilli()
	if last := b.warnedMs.Load(); now-last >= 1000 && b.warnedMs.CompareAndSwap(last, now) {
		b.lg.Warn(what, "listener", listener, "remote", remote)
	}
}

// hold keeps a connection that its address's quota does not allow yet, unread,
// and closes it: a client that is refused at once comes again at once (KIP-612).
// It takes a place meanwhile.
func (b *Broker) hold(ctx context.Context, nc net.Conn, wait time.Duration) {
	defer nc.Close()
	b.lg.Debug("connection refused, its address makes too many", "remote", nc.RemoteAddr())
	_ = sleep(ctx, min(wait, maxHold)) // closed either way
}

// ipOf is the IP address of a peer in its usual form, "" if it has none.
func ipOf(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap().WithZone("").String()
	}
	return ""
}

// exhausted reports whether err is a lack that may pass.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}
