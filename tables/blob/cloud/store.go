// Package cloud is the object store in a bucket of Google Cloud Storage or in a
// container of Azure Blob Storage, over their HTTP interfaces. What lake formats
// are built on, put-if-absent, is a conditional write of each service
// (ifGenerationMatch=0, If-None-Match: *); a server that ignores it is refused by
// Check, because two committers would overwrite each other there.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables/blob"
)

// service is what the two services do differently. Keys are whole, with the
// store's prefix. Requests hold no credentials: sign adds them, anew for each try.
type service interface {
	// put writes an object that says who wrote it; onlyNew if the key is free.
	put(key string, data []byte, onlyNew bool, writer string) request
	// get reads a range of an object, all of it if length is 0. With a tag it is
	// that state of the object or an error.
	get(key string, from, length int64, tag string) request
	tag(h http.Header) string
	// head asks who wrote an object; writer reads the answer.
	head(key string) request
	writer(a *answer) string
	// copied makes an object appear elsewhere; done is asked of each answer until
	// it has no further request.
	copied(from, to string) request
	more(a *answer, from, to string) (request, bool)
	list(prefix, token string) request
	listed(a *answer) (page []blob.Info, next string, err error)
	delete(key string) request

	sign(ctx context.Context, r *http.Request) error
	// taken and absent say of a refusal that the key is taken, or that there is no
	// object; bucket that there is not even a bucket.
	taken(a *answer) bool
	absent(a *answer) bool
	bucket(a *answer) bool

	url(key string) string
	key(address string) (string, bool)
	where() string
}

// Store is a blob.Store in a bucket or container.
type Store struct {
	service
	cfg    Config
	prefix string // with a slash at the end, or ""
	client client
}

// Open makes a store. It sends nothing: Check does. Credentials are looked for
// when the first request needs them. Errors: ErrAddress.
func Open(c Config) (*Store, error) {
	s := &Store{cfg: c}
	if c.Prefix != "" {
		if err := blob.CheckKey(c.Prefix); err != nil {
			return nil, fmt.Errorf("%w: prefix %w", ErrAddress, err)
		}
		s.prefix = c.Prefix + "/"
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the package says what it is
	transport.DisableCompression = true                          // ranges are of what is stored
	transport.MaxIdleConnsPerHost = maxIdle
	plain := &http.Client{Transport: transport}
	if c.Kind == Azure {
		s.service = newAzure(c, plain)
	} else {
		s.service = newGCS(c, plain)
	}
	s.client = client{http: plain, service: s.service, tries: maxTries, pause: firstPause}
	if c.hurry {
		s.client.pause = time.Microsecond
	}
	return s, nil
}

// Config gives what the store was opened with.
func (s *Store) Config() Config { return s.cfg }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	if _, err := s.client.do(ctx, s.put(s.prefix+key, data, false, uuid.NewString())); err != nil {
		return fmt.Errorf("put %s: %w", key, s.nowhere(err))
	}
	return nil
}

// nowhere says of a write for which something was not found that it is the bucket.
func (s *Store) nowhere(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %s at %s", ErrBucket, s.url(""), s.where())
	}
	return err
}

// PutIfAbsent implements blob.Store. An answer that was lost and a request that
// was repeated look like a key that is taken; the object itself says then whether
// it is ours.
func (s *Store) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	writer := uuid.NewString()
	_, err := s.client.do(ctx, s.put(s.prefix+key, data, true, writer))
	if errors.Is(err, blob.ErrExists) {
		head, seen := s.client.do(ctx, s.head(s.prefix+key))
		switch {
		case seen != nil: // gone again, or not to be seen: nobody knows
			return fmt.Errorf("put %s: the key was taken, and who holds it could not be seen: %v", key, seen) //nolint:errorlint // that nothing is there now does not say what happened
		case s.writer(head) == writer:
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", key, s.nowhere(err))
	}
	return nil
}

// Copy implements blob.Store.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if err := blob.CheckKey(from); err != nil {
		return err
	}
	if err := check(ctx, to); err != nil {
		return err
	}
	next, again := s.copied(s.prefix+from, s.prefix+to), true
	for again {
		a, err := s.client.do(ctx, next)
		if err != nil {
			return fmt.Errorf("copy %s to %s: %w", from, to, err)
		}
		if next, again = s.more(a, s.prefix+from, s.prefix+to); !again {
			break
		}
		if err := sleep(ctx, s.client.pause); err != nil {
			return fmt.Errorf("copy %s to %s: %w", from, to, err)
		}
	}
	return nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		token := ""
		for {
			a, err := s.client.do(ctx, s.list(s.prefix+prefix, token))
			var page []blob.Info
			if err == nil {
				page, token, err = s.listed(a)
			}
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("list %q: %w", prefix, err))
				return
			}
			for _, o := range page {
				o.Key = strings.TrimPrefix(o.Key, s.prefix)
				if blob.CheckKey(o.Key) != nil {
					continue // a marker of a folder, or not ours
				}
				if !yield(o, nil) {
					return
				}
			}
			if token == "" {
				return
			}
		}
	}
}

// Delete implements blob.Store: one request a key.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := check(ctx, key); err != nil {
			return err
		}
	}
	for _, key := range keys {
		_, err := s.client.do(ctx, s.delete(s.prefix+key))
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", key, err)
		}
	}
	return nil
}

// URL implements blob.Store: gs://BUCKET/KEY, or
// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/KEY.
func (s *Store) URL(key string) string { return strings.TrimSuffix(s.url(s.prefix+key), "/") }

// Key implements blob.Store.
func (s *Store) Key(address string) (string, bool) {
	whole, ok := s.key(address)
	if !ok {
		return "", false
	}
	key, ok := strings.CutPrefix(whole, s.prefix)
	if !ok || blob.CheckKey(strings.TrimSuffix(key, "/")) != nil {
		return "", false
	}
	return key, true
}

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckKey(key)
}

// Check asks the server whether the store can be used: the bucket is there,
// objects can be written, read, listed and deleted, and the condition of a write
// counts. It asks once, without the patience of other calls. Its objects lie
// under .tarn-check/ and are deleted. Errors: ErrBucket, ErrDenied,
// ErrNoCredentials, ErrUnreachable, ErrUnconditional, or what the server said.
func (s *Store) Check(ctx context.Context) error {
	once := *s
	once.client.tries = 1
	overwrote, err := blob.Probe(ctx, &once, uuid.NewString())
	if overwrote {
		return fmt.Errorf("%w: %s overwrote an object that was there; two writers would lose each other's commits", ErrUnconditional, s.where())
	}
	return err
}
