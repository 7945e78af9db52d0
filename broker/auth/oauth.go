package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// OAuthConfig says which tokens are believed. Keys is required.
type OAuthConfig struct {
	// Keys is where the issuer's keys are: the URL of a JSON Web Key Set, or a
	// file that holds one.
	Keys string
	// Issuer is what the token's iss must be; empty takes any.
	Issuer string
	// Audience is what must be among the token's aud; empty takes any.
	Audience string
	// Claim holds the user's name (sasl.oauthbearer.sub.claim.name); empty is
	// "sub".
	Claim string
	// ClockSkew is how far clocks may differ
	// (sasl.oauthbearer.clock.skew.seconds); 0 is Kafka's 30 s.
	ClockSkew time.Duration
	// Log is told of keys that changed or could not be had; nil: nobody is.
	Log *slog.Logger
	// Client fetches keys; nil is a client with a time limit.
	Client *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Limits of keys and tokens.
const (
	maxTokenBytes  = 64 << 10 // real ones have one or two KiB
	maxKeySetBytes = 1 << 20
	fetchTimeout   = 5 * time.Second
	// keysFor is how long a key set is used before it is fetched again, and
	// keysRest how long a token with an unknown key has to wait before it may
	// cause that: it might be anybody's.
	keysFor  = time.Hour
	keysRest = 10 * time.Second
	// fileFor is the same of a file, which is near: who takes a key out of it
	// means that tokens of it are not believed any more.
	fileFor = time.Second
	// failedFor is how long nobody tries again after keys that are not there yet
	// could not be fetched: who signs in then need not wait for that in a queue.
	failedFor        = time.Second
	defaultClockSkew = 30 * time.Second
)

// OAuth checks tokens: JWTs with a signature, never such without. Safe for
// concurrent use.
type OAuth struct {
	cfg OAuthConfig

	first sync.Mutex // held while there are no keys and they are fetched

	mu    sync.Mutex
	keys  *jose.JSONWebKeySet // guarded by mu; nil: not fetched yet
	text  []byte              // what keys were read from; guarded by mu
	tried time.Time           // when they were fetched last, or that failed; guarded by mu
	why   error               // why there are no keys, or no newer ones; guarded by mu
	since time.Time           // when that was found; guarded by mu
}

// algorithms are those of issuers' public keys. Keys that both sides know are
// not among them: a key set is public.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// NewOAuth returns an OAuth. Keys in a file are read now; those of a URL when
// the first token comes, since the issuer may start later.
func NewOAuth(ctx context.Context, cfg OAuthConfig) (*OAuth, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: fetchTimeout}
	}
	if cfg.Claim == "" {
		cfg.Claim = "sub"
	}
	if cfg.ClockSkew == 0 {
		cfg.ClockSkew = defaultClockSkew
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	o := &OAuth{cfg: cfg}
	if !o.remote() {
		if _, err := o.current(ctx, 0); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *OAuth) remote() bool {
	return strings.HasPrefix(o.cfg.Keys, "http://") || strings.HasPrefix(o.cfg.Keys, "https://")
}

// Verify checks a token and gives whom it names and when it ends. The error is
// ErrRefused, or says that keys could not be fetched.
func (o *OAuth) Verify(ctx context.Context, token string) (Principal, time.Time, error) {
	if len(token) > maxTokenBytes {
		return Principal{}, time.Time{}, fmt.Errorf("%w: token of %d bytes", ErrRefused, len(token))
	}
	t, err := jwt.ParseSigned(token, algorithms())
	if err != nil {
		return Principal{}, time.Time{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	var claims jwt.Claims
	var all map[string]any
	if err := o.claims(ctx, t, &claims, &all); err != nil {
		return Principal{}, time.Time{}, err
	}
	if claims.Expiry == nil {
		return Principal{}, time.Time{}, fmt.Errorf("%w: token never expires", ErrRefused)
	}
	want := jwt.Expected{Issuer: o.cfg.Issuer, Time: o.cfg.Now()}
	if o.cfg.Audience != "" {
		want.AnyAudience = jwt.Audience{o.cfg.Audience}
	}
	if err := claims.ValidateWithLeeway(want, o.cfg.ClockSkew); err != nil {
		return Principal{}, time.Time{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	name, ok := all[o.cfg.Claim].(string)
	if !ok || name == "" {
		return Principal{}, time.Time{}, fmt.Errorf("%w: token has no claim %q", ErrRefused, o.cfg.Claim)
	}
	return User(name), claims.Expiry.Time(), nil
}

// claims checks the signature, with keys fetched anew if none fits.
func (o *OAuth) claims(ctx context.Context, t *jwt.JSONWebToken, into ...any) error {
	keys, err := o.current(ctx, keysFor)
	if err != nil {
		return err
	}
	err = t.Claims(fitting(keys, t), into...)
	if errors.Is(err, jose.ErrJWKSKidNotFound) {
		fresh, ferr := o.current(ctx, keysRest)
		if ferr == nil && fresh != keys {
			err = t.Claims(fitting(fresh, t), into...)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// current gives the keys, fetched again if the last attempt is older than age.
// Meanwhile others go on with the old ones, and so does everybody if it fails;
// only where there are none yet they wait for them.
func (o *OAuth) current(ctx context.Context, age time.Duration) (*jose.JSONWebKeySet, error) {
	if !o.remote() {
		age = min(age, fileFor)
	}
	keys, due, err := o.claim(age)
	if err != nil || keys != nil && !due {
		return keys, err
	}
	if keys == nil {
		o.first.Lock()
		defer o.first.Unlock()
		if keys, _, err = o.claim(age); keys != nil || err != nil {
			return keys, err
		}
	}
	fresh, text, err := o.fetch(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil && o.keys != nil && bytes.Equal(text, o.text):
	case err == nil:
		if o.keys != nil {
			o.cfg.Log.Info("keys of tokens have changed", "at", o.cfg.Keys, "keys", len(fresh.Keys))
		}
		o.keys, o.text = fresh, text
	case o.keys == nil:
		o.since = o.cfg.Now()
	case o.why == nil || o.why.Error() != err.Error():
		o.cfg.Log.Error("keys of tokens stay as they were", "error", err)
	}
	if o.why = err; o.keys != nil {
		err = nil
	}
	return o.keys, err
}

// claim gives the keys there are, and whether it is the caller who has to fetch
// others; or why there are none, if they have just been tried.
func (o *OAuth) claim(age time.Duration) (keys *jose.JSONWebKeySet, due bool, err error) {
	now := o.cfg.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keys == nil && o.why != nil && now.Sub(o.since) < failedFor {
		return nil, false, o.why
	}
	if due = now.Sub(o.tried) > age; due || o.keys == nil {
		o.tried = now
	}
	return o.keys, due, nil
}

// fetch reads the key set, and gives the text of it, too.
func (o *OAuth) fetch(ctx context.Context) (*jose.JSONWebKeySet, []byte, error) {
	b, err := o.readKeys(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("fetch keys of tokens: %w", err)
	}
	set, err := parseKeys(b)
	if err != nil {
		return nil, nil, fmt.Errorf("keys of tokens at %s: %w", o.cfg.Keys, err)
	}
	return set, b, nil
}

func (o *OAuth) readKeys(ctx context.Context) ([]byte, error) {
	if !o.remote() {
		f, err := os.Open(o.cfg.Keys)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readSome(f)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.cfg.Keys, nil)
	if err != nil {
		return nil, err
	}
	resp, err := o.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", o.cfg.Keys, resp.Status)
	}
	return readSome(resp.Body)
}

func readSome(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeySetBytes+1))
	if err == nil && len(b) > maxKeySetBytes {
		return nil, fmt.Errorf("a key set of more than %d bytes", maxKeySetBytes)
	}
	return b, err
}

// bearer is OAUTHBEARER (RFC 7628). A refusal is first told as a challenge, and
// fails when the client has answered it.
type bearer struct {
	oauth   *OAuth
	who     Principal
	expires time.Time
	refused error
}

const invalidToken = `{"status":"invalid_token"}`

func (b *bearer) principal() Principal { return b.who }

func (b *bearer) step(token []byte) (answer []byte, done bool, err error) {
	if b.refused != nil {
		return nil, false, b.refused
	}
	as, jwtText, err := bearerToken(string(token))
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	if b.who, b.expires, err = b.oauth.Verify(ctx, jwtText); err != nil {
		b.refused = fmt.Errorf("%w: %w", &wordedError{invalidToken}, err)
		return []byte(invalidToken), false, nil
	}
	if as != "" && as != b.who.Name {
		return nil, false, &wordedError{"Authentication failed: Client requested an authorization id that is different from the token's principal name"}
	}
	return []byte{}, true, nil
}

// bearerToken reads "n,[a=NAME],^Aauth=Bearer TOKEN^A[key=value^A…]^A": as whom the
// client wants to be known, if it says so, and its token.
func bearerToken(msg string) (as, token string, err error) {
	head, rest, ok := strings.Cut(msg, "\x01")
	words := strings.Split(head, ",")
	if !ok || len(words) != 3 || words[0] != "n" || words[2] != "" || words[1] != "" && !strings.HasPrefix(words[1], "a=") {
		return "", "", fmt.Errorf("%w: malformed token", ErrRefused)
	}
	if words[1] != "" {
		if as, err = saslName(words[1][2:]); err != nil {
			return "", "", err
		}
	}
	for pair := range strings.SplitSeq(rest, "\x01") {
		if key, value, ok := strings.Cut(pair, "="); ok && key == "auth" {
			if kind, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(kind, "bearer") {
				return as, strings.TrimSpace(token), nil
			}
		}
	}
	return "", "", fmt.Errorf("%w: no bearer token", ErrRefused)
}
