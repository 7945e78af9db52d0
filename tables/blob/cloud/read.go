package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarn-io/tarn/tables/blob"
)

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	a, err := s.client.do(ctx, s.get(s.prefix+key, 0, 0, ""))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return a.body, nil
}

// Open implements blob.Store. Small objects are read at once, large ones in
// ranges as they are asked for. A large one that is replaced meanwhile gives
// errors and never a mixture: objects are not replaced by the users of a store.
func (s *Store) Open(ctx context.Context, key string) (blob.File, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	a, err := s.client.do(ctx, s.get(s.prefix+key, 0, blob.WholeBytes, ""))
	if errors.Is(err, errRange) {
		return blob.Whole(nil), nil // an empty object has no first byte
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	size := int64(len(a.body))
	if r := a.header.Get("Content-Range"); r != "" {
		if _, err := fmt.Sscanf(r, "bytes 0-%d/%d", new(int64), &size); err != nil {
			return nil, fmt.Errorf("open %s: answer with the range %q: %w", key, r, err)
		}
	}
	if size == int64(len(a.body)) {
		return blob.Whole(a.body), nil
	}
	ctx, tag := context.WithoutCancel(ctx), s.tag(a.header) // reading goes on after Open
	return blob.Ranged(key, size, a.body, func(p []byte, off int64) error { return s.fetch(ctx, key, tag, p, off) }), nil
}

// fetch fills p with what stands at off of an object that has the tag.
func (s *Store) fetch(ctx context.Context, key, tag string, p []byte, off int64) error {
	a, err := s.client.do(ctx, s.get(s.prefix+key, off, int64(len(p)), tag))
	switch {
	case errors.Is(err, blob.ErrExists): // the word for a condition that does not hold
		return errors.New("the object was replaced")
	case err != nil:
		return err
	case len(a.body) != len(p):
		return fmt.Errorf("%d bytes, not %d: %w", len(a.body), len(p), io.ErrUnexpectedEOF)
	}
	copy(p, a.body)
	return nil
}
