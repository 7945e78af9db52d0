package auth

import (
	"fmt"
	"strings"
)

// plain is PLAIN (RFC 4616): one message, "authzid NUL user NUL password". The
// password is held against any credential that the user has.
type plain struct {
	users *Users
	user  string
}

// errPlain carries Kafka's words for a client.
var errPlain = &wordedError{"Authentication failed: Invalid username or password"}

// wordedError is a refusal with a text for the client.
type wordedError struct{ text string }

func (e *wordedError) Error() string { return e.text }
func (e *wordedError) Unwrap() error { return ErrRefused }

func (p *plain) step(token []byte) (answer []byte, done bool, err error) {
	words := strings.Split(string(token), "\x00")
	if len(words) != 3 {
		return nil, false, fmt.Errorf("%w: malformed token", ErrRefused)
	}
	authzid, user, password := words[0], words[1], words[2]
	switch {
	case user == "":
		return nil, false, &wordedError{"Authentication failed: username not specified"}
	case password == "":
		return nil, false, &wordedError{"Authentication failed: password not specified"}
	case authzid != "" && authzid != user:
		return nil, false, &wordedError{"Authentication failed: Client requested an authorization id that is different from username"}
	case !p.users.Verify(user, password):
		return nil, false, errPlain
	}
	p.user = user
	return []byte{}, true, nil
}

func (p *plain) principal() Principal { return User(p.user) }
