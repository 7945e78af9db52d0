package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage/memory"
)

// TestTokens exchanges passwords and tokens for tokens, and uses them.
func TestTokens(t *testing.T) {
	e := memory.New()
	users, err := auth.OpenUsers(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := auth.NewCredential(auth.SHA256, "pw", auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Alter(t.Context(), []auth.Change{{User: "a", Mechanism: auth.SHA256, Set: &c}})["a"]; err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	start := func() (*node, *httptest.Server) {
		n := &node{cmd: &serveCmd{securityFlags: securityFlags{HTTPAuth: true}}, lg: slog.New(slog.DiscardHandler)}
		n.who.users = users
		if n.tokens, err = openTokens(t.Context(), e, users); err != nil {
			t.Fatal(err)
		}
		n.tokens.now = func() time.Time { return now }
		mux := http.NewServeMux()
		mux.HandleFunc("POST "+tokenRoute, n.token)
		mux.HandleFunc("/iceberg/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, principalOf(r).String()) })
		srv := httptest.NewServer(n.authenticate(n.authorize(mux)))
		t.Cleanup(srv.Close)
		return n, srv
	}
	_, srv := start()
	form := func(kv ...string) (int, map[string]any) {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return ask(t, "POST", srv.URL+tokenRoute, "", v)
	}
	for _, bad := range [][]string{
		{"grant_type", "client_credentials", "client_id", "a", "client_secret", "no"},
		{"grant_type", "client_credentials", "client_id", "b", "client_secret", "pw"},
		{"grant_type", grantExchange, "subject_token", "tarn.x.y"},
		{"grant_type", "password"}, {},
	} {
		if code, got := form(bad...); code < 400 || got["access_token"] != nil || got["error"] == nil {
			t.Errorf("%v: %d %v", bad, code, got)
		}
	}
	code, got := form("grant_type", "client_credentials", "client_id", "a", "client_secret", "pw", "scope", "catalog")
	token, _ := got["access_token"].(string)
	if code != 200 || token == "" || got["token_type"] != "bearer" {
		t.Fatalf("token: %d %v", code, got)
	}
	use := func(token string) int {
		code, _ := ask(t, "GET", srv.URL+"/iceberg/v1/config", token, nil)
		return code
	}
	if code := use(token); code != 200 {
		t.Errorf("with the token: %d", code)
	}
	if code := use(token[:len(token)-2] + "AA"); code != 401 {
		t.Errorf("with a forged token: %d", code)
	}
	_, srv = start() // the broker again
	if code := use(token); code != 200 {
		t.Errorf("after a restart: %d", code)
	}
	now = now.Add(tokenLife - time.Second)
	code, got = form("grant_type", grantExchange, "subject_token", token)
	renewed, _ := got["access_token"].(string)
	if code != 200 {
		t.Fatalf("renewal: %d %v", code, got)
	}
	now = now.Add(2 * time.Second)
	if use(token) != 401 || use(renewed) != 200 {
		t.Errorf("an hour later: old %d, renewed %d", use(token), use(renewed))
	}
	for range 30 { // token for token, until the password counts again
		now = now.Add(tokenLife - time.Minute)
		if code, got = form("grant_type", grantExchange, "subject_token", renewed); code != 200 {
			break
		}
		renewed = got["access_token"].(string)
	}
	if code != 401 {
		t.Error("one password was lived on for more than a day")
	}
	now = time.Now()
	_, got = form("grant_type", "client_credentials", "client_id", "a", "client_secret", "pw")
	token = got["access_token"].(string)
	if err := users.Alter(t.Context(), []auth.Change{{User: "a", Mechanism: auth.SHA256}})["a"]; err != nil {
		t.Fatal(err)
	}
	if code, got := ask(t, "GET", srv.URL+"/iceberg/v1/config", token, nil); code != 401 || !strings.Contains(string(mustJSON(t, got)), "NotAuthorizedException") {
		t.Errorf("a user who is gone: %d %v", code, got)
	}
}

// TestNoTokens asks a broker that lets everybody in.
func TestNoTokens(t *testing.T) {
	n := &node{cmd: &serveCmd{}}
	w := httptest.NewRecorder()
	n.token(w, httptest.NewRequestWithContext(t.Context(), "POST", tokenRoute, nil))
	if w.Code != 400 || !strings.Contains(w.Body.String(), "--http.auth") {
		t.Errorf("without --http.auth: %d %s", w.Code, w.Body)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask sends a form or nothing, with a token if there is one.
func ask(t *testing.T, method, at, token string, form url.Values) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&out) // some answers are text
	return resp.StatusCode, out
}
