package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/storage"
)

// dryRunKey marks a context.
type dryRunKey struct{}

// DryRun returns a context under which a change is worked out, and refused where it would
// be, and is not made: what it returns is how things would be.
func DryRun(ctx context.Context) context.Context { return context.WithValue(ctx, dryRunKey{}, true) }

// mutate makes one change to a context. plan computes it from the context's
// view, at that view's item versions; nothing to write means nothing to do. It is called again if another
// process changed an item in between, so what it leaves behind for its caller
// must be of the last call. When mutate returns nil, the change is durable and
// every reader sees it.
func (r *Registry) mutate(ctx context.Context, name string, plan func(*view) (storage.Write, error)) error {
	select {
	case <-r.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { r.turn <- struct{}{} }()
	for range maxAttempts {
		if r.stale {
			if err := r.reload(ctx, nil); err != nil {
				return fmt.Errorf("read the registry again: %w", err)
			}
		}
		w, err := plan(r.world.Load().view(name))
		if err != nil || w.Empty() || ctx.Value(dryRunKey{}) != nil {
			return err
		}
		conflict, err := r.commit(ctx, w)
		if !conflict {
			return err
		}
		r.stale = true
	}
	return fmt.Errorf("another process changed the registry %d times in a row", maxAttempts)
}

// commit writes and applies w. An engine that fails may have written it all the
// same: then the store is looked at, and a change that is there has succeeded.
func (r *Registry) commit(ctx context.Context, w storage.Write) (conflict bool, err error) {
	err = r.engine.Commit(ctx, w)
	if err == nil {
		return false, r.publish(w.Set)
	}
	if _, ok := errors.AsType[*storage.Conflict](err); ok {
		return true, nil
	}
	if errors.Is(err, storage.ErrInvalid) || errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrClosed) {
		return false, fmt.Errorf("store the change: %w", err)
	}
	r.stale = true
	there := make(map[string]storage.Item, len(w.Set))
	for _, it := range w.Set {
		there[it.Key] = storage.Item{}
	}
	if again := r.reload(context.WithoutCancel(ctx), there); again == nil && persisted(there, w) {
		r.lg.Warn("a change of the registry was reported as failed and is in the store", "error", err)
		return false, nil
	}
	return false, fmt.Errorf("store the change: %w", err)
}

// persisted reports whether the store holds what w would have written.
func persisted(there map[string]storage.Item, w storage.Write) bool {
	for _, it := range w.Set {
		got := there[it.Key]
		if exists := got.Version > 0; exists == it.Delete || !it.Delete && !bytes.Equal(got.Value, it.Value) {
			return false
		}
	}
	return true
}

// publish applies items to the present state and lets everyone see the result.
func (r *Registry) publish(items []storage.Item) error {
	old := r.world.Load()
	w, err := old.apply(items)
	if err != nil {
		r.stale = true
		return err
	}
	r.world.Store(w)
	close(old.changed)
	return nil
}

// reload takes over what the store has now, and fills in those of its items whose
// keys are in wanted, which may be nil. Schemas that are known already keep their
// parsed form.
func (r *Registry) reload(ctx context.Context, wanted map[string]storage.Item) error {
	w, err := load(ctx, r.engine, wanted)
	if err != nil {
		return err
	}
	old := r.world.Load()
	w.keep(old)
	r.world.Store(w)
	close(old.changed)
	r.stale = false
	return nil
}

// keep shares the parsed schemas of an older state where the item is the same.
// w is not published yet.
func (w *world) keep(old *world) {
	for context, v := range w.views {
		for id, e := range v.ids.all() {
			if was := old.view(context).ids.get(id); was != nil && was.itemVersion == e.itemVersion {
				e.parsed.Store(was.parsed.Load())
			}
		}
	}
}
