package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-io/tarn/tables/blob"
)

const (
	// wholeBytes is the size up to which Open reads an object at once: a request
	// takes as long as reading about this much.
	wholeBytes = 4 << 20
	// maxGetBytes bounds what Get holds in memory. Metadata files end far below;
	// data files are read with Open.
	maxGetBytes = 1 << 30
)

// errTooLarge says that an object is not one to be read whole.
var errTooLarge = errors.New("object is too large to be read whole")

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: s.at(key)})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, s.explain(err))
	}
	defer out.Body.Close()
	data, err := readAll(out.Body, aws.ToInt64(out.ContentLength))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	return data, nil
}

// readAll reads a body whose length the server has told; one that ends early is
// an error.
func readAll(r io.Reader, size int64) ([]byte, error) {
	if size < 0 || size > maxGetBytes {
		return nil, fmt.Errorf("%w: %d bytes", errTooLarge, size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data, nil
}

// Open implements blob.Store. Small objects are read at once, large ones in
// ranges as they are asked for. A large one that is replaced meanwhile gives
// errors and never a mixture: objects are not replaced by the users of a store.
func (s *Store) Open(ctx context.Context, key string) (blob.File, error) {
	if err := check(ctx, key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.cfg.Bucket, Key: s.at(key), Range: aws.String(fmt.Sprintf("bytes=0-%d", wholeBytes-1)),
	})
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		return memory{bytes.NewReader(nil)}, nil // an empty object has no first byte
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, s.explain(err))
	}
	defer out.Body.Close()
	head, err := readAll(out.Body, aws.ToInt64(out.ContentLength))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	size := int64(len(head))
	if out.ContentRange != nil {
		if _, err := fmt.Sscanf(*out.ContentRange, "bytes 0-%d/%d", new(int64), &size); err != nil {
			return nil, fmt.Errorf("open %s: answer with the range %q: %w", key, *out.ContentRange, err)
		}
	}
	if size == int64(len(head)) {
		return memory{bytes.NewReader(head)}, nil
	}
	return &file{ctx: context.WithoutCancel(ctx), s: s, key: key, etag: out.ETag, size: size, head: head}, nil
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// file reads a large object in ranges.
type file struct {
	// io.ReaderAt has no context; the one of Open lives on in its values only.
	ctx  context.Context //nolint:containedctx // see above
	s    *Store
	key  string
	etag *string
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
		if err := f.fetch(want, off); err != nil {
			return 0, fmt.Errorf("read %s at %d: %w", f.key, off, err)
		}
	}
	if len(want) < len(p) {
		return len(want), io.EOF
	}
	return len(want), nil
}

// fetch fills p with what stands at off. A body that is cut off is fetched anew
// from there, so many times.
func (f *file) fetch(p []byte, off int64) error {
	var last error
	for range maxTries {
		out, err := f.s.client.GetObject(f.ctx, &s3.GetObjectInput{
			Bucket: &f.s.cfg.Bucket, Key: f.s.at(f.key), IfMatch: f.etag,
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
		})
		if err != nil {
			return f.s.explain(err)
		}
		n, err := io.ReadFull(out.Body, p)
		out.Body.Close()
		if err == nil {
			return nil
		}
		p, off, last = p[n:], off+int64(n), err
	}
	return last
}
