package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
)

// securityFlags say who may connect and how. Everything is off by default.
type securityFlags struct {
	TLSCert       string `name:"kafka.tls.cert" type:"path" placeholder:"FILE" help:"Certificate of TLS listeners (PEM, with its chain); read again when it changes or on SIGHUP."`
	TLSKey        string `name:"kafka.tls.key" type:"path" placeholder:"FILE" help:"Key of the certificate (PEM)."`
	TLSClientCA   string `name:"kafka.tls.client-ca" type:"path" placeholder:"FILE" help:"Authorities of clients' certificates (PEM)."`
	TLSClientAuth string `name:"kafka.tls.client-auth" enum:"none,requested,required" default:"none" help:"Whether clients show certificates: none, requested, required."`
	TLSMapping    string `name:"kafka.tls.principal-mapping-rules" placeholder:"RULES" help:"Turn names of certificates into users' (ssl.principal.mapping.rules)."`

	SASLMechanisms []string      `name:"kafka.sasl.mechanisms" placeholder:"NAME,…" help:"Offered SASL mechanisms: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER."`
	SASLMaxReauth  time.Duration `name:"kafka.sasl.max-reauth" default:"0s" help:"Clients authenticate again within this time (connections.max.reauth.ms); 0 is never."`
	SASLDelay      time.Duration `name:"kafka.sasl.failure-delay" default:"100ms" help:"How long a failed authentication is held back."`

	UsersFile     string        `name:"auth.users-file" type:"path" placeholder:"FILE" help:"Users to begin with (YAML); read again on SIGHUP."`
	OAuthKeys     string        `name:"auth.oauth.keys" placeholder:"URL|FILE" help:"JSON Web Key Set that tokens are checked with; a file is read again when it changes."`
	OAuthIssuer   string        `name:"auth.oauth.issuer" placeholder:"TEXT" help:"What a token's iss must be."`
	OAuthAudience string        `name:"auth.oauth.audience" placeholder:"TEXT" help:"What must be in a token's aud."`
	OAuthClaim    string        `name:"auth.oauth.claim" default:"sub" help:"Claim that names the user."`
	OAuthSkew     time.Duration `name:"auth.oauth.clock-skew" default:"30s" help:"How far clocks may differ."`

	TokenSecret   string        `name:"auth.token.secret-file" type:"path" placeholder:"FILE" help:"Secret that makes delegation tokens (KIP-48); there are none without. With another one, those of before are worth nothing."`
	TokenLifetime time.Duration `name:"auth.token.max-lifetime" default:"168h" help:"How long a delegation token lives however often it is renewed."`
	TokenExpiry   time.Duration `name:"auth.token.expiry" default:"24h" help:"How long a delegation token lives unless it is renewed."`

	ACL            bool     `name:"auth.acl" help:"Hold everybody to access rules (tarn acl); what no rule allows is refused."`
	SuperUsers     []string `name:"auth.super-users" placeholder:"NAME,…" help:"Users who need no rules."`
	EveryoneIfNone bool     `name:"auth.allow-everyone-if-no-acl" help:"Allow everything on what no rule is about (allow.everyone.if.no.acl.found)."`

	HTTPAuth bool   `name:"http.auth" help:"Ask for a user's password or a token over HTTP."`
	HTTPCert string `name:"http.tls.cert" type:"path" placeholder:"FILE" help:"Certificate for HTTPS (PEM, with its chain)."`
	HTTPKey  string `name:"http.tls.key" type:"path" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	Insecure bool `name:"insecure-listen" help:"Listen beyond this machine without authentication: anyone who reaches the address can do everything."`
}

// identity is who may connect: users, tokens and certificates.
type identity struct {
	users *auth.Users
	oauth *auth.OAuth       // nil: no tokens
	given *auth.Tokens      // delegation tokens; nil: none
	file  *auth.File        // nil: none
	rules *acl.Rules        // nil: everybody may do everything
	kafka *auth.TLS         // nil: no TLS
	http  *auth.TLS         // nil: no TLS
	acme  *autocert.Manager // nil: no certificates by ACME
}

// openIdentity reads users, rules, keys and certificates.
func (n *node) openIdentity(ctx context.Context) error {
	c := &n.cmd.securityFlags
	var err error
	if c.UsersFile != "" {
		if n.who.file, err = auth.ReadFile(c.UsersFile); err != nil {
			return fmt.Errorf("--auth.users-file: %w", err)
		}
	}
	if n.who.users, err = auth.OpenUsers(ctx, n.engine, n.who.file); err != nil {
		return err
	}
	if err := n.openTokens(ctx); err != nil {
		return err
	}
	if c.ACL {
		n.who.rules, err = acl.Open(ctx, n.engine, acl.Config{Super: n.super(n.who.file), EveryoneIfNone: c.EveryoneIfNone})
		if err != nil {
			return err
		}
	}
	if c.OAuthKeys != "" {
		n.who.oauth, err = auth.NewOAuth(ctx, auth.OAuthConfig{
			Keys: c.OAuthKeys, Issuer: c.OAuthIssuer, Audience: c.OAuthAudience, Claim: c.OAuthClaim, ClockSkew: c.OAuthSkew,
			Log: n.lg.With("component", "auth"),
		})
		if err != nil {
			return fmt.Errorf("--auth.oauth.keys: %w", err)
		}
	}
	mapping, err := auth.ParseMapping(c.TLSMapping)
	if err != nil {
		return fmt.Errorf("--kafka.tls.principal-mapping-rules: %w", err)
	}
	if c.TLSCert != "" {
		n.who.kafka, err = auth.OpenTLS(auth.TLSConfig{
			CertFile: c.TLSCert, KeyFile: c.TLSKey, ClientCAFile: c.TLSClientCA, ClientAuth: c.TLSClientAuth,
			Mapping: mapping, Log: n.lg.With("component", "tls"),
		})
		if err != nil {
			return fmt.Errorf("--kafka.tls.cert: %w", err)
		}
	}
	if err := n.openACME(); err != nil {
		return err
	}
	if c.HTTPCert != "" {
		n.who.http, err = auth.OpenTLS(auth.TLSConfig{
			CertFile: c.HTTPCert, KeyFile: c.HTTPKey, Protocols: []string{"h2", "http/1.1"}, Log: n.lg.With("component", "tls"),
		})
		if err != nil {
			return fmt.Errorf("--http.tls.cert: %w", err)
		}
	}
	return n.cmd.checkExposure()
}

// openTokens reads delegation tokens, if there is a secret for them.
func (n *node) openTokens(ctx context.Context) error {
	c := &n.cmd.securityFlags
	if c.TokenSecret == "" {
		return nil
	}
	b, err := os.ReadFile(c.TokenSecret)
	secret := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return fmt.Errorf("--auth.token.secret-file: %w", err)
	case secret == "":
		return fmt.Errorf("--auth.token.secret-file: %s is empty", c.TokenSecret)
	case c.TokenLifetime < time.Millisecond || c.TokenExpiry < time.Millisecond:
		return errors.New("--auth.token.max-lifetime, --auth.token.expiry: must be at least 1ms")
	}
	n.who.given, err = auth.OpenTokens(ctx, n.engine, auth.TokenConfig{
		Secret: secret, MaxLifetime: c.TokenLifetime, Expiry: c.TokenExpiry, Log: n.lg.With("component", "auth"),
	})
	return err
}

// super lists those who need no rules: of the flag, and of the users file.
func (n *node) super(file *auth.File) []string {
	out := slices.Clone(file.Super())
	for _, name := range n.cmd.SuperUsers {
		out = append(out, auth.ParsePrincipal(name).String())
	}
	return out
}

// listeners turns the endpoints into the broker's.
func (n *node) listeners() ([]broker.Listener, error) {
	c := n.cmd
	ends, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	sasl := &auth.SASL{
		Mechanisms: c.SASLMechanisms, Users: n.who.users, OAuth: n.who.oauth,
		MaxReauth: c.SASLMaxReauth, FailureDelay: c.SASLDelay,
	}
	var out []broker.Listener
	for i, e := range ends {
		l := broker.Listener{Name: e.name, Addr: e.addr, Advertise: e.advertise}
		if e.tls {
			l.TLS = n.who.kafka
		}
		if e.sasl {
			l.SASL = sasl
		}
		l.Socket = n.dev.socket(i)
		out = append(out, l)
	}
	return out, nil
}

// exposed lists addresses beyond this machine where nobody is asked who they
// are, by flag.
func (c *serveCmd) exposed() ([]string, error) {
	ends, err := c.endpoints()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range ends {
		if !loopback(e.addr) && !e.sasl && (!e.tls || c.TLSClientAuth != "required") {
			out = append(out, "--kafka.listen "+e.addr)
		}
	}
	if c.AdminListen != "" && !loopback(c.AdminListen) {
		out = append(out, "--admin.listen "+c.AdminListen)
	}
	if !loopback(c.HTTPListen) && !c.HTTPAuth {
		out = append(out, "--http.listen "+c.HTTPListen)
	}
	return out, nil
}

// checkExposure refuses such addresses unless they are asked for by name.
func (c *serveCmd) checkExposure() error {
	open, err := c.exposed()
	if err != nil || len(open) == 0 || c.Insecure {
		return err
	}
	return fmt.Errorf("%s: listening beyond this machine without authentication lets anyone read and write everything; "+
		"%s, or say --insecure-listen", strings.Join(open, ", "), closing(open))
}

// closing says what closes the addresses that exposed lists: each kind has its own way.
func closing(open []string) string {
	var out []string
	for _, way := range []struct{ flag, does string }{
		{"--kafka.listen ", "set up authentication with --kafka.sasl.mechanisms, or --kafka.tls.client-auth required"},
		{"--http.listen ", "ask who they are with --http.auth"},
		{"--admin.listen ", "keep --admin.listen on this machine (127.0.0.1:PORT), since it never asks who somebody is and --http.auth is not for it"},
	} {
		if slices.ContainsFunc(open, func(o string) bool { return strings.HasPrefix(o, way.flag) }) {
			out = append(out, way.does)
		}
	}
	return strings.Join(out, "; ")
}

// loopback reports whether an address to listen on is of this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}

// reloadOnHangup reads users and certificates again at SIGHUP, until ctx ends.
// What cannot be read is said, and stays as it was.
func (n *node) reloadOnHangup(ctx context.Context) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hangups:
		}
		if err := n.reload(); err != nil {
			n.lg.Error("not everything could be read again, the rest stays as it was", "error", err)
			continue
		}
		n.lg.Info("users and certificates read again")
	}
}

func (n *node) reload() error {
	var errs []error
	for _, t := range []*auth.TLS{n.who.kafka, n.who.http} {
		if t != nil {
			errs = append(errs, t.Reload())
		}
	}
	if path := n.cmd.UsersFile; path != "" {
		file, err := auth.ReadFile(path)
		if err == nil {
			n.who.users.UseFile(file)
			if n.who.rules != nil {
				n.who.rules.SetSuper(n.super(file))
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// listenersConfig is the endpoints as Kafka writes them.
func (c *serveCmd) listenersConfig() string {
	ends, _ := c.endpoints() // has been looked at before
	words := make([]string, len(ends))
	for i, e := range ends {
		words[i] = e.name + "://" + e.addr
	}
	return strings.Join(words, ",")
}

// kept says for the banner how an endpoint is protected.
func (c *serveCmd) kept(e endpoint) string {
	out := "plaintext, "
	if e.tls {
		out = "TLS, "
	}
	switch {
	case e.sasl:
		return out + "SASL " + strings.Join(c.SASLMechanisms, " ")
	case e.tls && c.TLSClientAuth == "required":
		return out + "client certificates"
	}
	return out + "no authentication"
}

// kcatFlags are what kcat wants to be told to come in at an endpoint.
func (c *serveCmd) kcatFlags(e endpoint) string {
	protocol := "PLAINTEXT"
	if e.tls {
		protocol = "SSL"
	}
	if !e.sasl {
		if !e.tls {
			return ""
		}
		return " -X security.protocol=" + protocol
	}
	return " -X security.protocol=SASL_" + protocol + " -X sasl.mechanisms=" + c.SASLMechanisms[0] + " -X sasl.username=NAME -X sasl.password=…"
}

// kafkaLines are the banner's lines of endpoints, with their names where there are
// several, and the address that a client on this machine may take, with what kcat has
// to be told of it.
func (c *serveCmd) kafkaLines(advertised []string) (lines, here string) {
	ends, _ := c.endpoints() // has been looked at before
	here = advertised[0]
	at := ends[0]
	for i, e := range ends {
		title, name := "Kafka", ""
		if i > 0 {
			title = ""
		}
		if len(ends) > 1 {
			name = ", for " + e.name
		}
		lines += fmt.Sprintf("  %-10s %-32s %s%s\n", title, advertised[i], c.kept(e), name)
		if was, _, _ := net.SplitHostPort(here); was != "localhost" && strings.HasPrefix(advertised[i], "localhost:") {
			here, at = advertised[i], e
		}
	}
	return lines, here + c.kcatFlags(at)
}
