package dek

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

// Config is what a Store stands on.
type Config struct {
	// Engine is required. The store's items begin with "deks/".
	Engine storage.Engine
	// Secret is that of the local key management service for shared KEKs that
	// bring none of their own; "" leaves those unusable.
	Secret string
	// Importing says whether a subject is in import mode: then keys are taken as
	// they come, unopened. nil is never.
	Importing func(subject string) bool
	// Log may be nil.
	Log *slog.Logger
	// Now is the clock of keys' timestamps; nil is time.Now.
	Now func() time.Time
}

// Store keeps keys on a storage engine. It is safe for concurrent use; what only
// reads never waits.
type Store struct {
	engine    storage.Engine
	secret    string
	importing func(string) bool
	lg        *slog.Logger
	now       func() time.Time

	state atomic.Pointer[state] // replaced by who holds turn

	turn  chan struct{} // one token: who has it may change things
	stale bool          // the store may know more than state; owned by who holds turn
}

// state is all keys at one moment. It is immutable.
type state struct {
	keks map[string]*kek
	deks map[dekID]*key
}

type kek struct {
	KEK
	itemVersion int64
}

type key struct {
	DEK
	itemVersion int64
}

// dekID is what a DEK is found by.
type dekID struct {
	kek, subject string
	algorithm    Algorithm
	version      int
}

func idOf(d DEK) dekID { return dekID{d.KEK, d.Subject, d.Algorithm, d.Version} }

// Open reads the stored keys. The error is the engine's, or wraps
// storage.ErrBroken for an item that cannot be read.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Engine == nil {
		return nil, errors.New("key registry: no storage engine")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Importing == nil {
		cfg.Importing = func(string) bool { return false }
	}
	s := &Store{engine: cfg.Engine, secret: cfg.Secret, importing: cfg.Importing, lg: cfg.Log, now: cfg.Now, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	if _, err := s.reload(ctx); err != nil {
		return nil, fmt.Errorf("open the key registry: %w", err)
	}
	return s, nil
}

// mutate makes one change. plan computes it from the present state, at its item
// versions; nothing to write means nothing to do. It is called again if another
// process changed an item in between, so what it leaves behind for its caller
// must be of the last call. When mutate returns nil, the change is durable and
// every reader sees it.
func (s *Store) mutate(ctx context.Context, plan func(*state) (storage.Write, error)) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	for range maxAttempts {
		if s.stale {
			if _, err := s.reload(ctx); err != nil {
				return fmt.Errorf("read the keys again: %w", err)
			}
		}
		w, err := plan(s.state.Load())
		if err != nil || w.Empty() {
			return err
		}
		conflict, err := s.commit(ctx, w)
		if !conflict {
			return err
		}
		s.stale = true
	}
	return fmt.Errorf("another process changed the keys %d times in a row", maxAttempts)
}

// commit writes and applies w. An engine that fails may have written it all the
// same: then the store is looked at, and a change that is there has succeeded.
func (s *Store) commit(ctx context.Context, w storage.Write) (conflict bool, err error) {
	err = s.engine.Commit(ctx, w)
	if err == nil {
		old := s.state.Load()
		n := &state{keks: maps.Clone(old.keks), deks: maps.Clone(old.deks)}
		for _, it := range w.Set { // with the versions that the engine gave
			if err := n.put(it); err != nil {
				s.stale = true
				return false, err
			}
		}
		s.state.Store(n)
		return false, nil
	}
	if _, ok := errors.AsType[*storage.Conflict](err); ok {
		return true, nil
	}
	s.stale = true
	if errors.Is(err, storage.ErrInvalid) || errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrClosed) {
		return false, fmt.Errorf("store the keys: %w", err)
	}
	items, again := s.reload(context.WithoutCancel(ctx))
	if again == nil && persisted(items, w) {
		s.lg.Warn("a change of keys was reported as failed and is in the store", "error", err)
		return false, nil
	}
	return false, fmt.Errorf("store the keys: %w", err)
}

// persisted reports whether the store holds what w would have written.
func persisted(items map[string]storage.Item, w storage.Write) bool {
	for _, it := range w.Set {
		if got, ok := items[it.Key]; ok == it.Delete || !it.Delete && !bytes.Equal(got.Value, it.Value) {
			return false
		}
	}
	return true
}

// reload takes over what the store has now, and returns it.
func (s *Store) reload(ctx context.Context) (map[string]storage.Item, error) {
	items := map[string]storage.Item{}
	n := &state{keks: map[string]*kek{}, deks: map[dekID]*key{}}
	for it, err := range s.engine.Scan(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		items[it.Key] = it
		if err := n.put(it); err != nil {
			return nil, err
		}
	}
	s.state.Store(n)
	s.stale = false
	return items, nil
}
