package auth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// TLSConfig says with which certificate a listener speaks, and whose it takes.
type TLSConfig struct {
	// CertFile and KeyFile are PEM; the certificate's chain follows it.
	CertFile, KeyFile string
	// ClientCAFile holds the authorities of clients' certificates.
	ClientCAFile string
	// ClientAuth is none, requested or required (ssl.client.auth).
	ClientAuth string
	// Mapping turns certificates' names into users'.
	Mapping Mapping
	// Protocols are offered by ALPN.
	Protocols []string
	// Log hears of files that cannot be read again; may be nil.
	Log *slog.Logger
}

// lookAgain is how often, at most, a handshake looks whether files have changed.
const lookAgain = time.Second

// TLS holds certificates that are read again when their files have changed: a
// handshake looks, so connections go on as they are. Safe for concurrent use.
type TLS struct {
	cfg     TLSConfig
	current atomic.Pointer[tls.Config]

	mu     sync.Mutex
	stamps [3]stamp  // guarded by mu
	looked time.Time // guarded by mu
}

// stamp tells versions of a file apart.
type stamp struct {
	size int64
	mod  time.Time
}

// OpenTLS reads the files.
func OpenTLS(cfg TLSConfig) (*TLS, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch cfg.ClientAuth {
	case "", "none", "requested", "required":
	default:
		return nil, fmt.Errorf("client authentication %q is none of none, requested, required", cfg.ClientAuth)
	}
	if cfg.ClientAuth == "required" && cfg.ClientCAFile == "" {
		return nil, errors.New("client certificates are required, but no authority is given that they must come from")
	}
	t := &TLS{cfg: cfg}
	return t, t.Reload()
}

// Reload reads the files now. After an error the old certificates stay.
func (t *TLS) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.looked, t.stamps = time.Now(), t.stampFiles()
	return t.load()
}

func (t *TLS) load() error {
	cert, err := tls.LoadX509KeyPair(t.cfg.CertFile, t.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: t.cfg.Protocols}
	if t.cfg.ClientCAFile != "" {
		b, err := os.ReadFile(t.cfg.ClientCAFile)
		if err != nil {
			return fmt.Errorf("read the authorities of clients: %w", err)
		}
		if c.ClientCAs = x509.NewCertPool(); !c.ClientCAs.AppendCertsFromPEM(b) {
			return fmt.Errorf("%s holds no certificate", t.cfg.ClientCAFile)
		}
	}
	switch t.cfg.ClientAuth {
	case "requested":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	t.current.Store(c)
	return nil
}

func (t *TLS) stampFiles() (out [3]stamp) {
	for i, path := range []string{t.cfg.CertFile, t.cfg.KeyFile, t.cfg.ClientCAFile} {
		if info, err := os.Stat(path); err == nil {
			out[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return out
}

// look reads the files again if they are others than last time. While a new
// certificate lies beside an old key the old pair stays, and the next look tries
// again.
func (t *TLS) look() {
	if !t.mu.TryLock() {
		return // somebody looks already
	}
	defer t.mu.Unlock()
	if time.Since(t.looked) < lookAgain {
		return
	}
	t.looked = time.Now()
	now := t.stampFiles()
	if now == t.stamps {
		return
	}
	if err := t.load(); err != nil {
		t.cfg.Log.Error("changed certificates cannot be used, the old ones stay", "error", err)
		return
	}
	t.stamps = now
	t.cfg.Log.Info("certificates read again", "certificate", t.cfg.CertFile)
}

// Config is for tls.Server: it asks for the current certificates at each
// handshake.
func (t *TLS) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: t.cfg.Protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			t.look()
			return t.current.Load(), nil
		}}
}

// Principal is whom a connection's certificate names, after its handshake;
// Anonymous without one.
func (t *TLS) Principal(cs tls.ConnectionState) (Principal, error) {
	if len(cs.PeerCertificates) == 0 {
		return Anonymous(), nil
	}
	name, err := distinguishedName(cs.PeerCertificates[0].RawSubject)
	if err != nil {
		return Principal{}, err
	}
	return t.cfg.Mapping.Principal(name)
}
