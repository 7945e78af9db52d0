package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Limits of SCRAM. Kafka refuses credentials outside these iterations: fewer
// are too easy to guess, more let a client keep the server busy.
const (
	MinIterations = 4096
	MaxIterations = 16384
	// DefaultIterations is also what an unknown user is told.
	DefaultIterations = MinIterations
	saltBytes         = 24
	nonceBytes        = 18
)

// Mechanism is a kind of SCRAM, numbered as KIP-554 does.
type Mechanism int8

// The kinds of SCRAM.
const (
	SHA256 Mechanism = 1
	SHA512 Mechanism = 2
)

// Valid reports whether m is one of the kinds.
func (m Mechanism) Valid() bool { return m == SHA256 || m == SHA512 }

// String is the SASL name.
func (m Mechanism) String() string {
	if m == SHA512 {
		return ScramSHA512
	}
	return ScramSHA256
}

func (m Mechanism) hash() func() hash.Hash {
	if m == SHA512 {
		return sha512.New
	}
	return sha256.New
}

func (m Mechanism) size() int { return m.hash()().Size() }

func (m Mechanism) mac(key []byte, text string) []byte {
	h := hmac.New(m.hash(), key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (m Mechanism) sum(b []byte) []byte {
	h := m.hash()()
	h.Write(b)
	return h.Sum(nil)
}

// Credential is what is kept of a password: enough to check it, not enough to
// use it (RFC 5802, section 3).
type Credential struct {
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
	Iterations int    `json:"iterations"`
}

// FromSalted makes a credential of a password that a client has salted.
func FromSalted(m Mechanism, salted, salt []byte, iterations int) Credential {
	return Credential{
		Salt: salt, Iterations: iterations,
		StoredKey: m.sum(m.mac(salted, "Client Key")), ServerKey: m.mac(salted, "Server Key"),
	}
}

// NewCredential makes a credential of a password with a fresh salt.
func NewCredential(m Mechanism, password string, iterations int) (Credential, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(m.hash(), password, salt, iterations, m.size())
	if err != nil {
		return Credential{}, fmt.Errorf("salt a password: %w", err)
	}
	return FromSalted(m, salted, salt, iterations), nil
}

// Matches reports whether c was made of password, in a time that does not tell.
func (c Credential) Matches(m Mechanism, password string) bool {
	salted, err := pbkdf2.Key(m.hash(), password, c.Salt, c.Iterations, m.size())
	if err != nil {
		return false
	}
	return subtle.ConstantTimeCompare(m.sum(m.mac(salted, "Client Key")), c.StoredKey) == 1
}

// scram is one exchange on the server's side: client-first, server-first,
// client-final, server-final. A user who is not there is led through all of it,
// with a salt that stays the same.
type scram struct {
	mechanism Mechanism
	users     *Users
	tokens    *Tokens       // nil: none
	nonce     func() string // the server's half

	user     string
	cred     Credential
	known    bool
	token    *Token // what the client signs in with, if that is a delegation token
	gs2      string // header of client-first
	bare     string // client-first without it
	combined string // nonce
	first    string // server-first
}

func newScram(m Mechanism, u *Users, tokens *Tokens) *scram {
	return &scram{mechanism: m, users: u, tokens: tokens, nonce: func() string {
		b := make([]byte, nonceBytes)
		rand.Read(b)
		return base64.StdEncoding.EncodeToString(b)
	}}
}

// step takes a client's message and gives the server's.
func (s *scram) step(token []byte) (answer []byte, done bool, err error) {
	if s.first == "" {
		answer, err = s.begin(string(token))
		return answer, false, err
	}
	answer, err = s.end(string(token))
	return answer, err == nil, err
}

// principal is the user, or whose token it is.
func (s *scram) principal() Principal {
	if s.token != nil {
		return s.token.Owner
	}
	return User(s.user)
}

// begin reads "n,[a=authzid],n=user,r=nonce[,extensions]".
func (s *scram) begin(msg string) ([]byte, error) {
	flag, rest, ok := strings.Cut(msg, ",")
	if !ok || flag != "n" && flag != "y" {
		return nil, fmt.Errorf("%w: channel binding is not offered", ErrRefused)
	}
	authzid, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return nil, fmt.Errorf("%w: malformed first message", ErrRefused)
	}
	s.gs2, s.bare = msg[:len(msg)-len(bare)], bare
	words := strings.Split(bare, ",")
	if len(words) < 2 || !strings.HasPrefix(words[0], "n=") || !strings.HasPrefix(words[1], "r=") || len(words[1]) < 3 {
		return nil, fmt.Errorf("%w: malformed first message", ErrRefused)
	}
	var err error
	if s.user, err = saslName(words[0][2:]); err != nil {
		return nil, err
	}
	if as, ok := strings.CutPrefix(authzid, "a="); ok || authzid != "" {
		if name, err := saslName(as); err != nil || name != s.user {
			return nil, fmt.Errorf("%w: authorization id is not the user", ErrRefused)
		}
	}
	s.cred, s.known = s.users.credential(s.user, s.mechanism)
	if slices.ContainsFunc(words[2:], func(ext string) bool { return strings.EqualFold(ext, "tokenauth=true") }) {
		if err := s.useToken(); err != nil {
			return nil, err
		}
	}
	s.combined = words[1][2:] + s.nonce()
	s.first = fmt.Sprintf("r=%s,s=%s,i=%d", s.combined, base64.StdEncoding.EncodeToString(s.cred.Salt), s.cred.Iterations)
	return []byte(s.first), nil
}

// useToken makes the user's name the id of a delegation token (KIP-48). One that
// is not there, or has expired, is like a user who is not there.
func (s *scram) useToken() error {
	if s.tokens == nil {
		return errNoTokensServed
	}
	t, cred, err := s.tokens.credential(s.user, s.mechanism)
	if err != nil {
		return err
	}
	if s.known = t != nil; s.known {
		s.token, s.cred = t, cred
	}
	return nil
}

// end reads "c=header,r=nonce[,extensions],p=proof".
func (s *scram) end(msg string) ([]byte, error) {
	at := strings.LastIndex(msg, ",p=")
	if at < 0 {
		return nil, fmt.Errorf("%w: no proof", ErrRefused)
	}
	plain, proof := msg[:at], msg[at+len(",p="):]
	words := strings.Split(plain, ",")
	if len(words) < 2 || words[0] != "c="+base64.StdEncoding.EncodeToString([]byte(s.gs2)) {
		return nil, fmt.Errorf("%w: channel binding differs", ErrRefused)
	}
	// librdkafka before 2.4 puts its half of the nonce twice; Kafka, too, looks at
	// the end only. The proof is over what was sent.
	given, err := base64.StdEncoding.DecodeString(proof)
	if err != nil || !strings.HasPrefix(words[1], "r=") || !strings.HasSuffix(words[1], s.combined) {
		return nil, fmt.Errorf("%w: nonce or proof are malformed", ErrRefused)
	}
	text := s.bare + "," + s.first + "," + plain
	signature := s.mechanism.mac(s.cred.StoredKey, text)
	if len(given) != len(signature) {
		return nil, fmt.Errorf("%w: proof of a wrong length", ErrRefused)
	}
	key := make([]byte, len(given))
	subtle.XORBytes(key, given, signature)
	right := subtle.ConstantTimeCompare(s.mechanism.sum(key), s.cred.StoredKey) == 1
	if !right || !s.known {
		return nil, fmt.Errorf("%w: wrong proof or unknown user", ErrRefused)
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(s.mechanism.mac(s.cred.ServerKey, text))), nil
}

// saslName undoes the escapes of a user's name: =2C a comma, =3D an equals sign.
func saslName(s string) (string, error) {
	for at := strings.IndexByte(s, '='); at >= 0; {
		if code := s[at:]; !strings.HasPrefix(code, "=2C") && !strings.HasPrefix(code, "=3D") {
			return "", fmt.Errorf("%w: malformed user name", ErrRefused)
		}
		next := strings.IndexByte(s[at+1:], '=')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	if s == "" {
		return "", fmt.Errorf("%w: empty user name", ErrRefused)
	}
	return strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s), nil
}
