package cloud

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	googleScope = "https://www.googleapis.com/auth/devstorage.read_write"
	googleLogin = "https://oauth2.googleapis.com/token"
	// googleMachine is where machines and pods at Google are given tokens.
	googleMachine = "metadata.google.internal"
	googleEnv     = "GOOGLE_APPLICATION_CREDENTIALS"
)

// google gets tokens by Google's Application Default Credentials: the file that
// GOOGLE_APPLICATION_CREDENTIALS names, the one that gcloud keeps, the machine's
// own account.
type google struct{ http *http.Client }

// googleFile is what the first two hold.
type googleFile struct {
	Type     string `json:"type"`
	Email    string `json:"client_email"`
	Key      string `json:"private_key"`
	KeyID    string `json:"private_key_id"`
	TokenURI string `json:"token_uri"`
	ID       string `json:"client_id"`
	Secret   string `json:"client_secret"`
	Refresh  string `json:"refresh_token"`
}

// googleConfigured reports whether there is a file that the user has named: other
// servers than Google's want no token as a rule.
func googleConfigured() bool { return os.Getenv(googleEnv) != "" }

func (g google) token(ctx context.Context) (token, error) {
	path := os.Getenv(googleEnv)
	if path == "" {
		if dir, err := os.UserConfigDir(); err == nil {
			path = filepath.Join(dir, "gcloud", "application_default_credentials.json")
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		if googleConfigured() {
			return token{}, fmt.Errorf("%w for Google: %s: %w", ErrNoCredentials, googleEnv, err)
		}
		return g.machine(ctx)
	}
	var f googleFile
	if err := json.Unmarshal(data, &f); err != nil {
		return token{}, fmt.Errorf("%w for Google: %s is no JSON", ErrNoCredentials, path)
	}
	form := url.Values{}
	switch f.Type {
	case "service_account":
		assertion, err := f.assertion(time.Now())
		if err != nil {
			return token{}, fmt.Errorf("%w for Google: %s: %w", ErrNoCredentials, path, err)
		}
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		form.Set("assertion", assertion)
	case "authorized_user":
		form = url.Values{"grant_type": {"refresh_token"}, "client_id": {f.ID}, "client_secret": {f.Secret}, "refresh_token": {f.Refresh}}
	default:
		return token{}, fmt.Errorf("%w for Google: %s is of the type %q: there are service_account and authorized_user", ErrNoCredentials, path, f.Type)
	}
	login := cmp.Or(f.TokenURI, googleLogin)
	t, err := fetchToken(ctx, g.http, http.MethodPost, login, form)
	if err != nil {
		return t, fmt.Errorf("%w for Google, by %s: %s: %w", ErrNoCredentials, path, login, err)
	}
	return t, nil
}

func (g google) machine(ctx context.Context) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, machineLimit)
	defer cancel()
	host := cmp.Or(os.Getenv("GCE_METADATA_HOST"), googleMachine)
	t, err := fetchToken(ctx, g.http, http.MethodGet, "http://"+host+"/computeMetadata/v1/instance/service-accounts/default/token", nil, "Metadata-Flavor", "Google")
	if err != nil {
		return t, fmt.Errorf("%w for Google: set %s to a service account's file, or sign in with gcloud auth application-default login; the machine has no account: %v", ErrNoCredentials, googleEnv, err) //nolint:errorlint // that nobody answers is no outage
	}
	return t, nil
}

// assertion is a token that the service account signs itself, by which it is
// given a real one (RFC 7523).
func (f googleFile) assertion(now time.Time) (string, error) {
	block, _ := pem.Decode([]byte(f.Key))
	if block == nil {
		return "", errors.New("private_key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("private_key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return "", errors.New("private_key is not of RSA")
	}
	head, err := json.Marshal(map[string]string{"alg": "RS256", "typ": "JWT", "kid": f.KeyID})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": f.Email, "scope": googleScope, "aud": cmp.Or(f.TokenURI, googleLogin), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signed, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign with private_key: %w", err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signed), nil
}
