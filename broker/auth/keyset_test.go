package auth

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// setOf is a key set of keys as JSON.
func setOf(keys ...string) []byte { return []byte(`{"keys": [` + strings.Join(keys, ", ") + `]}`) }

// own is the issuer's own in a set.
func (i issuer) own(t testing.TB) string {
	t.Helper()
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(i.set(), &set); err != nil {
		t.Fatal(err)
	}
	return string(set.Keys[0])
}

// Keys that issuers have and that are nothing to us: of kinds and curves that
// are not known, and without what their kind must have.
const (
	keyForOthers = `{"kty": "EC", "kid": "x", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}`
	keyToCome    = `{"kty": "AKP", "kid": "y", "alg": "ML-DSA-44", "pub": "AAAA"}`
	keyHalf      = `{"kty": "RSA", "kid": "z", "e": "AQAB"}`
	keySecret    = `{"kty": "oct", "kid": "s", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`
)

func TestParseKeys(t *testing.T) {
	key := newIssuer(t, "k").own(t)
	for _, c := range []struct {
		text []byte
		want int // 0: refused
	}{
		{setOf(key), 1},
		{setOf(keyForOthers, key, keyToCome, keyHalf), 1},
		{setOf(key, key), 2},
		{setOf(key, keySecret), 0},
		{setOf(keyToCome), 0},
		{setOf(), 0},
		{[]byte(key), 0},
		{[]byte("null"), 0},
		{[]byte("-----BEGIN PUBLIC KEY-----"), 0},
	} {
		set, err := parseKeys(c.text)
		if c.want == 0 && err == nil || c.want > 0 && (err != nil || len(set.Keys) != c.want) {
			t.Errorf("%.60s: %v, want %d keys", c.text, err, c.want)
		}
	}
}

// TestKeyFileChanges takes keys out of a file and puts others in, under the same
// name, too: a second later that counts. A file that is away, or broken, changes
// nothing, and that is said once.
func TestKeyFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one, again, two := newIssuer(t, "1"), newIssuer(t, "1"), newIssuer(t, "2")
	write(one.set())
	now := time.Unix(100_000, 0)
	var said bytes.Buffer
	o, err := NewOAuth(t.Context(), OAuthConfig{Keys: path, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what, want string) {
		t.Helper()
		now = now.Add(fileFor + time.Millisecond)
		got := ""
		for _, i := range []issuer{one, again, two} {
			_, _, err := o.Verify(t.Context(), i.token(t, map[string]any{"sub": "a", "exp": now.Unix() + 60}))
			got += map[bool]string{true: "+", false: "-"}[err == nil]
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	check("first", "+--")
	write(setOf(one.own(t), two.own(t)))
	check("a second one", "+-+")
	write(again.set())
	check("another one of the first's name", "-+-")
	write([]byte("{"))
	check("broken", "-+-")
	check("still broken", "-+-")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("away", "-+-")
	write(two.set())
	check("there", "--+")
	write(bytes.Repeat([]byte(" "), maxKeySetBytes+1))
	check("too large", "--+")
	if changed, kept := strings.Count(said.String(), "have changed"), strings.Count(said.String(), "stay as they were"); changed != 3 || kept != 3 {
		t.Errorf("%d changes and %d failures in the log, want 3 and 3:\n%s", changed, kept, said.String())
	}
}

// FuzzKeys reads any key set; a token is believed by a set only if the key that
// has signed it is in there.
func FuzzKeys(f *testing.F) {
	i := newIssuer(f, "k")
	key := i.own(f)
	for _, seed := range [][]byte{setOf(key), setOf(key, keyForOthers), setOf(keyToCome, keyHalf), setOf(keySecret), setOf(strings.Replace(key, "}", `, "use": "enc"}`, 1)), []byte("{}")} {
		f.Add(seed)
	}
	token, err := jwt.ParseSigned(i.token(f, map[string]any{"sub": "a"}), algorithms())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := parseKeys(b)
		if err != nil {
			return
		}
		there := false
		for _, k := range set.Keys {
			if !k.IsPublic() {
				t.Fatalf("%q holds a secret", b)
			}
			there = there || i.key.PublicKey.Equal(k.Key)
		}
		var claims jwt.Claims
		if err := token.Claims(fitting(set, token), &claims); err == nil && !there {
			t.Fatalf("%q verifies a token of a key that is not in it", b)
		}
	})
}

// FuzzJWT sends tokens that nobody has signed, beside one that somebody has.
func FuzzJWT(f *testing.F) {
	i := newIssuer(f, "k")
	path := filepath.Join(f.TempDir(), "keys.json")
	if err := os.WriteFile(path, i.set(), 0o600); err != nil {
		f.Fatal(err)
	}
	now := time.Unix(100_000, 0)
	o, err := NewOAuth(f.Context(), OAuthConfig{Keys: path, Issuer: "i", Audience: "a", Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	claims := map[string]any{"iss": "i", "aud": "a", "sub": "alice", "exp": now.Unix() + 60}
	f.Add(i.token(f, claims))
	f.Add(newIssuer(f, "k").token(f, claims))
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OX0.")
	hmac, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: i.set()}, nil)
	if err != nil {
		f.Fatal(err)
	}
	text, err := jwt.Signed(hmac).Claims(claims).Serialize()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, token string) {
		who, till, err := o.Verify(t.Context(), token)
		if err == nil && (who != User("alice") || till.Unix() != now.Unix()+60) {
			t.Fatalf("%q is %v until %v", token, who, till)
		}
	})
}
