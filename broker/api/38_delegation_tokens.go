package api

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/wire"
)

// Delegation tokens (KIP-48, KIP-373): CreateDelegationToken (key 38, versions
// 0–3), RenewDelegationToken (39, 0–2), ExpireDelegationToken (40, 0–2) and
// DescribeDelegationToken (41, 0–3). Without a secret all of them are answered as
// a Kafka broker without a delegation.token.secret.key does. With one, who has
// said who they are may ask, unless they did so by a token: for tokens of their
// own, and with create-tokens or describe-tokens on a user for others'.

// noTime is Kafka's time of answers without one.
const noTime = -1

// mayAskForTokens is nil if the request may be answered.
func (h *Handlers) mayAskForTokens(r *Request) error {
	switch {
	case h.cfg.Tokens == nil:
		return refuse(wire.DelegationTokenAuthDisabled, "delegation tokens are off: they need a secret (--auth.token.secret-file)")
	case !r.Conn.Auth.MayAskForTokens():
		return refuse(wire.DelegationTokenRequestNotAllowed, "asked without authentication, or with a delegation token")
	}
	return nil
}

// tokenError gives Kafka's code to what broker/auth says.
func tokenError(err error) error {
	switch {
	case errors.Is(err, auth.ErrNoToken):
		return refuse(wire.DelegationTokenNotFound, "%v", err)
	case errors.Is(err, auth.ErrTokenExpired):
		return refuse(wire.DelegationTokenExpired, "%v", err)
	case errors.Is(err, auth.ErrNotRenewer):
		return refuse(wire.DelegationTokenOwnerMismatch, "%v", err)
	case errors.Is(err, auth.ErrTooManyTokens), errors.Is(err, auth.ErrTokenTooLarge):
		return refuse(wire.PolicyViolation, "%v", err)
	}
	return err
}

// millis is a number of milliseconds as a duration, at most the longest.
func millis(ms int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(ms, most)) * time.Millisecond
}

func (h *Handlers) createToken(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.CreateDelegationTokenRequest)
	requester := r.Conn.Auth.Principal()
	owner := requester
	if name := req.OwnerPrincipalName; name != nil && *name != "" {
		if owner = auth.User(*name); req.OwnerPrincipalType != nil {
			owner.Type = *req.OwnerPrincipalType
		}
	}
	err := h.mayAskForTokens(r)
	if err == nil && owner != requester && !r.who.may(acl.CreateTokens, acl.User, owner.String()) {
		err = refuse(wire.DelegationTokenAuthorizationFailed, "no tokens of %s", owner)
	}
	var renewers []auth.Principal
	for _, n := range req.Renewers {
		renewers = append(renewers, auth.Principal{Type: n.PrincipalType, Name: n.PrincipalName})
		if n.PrincipalType != auth.User("").Type && err == nil {
			err = refuse(wire.InvalidPrincipalType, "%q is no type of principal that renews tokens", n.PrincipalType)
		}
	}
	return func(ctx context.Context) (kmsg.Response, error) {
		resp := req.ResponseKind().(*kmsg.CreateDelegationTokenResponse)
		resp.PrincipalType, resp.PrincipalName = owner.Type, owner.Name
		resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = requester.Type, requester.Name
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp, resp.HMAC = noTime, noTime, noTime, []byte{}
		var t *auth.Token
		if err == nil {
			t, err = h.cfg.Tokens.Create(ctx, owner, requester, renewers, millis(req.MaxLifetimeMillis))
		}
		if err != nil {
			resp.ErrorCode = h.code(tokenError(err))
			return resp, nil
		}
		resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = t.IssuedMs, t.ExpiryMs, t.MaxMs
		resp.TokenID, resp.HMAC = t.ID, t.MAC()
		return resp, nil
	}, nil
}

// changeToken renews or ends a token, if that may be asked for, and tells answer
// what came of it.
func (h *Handlers) changeToken(r *Request, change func(ctx context.Context, who auth.Principal) (int64, error), answer func(code int16, expiryMs int64) kmsg.Response) (Reply, error) {
	err, who := h.mayAskForTokens(r), r.Conn.Auth.Principal()
	return func(ctx context.Context) (kmsg.Response, error) {
		expiryMs := int64(noTime)
		if err == nil {
			expiryMs, err = change(ctx, who)
		}
		if err != nil {
			return answer(h.code(tokenError(err)), noTime), nil
		}
		return answer(0, expiryMs), nil
	}, nil
}

func (h *Handlers) renewToken(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.RenewDelegationTokenRequest)
	return h.changeToken(r, func(ctx context.Context, who auth.Principal) (int64, error) {
		return h.cfg.Tokens.Renew(ctx, who, req.HMAC, millis(req.RenewTimeMillis))
	}, func(code int16, expiryMs int64) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.RenewDelegationTokenResponse)
		resp.ErrorCode, resp.ExpiryTimestamp = code, expiryMs
		return resp
	})
}

func (h *Handlers) expireToken(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.ExpireDelegationTokenRequest)
	return h.changeToken(r, func(ctx context.Context, who auth.Principal) (int64, error) {
		return h.cfg.Tokens.Expire(ctx, who, req.HMAC, millis(req.ExpiryPeriodMillis))
	}, func(code int16, expiryMs int64) kmsg.Response {
		resp := req.ResponseKind().(*kmsg.ExpireDelegationTokenResponse)
		resp.ErrorCode, resp.ExpiryTimestamp = code, expiryMs
		return resp
	})
}

func (h *Handlers) describeTokens(_ context.Context, r *Request) (Reply, error) {
	req := r.Body.(*kmsg.DescribeDelegationTokenRequest)
	resp := req.ResponseKind().(*kmsg.DescribeDelegationTokenResponse)
	resp.TokenDetails = []kmsg.DescribeDelegationTokenResponseTokenDetail{}
	if err := h.mayAskForTokens(r); err != nil {
		resp.ErrorCode = h.code(err)
		return now(resp)
	}
	var owners []auth.Principal
	for _, o := range req.Owners {
		owners = append(owners, auth.Principal{Type: o.PrincipalType, Name: o.PrincipalName})
	}
	me := []auth.Principal{r.Conn.Auth.Principal()}
	for _, t := range h.cfg.Tokens.List(func(t *auth.Token) bool {
		return (req.Owners == nil || t.BelongsToAny(owners)) && (t.BelongsToAny(me) ||
			r.who.could(acl.Describe, acl.DelegationToken, t.ID) || r.who.could(acl.DescribeTokens, acl.User, t.Owner.String()))
	}) {
		resp.TokenDetails = append(resp.TokenDetails, describeToken(t))
	}
	return now(resp)
}

func describeToken(t *auth.Token) kmsg.DescribeDelegationTokenResponseTokenDetail {
	d := kmsg.NewDescribeDelegationTokenResponseTokenDetail()
	d.PrincipalType, d.PrincipalName = t.Owner.Type, t.Owner.Name
	d.TokenRequesterPrincipalType, d.TokenRequesterPrincipalName = t.Requester.Type, t.Requester.Name
	d.IssueTimestamp, d.ExpiryTimestamp, d.MaxTimestamp = t.IssuedMs, t.ExpiryMs, t.MaxMs
	d.TokenID, d.HMAC = t.ID, t.MAC()
	for _, p := range t.Renewers {
		n := kmsg.NewDescribeDelegationTokenResponseTokenDetailRenewer()
		n.PrincipalType, n.PrincipalName = p.Type, p.Name
		d.Renewers = append(d.Renewers, n)
	}
	return d
}
