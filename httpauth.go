package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

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

// authenticate asks for a user's password (Basic), a token (Bearer), the same as the
// Kafka listeners take, or a cookie of who signed in to the console. Probes of health
// and the console's own files are free.
func (n *node) authenticate(next http.Handler) http.Handler {
	if !n.cmd.HTTPAuth {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if healthProbe(r) || consolePage(r) || r.URL.Path == tokenRoute || r.URL.Path == sessionRoute {
			next.ServeHTTP(w, r)
			return
		}
		who, err := n.identify(r)
		if err != nil {
			if r.Header.Get("Authorization") != "" {
				n.slowly(r, err)
			}
			if r.Header.Get(quietHeader) == "" {
				w.Header().Add("WWW-Authenticate", `Basic realm="tarn", charset="UTF-8"`)
			}
			if n.who.oauth != nil || icebergPage(r) {
				w.Header().Add("WWW-Authenticate", `Bearer realm="tarn"`)
			}
			refuse(w, r, http.StatusUnauthorized, 40101, "Unauthorized")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, who)))
	})
}

// icebergPage reports whether a request is one to the Iceberg catalog.
func icebergPage(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/iceberg/") }

// refuse answers somebody who may not do what he asks, in the words of the
// surface: Iceberg's clients tell errors by their type.
func refuse(w http.ResponseWriter, r *http.Request, status, code int, message string) {
	if !icebergPage(r) {
		answer(w, status, apiError{Code: code, Message: message})
		return
	}
	kind := "NotAuthorizedException"
	if status == http.StatusForbidden {
		kind = "ForbiddenException"
	}
	answer(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "code": status}})
}

// healthProbe reports whether a request only asks how the broker is.
func healthProbe(r *http.Request) bool {
	return r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/startupz"
}

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
	token = strings.TrimSpace(token)
	if ok && strings.EqualFold(kind, "bearer") && n.tokens != nil && strings.HasPrefix(token, tokenPrefix) {
		c, err := n.tokens.verify(token)
		return auth.User(c.User), err
	}
	if ok && strings.EqualFold(kind, "bearer") && n.who.oauth != nil {
		who, _, err := n.who.oauth.Verify(r.Context(), token)
		return who, err
	}
	if r.Header.Get("Authorization") == "" {
		return n.bySession(r)
	}
	return auth.Principal{}, errNoCredentials
}
