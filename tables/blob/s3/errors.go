package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/tarn-io/tarn/tables/blob"
)

// Errors of the service that a person can do something about.
var (
	// ErrBucket says that there is no such bucket.
	ErrBucket = errors.New("no such bucket")
	// ErrDenied says that the service knows the credentials not at all, or does
	// not let them do this.
	ErrDenied = errors.New("access denied")
	// ErrNoCredentials says that none were found.
	ErrNoCredentials = errors.New("no credentials")
	// ErrUnconditional says that the server ignores the condition of a write.
	ErrUnconditional = errors.New("the server has no conditional writes (If-None-Match: *)")
)

// explain adds the contract's word, or one that a person can act on.
func (s *Store) explain(err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	var dial *net.OpError
	switch status := statusOf(err); {
	case code == "NoSuchBucket":
		return fmt.Errorf("%w: %s at %s", ErrBucket, s.cfg.Bucket, s.where())
	case code == "NoSuchKey" || code == "NotFound" || status == http.StatusNotFound:
		return blob.ErrNotFound
	case code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch" || code == "ExpiredToken":
		return fmt.Errorf("%w: %s: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or at the profile: %w", ErrDenied, code, err)
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("%w: these credentials need GetObject, PutObject, DeleteObject and ListBucket on %s: %w", ErrDenied, s.URL(""), err)
	case status == http.StatusMovedPermanently || code == "AuthorizationHeaderMalformed" || code == "PermanentRedirect":
		return fmt.Errorf("the bucket %s lies in another region than %s: give region= in the address: %w", s.cfg.Bucket, s.cfg.Region, err)
	case errors.Is(err, ErrNoCredentials), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &dial):
		return fmt.Errorf("%s %w: %w", s.where(), blob.ErrUnreachable, err)
	}
	return err
}

func (s *Store) where() string {
	if s.cfg.Endpoint != "" {
		return s.cfg.Endpoint
	}
	return "S3 in " + s.cfg.Region
}

// named says of a failure to find credentials that it is one.
type named struct{ aws.CredentialsProvider }

func (n named) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := n.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = fmt.Errorf("%w for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or a role: %w", ErrNoCredentials, err)
	}
	return c, err
}

// statusOf is the HTTP status of a refusal, 0 if there was none.
func statusOf(err error) int {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}

// retryConflicts repeats what S3 asks to repeat: a conditional write that met
// another one on the same key.
func retryConflicts(o *s3.Options) {
	o.Retryer = retry.AddWithErrorCodes(o.Retryer, "ConditionalRequestConflict")
}

// Check asks the server whether the store can be used: the bucket is there,
// objects can be written, read, listed and deleted, and the condition of a write
// counts. It asks once, without the patience of other calls. Its objects lie
// under .tarn-check/ and are deleted. Errors: ErrBucket, ErrDenied,
// ErrNoCredentials, ErrUnreachable, ErrUnconditional, or what the server said.
func (s *Store) Check(ctx context.Context) error {
	once := *s
	once.client = s3.New(s.client.Options(), func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	overwrote, err := blob.Probe(ctx, &once, rand.Text())
	if overwrote {
		return fmt.Errorf("%w: %s overwrote an object that was there; two writers would lose each other's commits", ErrUnconditional, s.where())
	}
	return err
}
