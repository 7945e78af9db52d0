package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of connections.
const (
	// maxConnections bounds the goroutines and buffers of all listeners
	// together; Kafka has no limit, a small machine needs one.
	maxConnections = 10_000
	// maxPipelined bounds the requests of one connection that wait for their
	// answer. Clients keep 5 to 100 in flight; beyond it the reader pauses.
	maxPipelined = 128
	// maxIdle is Kafka's connections.max.idle.ms.
	maxIdle = 10 * time.Minute
	// writeTimeout ends a connection whose client no longer reads.
	writeTimeout = 2 * time.Minute
	// readBuffer holds a few small requests; large frames bypass it.
	readBuffer = 16 << 10
)

// listener is a bound Listener and what it advertises.
type listener struct {
	net.Listener
	name string
	host string
	port int32
}

// listen binds l and works out its advertised address.
func listen(ctx context.Context, l Listener) (*listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("kafka address %s is taken by another process: stop it, or choose another with --kafka.listen (port 0 takes a free one): %w", l.Addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for Kafka on %s (--kafka.listen): %w", l.Addr, err)
	}
	bound := ln.Addr().(*net.TCPAddr)
	out := &listener{Listener: ln, name: l.Name, port: int32(bound.Port)}
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
	slots := make(chan struct{}, maxConnections)
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if nc != nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			b.lg.Error("out of file descriptors, connections wait", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		case err != nil:
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		select {
		case slots <- struct{}{}:
		default:
			b.lg.Warn("too many connections, one refused", "limit", maxConnections, "remote", nc.RemoteAddr())
			nc.Close()
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			b.connection(ctx, ln, nc)
		}()
	}
}

// answer is a request whose reply the writer owes.
type answer struct {
	correlationID int32
	reply         api.Reply
}

// connection runs one connection: this goroutine reads and sets requests off in
// the order of arrival, a second one answers in the same order.
func (b *Broker) connection(ctx context.Context, ln *listener, nc net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Closing the socket is what ends a blocked read or write.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()

	conn := &api.Conn{Listener: ln.name, Host: ln.host, Port: ln.port, Remote: nc.RemoteAddr().String()}
	lg := b.lg.With("remote", conn.Remote)
	answers := make(chan answer, maxPipelined)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		if err := write(ctx, nc, answers); err != nil && !disconnected(err) {
			lg.Warn("connection closed", "reason", err)
		}
	}()
	err := b.read(ctx, nc, conn, answers)
	close(answers)
	if errors.Is(err, io.EOF) {
		// The client has said all it will; a parked fetch need not wait on.
		cancel()
	} else {
		level := slog.LevelWarn
		if disconnected(err) {
			level = slog.LevelDebug
		}
		lg.Log(ctx, level, "connection closed", "reason", err, "software", conn.Software)
		cancel()
	}
	<-done
}

// disconnected reports whether err is only the other side going away.
func disconnected(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF)
}

// read handles frames until the connection ends or a request breaks the
// protocol.
func (b *Broker) read(ctx context.Context, nc net.Conn, conn *api.Conn, answers chan<- answer) error {
	r := bufio.NewReaderSize(nc, readBuffer)
	for {
		if err := nc.SetReadDeadline(time.Now().Add(maxIdle)); err != nil {
			return err
		}
		frame, err := wire.ReadFrame(r, wire.FrameLimit)
		if err != nil {
			return err
		}
		a, err := b.dispatch(ctx, conn, frame)
		if err != nil {
			return err
		}
		select {
		case answers <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dispatch decodes one frame and sets its request off.
func (b *Broker) dispatch(ctx context.Context, conn *api.Conn, frame []byte) (answer, error) {
	req, err := wire.ParseRequest(frame)
	if err != nil {
		return answer{}, err
	}
	a := answer{correlationID: req.CorrelationID}
	body, err := wire.Decode(req)
	if errors.Is(err, wire.ErrVersion) && req.Key == wire.KeyApiVersions {
		// KIP-511: the answer is in version 0, which every client can read.
		a.reply = func(context.Context) (kmsg.Response, error) { return wire.UnsupportedApiVersions(), nil }
		return a, nil
	}
	if err != nil {
		return answer{}, err
	}
	a.reply, err = b.handlers.Handle(ctx, &api.Request{Conn: conn, ClientID: req.ClientID, Body: body})
	return a, err
}

// write calls replies in order and sends what they answer.
func write(ctx context.Context, nc net.Conn, answers <-chan answer) error {
	buf := wire.GetBuffer()
	defer func() { buf.Release() }()
	for a := range answers {
		resp, err := a.reply(ctx)
		if err != nil {
			return err
		}
		if resp == nil {
			continue
		}
		buf.B = wire.AppendResponse(buf.B[:0], a.correlationID, resp)
		if err := nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := nc.Write(buf.B); err != nil {
			return err
		}
	}
	return nil
}
