package main

import (
	"context"
	"net/http"
	"time"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
)

// Sessions of people who use the console: after the password once, a cookie with a
// token of httptoken.go that no script can read and that no other site's page sends.
const (
	sessionRoute  = "/api/session"
	sessionCookie = "tarn_session"
	// sessionLife is a working day: after it the password is asked for again.
	sessionLife = 12 * time.Hour
	// maxSignIn bounds a request to sign in: a name and a password.
	maxSignIn = 16 << 10
	// quietHeader is sent by the console, so that a browser does not ask for a
	// password in a window of its own.
	quietHeader = "Tarn-Console"
)

// sessionInfo says who somebody is for this broker.
type sessionInfo struct {
	// Needed says that the broker asks who somebody is, SignedIn that it knows.
	Needed   bool   `json:"needed"`
	SignedIn bool   `json:"signed_in"`
	User     string `json:"user,omitempty"`
	// ByCookie says that signing out is possible.
	ByCookie bool `json:"by_cookie"`
	// Rules says that access rules are in force, Cluster that one may describe the
	// cluster by them: its clients, users and settings.
	Rules   bool   `json:"rules"`
	Cluster bool   `json:"cluster"`
	Version string `json:"version"`
}

// whoAmI answers anybody.
func (n *node) whoAmI(w http.ResponseWriter, r *http.Request) {
	out := sessionInfo{Needed: n.cmd.HTTPAuth, SignedIn: !n.cmd.HTTPAuth, Rules: n.who.rules != nil, Version: version}
	if n.cmd.HTTPAuth {
		if who, err := n.identify(r); err == nil {
			out.SignedIn, out.User = true, who.Name
			out.ByCookie = r.Header.Get("Authorization") == ""
			r = r.WithContext(context.WithValue(r.Context(), principalKey{}, who))
		}
	}
	out.Cluster = out.SignedIn && n.allowed(r, acl.Describe, acl.Cluster, acl.ClusterName, true)
	w.Header().Set("Cache-Control", "no-store")
	answer(w, http.StatusOK, out)
}

// signIn takes a password and gives a cookie.
func (n *node) signIn(w http.ResponseWriter, r *http.Request) {
	var in struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if !readJSON(w, r, maxSignIn, &in) {
		return
	}
	if n.tokens == nil {
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: "this broker asks nobody who they are: start it with --http.auth"})
		return
	}
	if !n.who.users.Verify(in.User, in.Password) {
		n.slowly(r, auth.ErrRefused)
		answer(w, http.StatusUnauthorized, apiError{Code: 40101, Message: "user or password is wrong"})
		return
	}
	now := n.tokens.now()
	n.setSession(w, r, n.tokens.issue(claims{User: in.User, LoginMs: now.UnixMilli(), UntilMs: now.Add(sessionLife).UnixMilli()}), int(sessionLife.Seconds()))
	answer(w, http.StatusOK, map[string]string{"user": in.User})
}

// signOut takes the cookie back.
func (n *node) signOut(w http.ResponseWriter, r *http.Request) {
	n.setSession(w, r, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

func (n *node) setSession(w http.ResponseWriter, r *http.Request, token string, maxAge int) {
	w.Header().Set("Cache-Control", "no-store")
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// bySession is who a request's cookie says.
func (n *node) bySession(r *http.Request) (auth.Principal, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil || n.tokens == nil {
		return auth.Principal{}, errNoCredentials
	}
	who, err := n.tokens.verify(c.Value)
	if err != nil {
		return auth.Principal{}, err
	}
	return auth.User(who.User), nil
}
