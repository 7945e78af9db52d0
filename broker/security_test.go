package broker_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/tarn-io/tarn/broker"
	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/brokertest"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/broker/topic"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, next: 1}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	return a
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue writes a certificate and its key for 127.0.0.1 into dir.
func (a *authority) issue(dir, name string) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.next++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name, Organization: []string{"Tarn, tests"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	writePEM(a.t, certFile, "CERTIFICATE", der)
	writePEM(a.t, keyFile, "EC PRIVATE KEY", keyDER)
	return certFile, keyFile
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secured starts a broker whose users are alice, with password secret.
func secured(t *testing.T, sasl *auth.SASL, tls *auth.TLS) *brokertest.Broker {
	t.Helper()
	e := memory.New()
	users, err := auth.OpenUsers(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	var changes []auth.Change
	for _, m := range []auth.Mechanism{auth.SHA256, auth.SHA512} {
		c, err := auth.NewCredential(m, "secret", auth.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, auth.Change{User: "alice", Mechanism: m, Set: &c})
	}
	if err := users.Alter(t.Context(), changes)["alice"]; err != nil {
		t.Fatal(err)
	}
	return brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Engine, c.Users = e, users
		c.Listeners[0].SASL, c.Listeners[0].TLS = sasl, tls
	}))
}

// roundTrip writes a record and reads it back.
func roundTrip(t *testing.T, b *brokertest.Broker, name string, opts ...kgo.Opt) {
	t.Helper()
	c := client(t, b, append(opts, kgo.ConsumeTopics(name), kgo.AllowAutoTopicCreation())...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: name, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := string(consume(t, c, 1)[0].Value); got != "v" {
		t.Errorf("got %q", got)
	}
}

// tokens gives a key set's file and a function that signs for a name.
func tokens(t *testing.T) (file string, sign func(name string, life time.Duration) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256"}}})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file, func(name string, life time.Duration) string {
		text, err := jwt.Signed(signer).Claims(map[string]any{"sub": name, "exp": time.Now().Add(life).Unix()}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

func TestSASL(t *testing.T) {
	file, sign := tokens(t)
	o, err := auth.NewOAuth(t.Context(), auth.OAuthConfig{Keys: file})
	if err != nil {
		t.Fatal(err)
	}
	b := secured(t, &auth.SASL{
		Mechanisms: []string{auth.Plain, auth.ScramSHA256, auth.ScramSHA512, auth.OAuthBearer}, OAuth: o,
		FailureDelay: time.Millisecond,
	}, nil)
	for name, right := range map[string]sasl.Mechanism{
		"plain":  plain.Auth{User: "alice", Pass: "secret"}.AsMechanism(),
		"sha256": scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism(),
		"sha512": scram.Auth{User: "alice", Pass: "secret"}.AsSha512Mechanism(),
		"oauth":  oauth.Auth{Token: sign("alice", time.Minute)}.AsMechanism(),
	} {
		roundTrip(t, b, "t-"+name, kgo.SASL(right))
	}
	for name, wrong := range map[string]sasl.Mechanism{
		"password": plain.Auth{User: "alice", Pass: "Secret"}.AsMechanism(),
		"user":     plain.Auth{User: "bob", Pass: "secret"}.AsMechanism(),
		"proof":    scram.Auth{User: "alice", Pass: "Secret"}.AsSha256Mechanism(),
		"ghost":    scram.Auth{User: "bob", Pass: "secret"}.AsSha512Mechanism(),
		"token":    oauth.Auth{Token: "a.b.c"}.AsMechanism(),
	} {
		err := client(t, b, kgo.SASL(wrong)).Ping(t.Context())
		if err == nil || name != "token" && !errors.Is(err, kerr.SaslAuthenticationFailed) {
			t.Errorf("wrong %s: %v", name, err)
		}
	}
	if err := client(t, b, kgo.RequestRetries(0)).Ping(t.Context()); err == nil {
		t.Error("a client without SASL is served")
	}
}

// TestUsersOverTheWire makes, lists and deletes a user as an admin client does.
func TestUsersOverTheWire(t *testing.T) {
	b := secured(t, &auth.SASL{Mechanisms: []string{auth.ScramSHA256}, FailureDelay: time.Millisecond}, nil)
	as := func(user, pass string) kgo.Opt {
		return kgo.SASL(scram.Auth{User: user, Pass: pass}.AsSha256Mechanism())
	}
	adm := kadm.NewClient(client(t, b, as("alice", "secret")))
	out, err := adm.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{
		{User: "bob", Mechanism: kadm.ScramSha256, Iterations: 8192, Password: "pw"},
		{User: "", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "pw"},
	})
	if err != nil || out["bob"].Err != nil || !errors.Is(out[""].Err, kerr.UnacceptableCredential) {
		t.Fatalf("upsert: %v %v", out, err)
	}
	if err := client(t, b, as("bob", "pw")).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := adm.DescribeUserSCRAMs(t.Context())
	if err != nil || len(all) != 2 || len(all["alice"].CredInfos) != 2 || all["bob"].CredInfos[0].Iterations != 8192 {
		t.Errorf("describe: %+v %v", all, err)
	}
	out, err = adm.AlterUserSCRAMs(t.Context(), []kadm.DeleteSCRAM{
		{User: "bob", Mechanism: kadm.ScramSha256}, {User: "bob2", Mechanism: kadm.ScramSha256},
	}, nil)
	if err != nil || out["bob"].Err != nil || !errors.Is(out["bob2"].Err, kerr.ResourceNotFound) {
		t.Errorf("delete: %v %v", out, err)
	}
	if err := client(t, b, as("bob", "pw")).Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("a deleted user: %v", err)
	}
}

// exchange sends a request over a bare connection and reads the answer.
func exchange(t *testing.T, nc net.Conn, id int32, req kmsg.Request) kmsg.Response {
	t.Helper()
	f := kmsg.NewRequestFormatter()
	if _, err := nc.Write(f.AppendRequest(nil, req, id)); err != nil {
		t.Fatal(err)
	}
	body := readSized(t, nc)
	if got := int32(binary.BigEndian.Uint32(body)); got != id {
		t.Fatalf("correlation id %d, want %d", got, id)
	}
	resp := req.ResponseKind()
	body = body[4:]
	if resp.IsFlexible() {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	return resp
}

func readSized(t *testing.T, nc net.Conn) []byte {
	t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(nc, size[:]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(nc, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func bare(t *testing.T, b *brokertest.Broker) net.Conn {
	t.Helper()
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return nc
}

func hangsUp(nc net.Conn) bool {
	n, err := nc.Read(make([]byte, 1))
	return n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// TestBareTokens is the exchange of clients before 1.0: SaslHandshake v0, then
// tokens without Kafka's frames.
func TestBareTokens(t *testing.T) {
	b := secured(t, &auth.SASL{Mechanisms: []string{auth.Plain}, FailureDelay: time.Millisecond}, nil)
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = auth.Plain
	token := func(text string) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	}

	nc := bare(t, b)
	if resp := exchange(t, nc, 1, hello).(*kmsg.SASLHandshakeResponse); resp.ErrorCode != 0 {
		t.Fatalf("handshake: %d", resp.ErrorCode)
	}
	if _, err := nc.Write(token("\x00alice\x00secret")); err != nil {
		t.Fatal(err)
	}
	if got := readSized(t, nc); len(got) != 0 {
		t.Errorf("answer to the token: %q", got)
	}
	if resp := exchange(t, nc, 2, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse); len(resp.Brokers) != 1 {
		t.Errorf("metadata after authentication: %+v", resp)
	}

	nc = bare(t, b)
	exchange(t, nc, 1, hello)
	if _, err := nc.Write(token("\x00alice\x00wrong")); err != nil {
		t.Fatal(err)
	}
	if !hangsUp(nc) {
		t.Error("a wrong bare token is answered")
	}
}

// TestBeforeAuthentication lets nothing through but what leads to it.
func TestBeforeAuthentication(t *testing.T) {
	b := secured(t, &auth.SASL{Mechanisms: []string{auth.Plain}, FailureDelay: time.Millisecond}, nil)
	nc := bare(t, b)
	if resp := exchange(t, nc, 1, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse); resp.ErrorCode != 0 || len(resp.ApiKeys) < 20 {
		t.Errorf("ApiVersions: %d, %d keys", resp.ErrorCode, len(resp.ApiKeys))
	}
	f := kmsg.NewRequestFormatter()
	if _, err := nc.Write(f.AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 2)); err != nil {
		t.Fatal(err)
	}
	if !hangsUp(nc) {
		t.Error("Metadata is answered before authentication")
	}

	nc = bare(t, b)
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, "GSSAPI"
	resp := exchange(t, nc, 1, hello).(*kmsg.SASLHandshakeResponse)
	if resp.ErrorCode != kerr.UnsupportedSaslMechanism.Code || strings.Join(resp.SupportedMechanisms, " ") != "PLAIN" || !hangsUp(nc) {
		t.Errorf("unknown mechanism: %+v", resp)
	}

	nc = bare(t, b)
	early := kmsg.NewPtrSASLAuthenticateRequest()
	early.Version = 2
	if resp := exchange(t, nc, 1, early).(*kmsg.SASLAuthenticateResponse); resp.ErrorCode != kerr.IllegalSaslState.Code || !hangsUp(nc) {
		t.Errorf("a token before the handshake: %+v", resp)
	}

	nc = bare(t, b)
	if _, err := nc.Write(append(binary.BigEndian.AppendUint32(nil, 2<<20), make([]byte, 64)...)); err != nil {
		t.Fatal(err)
	}
	if !hangsUp(nc) {
		t.Error("a large frame is waited for before authentication")
	}
}

// TestReauthentication (KIP-368): a client that authenticates again goes on, on
// the same connection; one that does not is disconnected.
func TestReauthentication(t *testing.T) {
	var clock atomic.Int64 // Unix seconds
	b := secured(t, &auth.SASL{
		Mechanisms: []string{auth.Plain}, MaxReauth: time.Minute, Now: func() time.Time { return time.Unix(clock.Load(), 0) },
	}, nil)
	nc := bare(t, b)
	hello, token := kmsg.NewPtrSASLHandshakeRequest(), kmsg.NewPtrSASLAuthenticateRequest()
	hello.Version, hello.Mechanism = 1, auth.Plain
	token.Version, token.SASLAuthBytes = 2, []byte("\x00alice\x00secret")
	for range 3 {
		exchange(t, nc, 1, hello)
		if resp := exchange(t, nc, 2, token).(*kmsg.SASLAuthenticateResponse); resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 60_000 {
			t.Fatalf("authenticate: %+v", resp)
		}
		clock.Add(50)
		exchange(t, nc, 3, kmsg.NewPtrMetadataRequest())
	}
	clock.Add(20)
	f := kmsg.NewRequestFormatter()
	if _, err := nc.Write(f.AppendRequest(nil, kmsg.NewPtrMetadataRequest(), 4)); err != nil {
		t.Fatal(err)
	}
	if !hangsUp(nc) {
		t.Error("an expired connection goes on")
	}
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.issue(dir, "server")
	caFile := filepath.Join(dir, "ca.pem")
	writePEM(t, caFile, "CERTIFICATE", ca.cert.Raw)
	secure, err := auth.OpenTLS(auth.TLSConfig{CertFile: cert, KeyFile: key, ClientCAFile: caFile, ClientAuth: "required"})
	if err != nil {
		t.Fatal(err)
	}
	b := secured(t, &auth.SASL{Mechanisms: []string{auth.ScramSHA512}}, secure)
	login := kgo.SASL(scram.Auth{User: "alice", Pass: "secret"}.AsSha512Mechanism())
	pair, err := tls.LoadX509KeyPair(ca.issue(dir, "client"))
	if err != nil {
		t.Fatal(err)
	}
	trusting := &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{pair}}
	roundTrip(t, b, "t", login, kgo.DialTLSConfig(trusting))

	for name, c := range map[string]*tls.Config{
		"without a certificate":       {RootCAs: ca.pool()},
		"of TLS 1.1":                  {RootCAs: ca.pool(), Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS11},
		"that trusts other authority": {RootCAs: newAuthority(t).pool(), Certificates: []tls.Certificate{pair}},
	} {
		c.ServerName = "127.0.0.1"
		if answered(tls.Client(bare(t, b), c)) {
			t.Errorf("a client %s is served", name)
		}
	}
	if answered(bare(t, b)) {
		t.Error("a plain client is served")
	}
}

// answered asks for the versions served and reports whether an answer comes.
func answered(nc net.Conn) bool {
	ask := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)
	if _, err := nc.Write(ask); err != nil {
		return false
	}
	_, err := io.ReadFull(nc, make([]byte, 8))
	return err == nil
}

// TestCertificateReload changes the certificate under an open connection: it
// goes on, and the next one gets the new certificate.
func TestCertificateReload(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.issue(dir, "server")
	secure, err := auth.OpenTLS(auth.TLSConfig{CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	b := secured(t, nil, secure)
	dial := func() *tls.Conn {
		t.Helper()
		c := tls.Client(bare(t, b), &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1"})
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := dial()
	ca.issue(dir, "server")
	if err := secure.Reload(); err != nil {
		t.Fatal(err)
	}
	fresh := dial()
	first, second := old.ConnectionState().PeerCertificates[0], fresh.ConnectionState().PeerCertificates[0]
	if bytes.Equal(first.Raw, second.Raw) {
		t.Error("the old certificate is still shown")
	}
	for _, c := range []*tls.Conn{old, fresh} {
		if resp := exchange(t, c, 7, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse); len(resp.Brokers) != 1 {
			t.Errorf("metadata: %+v", resp)
		}
	}
	if err := os.WriteFile(key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := secure.Reload(); err == nil {
		t.Error("nonsense is taken for a key")
	}
	exchange(t, dial(), 8, kmsg.NewPtrMetadataRequest())
}

// TestClientCertificates has certificates say who is there: the rules count for
// the name that the mapping makes of them, and nobody else is served.
func TestClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.issue(dir, "server")
	caFile := filepath.Join(dir, "ca.pem")
	writePEM(t, caFile, "CERTIFICATE", ca.cert.Raw)
	mapping, err := auth.ParseMapping("RULE:^CN=(.*?),O=Tarn.*$/$1/U")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := auth.OpenTLS(auth.TLSConfig{CertFile: cert, KeyFile: key, ClientCAFile: caFile, ClientAuth: "requested", Mapping: mapping})
	if err != nil {
		t.Fatal(err)
	}
	e := memory.New()
	rules, err := acl.Open(t.Context(), e, acl.Config{Super: []string{"User:ALICE"}})
	if err != nil {
		t.Fatal(err)
	}
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) {
		c.Engine, c.Rules, c.Listeners[0].TLS = e, rules, secure
	}))
	as := func(name string) *tls.Config {
		pair, err := tls.LoadX509KeyPair(ca.issue(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: ca.pool(), Certificates: []tls.Certificate{pair}}
	}
	roundTrip(t, b, "t", kgo.DialTLSConfig(as("alice")))
	for name, c := range map[string]*tls.Config{"bob": as("bob"), "nobody": {RootCAs: ca.pool()}} {
		err := client(t, b, kgo.DialTLSConfig(c)).ProduceSync(t.Context(), &kgo.Record{Topic: "t"}).FirstErr()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTransactionsUnderRules runs a transaction of a client that has just the
// rules it needs, and one that lacks its transactional id.
func TestTransactionsUnderRules(t *testing.T) {
	e := memory.New()
	rules, err := acl.Open(t.Context(), e, acl.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b := brokertest.New(t, brokertest.WithConfig(func(c *broker.Config) { c.Engine, c.Rules = e, rules }))
	if _, err := b.Topics().Create(t.Context(), topic.Spec{Name: "t", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	for _, bind := range []acl.Binding{
		{Resource: acl.Topic, Name: "t", Operation: acl.Write},
		{Resource: acl.TransactionalID, Name: "mine", Operation: acl.Write},
	} {
		bind.Pattern, bind.Principal, bind.Host, bind.Permission = acl.Literal, "User:ANONYMOUS", "127.0.0.1", acl.Allow
		if err := rules.Create(t.Context(), []acl.Binding{bind})[0]; err != nil {
			t.Fatal(err)
		}
	}
	run := func(id string) error {
		c := client(t, b, kgo.TransactionalID(id))
		if err := c.BeginTransaction(); err != nil {
			return err
		}
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			return err
		}
		return c.EndTransaction(t.Context(), kgo.TryCommit)
	}
	if err := run("mine"); err != nil {
		t.Error(err)
	}
	if err := run("other"); !errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
		t.Errorf("another's transactional id: %v", err)
	}
}
