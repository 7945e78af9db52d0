package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// acmeFlags have certificates for HTTPS made by an authority that speaks ACME
// (RFC 8555), such as Let's Encrypt.
type acmeFlags struct {
	ACMEDomains   []string `name:"http.acme.domains" placeholder:"NAME,…" help:"Names to get certificates for by ACME, for HTTPS; agrees to the authority's terms."`
	ACMEEmail     string   `name:"http.acme.email" placeholder:"ADDR" help:"Whom the authority writes to."`
	ACMEDirectory string   `name:"http.acme.directory" default:"https://acme-v02.api.letsencrypt.org/directory" placeholder:"URL" help:"Directory of the authority."`
	ACMECA        string   `name:"http.acme.ca" type:"path" placeholder:"FILE" help:"Authorities to trust about the directory instead of the system's (PEM)."`
	ACMEListen    string   `name:"http.acme.listen" placeholder:"ADDR" help:"Address that answers the authority by plain HTTP, seen by it as port 80; without one only TLS-ALPN-01 is offered, on the HTTP address, seen as port 443."`
}

// openACME makes the manager of certificates, which keeps them and the account's
// key below the data directory. Nothing is asked for yet.
func (n *node) openACME() error {
	c := n.cmd
	if len(c.ACMEDomains) == 0 {
		return nil
	}
	if c.HTTPCert != "" {
		return errors.New("--http.acme.domains and --http.tls.cert: give one of them")
	}
	for _, d := range c.ACMEDomains {
		if !strings.Contains(strings.Trim(d, "."), ".") || strings.ContainsAny(d, "*:/ ") || net.ParseIP(d) != nil {
			return fmt.Errorf("--http.acme.domains: %q is no name that can be proved over HTTP, such as tarn.example.org", d)
		}
	}
	web := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: headerTimeout}
	if c.ACMECA != "" {
		b, err := os.ReadFile(c.ACMECA)
		if err != nil {
			return fmt.Errorf("--http.acme.ca: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(b) {
			return fmt.Errorf("--http.acme.ca: %s holds no certificate", c.ACMECA)
		}
		web.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	client := &acme.Client{
		DirectoryURL: c.ACMEDirectory, UserAgent: "tarn/" + version,
		HTTPClient: &http.Client{Transport: &orders{next: web, byFinalize: map[string]string{}}},
	}
	n.who.acme = &autocert.Manager{
		Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(c.ACMEDomains...),
		Cache: autocert.DirCache(filepath.Join(c.Data, "acme")), Client: client, Email: c.ACMEEmail,
	}
	return nil
}

// maxOrderBytes bounds what is looked at of an answer about an order.
const maxOrderBytes = 1 << 20

// orders puts the address of an order into answers about it that leave it out,
// which is theirs to do (RFC 8555, 7.4) and more than acme.Client can take.
type orders struct {
	next http.RoundTripper

	mu         sync.Mutex
	byFinalize map[string]string // guarded by mu: of orders, by where they are finalized
}

// RoundTrip looks for orders in what the authority answers.
func (o *orders) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodPost || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxOrderBytes))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var order struct{ Finalize string }
	if json.Unmarshal(body, &order) != nil || order.Finalize == "" {
		return resp, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if at := resp.Header.Get("Location"); at != "" {
		o.byFinalize[order.Finalize] = at
	} else if at := o.byFinalize[order.Finalize]; at != "" {
		resp.Header.Set("Location", at)
	}
	return resp, nil
}

// acmeTLS is for the HTTPS listener, which answers TLS-ALPN-01 besides. Who names no
// server, as probes that dial an address, is shown the certificate of the first name.
func (n *node) acmeTLS() *tls.Config {
	c := n.who.acme.TLSConfig()
	c.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			named := *hello
			named.ServerName = n.cmd.ACMEDomains[0]
			hello = &named
		}
		return n.who.acme.GetCertificate(hello)
	}
	c.MinVersion = tls.VersionTLS12
	return c
}

// listenChallenges binds the address that proves names by HTTP-01, and serves
// nothing else there.
func (n *node) listenChallenges(ctx context.Context) error {
	addr := n.cmd.ACMEListen
	if addr == "" || n.who.acme == nil {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("address %s (--http.acme.listen) is taken by another process: %w", addr, err)
	}
	if err != nil {
		return fmt.Errorf("listen for ACME on %s (--http.acme.listen): %w", addr, err)
	}
	answers := n.who.acme.HTTPHandler(http.NotFoundHandler())
	n.challenges = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if host, _, err := net.SplitHostPort(r.Host); err == nil {
				r.Host = host // names are listed without ports
			}
			answers.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: n.httpErrors(),
	}
	n.challengeAddr = ln
	n.lg.Info("ACME challenges are answered over HTTP", "address", ln.Addr().String())
	n.closers = append(n.closers, func() error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// serveChallenges answers the authority until ctx ends.
func (n *node) serveChallenges(ctx context.Context) error {
	if n.challenges == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = n.challenges.Close() })
	defer stop()
	if err := n.challenges.Serve(n.challengeAddr); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve ACME challenges: %w", err)
	}
	return nil
}

// obtain gets the certificates that are not there yet, so that nobody's first
// request has to wait for the authority and what goes wrong is said at once.
// Each handshake tries again.
func (n *node) obtain(ctx context.Context) error {
	for _, d := range n.cmd.ACMEDomains {
		done := make(chan error, 1)
		// It cannot be stopped, and ends within five minutes, or with the process.
		go func() {
			_, err := n.who.acme.GetCertificate(&tls.ClientHelloInfo{
				ServerName: d, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
				SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			})
			done <- err
		}()
		select {
		case <-ctx.Done():
			return nil
		case err := <-done:
			if err != nil {
				n.lg.Error("no certificate by ACME; HTTPS cannot be used by this name until there is one", "domain", d, "error", err)
				continue
			}
			n.lg.Info("certificate by ACME is there", "domain", d)
		}
	}
	return nil
}
