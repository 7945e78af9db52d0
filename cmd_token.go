package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a delegation token: an id and a password, its HMAC, for a program that works in your name."`
	List   tokenListCmd   `cmd:"" help:"List delegation tokens."`
	Renew  tokenRenewCmd  `cmd:"" help:"Let a delegation token live longer."`
	Expire tokenExpireCmd `cmd:"" help:"End a delegation token."`
}

type tokenCreateCmd struct {
	connect
	Owner   string        `placeholder:"NAME" help:"User whose token it is; default: who asks."`
	Renewer []string      `placeholder:"NAME" help:"User who may renew it, too; may be repeated."`
	Max     time.Duration `help:"How long it lives at most; default: as long as tokens may."`
}

// Run makes a token and shows it.
func (c *tokenCreateCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	ask := kadm.CreateDelegationToken{MaxLifetime: -time.Millisecond}
	if c.Max > 0 {
		ask.MaxLifetime = c.Max
	}
	if c.Owner != "" {
		ask.Owner = &kadm.Principal{Type: "User", Name: c.Owner}
	}
	for _, name := range c.Renewer {
		ask.Renewers = append(ask.Renewers, kadm.Principal{Type: "User", Name: name})
	}
	t, err := adm.CreateDelegationToken(ctx, ask)
	if err != nil {
		return fmt.Errorf("make a delegation token: %w", ofTokens(err))
	}
	return writeTokens(c.connect, std, kadm.DelegationTokens{t})
}

type tokenListCmd struct {
	connect
	Owner []string `placeholder:"NAME" help:"Only tokens of this owner or renewer; may be repeated."`
}

// Run lists tokens that may be seen.
func (c *tokenListCmd) Run(ctx context.Context, std stdio) error {
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	var owners []kadm.Principal
	for _, name := range c.Owner {
		owners = append(owners, kadm.Principal{Type: "User", Name: name})
	}
	all, err := adm.DescribeDelegationTokens(ctx, owners...)
	if err != nil {
		return fmt.Errorf("list delegation tokens: %w", ofTokens(err))
	}
	return writeTokens(c.connect, std, all)
}

func writeTokens(c connect, std stdio, all kadm.DelegationTokens) error {
	s := sheet{Columns: []string{"ID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "EXPIRES", "ENDS"}}
	for _, t := range all {
		names := make([]string, len(t.Renewers))
		for i, p := range t.Renewers {
			names[i] = p.Name
		}
		renewers := strings.Join(names, ",")
		if renewers == "" {
			renewers = "-"
		}
		s.add(t.TokenID, base64.StdEncoding.EncodeToString(t.HMAC), t.Owner.Name, t.TokenRequesterPrincipal.Name, renewers,
			t.ExpiryTimestamp.Format(time.RFC3339), t.MaxTimestamp.Format(time.RFC3339))
	}
	return s.write(std.out, c.Output)
}

type tokenRenewCmd struct {
	connect
	HMAC string        `arg:"" help:"HMAC of the token."`
	For  time.Duration `help:"How long it is to live from now on; default: as long as tokens do."`
}

// Run renews a token.
func (c *tokenRenewCmd) Run(ctx context.Context, std stdio) error {
	period := c.For
	if period == 0 {
		period = -time.Millisecond // as the broker has it
	}
	return c.change(ctx, std, c.HMAC, period, (*kadm.Client).RenewDelegationToken)
}

type tokenExpireCmd struct {
	connect
	HMAC string        `arg:"" help:"HMAC of the token."`
	In   time.Duration `help:"When it ends; default: now."`
}

// Run ends a token.
func (c *tokenExpireCmd) Run(ctx context.Context, std stdio) error {
	period := c.In
	if period == 0 {
		period = -time.Millisecond // now
	}
	return c.change(ctx, std, c.HMAC, period, (*kadm.Client).ExpireDelegationToken)
}

// change changes when a token ends, and says when that is.
func (c *connect) change(ctx context.Context, std stdio, text string, period time.Duration, f func(*kadm.Client, context.Context, []byte, time.Duration) (time.Time, error)) error {
	mac, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("%q is no HMAC of a delegation token in base64: %w", text, err)
	}
	adm, err := c.admin(ctx)
	if err != nil {
		return err
	}
	defer adm.Close()
	until, err := f(adm, ctx, mac, period)
	if err != nil {
		return fmt.Errorf("change the delegation token: %w", ofTokens(err))
	}
	end := until.Format(time.RFC3339)
	return c.say(std, map[string]any{"expires": end}, "expires "+end)
}

// ofTokens says what to do about an error that the protocol has no words of the
// broker for.
func ofTokens(err error) error {
	switch {
	case errors.Is(err, kerr.DelegationTokenAuthDisabled):
		return told(err, "delegation tokens are off; start the broker with --auth.token.secret-file FILE, where FILE holds a secret of your choice")
	case errors.Is(err, kerr.DelegationTokenRequestNotAllowed):
		return told(err, "sign in as a user, by SASL or a certificate; who is not asked for a name, or signs in by a token, gets none")
	}
	return err
}
