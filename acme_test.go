package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// authority is an ACME server (RFC 8555) for one order at a time. It proves
// names by the one kind of challenge it is made with, and signs what is asked.
type authority struct {
	t    *testing.T
	kind string
	web  *httptest.Server
	key  *ecdsa.PrivateKey
	root *x509.Certificate

	target string // host:port that proves names; set before known is closed
	known  chan struct{}

	mu       sync.Mutex
	account  jose.JSONWebKey // guarded by mu
	name     string          // guarded by mu: what is ordered
	proved   bool            // guarded by mu
	chain    []byte          // guarded by mu
	issued   int             // guarded by mu
	problems []string        // guarded by mu
}

const acmeToken = "tokentokentokentoken"

func newAuthority(t *testing.T, kind string) *authority {
	t.Helper()
	a := &authority{t: t, kind: kind, known: make(chan struct{})}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.web = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.web.Close)
	return a
}

// caFile is what has to be trusted to talk to the authority.
func (a *authority) caFile() string {
	path := filepath.Join(a.t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.web.Certificate().Raw}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", rand.Text())
	a.mu.Lock()
	defer a.mu.Unlock()
	say := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	at := func(path string) string { return a.web.URL + path }
	var payload []byte
	if r.Method == http.MethodPost {
		var err error
		if payload, err = a.verify(r); err != nil {
			a.problems = append(a.problems, err.Error())
			say(http.StatusBadRequest, map[string]any{"type": "urn:ietf:params:acme:error:malformed", "detail": err.Error()})
			return
		}
	}
	switch r.URL.Path {
	case "/directory":
		say(200, map[string]any{"newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order"), "revokeCert": at("/revoke"), "keyChange": at("/key")})
	case "/nonce":
	case "/account":
		w.Header().Set("Location", at("/account/1"))
		say(201, map[string]any{"status": "valid"})
	case "/order":
		var in struct{ Identifiers []struct{ Value string } }
		if json.Unmarshal(payload, &in) == nil && len(in.Identifiers) == 1 {
			a.name, a.proved, a.chain = in.Identifiers[0].Value, false, nil
		}
		w.Header().Set("Location", at("/order/1"))
		say(201, a.order())
	case "/order/1":
		say(200, a.order())
	case "/authz/1":
		say(200, map[string]any{"status": a.status(), "identifier": map[string]string{"type": "dns", "value": a.name},
			"challenges": []any{a.challenge()}})
	case "/challenge/1":
		if err := a.prove(r.Context()); err != nil {
			a.problems = append(a.problems, err.Error())
		} else {
			a.proved = true
		}
		say(200, a.challenge())
	case "/finalize/1":
		if err := a.sign(payload); err != nil {
			a.problems = append(a.problems, err.Error())
		}
		// It is not ready at once, and its address has been said before.
		o := a.order()
		o["status"] = "processing"
		delete(o, "certificate")
		say(200, o)
	case "/certificate/1":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(a.chain)
	default:
		http.NotFound(w, r)
	}
}

// verify reads a request's payload, which has to be signed by the account.
func (a *authority) verify(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	s, err := jose.ParseSignedJSON(string(b), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL.Path, err)
	}
	if k := s.Signatures[0].Protected.JSONWebKey; k != nil {
		a.account = *k
	}
	return s.Verify(a.account.Key)
}

func (a *authority) status() string {
	if a.proved {
		return "valid"
	}
	return "pending"
}

func (a *authority) challenge() any {
	return map[string]any{"type": a.kind, "url": a.web.URL + "/challenge/1", "token": acmeToken, "status": a.status()}
}

func (a *authority) order() map[string]any {
	status := "pending"
	if a.proved {
		status = "ready"
	}
	out := map[string]any{
		"identifiers":    []any{map[string]string{"type": "dns", "value": a.name}},
		"authorizations": []string{a.web.URL + "/authz/1"}, "finalize": a.web.URL + "/finalize/1",
	}
	if a.chain != nil {
		status, out["certificate"] = "valid", a.web.URL+"/certificate/1"
	}
	out["status"] = status
	return out
}

// prove asks whoever has the name for the answer to the challenge.
func (a *authority) prove(ctx context.Context) error {
	select {
	case <-a.known:
	case <-ctx.Done():
		return ctx.Err()
	}
	print, err := a.account.Thumbprint(crypto.SHA256)
	if err != nil {
		return err
	}
	answer := acmeToken + "." + base64.RawURLEncoding.EncodeToString(print)
	if a.kind == "http-01" {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.target+"/.well-known/acme-challenge/"+acmeToken, nil)
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(a.target)
		req.Host = net.JoinHostPort(a.name, port)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err == nil && string(b) != answer {
			err = fmt.Errorf("HTTP-01: got %s %q", resp.Status, b)
		}
		return err
	}
	d := tls.Dialer{Config: &tls.Config{ServerName: a.name, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true}}
	c, err := d.DialContext(ctx, "tcp", a.target)
	if err != nil {
		return err
	}
	defer c.Close()
	sum := sha256.Sum256([]byte(answer))
	want, err := asn1.Marshal(sum[:])
	if err != nil {
		return err
	}
	for _, e := range c.(*tls.Conn).ConnectionState().PeerCertificates[0].Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && bytes.Equal(e.Value, want) {
			return nil
		}
	}
	return fmt.Errorf("TLS-ALPN-01: the certificate does not hold the answer")
}

// sign issues the certificate that a finalized order asks for.
func (a *authority) sign(payload []byte) error {
	var in struct {
		CSR string `json:"csr"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return err
	}
	der, err := base64.RawURLEncoding.DecodeString(in.CSR)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	if !a.proved || fmt.Sprint(csr.DNSNames) != "["+a.name+"]" {
		return fmt.Errorf("asked for %q, proved %v for %q", csr.DNSNames, a.proved, a.name)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.root, csr.PublicKey, a.key)
	if err != nil {
		return err
	}
	a.issued++
	a.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	a.chain = append(a.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...)
	return nil
}

// serving runs tarn serve until the test says so, and returns its addresses.
func serving(t *testing.T, args ...string) (r runFile, log *lockedBuffer, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	code := make(chan int, 1)
	log = &lockedBuffer{}
	go func() {
		code <- run(ctx, append([]string{"serve", "--ready-json", "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"}, args...), stdio{strings.NewReader(""), out, log})
		out.Close()
	}()
	line, err := bufio.NewReader(in).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		cancel()
		t.Fatalf("the broker did not start: %v: %s", err, log)
	}
	return r, log, func() {
		t.Helper()
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("the broker ended with %d: %s", c, log)
		}
	}
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestACME gets a certificate by each kind of challenge, speaks HTTPS with it,
// and has it still when the authority is gone.
func TestACME(t *testing.T) {
	for _, kind := range []string{"tls-alpn-01", "http-01"} {
		t.Run(kind, func(t *testing.T) {
			a := newAuthority(t, kind)
			data := t.TempDir()
			args := []string{"--data", data, "--http.acme.domains", "tarn.test", "--http.acme.email", "ops@tarn.test",
				"--http.acme.directory", a.web.URL + "/directory", "--http.acme.ca", a.caFile()}
			if kind == "http-01" {
				args = append(args, "--http.acme.listen", "127.0.0.1:0")
			}
			ask := func(port, name string) error {
				roots := x509.NewCertPool()
				roots.AddCert(a.root)
				tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, InsecureSkipVerify: name == ""}}
				defer tr.CloseIdleConnections()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+port+"/livez", nil)
				if err != nil {
					return err
				}
				resp, err := (&http.Client{Transport: tr}).Do(req)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if resp.StatusCode != 200 || resp.ProtoMajor != 2 {
					return fmt.Errorf("%s %s", resp.Proto, resp.Status)
				}
				return nil
			}
			for _, gone := range []bool{false, true} {
				if gone {
					a.web.Close()
				}
				r, log, stop := serving(t, args...)
				name, port, _ := net.SplitHostPort(strings.TrimPrefix(r.HTTP, "https://"))
				if name != "tarn.test" {
					t.Errorf("run.json says %s", r.HTTP)
				}
				if !gone {
					a.target = "127.0.0.1:" + port
					if m := regexp.MustCompile(`over HTTP","address":"([^"]+)"`).FindStringSubmatch(log.String()); m != nil {
						a.target = m[1]
					}
					close(a.known)
				}
				if err := ask(port, name); err != nil {
					t.Errorf("authority gone %v: %v; %s", gone, err, log)
				}
				if err := ask(port, ""); err != nil {
					t.Errorf("a probe that names nobody: %v", err)
				}
				if ask(port, "other.test") == nil {
					t.Error("a name that nobody listed has a certificate")
				}
				var said bytes.Buffer
				if code := run(t.Context(), []string{"healthcheck", "--data", data}, stdio{out: &said, err: &said}); code != 0 {
					t.Errorf("tarn healthcheck exits %d: %s", code, said.String())
				}
				stop()
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			if a.issued != 1 || len(a.problems) > 0 {
				t.Errorf("%d certificates were issued, want 1; problems: %q", a.issued, a.problems)
			}
			if info, err := os.Stat(filepath.Join(data, "acme")); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the keys lie in %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestACMEFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--http.acme.domains localhost", "is no name"},
		{"--http.acme.domains *.tarn.test", "is no name"},
		{"--http.acme.domains 10.0.0.1", "is no name"},
		{"--http.acme.domains tarn.test --http.acme.ca nowhere.pem", "--http.acme.ca"},
		{"--http.acme.domains tarn.test --http.acme.ca go.mod", "holds no certificate"},
		{"--http.acme.domains tarn.test --http.tls.cert x --http.tls.key y", "give one of them"},
	} {
		log := &lockedBuffer{}
		args := append([]string{"serve", "--data", t.TempDir(), "--kafka.listen", "127.0.0.1:0", "--http.listen", "127.0.0.1:0"}, strings.Fields(c.args)...)
		if code := run(t.Context(), args, stdio{strings.NewReader(""), io.Discard, log}); code == 0 || !strings.Contains(log.String(), c.want) {
			t.Errorf("%s: exit %d, %s", c.args, code, log)
		}
	}
}
