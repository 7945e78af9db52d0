// Package s3 is the object store in a bucket of Amazon S3 or of a server that
// speaks its protocol. What lake formats are built on, put-if-absent, is a
// conditional write (If-None-Match: *); a server that ignores the condition is
// refused by Check, because two committers would overwrite each other there.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables/blob"
)

const (
	// maxTries bounds the attempts of one call, the first included. With the
	// client's pauses between them (up to some seconds each) that is about
	// half a minute; whoever calls tries again later in its own rhythm.
	maxTries = 5
	// maxPause is the longest pause between two attempts.
	maxPause = 8 * time.Second
	// maxDeletes is how many keys one request deletes, as S3 allows.
	maxDeletes = 1000
	// writerKey is the metadata under which an object says who wrote it, so
	// that a writer whose answer was lost knows its own object.
	writerKey = "tarn-writer"
)

// Config says where a store lies. Credentials come from where Amazon's tools
// find them: environment, shared files, roles of containers and instances.
type Config struct {
	Bucket   string
	Prefix   string // of all keys; "" is the whole bucket
	Region   string // "" is the environment's, or us-east-1
	Endpoint string // of another server than Amazon's: http://host:port
	// PathStyle puts the bucket in the path and not in the host's name, as most
	// servers other than Amazon's want.
	PathStyle bool

	hurry bool // tests do not wait between attempts
}

// ErrAddress is refused: not an address of a store.
var ErrAddress = errors.New("not an address of an S3 store")

// Parse reads s3://BUCKET/PREFIX?region=R&endpoint=URL&path-style=BOOL. With an
// endpoint, path-style is on unless the address says otherwise. Errors:
// ErrAddress.
func Parse(address string) (Config, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return Config{}, fmt.Errorf("%w: want s3://BUCKET/PREFIX, without credentials: these come from the environment", ErrAddress)
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	for name, values := range u.Query() {
		v := values[len(values)-1]
		switch name {
		case "region":
			c.Region = v
		case "endpoint":
			e, err := url.Parse(v)
			if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" {
				return Config{}, fmt.Errorf("%w: endpoint=%q: want http://HOST:PORT or https://HOST", ErrAddress, v)
			}
			c.Endpoint = strings.TrimSuffix(v, "/")
			c.PathStyle = c.PathStyle || !u.Query().Has("path-style")
		case "path-style":
			if v != "true" && v != "false" {
				return Config{}, fmt.Errorf("%w: path-style=%q: want true or false", ErrAddress, v)
			}
			c.PathStyle = v == "true"
		default:
			return Config{}, fmt.Errorf("%w: unknown parameter %q: there are region, endpoint and path-style", ErrAddress, name)
		}
	}
	return c, nil
}

// Store is a blob.Store in a bucket.
type Store struct {
	client *s3.Client
	cfg    Config
	prefix string // with a slash at the end, or ""
}

// Open makes a store. It sends nothing: Check does.
func Open(ctx context.Context, c Config) (*Store, error) {
	pause := maxPause
	if c.hurry {
		pause = time.Millisecond
	}
	opts := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = maxTries, pause })
		}),
		config.WithLogger(logging.Nop{}), // what matters comes as an error
		// Checksums of the newer kind are unknown to many servers.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if c.Region != "" {
		opts = append(opts, config.WithRegion(c.Region))
	} else {
		opts = append(opts, config.WithDefaultRegion("us-east-1"))
	}
	if c.Prefix != "" {
		if err := blob.CheckKey(c.Prefix); err != nil {
			return nil, fmt.Errorf("%w: prefix %w", ErrAddress, err)
		}
	}
	loaded, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of S3: %w", err)
	}
	if c.Region == "" {
		c.Region = loaded.Region
	}
	s := &Store{cfg: c}
	s.client = s3.NewFromConfig(loaded, func(o *s3.Options) {
		o.UsePathStyle = c.PathStyle
		o.HTTPClient = telling{o.HTTPClient, s.where()}
		if loaded.Credentials != nil {
			o.Credentials = aws.NewCredentialsCache(named{loaded.Credentials})
		}
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	if c.Prefix != "" {
		s.prefix = c.Prefix + "/"
	}
	return s, nil
}

// Config gives what the store was opened with; the region is the one in use.
func (s *Store) Config() Config { return s.cfg }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: s.at(key), Body: bytes.NewReader(data),
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, s.explain(err))
	}
	return nil
}

// PutIfAbsent implements blob.Store. An answer that was lost and a request that
// was repeated look like a key that is taken; the object itself says then
// whether it is ours.
func (s *Store) PutIfAbsent(ctx context.Context, key string, data []byte) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	writer := uuid.NewString()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.cfg.Bucket, Key: s.at(key), Body: bytes.NewReader(data),
		IfNoneMatch: aws.String("*"), Metadata: map[string]string{writerKey: writer},
	}, retryConflicts)
	switch code := statusOf(err); {
	case err == nil:
		return nil
	case code == http.StatusPreconditionFailed || code == http.StatusConflict:
		return s.settle(ctx, key, writer, err)
	}
	return fmt.Errorf("put %s: %w", key, s.explain(err))
}

// settle tells whether the object at key is the writer's.
func (s *Store) settle(ctx context.Context, key, writer string, cause error) error {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.cfg.Bucket, Key: s.at(key)})
	switch {
	case err != nil: // gone again, or not to be seen: nobody knows
		return fmt.Errorf("put %s: %w (who holds the key could not be seen: %v)", key, s.explain(cause), err) //nolint:errorlint // that nothing is there now does not say what happened
	case head.Metadata[writerKey] == writer:
		return nil
	}
	return fmt.Errorf("put %s: %w", key, blob.ErrExists)
}

// Copy implements blob.Store.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if err := blob.CheckKey(from); err != nil {
		return err
	}
	if err := check(ctx, to); err != nil {
		return err
	}
	source := url.PathEscape(s.cfg.Bucket) + "/" + (&url.URL{Path: s.prefix + from}).EscapedPath()
	_, err := s.client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &s.cfg.Bucket, Key: s.at(to), CopySource: &source})
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, s.explain(err))
	}
	return nil
}

// List implements blob.Store. Buckets of S3 list in byte order; those of the
// kind "directory" do not, and Check refuses them.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.cfg.Bucket, Prefix: s.at(prefix)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("list %q: %w", prefix, s.explain(err)))
				return
			}
			for _, o := range page.Contents {
				key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
				if blob.CheckKey(key) != nil {
					continue // a marker of a folder, or not ours
				}
				if !yield(blob.Info{Key: key, Size: aws.ToInt64(o.Size), ModifiedMs: aws.ToTime(o.LastModified).UnixMilli()}, nil) {
					return
				}
			}
		}
	}
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	ids := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		if err := check(ctx, key); err != nil {
			return err
		}
		ids[i].Key = s.at(key)
	}
	for len(ids) > 0 {
		n := min(len(ids), maxDeletes)
		if err := s.deleteSome(ctx, ids[:n]); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func (s *Store) deleteSome(ctx context.Context, ids []types.ObjectIdentifier) error {
	if len(ids) == 1 { // the commonest case, and every server knows it
		_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: ids[0].Key})
		if err = s.explain(err); err != nil && !errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", *ids[0].Key, err)
		}
		return nil
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &s.cfg.Bucket, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return fmt.Errorf("delete %d objects: %w", len(ids), s.explain(err))
	}
	for _, e := range out.Errors {
		if code := aws.ToString(e.Code); code != "NoSuchKey" {
			return fmt.Errorf("delete %s: %s: %s", aws.ToString(e.Key), code, aws.ToString(e.Message))
		}
	}
	return nil
}

// URL implements blob.Store.
func (s *Store) URL(key string) string {
	return strings.TrimSuffix("s3://"+s.cfg.Bucket+"/"+s.prefix+key, "/")
}

// Key implements blob.Store. s3a and s3n, as Hadoop writes them, are understood.
func (s *Store) Key(address string) (string, bool) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok || scheme != "s3" && scheme != "s3a" && scheme != "s3n" {
		return "", false
	}
	key, ok := strings.CutPrefix(rest, s.cfg.Bucket+"/"+s.prefix)
	if !ok || blob.CheckKey(strings.TrimSuffix(key, "/")) != nil {
		return "", false
	}
	return key, true
}

func (s *Store) at(key string) *string { return aws.String(s.prefix + key) }

func check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return blob.CheckKey(key)
}
