package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// credentials are the flags by which client commands say who they are. Each
// has an environment variable, TARN_PASSWORD and so on: a password on the
// command line can be read by others on the machine.
type credentials struct {
	User      string `placeholder:"NAME" help:"User to sign in as."`
	Password  string `placeholder:"TEXT" help:"Password; better in TARN_PASSWORD."`
	Token     string `placeholder:"TEXT" help:"Token of an OAuth issuer to sign in with instead (OAUTHBEARER); better in TARN_TOKEN."`
	Mechanism string `name:"sasl" enum:"PLAIN,SCRAM-SHA-256,SCRAM-SHA-512" default:"SCRAM-SHA-256" help:"How to sign in to Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."`
	Delegated bool   `name:"delegation-token" help:"User and password are the id and the HMAC of a delegation token (tarn token)."`
	TLS       bool   `name:"tls" help:"Speak TLS to Kafka; HTTP says so by https://."`
	CA        string `name:"tls-ca" type:"path" default:"" placeholder:"FILE" help:"Authorities to trust instead of the system's (PEM); speaks TLS."`
	Cert      string `name:"tls-cert" type:"path" default:"" placeholder:"FILE" help:"Certificate to show (PEM)."`
	Key       string `name:"tls-key" type:"path" default:"" placeholder:"FILE" help:"Key of the certificate (PEM)."`

	web *http.Client // speaks HTTP where a command needs another; else nil
}

// tlsConfig is nil where TLS is not asked for and nothing is said about it.
func (c *credentials) tlsConfig() (*tls.Config, error) {
	if !c.TLS && c.CA == "" && c.Cert == "" {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		b, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		if out.RootCAs = x509.NewCertPool(); !out.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("--tls-ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

// kafkaOptions sign a Kafka client in.
func (c *credentials) kafkaOptions() ([]kgo.Opt, error) {
	var out []kgo.Opt
	t, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	if t != nil {
		out = append(out, kgo.DialTLSConfig(t))
	}
	if c.Token != "" {
		return append(out, kgo.SASL(oauth.Auth{Token: c.Token}.AsMechanism())), nil
	}
	if c.User == "" {
		return out, nil
	}
	var m sasl.Mechanism
	switch c.Mechanism {
	case "PLAIN":
		m = plain.Auth{User: c.User, Pass: c.Password}.AsMechanism()
	case "SCRAM-SHA-512":
		m = scram.Auth{User: c.User, Pass: c.Password, IsToken: c.Delegated}.AsSha512Mechanism()
	default:
		m = scram.Auth{User: c.User, Pass: c.Password, IsToken: c.Delegated}.AsSha256Mechanism()
	}
	return append(out, kgo.SASL(m)), nil
}

// sign puts who asks into an HTTP request.
func (c *credentials) sign(r *http.Request) {
	switch {
	case c.Token != "":
		r.Header.Set("Authorization", "Bearer "+c.Token)
	case c.User != "":
		r.SetBasicAuth(c.User, c.Password)
	}
}

// httpClient speaks TLS as the flags say.
func (c *credentials) httpClient() (*http.Client, error) {
	if c.web != nil {
		return c.web, nil
	}
	t, err := c.tlsConfig()
	if err != nil || t == nil {
		return http.DefaultClient, err
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: t, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}}, nil
}
