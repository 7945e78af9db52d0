package parquet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
)

// finish takes every file out of the glob that the log has removed, and links
// every staged file that it names: the steps of a commit that a crash cut off
// after its entry. t.mu is held, or t is not shared yet.
func (t *table) finish(ctx context.Context) error {
	if !t.unlinked {
		return nil
	}
	if err := t.unlink(ctx, slices.Sorted(maps.Keys(t.state.gone))); err != nil {
		return err
	}
	staged := make(map[string]bool)
	for info, err := range t.store.List(ctx, t.base+stagedFolder) {
		if err != nil {
			return fmt.Errorf("list staged files: %w", err)
		}
		staged[path.Base(info.Key)] = true
	}
	// Newest first: pending links are those of the last commit or two.
	for i := len(t.state.files) - 1; i >= 0 && len(staged) > 0; i-- {
		f := t.state.files[i]
		if !staged[f.Name] {
			continue
		}
		delete(staged, f.Name)
		if err := t.link(ctx, f); err != nil {
			return err
		}
	}
	t.unlinked = false
	return nil
}

// link makes a staged file appear in the glob and removes its staged name. It
// may run again at any point, by another process too.
func (t *table) link(ctx context.Context, f liveFile) error {
	from, to := t.DataPath(f.Name), t.base+f.Name
	there, err := size(ctx, t.store, to)
	if err != nil {
		return err
	}
	if there < 0 {
		have, err := size(ctx, t.store, from)
		if err != nil {
			return err
		}
		if have != f.Size {
			return fmt.Errorf("staged %s has %d bytes, the log says %d: %w", f.Name, have, f.Size, tables.ErrBroken)
		}
		if err := t.store.Copy(ctx, from, to); err != nil {
			return fmt.Errorf("link %s: %w", f.Name, err)
		}
	}
	if err := t.store.Delete(ctx, from); err != nil {
		return fmt.Errorf("remove staged name: %w", err)
	}
	return nil
}

// size is an object's size, -1 if there is none.
func size(ctx context.Context, store blob.Store, key string) (int64, error) {
	f, err := store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return f.Size(), f.Close()
}

// Superseded reports whether all rows of a data file lie below the progress, so
// that no commit will bring it. A file that cannot be read as one is left for a
// person to look at.
func Superseded(ctx context.Context, store blob.Store, key string, p tables.Progress) (bool, error) {
	f, err := store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for id, err := range ReadRowIDs(ctx, f) {
		if errors.Is(err, tables.ErrBroken) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if next, ok := p.Offsets[id.Partition]; !ok || id.Offset >= next {
			return false, nil
		}
	}
	return true, nil
}
