package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestDeadlines looks at connections that do nothing, too little, or do not
// read, by the clock of a bubble.
func TestDeadlines(t *testing.T) {
	hello := kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)
	login := Listener{SASL: &auth.SASL{Mechanisms: []string{auth.Plain}}}
	plain := kmsg.NewPtrSASLHandshakeRequest()
	plain.Version, plain.Mechanism = 1, auth.Plain
	handshake := kmsg.NewRequestFormatter().AppendRequest(nil, plain, 2)
	cases := []struct {
		name  string
		owed  bool // an answer is owed for the first 25 minutes
		ln    Listener
		act   func(t *testing.T, c net.Conn)
		after time.Duration // when the connection ends
	}{
		{"silent", false, Listener{}, func(*testing.T, net.Conn) {}, maxIdle},
		{"silent since its last request", false, Listener{}, func(t *testing.T, c net.Conn) {
			<-time.After(5 * time.Minute)
			ask(t, c, hello)
		}, 5*time.Minute + maxIdle},
		{"waiting for an answer", true, Listener{}, func(*testing.T, net.Conn) {}, 3 * maxIdle},
		{"a frame that does not come", false, Listener{}, func(t *testing.T, c net.Conn) {
			if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, 5<<20), 0, 0, 0, 3)); err != nil {
				t.Error(err)
			}
		}, frameGrace + 5*time.Second},
		{"a client that does not sign in", false, login, func(t *testing.T, c net.Conn) { ask(t, c, hello) }, maxLogin},
		{"a client that takes its time to sign in", false, login, func(t *testing.T, c net.Conn) {
			ask(t, c, hello)
			<-time.After(50 * time.Second)
			ask(t, c, handshake)
		}, maxLogin},
		{"a TLS handshake that does not come", false, Listener{TLS: selfSigned(t)}, func(*testing.T, net.Conn) {}, maxLogin},
		{"answers that are not read", false, Listener{}, func(t *testing.T, c net.Conn) {
			if _, err := c.Write(hello); err != nil {
				t.Error(err)
			}
		}, writeTimeout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.ln.Addr = "127.0.0.1:0"
				b, err := Open(t.Context(), Config{Engine: memory.New(), Listeners: []Listener{c.ln}})
				if err != nil {
					t.Fatal(err)
				}
				defer b.close()
				server, client := net.Pipe()
				defer client.Close()
				conn := b.newConnection(b.listeners[0], pipe{server})
				if c.owed {
					conn.waiting.Add(1)
					time.AfterFunc(25*time.Minute, func() { conn.waiting.Add(-1) })
				}
				begun := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					conn.run(t.Context())
					ended <- time.Since(begun)
				}()
				c.act(t, client)
				if got := <-ended; got != c.after {
					t.Errorf("ended after %v, want %v", got, c.after)
				}
			})
		})
	}
}

// TestSignInAgainComesLast has a client sign in while an answer is owed to it:
// the two must not come in one piece.
func TestSignInAgainComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(t.Context(), Config{Engine: memory.New(), Listeners: []Listener{
			{Addr: "127.0.0.1:0", SASL: &auth.SASL{Mechanisms: []string{auth.Plain}}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		server, client := net.Pipe()
		defer client.Close()
		conn := b.newConnection(b.listeners[0], pipe{server})
		begun := time.Now()
		if err := conn.owe(t.Context(), answer{correlationID: 1, reply: func(context.Context) (kmsg.Response, error) {
			<-time.After(time.Second)
			return kmsg.NewPtrFetchResponse(), nil
		}}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			conn.run(t.Context())
		}()
		plain := kmsg.NewPtrSASLHandshakeRequest()
		plain.Version, plain.Mechanism = 1, auth.Plain
		if _, err := client.Write(kmsg.NewRequestFormatter().AppendRequest(nil, plain, 2)); err != nil {
			t.Fatal(err)
		}
		for id, want := range []time.Duration{time.Second, time.Second + afterAnswers} {
			var head [8]byte
			if _, err := io.ReadFull(client, head[:]); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(begun); got != want || binary.BigEndian.Uint32(head[4:]) != uint32(id+1) {
				t.Errorf("answer %d after %v, want %d after %v", binary.BigEndian.Uint32(head[4:]), got, id+1, want)
			}
			if _, err := io.CopyN(io.Discard, client, int64(binary.BigEndian.Uint32(head[:4]))-4); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
		<-ended
	})
}

// selfSigned is TLS with a certificate of its own.
func selfSigned(t *testing.T) *auth.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := auth.TLSConfig{CertFile: filepath.Join(t.TempDir(), "cert.pem"), KeyFile: filepath.Join(t.TempDir(), "key.pem")}
	for path, block := range map[string]*pem.Block{
		cfg.CertFile: {Type: "CERTIFICATE", Bytes: der}, cfg.KeyFile: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := auth.OpenTLS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// pipe is an end of a net.Pipe with an address.
type pipe struct{ net.Conn }

func (pipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// ask sends a request and reads its answer.
func ask(t *testing.T, c net.Conn, frame []byte) {
	if _, err := c.Write(frame); err != nil {
		t.Error(err)
		return
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
		t.Error(err)
	}
}
