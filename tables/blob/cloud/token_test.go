package cloud

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/tarn-io/tarn/tables/blob"
)

// login is a server that gives tokens, which says what it was asked.
func login(t *testing.T, seconds string) (address string, asked *[]*http.Request) {
	t.Helper()
	asked = &[]*http.Request{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		*asked = append(*asked, r)
		fmt.Fprintf(w, `{"access_token": "token-%d", "expires_in": %s}`, len(*asked), seconds)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func bearer(t *testing.T, tokens *tokens) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if err := tokens.sign(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r.Header.Get("Authorization")
}

// TestGoogleAccount exchanges what a service account signs for a token, once for
// as long as that holds.
func TestGoogleAccount(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	at, asked := login(t, "3600")
	file := filepath.Join(t.TempDir(), "account.json")
	write := func(f googleFile) {
		t.Helper()
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(googleFile{Type: "service_account", Email: "sink@example", TokenURI: at, KeyID: "7",
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	t.Setenv(googleEnv, file)
	tokens := &tokens{fetch: google{http.DefaultClient}.token}
	for range 2 {
		if got := bearer(t, tokens); got != "Bearer token-1" {
			t.Errorf("signed with %q, want the first token", got)
		}
	}
	signed, err := jwt.ParseSigned((*asked)[0].Form.Get("assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		jwt.Claims
		Scope string `json:"scope"`
	}
	if err := signed.Claims(&key.PublicKey, &claims); err != nil || claims.Issuer != "sink@example" || !claims.Audience.Contains(at) || claims.Scope != googleScope || claims.Expiry.Time().Before(time.Now()) {
		t.Errorf("claims %+v, %v", claims, err)
	}
	tokens.now.ends = time.Now().Add(tokenSpare - time.Second)
	write(googleFile{Type: "authorized_user", TokenURI: at, ID: "id", Secret: "s", Refresh: "again"})
	if got := bearer(t, tokens); got != "Bearer token-2" || (*asked)[1].Form.Get("refresh_token") != "again" {
		t.Errorf("signed with %q of %v, want the second token", got, (*asked)[1].Form)
	}
	for _, bad := range []googleFile{{}, {Type: "external_account"}, {Type: "service_account", Key: "x", TokenURI: at}} {
		write(bad)
		if _, err := (google{http.DefaultClient}).token(t.Context()); !errors.Is(err, ErrNoCredentials) {
			t.Errorf("%+v: %v, want ErrNoCredentials", bad, err)
		}
	}
}

// TestGoogleMachine takes the machine's own account where there is no file.
func TestGoogleMachine(t *testing.T) {
	at, asked := login(t, "3600")
	t.Setenv(googleEnv, "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(at, "http://"))
	if got := bearer(t, &tokens{fetch: google{http.DefaultClient}.token}); got != "Bearer token-1" || (*asked)[0].Header.Get("Metadata-Flavor") != "Google" {
		t.Errorf("signed with %q", got)
	}
	t.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	if _, err := (google{http.DefaultClient}).token(t.Context()); !errors.Is(err, ErrNoCredentials) || errors.Is(err, blob.ErrUnreachable) {
		t.Errorf("no machine: %v, want ErrNoCredentials alone", err)
	}
}

// TestMicrosoft gets tokens of an application and of a machine.
func TestMicrosoft(t *testing.T) {
	at, asked := login(t, `"3600"`) // a text, as machines answer
	file := filepath.Join(t.TempDir(), "federated")
	if err := os.WriteFile(file, []byte("assertion\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env         map[string]string
		field, want string
	}{
		{map[string]string{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}, "client_secret", "s"},
		{map[string]string{"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_FEDERATED_TOKEN_FILE": file}, "client_assertion", "assertion"},
		{map[string]string{"AZURE_CLIENT_ID": "c"}, "client_id", "c"},
		{map[string]string{}, "resource", azureScope},
	} {
		tt.env["AZURE_AUTHORITY_HOST"] = at + "/"
		m := microsoft{http.DefaultClient, func(name string) string { return tt.env[name] }, at}
		n := len(*asked)
		if got, want := bearer(t, &tokens{fetch: m.token}), fmt.Sprintf("Bearer token-%d", n+1); got != want {
			t.Errorf("signed with %q, want %q", got, want)
		}
		if got := (*asked)[n].Form.Get(tt.field); got != tt.want {
			t.Errorf("%v: asked with %s=%q, want %q", tt.env, tt.field, got, tt.want)
		}
	}
	none := microsoft{http.DefaultClient, func(string) string { return "" }, "http://127.0.0.1:1"}
	if _, err := none.token(t.Context()); !errors.Is(err, ErrNoCredentials) || errors.Is(err, blob.ErrUnreachable) {
		t.Errorf("no machine: %v, want ErrNoCredentials alone", err)
	}
}
