package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/tarn-io/tarn/tables/blob"
)

// wholeBytes is the size up to which Open reads an object at once: a request
// takes as long as reading about this much.
const wholeBytes = 4 << 20

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
	a, err := s.client.do(ctx, s.get(s.prefix+key, 0, wholeBytes, ""))
	if errors.Is(err, errRange) {
		return memory{bytes.NewReader(nil)}, nil // an empty object has no first byte
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
		return memory{bytes.NewReader(a.body)}, nil
	}
	return &file{ctx: context.WithoutCancel(ctx), s: s, key: key, tag: s.tag(a.header), size: size, head: a.body}, nil
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// file reads a large object in ranges.
type file struct {
	// io.ReaderAt has no context; the one of Open lives on in its values only.
	ctx  context.Context //nolint:containedctx // see above
	s    *Store
	key  string
	tag  string
	size int64
	head []byte // its first bytes
}

func (f *file) Size() int64  { return f.size }
func (f *file) Close() error { return nil }

// ReadAt implements io.ReaderAt. It may be called concurrently.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: before its start", f.key, off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), f.size-off)]
	if end := off + int64(len(want)); end <= int64(len(f.head)) {
		copy(want, f.head[off:end])
	} else if len(want) > 0 {
		a, err := f.s.client.do(f.ctx, f.s.get(f.s.prefix+f.key, off, int64(len(want)), f.tag))
		if errors.Is(err, blob.ErrExists) { // the word for a condition that does not hold
			return 0, fmt.Errorf("read %s at %d: the object was replaced", f.key, off)
		}
		if err != nil {
			return 0, fmt.Errorf("read %s at %d: %w", f.key, off, err)
		}
		if len(a.body) != len(want) {
			return 0, fmt.Errorf("read %s at %d: %d bytes, not %d: %w", f.key, off, len(a.body), len(want), io.ErrUnexpectedEOF)
		}
		copy(want, a.body)
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}
