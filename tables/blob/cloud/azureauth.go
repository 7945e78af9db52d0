package cloud

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	azureScope = "https://storage.azure.com/"
	azureLogin = "https://login.microsoftonline.com"
	// azureMachine is where machines and pods in Azure are given tokens.
	azureMachine = "http://169.254.169.254/metadata/identity/oauth2/token"
)

// azureSigner adds credentials to a request, and to the source of a copy.
type azureSigner interface {
	sign(ctx context.Context, r *http.Request) error
	source(address string) string
}

// azureCredentials takes the first that the environment has: the account's key, a
// shared access signature, an application's secret or federated token, the
// identity of the machine.
func azureCredentials(account string, env func(string) string, plain *http.Client) azureSigner {
	if key := cmp.Or(env("AZURE_STORAGE_KEY"), env("AZURE_STORAGE_ACCOUNT_KEY")); key != "" {
		return sharedKey{account, key}
	}
	if sas := env("AZURE_STORAGE_SAS_TOKEN"); sas != "" {
		return sharedAccess(strings.TrimPrefix(sas, "?"))
	}
	m := microsoft{plain, env, azureMachine}
	return azureToken{&tokens{fetch: m.token}}
}

// sharedKey signs with the account's key ("Authorize with Shared Key").
type sharedKey struct{ account, key string }

func (k sharedKey) source(address string) string { return address }

func (k sharedKey) sign(_ context.Context, r *http.Request) error {
	secret, err := base64.StdEncoding.DecodeString(k.key)
	if err != nil {
		return fmt.Errorf("%w for Azure: AZURE_STORAGE_KEY is no base64", ErrNoCredentials)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(k.text(r)))
	r.Header.Set("Authorization", "SharedKey "+k.account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// text is what is signed: the method, eleven headers, those of the service, the
// path and the query.
func (k sharedKey) text(r *http.Request) string {
	length := ""
	if r.ContentLength > 0 {
		length = strconv.FormatInt(r.ContentLength, 10)
	}
	h := r.Header.Get
	lines := []string{
		r.Method, h("Content-Encoding"), h("Content-Language"), length, h("Content-MD5"), h("Content-Type"), "",
		h("If-Modified-Since"), h("If-Match"), h("If-None-Match"), h("If-Unmodified-Since"), h("Range"),
	}
	var own []string
	for name := range r.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-ms-") {
			own = append(own, low+":"+h(name))
		}
	}
	slices.Sort(own)
	lines = append(append(lines, own...), "/"+k.account+r.URL.EscapedPath())
	query := r.URL.Query()
	for _, name := range slices.Sorted(mapKeys(query)) {
		values := slices.Sorted(slices.Values(query[name]))
		lines = append(lines, strings.ToLower(name)+":"+strings.Join(values, ","))
	}
	return strings.Join(lines, "\n")
}

func mapKeys(q url.Values) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range q {
			if !yield(k) {
				return
			}
		}
	}
}

// sharedAccess is a signature that somebody else made: part of each address.
type sharedAccess string

func (s sharedAccess) source(address string) string { return address + "?" + string(s) }

func (s sharedAccess) sign(_ context.Context, r *http.Request) error {
	if r.URL.RawQuery != "" {
		r.URL.RawQuery += "&"
	}
	r.URL.RawQuery += string(s)
	return nil
}

// azureToken is a token of Microsoft's login.
type azureToken struct{ *tokens }

func (azureToken) source(address string) string { return address }

// microsoft gets tokens for the storage service.
type microsoft struct {
	http    *http.Client
	env     func(string) string
	machine string // azureMachine, but in tests
}

func (m microsoft) token(ctx context.Context) (token, error) {
	tenant, id := m.env("AZURE_TENANT_ID"), m.env("AZURE_CLIENT_ID")
	secret, file := m.env("AZURE_CLIENT_SECRET"), m.env("AZURE_FEDERATED_TOKEN_FILE")
	if tenant == "" || id == "" || secret == "" && file == "" {
		q := url.Values{"api-version": {"2018-02-01"}, "resource": {azureScope}}
		if id != "" {
			q.Set("client_id", id)
		}
		ctx, cancel := context.WithTimeout(ctx, machineLimit)
		defer cancel()
		t, err := fetchToken(ctx, m.http, http.MethodGet, m.machine+"?"+q.Encode(), nil, "Metadata", "true")
		if err != nil {
			return t, fmt.Errorf("%w for Azure: set AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; the machine has no identity: %v", ErrNoCredentials, err) //nolint:errorlint // that nobody answers is no outage
		}
		return t, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "scope": {azureScope + ".default"}}
	if secret != "" {
		form.Set("client_secret", secret)
	} else {
		assertion, err := os.ReadFile(file)
		if err != nil {
			return token{}, fmt.Errorf("%w for Azure: AZURE_FEDERATED_TOKEN_FILE: %w", ErrNoCredentials, err)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", strings.TrimSpace(string(assertion)))
	}
	login := strings.TrimSuffix(cmp.Or(m.env("AZURE_AUTHORITY_HOST"), azureLogin), "/")
	t, err := fetchToken(ctx, m.http, http.MethodPost, login+"/"+url.PathEscape(tenant)+"/oauth2/v2.0/token", form)
	if err != nil {
		return t, fmt.Errorf("%w for Azure: %s: %w", ErrNoCredentials, login, err)
	}
	return t, nil
}
