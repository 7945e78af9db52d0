package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/wire"
)

// SaslHandshake (key 17), versions 0–1: the client names its mechanism. After
// version 0 tokens come bare, each behind its length, which the connection
// reads. A mechanism that is not offered is answered with those that are, and
// the connection ends; so it does in the middle of an exchange. Where no
// authentication is due it is refused and nothing else (KIP-43, KIP-152).

func (h *Handlers) saslHandshake(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.SASLHandshakeRequest)
	resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
	offered, err := r.Conn.Auth.Handshake(req.Mechanism, req.Version)
	resp.SupportedMechanisms = append([]string{}, offered...)
	switch {
	case err == nil:
		return now(resp)
	case errors.Is(err, auth.ErrMechanism):
		resp.ErrorCode = int16(wire.UnsupportedSASLMechanism)
		err = fmt.Errorf("SASL mechanism %q: %w", req.Mechanism, err)
	default:
		resp.ErrorCode = int16(wire.IllegalSASLState)
		if r.Conn.Auth.Ready() {
			return now(resp)
		}
	}
	return last(resp, err)
}

// last answers, and then closes the connection.
func last(resp kmsg.Response, err error) (Reply, error) {
	return func(context.Context) (kmsg.Response, error) { return resp, err }, nil
}
