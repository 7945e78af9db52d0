package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/wire"
)

// Limits of connections whose clients have not said who they are.
const (
	// maxLogin is how long they may take to: a slot is taken meanwhile.
	maxLogin = time.Minute
	// maxToken bounds a bare token (SaslHandshake v0).
	maxToken = 64 << 10
)

// saslOf completes a listener's SASL configuration.
func (b *Broker) saslOf(l Listener) (*auth.SASL, error) {
	if l.SASL == nil {
		return nil, nil
	}
	c := *l.SASL
	if c.Users == nil {
		c.Users = b.cfg.Users
	}
	if c.Tokens == nil {
		c.Tokens = b.cfg.Tokens
	}
	if c.Now == nil {
		c.Now = b.cfg.Now
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Addr, err)
	}
	return &c, nil
}

// session begins the authentication of a connection.
func (ln *listener) session() *auth.Session {
	if ln.sasl != nil {
		return auth.NewSession(ln.sasl)
	}
	return auth.Known(auth.Anonymous())
}

// wrap puts TLS around a connection where the listener speaks it.
func (ln *listener) wrap(nc net.Conn) net.Conn {
	if ln.tls == nil {
		return nc
	}
	return tls.Server(nc, ln.tls.Config())
}

// secure shakes hands over TLS. Without SASL the client's certificate says who
// it is; with SASL it is only one more condition, as in Kafka.
func (c *connection) secure(ctx context.Context) error {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := tc.SetDeadline(c.begun.Add(maxLogin)); err != nil {
		return err
	}
	if err := tc.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	if err := tc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	if c.ln.sasl != nil {
		return nil
	}
	who, err := c.ln.tls.Principal(tc.ConnectionState())
	if err != nil {
		return err
	}
	c.client.Auth = auth.Known(who)
	return nil
}

// afterAnswers is how long a client has to read its answers before it is
// answered about signing in again.
const afterAnswers = 10 * time.Millisecond

// settle waits until all that was asked before is answered, and read. A client
// that signs in again may have requests in flight (KIP-368). Kafka answers one
// request after the other; and Java's client over TLS, when the answer to its
// SaslHandshake comes in one piece with one to an earlier request, leaves it
// where it is until something else comes: its close takes 30 s.
func (c *connection) settle(ctx context.Context) error {
	if c.waiting.Load() == 0 {
		return nil
	}
	for c.waiting.Load() > 0 {
		select {
		case <-c.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	timer := time.NewTimer(afterAnswers)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patience is until when the next frame may begin.
func (c *connection) patience() time.Time {
	if c.client.Auth.Ready() {
		return time.Now().Add(maxIdle)
	}
	return c.begun.Add(maxLogin)
}

// frameLimit is how large the next frame may be.
func (c *connection) frameLimit() func(int16) int {
	if c.client.Auth.Ready() {
		return wire.FrameLimit
	}
	return wire.FrameLimitBeforeAuth
}

// readToken reads one bare token, a length and so many bytes, and sets it off.
func (c *connection) readToken(ctx context.Context, r *bufio.Reader) error {
	if err := c.nc.SetReadDeadline(c.patience()); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := int32(binary.BigEndian.Uint32(head[:]))
	if n < 0 || n > maxToken {
		return fmt.Errorf("%w: token of %d bytes", wire.ErrFrameSize, n)
	}
	token := make([]byte, n)
	if _, err := io.ReadFull(r, token); err != nil {
		return err
	}
	reply, err := c.b.handlers.Token(c.client, token)
	if err != nil {
		return err
	}
	return c.owe(ctx, answer{token: reply})
}
