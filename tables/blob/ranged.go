package blob

import (
	"bytes"
	"fmt"
	"io"
)

// WholeBytes is the size up to which stores behind a network read an object at once
// when it is opened: a request takes as long as reading about this much.
const WholeBytes = 4 << 20

// Whole is an object whose bytes are all at hand. It keeps them.
func Whole(data []byte) File { return whole{bytes.NewReader(data)} }

type whole struct{ *bytes.Reader }

func (whole) Close() error { return nil }

// Ranged is an object of size bytes that is read in ranges as they are asked for,
// but for its first bytes, which are at hand and kept. fetch fills p with what
// stands at off, both within the object, or says why it cannot; it may be called
// concurrently. Errors are fetch's, with the key and the position in bytes.
func Ranged(key string, size int64, head []byte, fetch func(p []byte, off int64) error) File {
	return &ranged{key, size, head, fetch}
}

type ranged struct {
	key   string
	size  int64
	head  []byte
	fetch func(p []byte, off int64) error
}

func (r *ranged) Size() int64  { return r.size }
func (r *ranged) Close() error { return nil }

// ReadAt implements io.ReaderAt. It may be called concurrently.
func (r *ranged) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s at %d: before its start", r.key, off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), r.size-off)]
	if end := off + int64(len(want)); end <= int64(len(r.head)) {
		copy(want, r.head[off:end])
	} else if len(want) > 0 {
		if err := r.fetch(want, off); err != nil {
			return 0, fmt.Errorf("read %s at %d: %w", r.key, off, err)
		}
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}
