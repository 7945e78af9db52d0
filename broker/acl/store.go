package acl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
)

const (
	keyACL = "acl/"
	// MaxBindings bounds the rules of a store: all are kept in memory.
	MaxBindings = 100_000
	// lookTimeout bounds the look at the store after a failed commit.
	lookTimeout = 10 * time.Second
)

// Store is what rules need of a storage.Engine.
type Store interface {
	Commit(ctx context.Context, w storage.Write) error
	Scan(ctx context.Context, prefix string) iter.Seq2[storage.Item, error]
}

// Rules are all bindings of a store, and the judge by them. Methods may be
// called concurrently; changes run one at a time.
type Rules struct {
	store Store
	cfg   Config
	super atomic.Pointer[[]string]
	index atomic.Pointer[index]

	mu    sync.Mutex // held by the one change under way
	stale bool       // a commit failed and the store was not read since; guarded by mu
}

// Open reads the rules of a store.
func Open(ctx context.Context, store Store, cfg Config) (*Rules, error) {
	r := &Rules{store: store, cfg: cfg}
	r.SetSuper(cfg.Super)
	all, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	r.index.Store(newIndex(all))
	return r, nil
}

// SetSuper says anew who needs no rules.
func (r *Rules) SetSuper(super []string) {
	super = slices.Clone(super)
	r.super.Store(&super)
}

func (r *Rules) load(ctx context.Context) (map[string]entry, error) {
	all := map[string]entry{}
	for it, err := range r.store.Scan(ctx, keyACL) {
		if err != nil {
			return nil, fmt.Errorf("read access rules: %w", err)
		}
		e := entry{version: it.Version}
		if err := json.Unmarshal(it.Value, &e.Binding); err != nil {
			return nil, fmt.Errorf("%w: item %q: %w", storage.ErrBroken, it.Key, err)
		}
		all[it.Key] = e
	}
	return all, nil
}

// itemOf is the item of a binding: equal bindings have one.
func itemOf(b Binding) (key string, value []byte, err error) {
	if value, err = json.Marshal(b); err != nil {
		return "", nil, fmt.Errorf("encode access rule: %w", err)
	}
	sum := sha256.Sum256(value)
	return keyACL + hex.EncodeToString(sum[:]), value, nil
}

// Create adds bindings, in one commit, and returns what became of each: nil,
// also for one that was there, ErrInvalid or a failure of the store.
func (r *Rules) Create(ctx context.Context, bs []Binding) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]error, len(bs))
	if err := r.refresh(ctx); err != nil {
		return fail(out, err)
	}
	now := r.index.Load().all
	next := maps.Clone(now)
	var w storage.Write
	for i, b := range bs {
		if out[i] = b.Check(); out[i] != nil {
			continue
		}
		if len(next) >= MaxBindings {
			out[i] = fmt.Errorf("%w: there are %d rules", ErrInvalid, len(next))
			continue
		}
		key, value, err := itemOf(b)
		if err != nil {
			out[i] = err
			continue
		}
		if _, there := next[key]; !there {
			next[key] = entry{Binding: b}
			w.Set = append(w.Set, storage.Item{Key: key, Value: value})
		}
	}
	if err := r.commit(ctx, w, next); err != nil {
		return fail(out, err)
	}
	return out
}

func fail(out []error, err error) []error {
	for i, had := range out {
		if had == nil {
			out[i] = err
		}
	}
	return out
}

// commit makes a change durable and then visible. mu is held.
func (r *Rules) commit(ctx context.Context, w storage.Write, next map[string]entry) error {
	if len(w.Set) == 0 {
		return nil
	}
	if err := r.store.Commit(ctx, w); err != nil {
		r.stale = true
		return errors.Join(err, r.refresh(ctx))
	}
	for _, it := range w.Set {
		if it.Delete {
			delete(next, it.Key)
			continue
		}
		e := next[it.Key]
		e.version = it.Version
		next[it.Key] = e
	}
	r.index.Store(newIndex(next))
	return nil
}

// refresh reads the store again if memory may differ from it. mu is held.
func (r *Rules) refresh(ctx context.Context) error {
	if !r.stale {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	all, err := r.load(ctx)
	if err != nil {
		return err
	}
	r.stale = false
	r.index.Store(newIndex(all))
	return nil
}

// List gives the bindings that a filter chooses, in order.
func (r *Rules) List(f Filter) []Binding {
	out := []Binding{}
	for _, e := range r.index.Load().all {
		if f.Matches(e.Binding) {
			out = append(out, e.Binding)
		}
	}
	slices.SortFunc(out, order)
	return out
}

// Delete removes what filters choose, in one commit, and returns what each of
// them chose.
func (r *Rules) Delete(ctx context.Context, fs []Filter) ([][]Binding, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	out := make([][]Binding, len(fs))
	next := maps.Clone(r.index.Load().all)
	var w storage.Write
	for key, e := range next {
		chosen := false
		for i, f := range fs {
			if f.Matches(e.Binding) {
				out[i], chosen = append(out[i], e.Binding), true
			}
		}
		if chosen {
			w.Set = append(w.Set, storage.Item{Key: key, Version: e.version, Delete: true})
		}
	}
	if err := r.commit(ctx, w, next); err != nil {
		return nil, err
	}
	for i := range out {
		slices.SortFunc(out[i], order)
	}
	return out, nil
}
