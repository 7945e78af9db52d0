package broker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/semaphore"

	"github.com/tarn-io/tarn/broker/api"
	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of connections.
const (
	// maxPipelined bounds the requests of one connection that wait for their
	// answer. Clients keep 5 to 100 in flight; beyond it the reader pauses.
	maxPipelined = 128
	// maxIdle is Kafka's connections.max.idle.ms. A connection whose request
	// waits for its answer is not idle.
	maxIdle = 10 * time.Minute
	// readBuffer holds a few small requests; large frames bypass it.
	readBuffer = 16 << 10

	// largeFrame is the size above which a request's frame counts against the
	// budgets below. Smaller ones are bounded by the number of connections.
	largeFrame = 64 << 10
	// maxRequestBytes bounds the large frames of all connections from before
	// they are read until they are answered: two of the largest, and small
	// beside the memory of any machine that gets such requests.
	maxRequestBytes = 256 << 20
	// maxConnectionBytes bounds those of one connection, so that one client
	// cannot take all of it. A larger frame is let in alone.
	maxConnectionBytes = 64 << 20
	// maxStrangerBytes bounds those of connections that have not said who they
	// are: they hold up each other, and nobody else.
	maxStrangerBytes = 32 << 20
	// fewElements is up to how many elements of arrays a request has for free. An
	// element takes up to 300 bytes once it is decoded, of frames where it takes a
	// few, and as much in the answer: maxWaitingElements bounds those of all
	// connections from before they are decoded until they are answered, to as many
	// as eight requests may have, and maxConnectionElements those of one.
	fewElements           = 256
	maxWaitingElements    = 8 * wire.MaxElements
	maxConnectionElements = 2 * wire.MaxElements
	// frameGrace and frameRate say how long a frame that has begun may take:
	// so long, and a second for each so many bytes. It holds its share of the
	// budget meanwhile.
	frameGrace = time.Minute
	frameRate  = 1 << 20

	// writePiece is what has to go out within writeTimeout; otherwise the
	// client no longer reads and the connection ends.
	writePiece   = 1 << 20
	writeTimeout = time.Minute
	// shortTimeout is the same while answers to others wait for the memory that
	// such a client holds.
	shortTimeout = 10 * time.Second
)

// connection is one client's connection: the goroutine of run reads requests
// and sets them off in the order of arrival, a second one answers in the same
// order.
type connection struct {
	b       *Broker
	ln      *listener
	nc      net.Conn
	begun   time.Time
	client  *api.Conn
	peer    *peer // nil if nobody is to see it
	lg      *slog.Logger
	answers chan answer
	waiting atomic.Int32        // requests that are not answered yet
	settled chan struct{}       // receives when none is waiting any more
	budget  *semaphore.Weighted // of this connection's large frames
	parts   *semaphore.Weighted // of this connection's elements
	// mutedUntil is when requests are read again, Unix ns. Both goroutines set
	// it, and only ever later.
	mutedUntil atomic.Int64
	// sending is when the write under way began, Unix ns; slow looks at it.
	sending atomic.Int64
	slow    *time.Timer // nil before the first large write
}

// answer is a request whose reply the writer owes.
type answer struct {
	correlationID int32
	request       *api.Request // nil if it was never decoded
	reply         api.Reply
	token         func(context.Context) ([]byte, error) // instead of reply: a bare token's answer
	begun         time.Time                             // when the request had come
	bytes         int64                                 // charged to the connection's budget, and to shared
	shared        api.Budget
	elements      int64 // charged to those budgets
}

func (b *Broker) newConnection(ln *listener, nc net.Conn) *connection {
	client := &api.Conn{Listener: ln.name, Address: ln.address, Remote: nc.RemoteAddr().String(), Auth: ln.session()}
	return &connection{
		b: b, ln: ln, nc: ln.wrap(nc), begun: time.Now(), client: client, lg: b.lg.With("remote", client.Remote),
		answers: make(chan answer, maxPipelined), settled: make(chan struct{}, 1),
		budget: semaphore.NewWeighted(maxConnectionBytes), parts: semaphore.NewWeighted(maxConnectionElements),
	}
}

// run serves the connection until the client leaves, breaks the protocol or no
// longer reads, or ctx ends.
func (c *connection) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Closing the socket is what ends a blocked read or write.
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()

	if err := c.secure(ctx); err != nil {
		c.nc.Close()
		c.ended(err)
		return
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer cancel()
		if err := c.write(ctx); err != nil {
			c.ended(err)
		}
	}()
	err := c.read(ctx)
	close(c.answers)
	if disconnected(err) {
		// Nobody is there to read answers; a parked fetch need not wait on.
		cancel()
	}
	// Else the client broke the protocol: what it asked before is answered.
	<-written
	c.b.handlers.Left(c.client)
	for a := range c.answers {
		c.release(a)
	}
	c.ended(err)
}

// ended logs why the connection ends, unless the other side just left.
func (c *connection) ended(err error) {
	level := slog.LevelWarn
	if disconnected(err) {
		level = slog.LevelDebug
	}
	c.lg.Log(context.Background(), level, "connection closed", "reason", err, "software", c.client.Software)
}

// disconnected reports whether err is only one side going away.
func disconnected(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

// read sets requests off until the connection ends or one breaks the protocol.
func (c *connection) read(ctx context.Context) error {
	r := bufio.NewReaderSize(c.nc, readBuffer)
	for {
		if c.client.Auth.Raw() {
			if err := c.readToken(ctx, r); err != nil {
				return err
			}
			continue
		}
		size, key, err := c.nextFrame(r)
		if err != nil {
			return err
		}
		if err := c.muted(ctx); err != nil {
			return err
		}
		a := answer{}
		if err = c.admit(ctx, &a, size, key); err != nil {
			return err
		}
		if size > r.Buffered() {
			if err := c.nc.SetReadDeadline(time.Now().Add(frameGrace + time.Duration(size)*time.Second/frameRate)); err != nil {
				return err
			}
		}
		frame, err := wire.ReadFrame(r, c.frameLimit())
		if err == nil && key == wire.KeySaslHandshake {
			err = c.settle(ctx)
		}
		if err == nil {
			err = c.dispatch(ctx, frame, &a)
		}
		if err != nil {
			c.release(a)
			return err
		}
		if a.request != nil {
			c.mute(a.request.Throttle())
		}
		if err := c.owe(ctx, a); err != nil {
			return err
		}
	}
}

// owe hands an answer over to the writer.
func (c *connection) owe(ctx context.Context, a answer) error {
	c.waiting.Add(1)
	select {
	case c.answers <- a:
		return nil
	case <-ctx.Done():
		c.release(a)
		return ctx.Err()
	}
}

// nextFrame waits for the next frame and looks at its size and API key. A size
// that no frame has is returned at once, whether more comes or not.
func (c *connection) nextFrame(r *bufio.Reader) (size int, key int16, err error) {
	b, err := c.peek(r, 4)
	if err != nil {
		return 0, 0, err
	}
	// Produce has the largest frames there are.
	if size = int(int32(binary.BigEndian.Uint32(b))); size < wire.MinFrame || size > wire.MaxProduceFrame {
		return 0, 0, fmt.Errorf("%w: %d bytes", wire.ErrFrameSize, size)
	}
	if b, err = c.peek(r, 4+2); err != nil {
		return 0, 0, err
	}
	return size, int16(binary.BigEndian.Uint16(b[4:])), nil
}

// peek waits for n bytes and leaves them where they are.
func (c *connection) peek(r *bufio.Reader, n int) ([]byte, error) {
	for r.Buffered() < n {
		if err := c.nc.SetReadDeadline(c.patience()); err != nil {
			return nil, err
		}
		begun, err := r.Peek(n)
		if errors.Is(err, os.ErrDeadlineExceeded) && len(begun) == 0 && c.waiting.Load() > 0 && c.client.Auth.Ready() {
			continue // not idle: a request waits for its answer
		}
		if err != nil {
			return nil, err
		}
	}
	return r.Peek(n)
}

// admit waits until there is room for a large frame and charges it. One that will
// be refused is charged nothing.
func (c *connection) admit(ctx context.Context, a *answer, size int, key int16) error {
	if size <= largeFrame || size > c.frameLimit()(key) {
		return nil
	}
	shared := c.b.requestBytes
	if !c.client.Auth.Ready() {
		shared = c.b.strangerBytes
	}
	n := min(int64(size), shared.Most) // a larger one is let in alone
	if err := c.budget.Acquire(ctx, min(n, maxConnectionBytes)); err != nil {
		return err
	}
	if err := shared.Acquire(ctx, n); err != nil {
		c.budget.Release(min(n, maxConnectionBytes))
		return err
	}
	a.bytes, a.shared = n, shared
	return nil
}

// admitElements waits until there is room for what a request is once it is
// decoded, and charges it.
func (c *connection) admitElements(ctx context.Context, a *answer, req wire.Request) error {
	if len(req.Body) <= fewElements {
		return nil
	}
	n := int64(wire.Elements(req))
	if n <= fewElements {
		return nil
	}
	if err := c.parts.Acquire(ctx, n); err != nil {
		return err
	}
	if err := c.b.requestElements.Acquire(ctx, n); err != nil {
		c.parts.Release(n)
		return err
	}
	a.elements = n
	return nil
}

// release gives back what an answered or dropped request was charged.
func (c *connection) release(a answer) {
	if a.request != nil {
		a.request.Release()
	}
	if a.bytes > 0 {
		a.shared.Release(a.bytes)
		c.budget.Release(min(a.bytes, maxConnectionBytes))
	}
	if a.elements > 0 {
		c.b.requestElements.Release(a.elements)
		c.parts.Release(a.elements)
	}
}

// dispatch decodes one frame, sets its request off and fills in the answer.
func (c *connection) dispatch(ctx context.Context, frame []byte, a *answer) (err error) {
	req, err := wire.ParseRequest(frame)
	if err != nil {
		return err
	}
	defer recoverTo(&err, c.lg, req.Key, req.Version)
	a.correlationID = req.CorrelationID
	a.begun = time.Now()
	if err := c.admitElements(ctx, a, req); err != nil {
		return err
	}
	body, err := wire.Decode(req)
	if errors.Is(err, wire.ErrVersion) && req.Key == wire.KeyApiVersions {
		// KIP-511: the answer is in version 0, which every client can read.
		a.reply = func(context.Context) (kmsg.Response, error) { return wire.UnsupportedApiVersions(), nil }
		return nil
	}
	if err != nil {
		return err
	}
	a.request = &api.Request{Conn: c.client, ClientID: req.ClientID, Body: body, Bytes: len(frame)}
	a.reply, err = c.handle(ctx, a.request)
	c.note(req.Key, req.ClientID)
	return err
}

// errHandler says that a handler has a bug.
var errHandler = errors.New("request could not be handled")

// recoverTo ends one connection, and not the broker with all of them, when a
// handler panics: whoever sent the request will send it again.
func recoverTo(err *error, lg *slog.Logger, key, version int16) {
	if p := recover(); p != nil {
		lg.Error("panic in a handler; please report it", "key", key, "version", version, "panic", p, "stack", string(debug.Stack()))
		*err = errHandler
	}
}

// write calls replies in order and sends what they answer.
func (c *connection) write(ctx context.Context) error {
	for a := range c.answers {
		err := c.answer(ctx, a)
		c.release(a)
		if c.waiting.Add(-1) == 0 {
			select {
			case c.settled <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *connection) answer(ctx context.Context, a answer) (err error) {
	if a.request != nil {
		defer recoverTo(&err, c.lg, a.request.Body.Key(), a.request.Body.GetVersion())
	}
	if a.token != nil {
		token, err := a.token(ctx)
		if err != nil {
			return err
		}
		buf := wire.GetBuffer()
		defer buf.Release()
		buf.B = append(binary.BigEndian.AppendUint32(buf.B[:0], uint32(len(token))), token...)
		return c.send(buf.B)
	}
	begun := time.Now()
	resp, last := a.reply(ctx) // an error beside an answer: it is the last one
	if a.request != nil && ctx.Err() == nil {
		c.b.requests.add(a.request.Body.Key(), resp, time.Since(a.begun))
	}
	if resp == nil {
		return last
	}
	if a.request != nil {
		c.b.handlers.Charge(a.request, resp, time.Since(begun))
		c.mute(a.request.Throttle())
	}
	buf := wire.GetBuffer() // now: who waits holds none
	defer buf.Release()
	buf.B = wire.AppendResponse(buf.B[:0], a.correlationID, resp)
	if a.request != nil {
		a.request.Encoded() // resp is not used any more
	}
	if err := c.send(buf.B); err != nil {
		return err
	}
	return last
}

// send writes all of b, as long as the client reads.
func (c *connection) send(b []byte) error {
	for len(b) > 0 {
		begun := time.Now()
		if err := c.nc.SetWriteDeadline(begun.Add(writeTimeout)); err != nil {
			return err
		}
		piece := b[:min(len(b), writePiece)]
		if len(piece) > readBuffer {
			c.hurry(begun)
		}
		n, err := c.nc.Write(piece)
		c.sending.Store(0)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("client read less than %d bytes in %v", len(piece), time.Since(begun).Round(time.Second))
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// hurry ends the write that begins now when it has lasted for shortTimeout, if
// memory for answers is short then or later.
func (c *connection) hurry(begun time.Time) {
	c.sending.Store(begun.UnixNano())
	if c.slow == nil {
		c.slow = time.AfterFunc(shortTimeout, c.cut)
	} else {
		c.slow.Reset(shortTimeout)
	}
}

// cut is what hurry has called.
func (c *connection) cut() {
	begun := c.sending.Load()
	if begun == 0 {
		return
	}
	left := shortTimeout - time.Since(time.Unix(0, begun))
	switch {
	case left > 0: // another write
		c.slow.Reset(left)
	case c.b.handlers.Short():
		_ = c.nc.SetWriteDeadline(time.Now()) // it fails where the connection has ended
	default:
		c.slow.Reset(time.Second)
	}
}
