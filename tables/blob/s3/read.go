package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/tarn-io/tarn/tables/blob"
)

// maxGetBytes bounds what Get holds in memory. Metadata files end far below; data
// files are read with Open.
const maxGetBytes = 1 << 30

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
		Bucket: &s.cfg.Bucket, Key: s.at(key), Range: aws.String(fmt.Sprintf("bytes=0-%d", blob.WholeBytes-1)),
	})
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		return blob.Whole(nil), nil // an empty object has no first byte
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
		return blob.Whole(head), nil
	}
	ctx, etag := context.WithoutCancel(ctx), out.ETag // reading goes on after Open
	return blob.Ranged(key, size, head, func(p []byte, off int64) error { return s.fetch(ctx, key, etag, p, off) }), nil
}

// fetch fills p with what stands at off of an object that has the tag. A body that is cut off is fetched anew
// from there, so many times.
func (s *Store) fetch(ctx context.Context, key string, etag *string, p []byte, off int64) error {
	var last error
	for range maxTries {
		out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.cfg.Bucket, Key: s.at(key), IfMatch: etag,
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1)),
		})
		if err != nil {
			return s.explain(err)
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
