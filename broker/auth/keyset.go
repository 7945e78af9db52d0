package auth

import (
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// fitting gives what of a key set may have signed a token: keys for signatures,
// and for the token's algorithm if they name one (RFC 7517, sections 4.2 and 4.4).
// A token that names no key has been signed by the only one that is left.
func fitting(set *jose.JSONWebKeySet, t *jwt.JSONWebToken) any {
	if len(t.Headers) != 1 {
		return set // one signature is all that a token can have
	}
	head := t.Headers[0]
	left := &jose.JSONWebKeySet{}
	for _, k := range set.Keys {
		if (k.Use == "" || k.Use == "sig") && (k.Algorithm == "" || k.Algorithm == head.Algorithm) {
			left.Keys = append(left.Keys, k)
		}
	}
	if head.KeyID == "" && len(left.Keys) == 1 {
		return left.Keys[0].Key
	}
	return left
}
