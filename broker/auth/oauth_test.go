package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer signs tokens.
type issuer struct {
	key *ecdsa.PrivateKey
	id  string
}

func newIssuer(t testing.TB, id string) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{key, id}
}

func (i issuer) set() []byte {
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: i.id, Algorithm: "ES256"}}})
	if err != nil {
		panic(err)
	}
	return b
}

func (i issuer) token(t testing.TB, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func keySet(t testing.TB) *OAuth {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, newIssuer(t, "k").set(), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: path})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOAuth(t *testing.T) {
	good, bad := newIssuer(t, "one"), newIssuer(t, "one")
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, good.set(), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(100_000, 0)
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: path, Issuer: "https://issuer", Audience: "tarn", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(c map[string]any)) map[string]any {
		c := map[string]any{"iss": "https://issuer", "aud": []string{"x", "tarn"}, "sub": "alice", "exp": now.Unix() + 60}
		change(c)
		return c
	}
	for _, c := range []struct {
		name   string
		token  string
		wanted bool
	}{
		{"good", good.token(t, with(func(map[string]any) {})), true},
		{"within the skew", good.token(t, with(func(c map[string]any) { c["exp"] = now.Unix() - 20 })), true},
		{"expired", good.token(t, with(func(c map[string]any) { c["exp"] = now.Unix() - 40 })), false},
		{"for ever", good.token(t, with(func(c map[string]any) { delete(c, "exp") })), false},
		{"not yet", good.token(t, with(func(c map[string]any) { c["nbf"] = now.Unix() + 40 })), false},
		{"other issuer", good.token(t, with(func(c map[string]any) { c["iss"] = "https://other" })), false},
		{"other audience", good.token(t, with(func(c map[string]any) { c["aud"] = "x" })), false},
		{"nobody", good.token(t, with(func(c map[string]any) { delete(c, "sub") })), false},
		{"no text", good.token(t, with(func(c map[string]any) { c["sub"] = 7 })), false},
		{"other key", bad.token(t, with(func(map[string]any) {})), false},
		{"no signature", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OX0.", false},
		{"nonsense", "a.b.c", false},
		{"no name of a key", issuer{good.key, ""}.token(t, with(func(map[string]any) {})), true},
		{"no name of a key, other key", issuer{bad.key, ""}.token(t, with(func(map[string]any) {})), false},
	} {
		who, till, err := o.Verify(t.Context(), c.token)
		if got := err == nil; got != c.wanted {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && (who != User("alice") || till.IsZero()) {
			t.Errorf("%s: %v until %v", c.name, who, till)
		}
		if err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v is no refusal", c.name, err)
		}
	}
}

// TestKeysChange has an issuer take a new key: it is fetched when a token names
// it, and not for each token that names one that is not there.
func TestKeysChange(t *testing.T) {
	var keys atomic.Pointer[issuer]
	var fetched atomic.Int32
	first, second, foreign := newIssuer(t, "1"), newIssuer(t, "2"), newIssuer(t, "3")
	keys.Store(&first)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		w.Write(keys.Load().set())
	}))
	defer srv.Close()
	now := time.Unix(100_000, 0)
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: srv.URL, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"sub": "a", "exp": now.Unix() + 10_000}
	verify := func(i issuer) bool {
		_, _, err := o.Verify(t.Context(), i.token(t, claims))
		return err == nil
	}
	for range 2 {
		if !verify(first) || fetched.Load() != 1 {
			t.Errorf("%d fetches for two tokens", fetched.Load())
		}
	}
	keys.Store(&second)
	now = now.Add(11 * time.Second)
	if !verify(second) || verify(first) || fetched.Load() != 2 {
		t.Errorf("%d fetches after the key has changed", fetched.Load())
	}
	for range 5 {
		if verify(foreign) {
			t.Error("a foreign key is taken")
		}
	}
	if fetched.Load() != 2 {
		t.Errorf("%d fetches for tokens of nobody", fetched.Load())
	}
	srv.Close()
	now = now.Add(2 * time.Hour)
	if !verify(second) {
		t.Error("keys are forgotten because the issuer is away")
	}
}

// TestBearer refuses by a challenge first (RFC 7628, section 3.2.3).
func TestBearer(t *testing.T) {
	cfg := &SASL{Mechanisms: []string{OAuthBearer}, OAuth: keySet(t)}
	s := NewSession(cfg)
	if _, err := s.Handshake(OAuthBearer, 1); err != nil {
		t.Fatal(err)
	}
	answer, _, err := s.Authenticate([]byte("n,,\x01auth=Bearer a.b.c\x01\x01"))
	if err != nil || !strings.Contains(string(answer), "invalid_token") || s.Ready() {
		t.Fatalf("got %q %v", answer, err)
	}
	if _, _, err = s.Authenticate([]byte("\x01")); !errors.Is(err, ErrRefused) || s.Message(err) != invalidToken {
		t.Errorf("got %v %q", err, s.Message(err))
	}
}

// TestKeysFor has keys in a set that are for something else than a token's
// signature, of which each would verify it.
func TestKeysFor(t *testing.T) {
	i := newIssuer(t, "k")
	for _, c := range []struct {
		name           string
		use, algorithm string
		wanted         bool
	}{
		{"anything", "", "", true},
		{"signatures", "sig", "ES256", true},
		{"encryption", "enc", "", false},
		{"another algorithm", "sig", "ES384", false},
	} {
		set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "k", Use: c.use, Algorithm: c.algorithm}}})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, set, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := NewOAuth(t.Context(), OAuthConfig{Keys: path})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = o.Verify(t.Context(), i.token(t, map[string]any{"sub": "a", "exp": time.Now().Unix() + 100}))
		if got := err == nil; got != c.wanted {
			t.Errorf("a key for %s: %v", c.name, err)
		}
	}
}

// TestNoKeys has an issuer that is away when the first tokens come: it is asked
// once a second, not once a token.
func TestNoKeys(t *testing.T) {
	i := newIssuer(t, "k")
	var asked atomic.Int32
	var there atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if there.Load() {
			w.Write(i.set())
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	now := time.Unix(100_000, 0)
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: srv.URL, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	token := i.token(t, map[string]any{"sub": "a", "exp": now.Unix() + 100})
	for range 5 {
		if _, _, err := o.Verify(t.Context(), token); err == nil {
			t.Fatal("a token is believed without keys")
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times in no time", asked.Load())
	}
	there.Store(true)
	now = now.Add(failedFor)
	if _, _, err := o.Verify(t.Context(), token); err != nil || asked.Load() != 2 {
		t.Errorf("a second later: %v, asked %d times", err, asked.Load())
	}
}

// TestBearerAs has clients name whom they want to be known as.
func TestBearerAs(t *testing.T) {
	i := newIssuer(t, "k")
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, i.set(), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: path})
	if err != nil {
		t.Fatal(err)
	}
	token := i.token(t, map[string]any{"sub": "a,b", "exp": time.Now().Unix() + 100})
	for head, wanted := range map[string]bool{
		"n,,": true, "n,a=a=2Cb,": true, "n,a=root,": false, "n,a=,": false, "n,x,": false, "n,": false, "y,,": false,
	} {
		s := NewSession(&SASL{Mechanisms: []string{OAuthBearer}, OAuth: o})
		if _, err := s.Handshake(OAuthBearer, 1); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Authenticate([]byte(head + "\x01auth=Bearer " + token + "\x01\x01"))
		if err == nil != wanted || s.Ready() != wanted {
			t.Errorf("%q: %v", head, err)
		}
	}
}
