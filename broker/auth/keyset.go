package auth

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// parseKeys reads a JSON Web Key Set. Keys of a kind or with members that are not
// known here are left out (RFC 7517, section 5): an issuer may have some for
// others. A secret in it is refused.
func parseKeys(b []byte) (*jose.JSONWebKeySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("no JSON Web Key Set: %w", err)
	}
	set := &jose.JSONWebKeySet{}
	var unread error
	for _, one := range raw.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(one, &k); err != nil {
			unread = err
			continue
		}
		if !k.IsPublic() {
			return nil, errors.New("there is a secret key, which does not belong there")
		}
		set.Keys = append(set.Keys, k)
	}
	switch {
	case len(set.Keys) > 0:
		return set, nil
	case unread != nil:
		return nil, fmt.Errorf("there are no keys that can be used: %w", unread)
	}
	return nil, errors.New("there are no keys")
}

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
