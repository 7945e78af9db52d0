// Package auth says who is at the other end: SASL exchanges (PLAIN, SCRAM,
// OAUTHBEARER), TLS with client certificates, and the users whose passwords
// they check. It knows neither the layout of requests nor what anybody may do:
// broker/api carries its tokens, broker/acl judges its principals.
//
//	session.go   one connection's exchange, as Kafka's authenticator goes
//	plain.go     PLAIN (RFC 4616)
//	scram.go     SCRAM-SHA-256 and -512, server's side (RFC 5802, RFC 7677)
//	oauth.go     OAUTHBEARER (RFC 7628): signed tokens against a key set
//	users.go     users and their credentials, kept as items of the store
//	file.go      users and super users of a file, for the first start
//	tls.go       certificates that are read again when their files change
//	mapping.go   names of certificates to principals
package auth

import (
	"errors"
	"strings"
)

// Names of SASL mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
)

// Principal is who a connection belongs to. The zero value is nobody yet.
type Principal struct {
	Type string // "User", the only one there is
	Name string
}

// User is the principal of a user's name.
func User(name string) Principal { return Principal{Type: "User", Name: name} }

// Anonymous is who did not say who they are, as Kafka names them.
func Anonymous() Principal { return User("ANONYMOUS") }

// String is type and name with a colon between, as access rules write it.
func (p Principal) String() string { return p.Type + ":" + p.Name }

// ParsePrincipal reads "Type:name"; a name alone is a user's.
func ParsePrincipal(s string) Principal {
	if kind, name, ok := strings.Cut(s, ":"); ok {
		return Principal{Type: kind, Name: name}
	}
	return User(s)
}

// ErrRefused says that credentials are wrong. Which part of them is not said to
// anyone.
var ErrRefused = errors.New("invalid credentials")
