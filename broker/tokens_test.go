package broker_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// tokenWorld is a broker with users alice and bob, whose passwords are their
// names, rules, and delegation tokens.
type tokenWorld struct {
	t     *testing.T
	b     *brokertest.Broker
	rules *acl.Rules
}

func newTokenWorld(t *testing.T) *tokenWorld {
	t.Helper()
	e, ctx, w := memory.New(), t.Context(), &tokenWorld{t: t}
	users, err := auth.OpenUsers(ctx, e, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "bob"} {
		c, err := auth.NewCredential(auth.SHA256, name, auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		if err := users.Alter(ctx, []auth.Change{{User: name, Mechanism: auth.SHA256, Set: &c}})[name]; err != nil {
			t.Fatal(err)
		}
	}
	if w.rules, err = acl.Open(ctx, e, acl.Config{}); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenTokens(ctx, e, auth.TokenConfig{Secret: "of the broker"})
	if err != nil {
		t.Fatal(err)
	}
	w.b = brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Engine, c.Users, c.Rules, c.Tokens = e, users, w.rules, tokens
		c.Listeners[0].SASL = &auth.SASL{Mechanisms: []string{auth.ScramSHA256, auth.ScramSHA512}}
	}))
	return w
}

func (w *tokenWorld) allow(who string, op acl.Operation, res acl.Resource, name string) {
	w.t.Helper()
	b := acl.Binding{Principal: "User:" + who, Host: acl.Wildcard, Resource: res, Name: name, Pattern: acl.Literal, Operation: op, Permission: acl.Allow}
	if err := w.rules.Create(w.t.Context(), []acl.Binding{b})[0]; err != nil {
		w.t.Fatal(err)
	}
}

// client signs in by SCRAM-SHA-256, or by -512.
func (w *tokenWorld) client(who scram.Auth, wide bool) *kgo.Client {
	w.t.Helper()
	m := who.AsSha256Mechanism()
	if wide {
		m = who.AsSha512Mechanism()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.b.Address()), kgo.SASL(m))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return cl
}

func (w *tokenWorld) admin(name string) *kadm.Client {
	return kadm.NewClient(w.client(scram.Auth{User: name, Pass: name}, false))
}

// ours asks for a token of alice's that bob may renew, and gives it with its way to
// sign in.
func (w *tokenWorld) ours(alice *kadm.Client) (kadm.DelegationToken, scram.Auth) {
	w.t.Helper()
	tok, err := alice.CreateDelegationToken(w.t.Context(), kadm.CreateDelegationToken{Renewers: []kadm.Principal{{Name: "bob"}}, MaxLifetime: -time.Millisecond})
	if err != nil || tok.Owner.Name != "alice" || tok.ExpiryTimestamp.Sub(tok.IssueTimestamp) != 24*time.Hour || tok.MaxTimestamp.Sub(tok.IssueTimestamp) != 7*24*time.Hour {
		w.t.Fatalf("got %+v, %v", tok, err)
	}
	return tok, scram.Auth{User: tok.TokenID, Pass: base64.StdEncoding.EncodeToString(tok.HMAC), IsToken: true}
}

// TestDelegationTokenSignsIn works in its owner's name, and asks for no tokens.
func TestDelegationTokenSignsIn(t *testing.T) {
	w, ctx := newTokenWorld(t), t.Context()
	if _, err := w.b.Topics().Create(ctx, topic.Spec{Name: "orders", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	w.allow("alice", acl.All, acl.Topic, "orders")
	alice := w.admin("alice")
	tok, bearer := w.ours(alice)
	for _, wide := range []bool{false, true} {
		cl := w.client(bearer, wide)
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatalf("produce with a token, 512 %v: %v", wide, err)
		}
		if _, err := kadm.NewClient(cl).CreateDelegationToken(ctx, kadm.CreateDelegationToken{}); !errors.Is(err, kerr.DelegationTokenRequestNotAllowed) {
			t.Errorf("a token for a token: %v", err)
		}
		if _, err := kadm.NewClient(cl).DescribeDelegationTokens(ctx); !errors.Is(err, kerr.DelegationTokenRequestNotAllowed) {
			t.Errorf("listed by a token: %v", err)
		}
	}
	for what, wrong := range map[string]scram.Auth{
		"another password":    {User: tok.TokenID, Pass: "x", IsToken: true},
		"not as a token":      {User: bearer.User, Pass: bearer.Pass},
		"a user as a token":   {User: "alice", Pass: "alice", IsToken: true},
		"no token of this id": {User: tok.TokenID + "x", Pass: bearer.Pass, IsToken: true},
	} {
		if err := w.client(wrong, false).Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("%s: %v", what, err)
		}
	}

	if _, err := alice.ExpireDelegationToken(ctx, tok.HMAC, -time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := w.client(bearer, false).Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("an ended token: %v", err)
	}
}

// TestDelegationTokenRules holds who may make, see, renew and end whose tokens to
// Kafka's rules.
func TestDelegationTokenRules(t *testing.T) {
	w, ctx := newTokenWorld(t), t.Context()
	alice, bob := w.admin("alice"), w.admin("bob")
	tok, _ := w.ours(alice)

	// Others' tokens need a rule; renewers see and renew them, nobody else does.
	if _, err := alice.CreateDelegationToken(ctx, kadm.CreateDelegationToken{Owner: &kadm.Principal{Name: "bob"}}); !errors.Is(err, kerr.DelegationTokenAuthorizationFailed) {
		t.Errorf("bob's token for alice: %v", err)
	}
	w.allow("alice", acl.CreateTokens, acl.User, "User:bob")
	bobs, err := alice.CreateDelegationToken(ctx, kadm.CreateDelegationToken{Owner: &kadm.Principal{Name: "bob"}})
	if err != nil || bobs.Owner.Name != "bob" || bobs.TokenRequesterPrincipal.Name != "alice" {
		t.Fatalf("with a rule: %+v, %v", bobs, err)
	}
	sees := func(who *kadm.Client, want ...string) {
		t.Helper()
		all, err := who.DescribeDelegationTokens(ctx)
		var got []string
		for _, x := range all {
			got = append(got, x.Owner.Name)
		}
		if err != nil || len(got) != len(want) || !strings.Contains(strings.Join(got, " ")+" ", strings.Join(want, " ")) {
			t.Errorf("sees %v, %v, want %v", got, err, want)
		}
	}
	sees(alice, "alice")
	w.allow("alice", acl.DescribeTokens, acl.User, "User:bob")
	if all, err := alice.DescribeDelegationTokens(ctx, kadm.Principal{Type: "User", Name: "bob"}); err != nil || len(all) != 2 {
		t.Errorf("bob's, who renews one of alice's: %+v, %v", all, err)
	}
	if _, err := bob.RenewDelegationToken(ctx, tok.HMAC, time.Hour); err != nil {
		t.Errorf("renewed by a renewer: %v", err)
	}
	if _, err := alice.RenewDelegationToken(ctx, bobs.HMAC, time.Hour); !errors.Is(err, kerr.DelegationTokenOwnerMismatch) {
		t.Errorf("renewed by a stranger: %v", err)
	}
	if _, err := alice.ExpireDelegationToken(ctx, []byte("x"), 0); !errors.Is(err, kerr.DelegationTokenNotFound) {
		t.Errorf("none: %v", err)
	}
	if _, err := alice.ExpireDelegationToken(ctx, tok.HMAC, -time.Millisecond); err != nil {
		t.Fatal(err)
	}
	sees(bob, "bob")
}
