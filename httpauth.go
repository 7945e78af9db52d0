package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tarn-io/tarn/broker/auth"
)

// principalKey is where a request's context has its principal.
type principalKey struct{}

// principalOf is who sent a request; nobody where nobody is asked.
func principalOf(r *http.Request) auth.Principal {
	if p, ok := r.Context().Value(principalKey{}).(auth.Principal); ok {
		return p
	}
	return auth.Anonymous()
}

// authenticate asks for a user's password (Basic) or a token (Bearer), the same
// as the Kafka listeners take. Probes of health are free.
func (n *node) authenticate(next http.Handler) http.Handler {
	if !n.cmd.HTTPAuth {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if healthProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		who, err := n.identify(r)
		if err != nil {
			if r.Header.Get("Authorization") != "" {
				n.lg.Warn("authentication failed", "remote", r.RemoteAddr, "listener", "http", "reason", err)
				select {
				case <-time.After(n.cmd.SASLDelay): // guessing is slow
				case <-r.Context().Done():
				}
			}
			w.Header().Add("WWW-Authenticate", `Basic realm="tarn", charset="UTF-8"`)
			if n.who.oauth != nil {
				w.Header().Add("WWW-Authenticate", `Bearer realm="tarn"`)
			}
			answer(w, http.StatusUnauthorized, apiError{Code: 40101, Message: "Unauthorized"})
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, who)))
	})
}

// healthProbe reports whether a request only asks how the broker is.
func healthProbe(r *http.Request) bool { return r.URL.Path == "/livez" || r.URL.Path == "/readyz" }

var errNoCredentials = errors.New("no credentials")

// identify checks a request's credentials.
func (n *node) identify(r *http.Request) (auth.Principal, error) {
	if user, password, ok := r.BasicAuth(); ok {
		if !n.who.users.Verify(user, password) {
			return auth.Principal{}, auth.ErrRefused
		}
		return auth.User(user), nil
	}
	kind, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(kind, "bearer") && n.who.oauth != nil {
		who, _, err := n.who.oauth.Verify(r.Context(), strings.TrimSpace(token))
		return who, err
	}
	return auth.Principal{}, errNoCredentials
}
