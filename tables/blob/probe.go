package blob

import (
	"context"
	"errors"
)

// probed is where Probe writes.
const probed = ".tarn-check/"

// Probe tries everything that a store must be able to do, below .tarn-check/, under
// a name that nobody else uses: objects can be written, read, listed and deleted. It
// deletes what it wrote. overwrote reports that the condition of PutIfAbsent does not
// count, so that two writers would lose each other's commits. Errors: the store's.
func Probe(ctx context.Context, s Store, name string) (overwrote bool, err error) {
	key := probed + name
	if err := s.PutIfAbsent(ctx, key, []byte("may be deleted")); err != nil {
		return false, err
	}
	defer func() { _ = s.Delete(context.WithoutCancel(ctx), key) }()
	switch err := s.PutIfAbsent(ctx, key, []byte("may be deleted, too")); {
	case err == nil:
		return true, nil
	case !errors.Is(err, ErrExists):
		return false, err
	}
	if _, err := s.Get(ctx, key); err != nil {
		return false, err
	}
	for _, err := range s.List(ctx, key) {
		if err != nil {
			return false, err
		}
	}
	return false, s.Delete(ctx, key)
}
