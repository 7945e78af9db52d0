package auth

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// SASL configures the exchanges of a listener. Users is required; OAuth if
// OAUTHBEARER is among the mechanisms.
type SASL struct {
	// Mechanisms are offered to clients, in this order (sasl.enabled.mechanisms).
	Mechanisms []string
	Users      *Users
	OAuth      *OAuth
	Tokens     *Tokens // delegation tokens, by SCRAM; nil: none
	// MaxReauth ends connections that have not said again who they are for so
	// long (connections.max.reauth.ms, KIP-368); 0 is never.
	MaxReauth time.Duration
	// FailureDelay is how long a refusal is held back
	// (connection.failed.authentication.delay.ms); 0 is Kafka's 100 ms.
	FailureDelay time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// defaultFailureDelay is Kafka's: it makes guessing slow and hurts nobody else.
const defaultFailureDelay = 100 * time.Millisecond

// Check reports what is wrong with the configuration.
func (c *SASL) Check() error {
	if len(c.Mechanisms) == 0 {
		return errors.New("SASL needs at least one mechanism")
	}
	for _, m := range c.Mechanisms {
		switch m {
		case Plain, ScramSHA256, ScramSHA512:
		case OAuthBearer:
			if c.OAuth == nil {
				return errors.New("OAUTHBEARER needs a key set to check tokens with")
			}
		default:
			return fmt.Errorf("SASL mechanism %q is none of %s, %s, %s, %s", m, Plain, ScramSHA256, ScramSHA512, OAuthBearer)
		}
	}
	return nil
}

// Delay is how long a refusal is held back.
func (c *SASL) Delay() time.Duration {
	if c.FailureDelay > 0 {
		return c.FailureDelay
	}
	return defaultFailureDelay
}

// Errors of a session. Both end the connection.
var (
	// ErrState says that a request has no place at this point.
	ErrState = errors.New("request has no place at this point of authentication")
	// ErrMechanism says that a mechanism is not offered, or not the one of the
	// first authentication.
	ErrMechanism = errors.New("SASL mechanism is not offered")
	// ErrExpired says that a connection should have authenticated again.
	ErrExpired = errors.New("authentication has expired")
)

// conversation is one exchange of a mechanism.
type conversation interface {
	step(token []byte) (answer []byte, done bool, err error)
	principal() Principal
}

// state is how far a session is.
type state int8

const (
	stateStart    state = iota // nothing but ApiVersions and SaslHandshake
	stateExchange              // tokens
	stateReady
	stateFailed
)

// Session is one connection's authentication. Methods but Principal belong to
// the connection's reader; Principal may be called by anyone.
type Session struct {
	cfg  *SASL // nil: who is there is known from the start
	mu   sync.Mutex
	who  Principal // guarded by mu
	raw  bool      // tokens come without Kafka's frames (SaslHandshake v0)
	at   state
	mech string
	talk conversation
	till time.Time // zero: for ever
	// byToken says that the last exchange was by a delegation token.
	byToken bool
}

// NewSession begins with a connection that has to authenticate by SASL.
func NewSession(cfg *SASL) *Session { return &Session{cfg: cfg} }

// Known is the session of a connection whose principal is known without SASL:
// by its certificate, or as nobody's.
func Known(p Principal) *Session { return &Session{who: p, at: stateReady} }

// Principal is who the connection belongs to; the zero Principal is nobody yet.
func (s *Session) Principal() Principal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

// Ready reports whether requests may come.
func (s *Session) Ready() bool {
	return s.at == stateReady || s.at != stateFailed && s.Principal() != Principal{}
}

// MayAskForTokens reports whether the connection may be used to ask for delegation
// tokens, as in Kafka: by those who have said who they are, and not by such a
// token. It belongs to the connection's reader, as most.
func (s *Session) MayAskForTokens() bool {
	return !s.byToken && (s.cfg != nil || s.Principal() != Anonymous())
}

// Raw reports whether the next thing to come is a bare token.
func (s *Session) Raw() bool { return s.raw && s.at == stateExchange }

// Delay is how long a refusal is held back.
func (s *Session) Delay() time.Duration { return s.cfg.Delay() }

func (s *Session) now() time.Time {
	if s.cfg.Now != nil {
		return s.cfg.Now()
	}
	return time.Now()
}

// Admit judges a request that is about to be handled: sasl for SaslHandshake and
// SaslAuthenticate, free for ApiVersions. An error ends the connection.
func (s *Session) Admit(sasl, free bool) error {
	if s.cfg == nil {
		return nil
	}
	switch s.at {
	case stateReady:
		if !s.till.IsZero() && s.now().After(s.till) && !sasl {
			return ErrExpired
		}
		return nil
	case stateStart:
		if sasl || free {
			return nil
		}
	case stateExchange:
		if sasl {
			return nil
		}
	}
	return ErrState
}

// Handshake chooses a mechanism, and gives those that are offered. Version 0
// means that bare tokens follow. After ErrMechanism the client may choose again.
func (s *Session) Handshake(mechanism string, version int16) ([]string, error) {
	if s.cfg == nil || s.at != stateStart && s.at != stateReady {
		return nil, ErrState
	}
	again := s.at == stateReady
	if !slices.Contains(s.cfg.Mechanisms, mechanism) || again && mechanism != s.mech {
		return s.cfg.Mechanisms, ErrMechanism
	}
	switch mechanism {
	case Plain:
		s.talk = &plain{users: s.cfg.Users}
	case ScramSHA256:
		s.talk = newScram(SHA256, s.cfg.Users, s.cfg.Tokens)
	case ScramSHA512:
		s.talk = newScram(SHA512, s.cfg.Users, s.cfg.Tokens)
	case OAuthBearer:
		s.talk = &bearer{oauth: s.cfg.OAuth}
	}
	s.mech, s.at, s.raw = mechanism, stateExchange, version == 0
	return s.cfg.Mechanisms, nil
}

// Authenticate takes a client's token and gives the next of the server's. When
// the exchange is done, Ready turns true; lifetime is then how long the
// connection may go on without authenticating again, 0 for ever. Errors:
// ErrState; ErrRefused, after which nothing more is taken. Message has words for
// the client.
func (s *Session) Authenticate(token []byte) (answer []byte, lifetime time.Duration, err error) {
	if s.cfg == nil || s.at != stateExchange {
		return nil, 0, ErrState
	}
	answer, done, err := s.talk.step(token)
	if err != nil {
		s.at = stateFailed
		return nil, 0, err
	}
	if !done {
		return answer, 0, nil
	}
	now, who := s.talk.principal(), s.Principal()
	if who != (Principal{}) && who != now {
		s.at = stateFailed
		return nil, 0, &wordedError{fmt.Sprintf("Cannot change principals during re-authentication from %s to %s", who, now)}
	}
	s.mu.Lock()
	s.who = now
	s.mu.Unlock()
	lifetime = s.cfg.MaxReauth
	var expires time.Time
	s.byToken = false
	switch talk := s.talk.(type) {
	case *bearer:
		expires = talk.expires
	case *scram:
		if s.byToken = talk.token != nil; s.byToken {
			expires = time.UnixMilli(talk.token.ExpiryMs)
		}
	}
	if !expires.IsZero() {
		if left := max(expires.Sub(s.now()), time.Millisecond); lifetime == 0 || left < lifetime {
			lifetime = left
		}
	}
	s.at, s.talk, s.till = stateReady, nil, time.Time{}
	if lifetime > 0 {
		s.till = s.now().Add(lifetime)
	}
	return answer, lifetime, nil
}

// Mechanism is the one chosen last.
func (s *Session) Mechanism() string { return s.mech }

// Message is what a client may hear of a failed exchange: Kafka's words.
func (s *Session) Message(err error) string {
	var worded *wordedError
	if errors.As(err, &worded) {
		return worded.text
	}
	what := "authentication"
	if s.Principal() != (Principal{}) {
		what = "re-authentication"
	}
	return "Authentication failed during " + what + " due to invalid credentials with SASL mechanism " + s.mech
}
