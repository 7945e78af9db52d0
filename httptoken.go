package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage"
)

// Tokens of the catalog: Spark, Trino, pyiceberg and DuckDB that are given a
// credential (user:password) exchange it at POST …/v1/oauth/tokens and send the
// token from then on. The route is deprecated in Iceberg's description and the
// first one that its clients ask.
const (
	tokenRoute  = "/iceberg/v1/oauth/tokens"
	tokenKeyRow = "http/token-key"
	tokenPrefix = "tarn."
	tokenLife   = time.Hour
	// tokenRenewed bounds how long one password can be lived on by exchanging
	// token for token: a changed password counts by then.
	tokenRenewed = 24 * time.Hour
	// maxTokenForm bounds a request for a token: two names and a secret.
	maxTokenForm = 16 << 10
)

const (
	grantCredentials = "client_credentials"
	grantExchange    = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
)

// tokens makes and checks tokens that say whose they are themselves, with a MAC.
type tokens struct {
	key   []byte
	users *auth.Users
	now   func() time.Time
}

// claims are what a token says.
type claims struct {
	User    string `json:"u"`
	LoginMs int64  `json:"l"` // when the password was given
	UntilMs int64  `json:"e"`
}

// openTokens reads the key of tokens from the store, or makes it: tokens outlive
// a restart, as sessions of Spark do.
func openTokens(ctx context.Context, e storage.Engine, users *auth.Users) (*tokens, error) {
	t := &tokens{users: users, now: time.Now}
	it, err := e.Get(ctx, tokenKeyRow)
	if err != nil {
		return nil, fmt.Errorf("read the key of tokens: %w", err)
	}
	if it.Version == 0 {
		it = storage.Item{Key: tokenKeyRow, Value: make([]byte, sha256.Size)}
		_, _ = rand.Read(it.Value) // never fails
		if err := e.Commit(ctx, storage.Write{Set: []storage.Item{it}}); err != nil {
			return nil, fmt.Errorf("store the key of tokens: %w", err)
		}
	}
	t.key = it.Value
	return t, nil
}

var errToken = errors.New("the token is not one of this broker, or has expired")

func (t *tokens) mac(body string) []byte {
	m := hmac.New(sha256.New, t.key)
	m.Write([]byte(body))
	return m.Sum(nil)
}

func (t *tokens) issue(c claims) string {
	text, _ := json.Marshal(c) // a string and numbers always encode
	body := base64.RawURLEncoding.EncodeToString(text)
	return tokenPrefix + body + "." + base64.RawURLEncoding.EncodeToString(t.mac(body))
}

// verify returns what a token says; errToken if it is not ours, not valid any
// more, or of a user who is gone.
func (t *tokens) verify(token string) (claims, error) {
	var c claims
	body, sum, ok := strings.Cut(strings.TrimPrefix(token, tokenPrefix), ".")
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if !ok || err != nil || !hmac.Equal(got, t.mac(body)) {
		return c, errToken
	}
	text, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(text, &c) != nil || t.now().UnixMilli() >= c.UntilMs {
		return c, errToken
	}
	if _, known := t.users.Describe(c.User); !known {
		return c, errToken
	}
	return c, nil
}

// oauthError is an answer of RFC 6749 §5.2.
func oauthError(w http.ResponseWriter, status int, kind, text string) {
	answer(w, status, map[string]string{"error": kind, "error_description": text})
}

// token serves the route.
func (n *node) token(w http.ResponseWriter, r *http.Request) {
	if n.tokens == nil {
		oauthError(w, http.StatusBadRequest, "unauthorized_client",
			"this broker asks nobody for credentials: leave them out, or start it with --http.auth")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	var c claims
	var err error
	switch grant := r.PostFormValue("grant_type"); grant {
	case grantCredentials:
		c, err = n.login(r)
	case grantExchange:
		c, err = n.tokens.verify(r.PostFormValue("subject_token"))
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type",
			fmt.Sprintf("grant_type %q: use %s or %s", grant, grantCredentials, grantExchange))
		return
	}
	now := n.tokens.now()
	if err == nil && now.Sub(time.UnixMilli(c.LoginMs)) > tokenRenewed {
		err = errToken
	}
	if err != nil {
		n.slowly(r, err)
		oauthError(w, http.StatusUnauthorized, "invalid_client", err.Error())
		return
	}
	c.UntilMs = now.Add(tokenLife).UnixMilli()
	w.Header().Set("Cache-Control", "no-store")
	answer(w, http.StatusOK, map[string]any{
		"access_token": n.tokens.issue(c), "token_type": "bearer",
		"expires_in": int(tokenLife.Seconds()), "issued_token_type": typeAccessToken,
	})
}

// login takes user and password from the form, or from Basic credentials.
func (n *node) login(r *http.Request) (claims, error) {
	user, password := r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	if name, secret, ok := r.BasicAuth(); ok && user == "" {
		user, password = name, secret
	}
	if !n.who.users.Verify(user, password) {
		return claims{}, auth.ErrRefused
	}
	return claims{User: user, LoginMs: n.tokens.now().UnixMilli()}, nil
}

// slowly writes down that somebody could not be let in, and makes guessing slow.
func (n *node) slowly(r *http.Request, why error) {
	n.lg.Warn("authentication failed", "remote", r.RemoteAddr, "listener", "http", "reason", why)
	select {
	case <-time.After(n.cmd.SASLDelay):
	case <-r.Context().Done():
	}
}
