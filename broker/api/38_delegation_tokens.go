package api

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/wire"
)

// Delegation tokens (KIP-48): CreateDelegationToken (key 38, versions 0–3),
// RenewDelegationToken (39, 0–2), ExpireDelegationToken (40, 0–2) and
// DescribeDelegationToken (41, 0–3). There are none, which is answered as a
// Kafka broker without a delegation.token.secret.key does.

func (h *Handlers) createToken(_ context.Context, r *Request) (Reply, error) {
	resp := r.Body.ResponseKind().(*kmsg.CreateDelegationTokenResponse)
	resp.ErrorCode, resp.HMAC = int16(wire.DelegationTokenAuthDisabled), []byte{}
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
	return now(resp)
}

func (h *Handlers) renewToken(_ context.Context, r *Request) (Reply, error) {
	resp := r.Body.ResponseKind().(*kmsg.RenewDelegationTokenResponse)
	resp.ErrorCode, resp.ExpiryTimestamp = int16(wire.DelegationTokenAuthDisabled), -1
	return now(resp)
}

func (h *Handlers) expireToken(_ context.Context, r *Request) (Reply, error) {
	resp := r.Body.ResponseKind().(*kmsg.ExpireDelegationTokenResponse)
	resp.ErrorCode, resp.ExpiryTimestamp = int16(wire.DelegationTokenAuthDisabled), -1
	return now(resp)
}

func (h *Handlers) describeTokens(_ context.Context, r *Request) (Reply, error) {
	resp := r.Body.ResponseKind().(*kmsg.DescribeDelegationTokenResponse)
	resp.ErrorCode = int16(wire.DelegationTokenAuthDisabled)
	resp.TokenDetails = []kmsg.DescribeDelegationTokenResponseTokenDetail{}
	return now(resp)
}
