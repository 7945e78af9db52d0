package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Limits of delegation tokens.
const (
	// MaxTokens bounds the tokens of a store: all of them are kept in memory.
	MaxTokens = 10_000
	// MaxRenewers bounds who may renew one token.
	MaxRenewers   = 100
	keyToken      = "token/"
	tokenIDBytes  = 16
	sweepAgain    = time.Minute // after a sweep that the store did not take
	tokensMaxLife = 7 * 24 * time.Hour
	tokensExpiry  = 24 * time.Hour
)

// Errors of delegation tokens, each a refusal.
var (
	ErrNoToken        = errors.New("no such delegation token")
	ErrTokenExpired   = errors.New("the delegation token has expired")
	ErrNotRenewer     = errors.New("neither the token's owner nor one of its renewers")
	ErrTooManyTokens  = fmt.Errorf("there are %d delegation tokens, as many as there may be", MaxTokens)
	ErrTokenTooLarge  = fmt.Errorf("a token has at most %d renewers, with names of at most %d bytes", MaxRenewers, MaxNameBytes)
	errNoTokensServed = fmt.Errorf("%w: delegation tokens are off, for want of a secret (--auth.token.secret-file)", ErrRefused)
)

// TokenConfig configures Tokens. Secret is required.
type TokenConfig struct {
	// Secret makes tokens' passwords (delegation.token.secret.key); with another
	// one those of before are worth nothing.
	Secret string
	// MaxLifetime is how long a token lives however often it is renewed
	// (delegation.token.max.lifetime.ms), Expiry how long it does unless it is
	// renewed (delegation.token.expiry.time.ms); 0 are Kafka's 7 days and 1 day.
	MaxLifetime, Expiry time.Duration
	// Log receives which tokens have expired; nil discards it.
	Log *slog.Logger
}

// Token is what may be known of a delegation token by those who may describe it.
// It is never written to.
type Token struct {
	ID        string      `json:"-"`
	Owner     Principal   `json:"owner"`     // as whom its bearer signs in
	Requester Principal   `json:"requester"` // who asked for it
	Renewers  []Principal `json:"renewers,omitempty"`
	IssuedMs  int64       `json:"issued_ms"` // Unix ms, as the others
	ExpiryMs  int64       `json:"expiry_ms"` // unless it is renewed
	MaxMs     int64       `json:"max_ms"`    // at the latest
	version   int64       // of its item
	mac       []byte      // HMAC-SHA-512 of the id, whose base64 is the password
	creds     [2]func() (Credential, error)
}

// MAC is what the token's bearer has to know, and who renews it has to name.
func (t *Token) MAC() []byte { return slices.Clone(t.mac) }

// belongsTo reports whether who may renew the token, and see it.
func (t *Token) belongsTo(who Principal) bool {
	return t.Owner == who || slices.Contains(t.Renewers, who)
}

// BelongsToAny reports whether the token is one of these owners' or renewers'.
func (t *Token) BelongsToAny(all []Principal) bool { return slices.ContainsFunc(all, t.belongsTo) }

func (t *Token) expired(nowMs int64) bool { return t.ExpiryMs < nowMs || t.MaxMs < nowMs }

// Tokens are the delegation tokens of a store (KIP-48): passwords with an end,
// for programs that work in somebody's name. Methods may be called concurrently;
// changes run one at a time, and are durable when they return.
type Tokens struct {
	store Store
	cfg   TokenConfig
	wake  chan struct{} // holds one when the next expiry may be another one

	changing sync.Mutex // held by the one change under way

	mu    sync.RWMutex
	byID  map[string]*Token // guarded by mu; elements are replaced, never changed
	byMAC map[string]*Token // guarded by mu
}

// OpenTokens reads the tokens of a store.
func OpenTokens(ctx context.Context, store Store, cfg TokenConfig) (*Tokens, error) {
	if cfg.Secret == "" {
		return nil, errors.New("delegation tokens need a secret")
	}
	if cfg.MaxLifetime <= 0 {
		cfg.MaxLifetime = tokensMaxLife
	}
	if cfg.Expiry <= 0 {
		cfg.Expiry = tokensExpiry
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Tokens{store: store, cfg: cfg, wake: make(chan struct{}, 1), byID: map[string]*Token{}, byMAC: map[string]*Token{}}
	return s, s.load(ctx, "")
}

// load takes over what the store has of a token, or of all.
func (s *Tokens) load(ctx context.Context, id string) error {
	found := map[string]bool{}
	for it, err := range s.store.Scan(ctx, keyToken+id) {
		if err != nil {
			return fmt.Errorf("read delegation tokens: %w", err)
		}
		t := Token{ID: strings.TrimPrefix(it.Key, keyToken), version: it.Version}
		if err := json.Unmarshal(it.Value, &t); err != nil {
			return fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		found[t.ID] = true
		s.put(t)
	}
	if id != "" && !found[id] {
		s.drop(id)
	}
	return nil
}

// put makes the token the one of its id.
func (s *Tokens) put(t Token) *Token {
	t.mac = SHA512.mac([]byte(s.cfg.Secret), t.ID)
	password := base64.StdEncoding.EncodeToString(t.mac)
	for i, m := range []Mechanism{SHA256, SHA512} {
		t.creds[i] = sync.OnceValues(func() (Credential, error) { return NewCredential(m, password, MinIterations) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byID[t.ID]; old != nil {
		t.creds = old.creds // they are the id's, and take milliseconds
	}
	s.byID[t.ID], s.byMAC[string(t.mac)] = &t, &t
	return &t
}

func (s *Tokens) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.byID[id]; t != nil {
		delete(s.byID, id)
		delete(s.byMAC, string(t.mac))
	}
}

// nowMs is the time. Expiry is waited for by timers, so no other clock would do.
func nowMs() int64 { return time.Now().UnixMilli() }

// Create makes a token for owner, asked for by requester. maxLifetime above 0
// makes it live shorter than tokens may.
func (s *Tokens) Create(ctx context.Context, owner, requester Principal, renewers []Principal, maxLifetime time.Duration) (*Token, error) {
	tooLong := func(p Principal) bool { return len(p.Name) > MaxNameBytes }
	if len(renewers) > MaxRenewers || tooLong(owner) || slices.ContainsFunc(renewers, tooLong) {
		return nil, ErrTokenTooLarge
	}
	life := s.cfg.MaxLifetime
	if maxLifetime > 0 {
		life = min(life, maxLifetime)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.RLock()
	n := len(s.byID)
	s.mu.RUnlock()
	if n >= MaxTokens {
		return nil, ErrTooManyTokens
	}
	id := make([]byte, tokenIDBytes)
	rand.Read(id) // never fails
	now := nowMs()
	t := Token{
		ID: base64.RawURLEncoding.EncodeToString(id), Owner: owner, Requester: requester, Renewers: renewers,
		IssuedMs: now, MaxMs: now + life.Milliseconds(), ExpiryMs: now + min(life, s.cfg.Expiry).Milliseconds(),
	}
	return s.store1(ctx, t)
}

// Renew lets the token with this MAC live for period from now on, 0 or less being
// the default, and says until when (Unix ms). Who asks has to be owner or renewer.
func (s *Tokens) Renew(ctx context.Context, who Principal, mac []byte, period time.Duration) (int64, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	t, err := s.find(who, mac, true)
	if err != nil {
		return 0, err
	}
	life := s.cfg.Expiry
	if period > 0 {
		life = min(life, period)
	}
	return s.until(ctx, t, life)
}

// Expire lets the token with this MAC end after period, or now if that is below
// 0. Who asks has to be owner or renewer.
func (s *Tokens) Expire(ctx context.Context, who Principal, mac []byte, period time.Duration) (int64, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	t, err := s.find(who, mac, period >= 0)
	if err != nil {
		return 0, err
	}
	if period < 0 {
		return nowMs(), s.remove(ctx, []*Token{t})
	}
	return s.until(ctx, t, period)
}

// find finds a token that who may change, and that has not expired where it
// matters. Order and errors are Kafka's.
func (s *Tokens) find(who Principal, mac []byte, alive bool) (*Token, error) {
	s.mu.RLock()
	t := s.byMAC[string(mac)]
	s.mu.RUnlock()
	switch {
	case t == nil:
		return nil, ErrNoToken
	case !t.belongsTo(who):
		return nil, ErrNotRenewer
	case alive && t.expired(nowMs()):
		return nil, ErrTokenExpired
	}
	return t, nil
}

// until stores another end of a token. changing is held.
func (s *Tokens) until(ctx context.Context, t *Token, life time.Duration) (int64, error) {
	next := *t
	next.ExpiryMs = min(t.MaxMs, nowMs()+life.Milliseconds())
	_, err := s.store1(ctx, next)
	return next.ExpiryMs, err
}

// store1 stores a token. changing is held.
func (s *Tokens) store1(ctx context.Context, t Token) (*Token, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encode delegation token: %w", err)
	}
	w := storage.Write{Set: []storage.Item{{Key: keyToken + t.ID, Value: b, Version: t.version}}}
	if err := s.store.Commit(ctx, w); err != nil {
		return nil, s.lookAgain(ctx, fmt.Errorf("store delegation token: %w", err), t.ID)
	}
	t.version = w.Set[0].Version
	defer s.stir()
	return s.put(t), nil
}

// remove deletes tokens in one commit. changing is held.
func (s *Tokens) remove(ctx context.Context, all []*Token) error {
	var w storage.Write
	for _, t := range all {
		w.Set = append(w.Set, storage.Item{Key: keyToken + t.ID, Version: t.version, Delete: true})
	}
	if err := s.store.Commit(ctx, w); err != nil {
		err = fmt.Errorf("delete delegation tokens: %w", err)
		for _, t := range all {
			err = s.lookAgain(ctx, err, t.ID)
		}
		return err
	}
	for _, t := range all {
		s.drop(t.ID)
	}
	return nil
}

// lookAgain reads a token after a commit that may have been done or not.
func (s *Tokens) lookAgain(ctx context.Context, failed error, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	return errors.Join(failed, s.load(ctx, id))
}

// List lists the tokens that keep lets pass, by id. Expired ones are gone, though
// the store may not know yet.
func (s *Tokens) List(keep func(*Token) bool) []*Token {
	s.mu.RLock()
	all := slices.Collect(maps.Values(s.byID))
	s.mu.RUnlock()
	now := nowMs()
	all = slices.DeleteFunc(all, func(t *Token) bool { return t.expired(now) || !keep(t) })
	slices.SortFunc(all, func(a, b *Token) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// credential is that of the token's password; nil if there is no such token, or
// no longer.
func (s *Tokens) credential(id string, m Mechanism) (*Token, Credential, error) {
	s.mu.RLock()
	t := s.byID[id]
	s.mu.RUnlock()
	if t == nil || t.expired(nowMs()) {
		return nil, Credential{}, nil
	}
	c, err := t.creds[m-SHA256]()
	return t, c, err
}

// stir makes Run look when the next token ends.
func (s *Tokens) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run deletes tokens when they expire, until ctx ends.
func (s *Tokens) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
		timer.Reset(s.sweep(ctx))
	}
}

// sweep deletes what has expired and says when to do it again.
func (s *Tokens) sweep(ctx context.Context) time.Duration {
	s.changing.Lock()
	defer s.changing.Unlock()
	now, next := nowMs(), s.cfg.MaxLifetime
	var gone []*Token
	s.mu.RLock()
	for _, t := range s.byID {
		if t.expired(now) {
			gone = append(gone, t)
		} else {
			next = min(next, time.Duration(min(t.ExpiryMs, t.MaxMs)-now+1)*time.Millisecond)
		}
	}
	s.mu.RUnlock()
	if len(gone) == 0 {
		return next
	}
	if err := s.remove(ctx, gone); err != nil {
		s.cfg.Log.Warn("expired delegation tokens stay in the store for now", "tokens", len(gone), "error", err)
		return sweepAgain
	}
	for _, t := range gone {
		s.cfg.Log.Info("delegation token has expired", "token", t.ID, "owner", t.Owner.String())
	}
	return next
}
