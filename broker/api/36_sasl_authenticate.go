package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/wire"
)

// SaslAuthenticate (key 36), versions 0–2: one token of the mechanism's exchange
// (KIP-152). From version 1 on the answer says how long the connection may go on
// before it authenticates again (KIP-368). A refusal is held back, answered in
// Kafka's words, which say nothing of what was wrong, and ends the connection.

func (h *Handlers) saslAuthenticate(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.SASLAuthenticateRequest)
	resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
	resp.SASLAuthBytes = []byte{}
	s := r.Conn.Auth
	answer, lifetime, err := s.Authenticate(req.SASLAuthBytes)
	switch {
	case errors.Is(err, auth.ErrState):
		text := "SaslAuthenticate request received after successful authentication"
		resp.ErrorCode, resp.ErrorMessage = int16(wire.IllegalSASLState), &text
		if s.Ready() {
			return now(resp)
		}
		text = "SaslAuthenticate request received before SaslHandshake"
		return last(resp, err)
	case err != nil:
		text := s.Message(err)
		resp.ErrorCode, resp.ErrorMessage = int16(wire.SASLAuthenticationFailed), &text
		return h.refuseLogin(r.Conn, resp, err)
	}
	if resp.SASLAuthBytes = append(resp.SASLAuthBytes, answer...); lifetime > 0 {
		resp.SessionLifetimeMillis = lifetime.Milliseconds()
	}
	return now(resp)
}

// refuseLogin answers a failed authentication after a while; resp may be nil.
func (h *Handlers) refuseLogin(c *Conn, resp kmsg.Response, err error) (Reply, error) {
	h.lg.Warn("authentication failed", "remote", c.Remote, "listener", c.Listener, "mechanism", c.Auth.Mechanism(), "reason", err)
	delay := c.Auth.Delay()
	return func(ctx context.Context) (kmsg.Response, error) {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return resp, fmt.Errorf("authentication: %w", err)
	}, nil
}

// Token takes a bare token (SaslHandshake v0) and gives the bare answer.
func (h *Handlers) Token(c *Conn, token []byte) (func(context.Context) ([]byte, error), error) {
	answer, _, err := c.Auth.Authenticate(token)
	if err != nil {
		wait, _ := h.refuseLogin(c, nil, err)
		return func(ctx context.Context) ([]byte, error) {
			_, err := wait(ctx)
			return nil, err
		}, nil
	}
	return func(context.Context) ([]byte, error) { return answer, nil }, nil
}
