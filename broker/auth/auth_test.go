package auth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

func open(t *testing.T, e storage.Engine, file *File) *Users {
	t.Helper()
	u, err := OpenUsers(t.Context(), e, file)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func set(t *testing.T, u *Users, name, password string, ms ...Mechanism) {
	t.Helper()
	var changes []Change
	for _, m := range ms {
		c, err := NewCredential(m, password, MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, Change{name, m, &c})
	}
	if err := u.Alter(t.Context(), changes)[name]; err != nil {
		t.Fatal(err)
	}
}

// TestScramExample is the exchange of RFC 7677, section 3.
func TestScramExample(t *testing.T) {
	u := open(t, memory.New(), nil)
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	salted, _ := base64.StdEncoding.DecodeString("xKSVEDI6tPlSysH6mUQZOeeOp01r6B3fcJbodRPcYV0=")
	c := FromSalted(SHA256, salted, salt, 4096)
	if err := u.Alter(t.Context(), []Change{{"user", SHA256, &c}})["user"]; err != nil {
		t.Fatal(err)
	}
	if !c.Matches(SHA256, "pencil") || c.Matches(SHA256, "Pencil") {
		t.Error("the credential does not tell pencil from Pencil")
	}
	s := newScram(SHA256, u, nil)
	s.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	got, done, err := s.step([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	if want := "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"; err != nil || done || string(got) != want {
		t.Fatalf("server-first: got %q %v %v, want %q", got, done, err, want)
	}
	got, done, err = s.step([]byte("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if want := "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; err != nil || !done || string(got) != want {
		t.Fatalf("server-final: got %q %v %v, want %q", got, done, err, want)
	}
	if got, want := s.principal(), User("user"); got != want {
		t.Errorf("principal: got %v, want %v", got, want)
	}
}

// TestScramRefusals holds that each malformed or wrong message is refused, and
// that somebody who is not there looks like somebody with another password.
func TestScramRefusals(t *testing.T) {
	u := open(t, memory.New(), nil)
	set(t, u, "user", "pencil", SHA256)
	for name, msgs := range map[string][]string{
		"channel binding": {"p=tls-unique,,n=user,r=abc"},
		"no header":       {"n=user,r=abc"},
		"mandatory":       {"n,,m=x,n=user,r=abc"},
		"no nonce":        {"n,,n=user,r="},
		"escape":          {"n,,n=us=er,r=abc"},
		"no user":         {"n,,n=,r=abc"},
		"other authzid":   {"n,a=root,n=user,r=abc"},
		"token":           {"n,,n=user,r=abc,tokenauth=true"},
		"no proof":        {"n,,n=user,r=abc", "c=biws,r=NONCE"},
		"other binding":   {"n,,n=user,r=abc", "c=eSws,r=NONCE,p=AAAA"},
		"other nonce":     {"n,,n=user,r=abc", "c=biws,r=abcdef,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
		"short proof":     {"n,,n=user,r=abc", "c=biws,r=NONCE,p=AAAA"},
		"wrong proof":     {"n,,n=user,r=abc", "c=biws,r=NONCE,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
		"unknown user":    {"n,,n=ghost,r=abc", "c=biws,r=NONCE,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))},
	} {
		s := newScram(SHA256, u, nil)
		s.nonce = func() string { return "server" }
		for i, m := range msgs {
			_, done, err := s.step([]byte(strings.Replace(m, "NONCE", "abcserver", 1)))
			if last := i == len(msgs)-1; done || last != errors.Is(err, ErrRefused) {
				t.Errorf("%s: message %d: done %v, error %v", name, i, done, err)
			}
		}
	}
	first := func() string {
		s := newScram(SHA256, u, nil)
		s.nonce = func() string { return "server" }
		b, _, err := s.step([]byte("n,,n=ghost,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := first(), first(); a != b || !strings.Contains(a, ",i=4096") {
		t.Errorf("an unknown user is told %q, then %q", a, b)
	}
}

func TestUsers(t *testing.T) {
	e := memory.New()
	u := open(t, e, nil)
	set(t, u, "a", "secret", SHA256, SHA512)
	set(t, u, "b", "other", SHA256)
	for _, c := range []struct {
		name, password string
		want           bool
	}{{"a", "secret", true}, {"a", "secret", true}, {"a", "other", false}, {"b", "other", true}, {"b", "", false}, {"c", "secret", false}} {
		if got := u.Verify(c.name, c.password); got != c.want {
			t.Errorf("Verify(%q, %q) = %v", c.name, c.password, got)
		}
	}
	set(t, u, "a", "newer", SHA512)
	if u.Verify("a", "secret") || !u.Verify("a", "newer") {
		t.Error("a changed password does not count at once")
	}
	again := open(t, e, nil)
	if got := strings.Join(again.Names(), " "); got != "a b" || !again.Verify("b", "other") {
		t.Errorf("after a restart there are %q", got)
	}
	out := again.Alter(t.Context(), []Change{{"b", SHA256, nil}, {"c", SHA256, nil}, {"a", SHA256, nil}, {"a", SHA512, nil}})
	if out["b"] != nil || !errors.Is(out["c"], ErrUnknownUser) || out["a"] != nil {
		t.Errorf("deletions: %v", out)
	}
	if _, ok := again.Describe("a"); ok || again.Verify("a", "newer") || len(open(t, e, nil).Names()) != 0 {
		t.Error("deleted users are there")
	}
	// Another process has written meanwhile: refused, then seen.
	set(t, u, "z", "x", SHA256)
	out = again.Alter(t.Context(), []Change{{"z", SHA512, new(Credential)}})
	var conflict *storage.Conflict
	if !errors.As(out["z"], &conflict) || !again.Verify("z", "x") {
		t.Errorf("after a conflict: %v", out["z"])
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("admin: {password: root, super: true}\nalice: {password: a}\n")
	f, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	u := open(t, memory.New(), f)
	if !u.Verify("admin", "root") || !u.Verify("alice", "a") || u.Verify("admin", "a") {
		t.Error("the file's passwords do not count")
	}
	if got := strings.Join(f.Super(), " "); got != "User:admin" {
		t.Errorf("super users: %q", got)
	}
	if err := u.Alter(t.Context(), []Change{{"alice", SHA256, nil}})["alice"]; !errors.Is(err, ErrFromFile) {
		t.Errorf("changing a user of the file: %v", err)
	}
	u.UseFile(nil)
	if u.Verify("admin", "root") {
		t.Error("a user of the file outlives it")
	}
	for _, bad := range []string{"a: {password: }", "a: {pasword: x}", "a: b", "- a"} {
		write(bad)
		if _, err := ReadFile(path); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMapping(t *testing.T) {
	for _, c := range []struct{ rules, name, want string }{
		{"", "CN=a,O=b", "CN=a,O=b"},
		{"DEFAULT", "CN=a,O=b", "CN=a,O=b"},
		{"RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/", "CN=serviceuser,OU=ServiceUsers,O=Unknown", "serviceuser"},
		{"RULE:^CN=(.*?),OU=(.*?),O=(.*?)$/$1@$2/L, DEFAULT", "CN=Adminuser,OU=Admin,O=X", "adminuser@admin"},
		{"RULE:^CN=(.*?)$/$1/U,DEFAULT", "CN=a", "A"},
		{`RULE:^CN=(.*?)\/x$/$1\/y/`, "CN=a/x", "a/y"},
		{"RULE:^CN=x$/y/", "CN=a", ""},
	} {
		m, err := ParseMapping(c.rules)
		if err != nil {
			t.Errorf("%q: %v", c.rules, err)
			continue
		}
		if got, _ := m.Principal(c.name); got.Name != c.want {
			t.Errorf("%q of %q: got %q, want %q", c.rules, c.name, got.Name, c.want)
		}
	}
	for _, bad := range []string{"RULE:a", "RULE:a/b", "RULE:(/b/", "RULE:CN=a)|(.*/root/", "default", "DEFAULT DEFAULT"} {
		if _, err := ParseMapping(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestSession goes through what may come when.
func TestSession(t *testing.T) {
	u := open(t, memory.New(), nil)
	set(t, u, "u", "p", SHA256)
	now := time.Unix(1000, 0)
	cfg := &SASL{Mechanisms: []string{Plain, ScramSHA256}, Users: u, MaxReauth: time.Minute, Now: func() time.Time { return now }}
	good, other := []byte("\x00u\x00p"), []byte("\x00u\x00q")

	s := NewSession(cfg)
	if err := s.Admit(false, false); !errors.Is(err, ErrState) || s.Admit(false, true) != nil || s.Admit(true, false) != nil {
		t.Errorf("before the handshake: %v", err)
	}
	if _, _, err := s.Authenticate(good); !errors.Is(err, ErrState) {
		t.Errorf("a token before the handshake: %v", err)
	}
	if offered, err := s.Handshake("GSSAPI", 1); !errors.Is(err, ErrMechanism) || len(offered) != 2 {
		t.Errorf("a mechanism that is not offered: %v %v", offered, err)
	}
	if _, err := s.Handshake(Plain, 1); err != nil || s.Ready() || s.Raw() {
		t.Fatalf("handshake: %v", err)
	}
	if s.Admit(false, true) == nil || s.Admit(false, false) == nil {
		t.Error("a request passes in the middle of the exchange")
	}
	if _, lifetime, err := s.Authenticate(good); err != nil || lifetime != time.Minute || s.Principal() != User("u") || !s.Ready() {
		t.Fatalf("authenticate: %v %v %v", lifetime, err, s.Principal())
	}
	now = now.Add(61 * time.Second)
	if err := s.Admit(false, false); !errors.Is(err, ErrExpired) || s.Admit(true, false) != nil {
		t.Errorf("after the session's life: %v", err)
	}
	if _, err := s.Handshake(ScramSHA256, 1); !errors.Is(err, ErrMechanism) {
		t.Errorf("another mechanism the second time: %v", err)
	}
	if _, err := s.Handshake(Plain, 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Authenticate(good); err != nil || s.Admit(false, false) != nil {
		t.Errorf("authenticate again: %v", err)
	}
	set(t, u, "v", "p", SHA256)
	s.Handshake(Plain, 1)
	if _, _, err := s.Authenticate([]byte("\x00v\x00p")); !errors.Is(err, ErrRefused) || s.Ready() || s.Admit(true, false) == nil {
		t.Errorf("somebody else the second time: %v", err)
	}

	s = NewSession(cfg)
	s.Handshake(Plain, 0)
	if !s.Raw() {
		t.Error("no bare tokens after version 0")
	}
	_, _, err := s.Authenticate(other)
	if !errors.Is(err, ErrRefused) || s.Message(err) != "Authentication failed: Invalid username or password" || s.Raw() {
		t.Errorf("wrong password: %v %q", err, s.Message(err))
	}
	if s.Admit(true, false) == nil || s.Admit(false, true) == nil {
		t.Error("something passes after a refusal")
	}
}

// FuzzTokens sends any tokens through every mechanism.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"\x00u\x00p", "n,,n=u,r=abc", "n,a=u,n=u=2C,r=x,e=f", "n,,\x01auth=Bearer x.y.z\x01\x01", "c=biws,r=x,p=AAAA"} {
		f.Add([]byte(s), []byte("c=biws,r=abc,p="))
	}
	u, err := OpenUsers(context.Background(), memory.New(), nil)
	if err != nil {
		f.Fatal(err)
	}
	o := keySet(f)
	cfg := &SASL{Mechanisms: []string{Plain, ScramSHA256, ScramSHA512, OAuthBearer}, Users: u, OAuth: o}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, m := range cfg.Mechanisms {
			if m == Plain && bytes.Count(a, []byte{0}) == 2 {
				continue // salting takes too long
			}
			s := NewSession(cfg)
			if _, err := s.Handshake(m, 1); err != nil {
				t.Fatal(err)
			}
			for _, token := range [][]byte{a, b} {
				if _, _, err := s.Authenticate(token); err != nil {
					break
				}
			}
			if s.Ready() {
				t.Fatalf("%s: %q and %q are somebody", m, a, b)
			}
		}
	})
}
