package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
)

// maxConnections bounds the goroutines and buffers of all listeners together;
// Kafka has no limit, a small machine needs one.
const maxConnections = 20_000

// listener is a bound Listener and what it advertises.
type listener struct {
	net.Listener
	name string
	host string
	port int32
	tls  *auth.TLS  // nil: plain
	sasl *auth.SASL // nil: nobody is asked
}

// listen binds l and works out its advertised address.
func (b *Broker) listen(ctx context.Context, l Listener) (*listener, error) {
	sasl, err := b.saslOf(l)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("kafka address %s is taken by another process: stop it, or choose another with --kafka.listen (port 0 takes a free one): %w", l.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for Kafka on %s (--kafka.listen): %w", l.Addr, err)
	}
	bound := ln.Addr().(*net.TCPAddr)
	out := &listener{Listener: ln, name: l.Name, port: int32(bound.Port), tls: l.TLS, sasl: sasl}
	advertise := l.Advertise
	if advertise == "" {
		advertise = l.Addr
	}
	host, port, err := net.SplitHostPort(advertise)
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("advertised address %q (--kafka.advertise) is not host:port: %w", advertise, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("advertised address %q (--kafka.advertise) has no valid port", advertise)
	}
	if n != 0 {
		out.port = int32(n)
	}
	if out.host = host; host == "" || net.ParseIP(host).IsUnspecified() {
		// Clients cannot connect to "any address". A literal of loopback is
		// right for the one machine; others need --kafka.advertise.
		out.host = "127.0.0.1"
	}
	return out, nil
}

// serve accepts connections until ctx ends and waits for all of them.
func (b *Broker) serve(ctx context.Context, ln *listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	var warned time.Time // one line a second at most: whoever comes in vain comes often
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
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		select {
		case b.slots <- struct{}{}:
		default:
			if time.Since(warned) > time.Second {
				warned = time.Now()
				b.lg.Warn("too many connections, one refused", "limit", cap(b.slots), "remote", nc.RemoteAddr())
			}
			nc.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-b.slots }()
			if wait := b.quotas.Connect(ipOf(nc.RemoteAddr())); wait > 0 {
				b.hold(ctx, nc, wait)
				return
			}
			b.newConnection(ln, nc).run(ctx)
		})
	}
}

// maxHold bounds how long a connection that came too soon is kept, as in Kafka:
// it takes a place meanwhile.
const maxHold = time.Second

// hold keeps a connection that its address's quota does not allow yet, unread,
// and closes it: a client that is refused at once comes again at once (KIP-612).
func (b *Broker) hold(ctx context.Context, nc net.Conn, wait time.Duration) {
	defer nc.Close()
	b.lg.Debug("connection refused, its address makes too many", "remote", nc.RemoteAddr())
	t := time.NewTimer(min(wait, maxHold))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
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
