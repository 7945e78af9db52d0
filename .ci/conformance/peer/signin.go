package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// signin stands between clients that know neither TLS nor SASL and a listener
// that asks for both: each connection to -listen gets one to -b, over TLS and
// signed in with SCRAM-SHA-512, and bytes go to and fro. A suite that cannot be
// told of users runs as one in this way. It ends with its standard input.
func signin(ctx context.Context, p *peer) error {
	ca, err := os.ReadFile(p.ca)
	if err != nil {
		return err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !trust.RootCAs.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s holds no certificate", p.ca)
	}
	if p.cert != "" {
		pair, err := tls.LoadX509KeyPair(p.cert, p.key)
		if err != nil {
			return err
		}
		trust.Certificates = []tls.Certificate{pair}
	}
	as := scram.Auth{User: p.user, Pass: os.Getenv("PASSWORD")}.AsSha512Mechanism()
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", p.listen)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is all that counts
		_ = ln.Close()
	}()
	for {
		near, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			if err := p.through(ctx, near, trust, as); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// through signs in for one client and copies until either side ends.
func (p *peer) through(ctx context.Context, near net.Conn, trust *tls.Config, as sasl.Mechanism) error {
	defer near.Close()
	d := tls.Dialer{Config: trust}
	far, err := d.DialContext(ctx, "tcp", p.brokers)
	if err != nil {
		return err
	}
	defer far.Close()
	if err := authenticate(ctx, &conn{far, kmsg.NewRequestFormatter()}, p.brokers, as); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if err := far.SetDeadline(time.Time{}); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(far, near) // a side that ends ends the other
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
	return nil
}

// authenticate leads the exchange of a mechanism on a new connection.
func authenticate(ctx context.Context, c *conn, host string, as sasl.Mechanism) error {
	shake := kmsg.NewPtrSASLHandshakeRequest()
	shake.Version, shake.Mechanism = 1, as.Name()
	kresp, err := c.roundTrip(shake)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(kresp.(*kmsg.SASLHandshakeResponse).ErrorCode); err != nil {
		return err
	}
	session, say, err := as.Authenticate(ctx, host)
	for done := false; !done && err == nil; {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.Version, req.SASLAuthBytes = 1, say
		kresp, rerr := c.roundTrip(req)
		if rerr != nil {
			return rerr
		}
		resp := kresp.(*kmsg.SASLAuthenticateResponse)
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		done, say, err = session.Challenge(resp.SASLAuthBytes)
	}
	return err
}
