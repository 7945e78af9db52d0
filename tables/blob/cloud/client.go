package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tarn-io/tarn/tables/blob"
)

const (
	// maxTries bounds the attempts of one call, the first included. With the
	// pauses between them that is some ten seconds; whoever calls tries again
	// later in its own rhythm.
	maxTries = 5
	// firstPause is before the second attempt; it doubles.
	firstPause = 500 * time.Millisecond
	// maxIdle is how many connections stay open at rest: about as many as the
	// sinks of a broker use at a time.
	maxIdle = 16
	// maxRequest bounds one attempt: a connection that has died in silence, or that
	// carries nothing, is given up.
	maxRequest = 5 * time.Minute
	// maxAnswerBytes bounds what an answer holds in memory. Metadata files end far
	// below; data files are read in ranges.
	maxAnswerBytes = 1 << 30
	// maxRefusalBytes is how much of a refusal is read and told.
	maxRefusalBytes = 4 << 10
)

// Errors of the services that a person can do something about.
var (
	// ErrBucket says that there is no such bucket or container.
	ErrBucket = errors.New("no such bucket")
	// ErrDenied says that the service knows the credentials not at all, or does
	// not let them do this.
	ErrDenied = errors.New("access denied")
	// ErrNoCredentials says that none were found, or none of use.
	ErrNoCredentials = errors.New("no credentials")
	// ErrUnconditional says that the server ignores the condition of a write.
	ErrUnconditional = errors.New("the server has no conditional writes")

	errRange = errors.New("range is behind the object's end")
)

// request is one of HTTP before it is signed.
type request struct {
	method, url string
	header      map[string]string
	body        []byte
}

// answer is a whole one.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// client sends requests, and repeats those that may be repeated: all of them, for
// each call writes the same bytes to the same key.
type client struct {
	http    *http.Client
	service service
	tries   int
	pause   time.Duration
}

// do returns an answer of the kind 2xx. Errors: blob.ErrNotFound, blob.ErrExists,
// errRange, ErrBucket, ErrDenied, ErrNoCredentials, ErrUnreachable, the
// context's, and what the service said.
func (c client) do(ctx context.Context, r request) (*answer, error) {
	pause := c.pause
	for try := 1; ; try++ {
		a, err := c.once(ctx, r)
		again := err != nil && (errors.Is(err, blob.ErrUnreachable) || !errors.Is(err, ErrNoCredentials)) ||
			err == nil && (a.status >= http.StatusInternalServerError || a.status == http.StatusTooManyRequests || a.status == http.StatusRequestTimeout)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = c.explain(a)
		}
		if again {
			blob.Trouble(ctx, err)
		}
		if !again || try == c.tries {
			return a, err
		}
		// Half of it by chance, so that those who were refused together do not
		// come back together.
		if err := sleep(ctx, pause/2+rand.N(pause/2+1)); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

func (c client) once(ctx context.Context, r request) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, maxRequest)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if err := c.service.sign(ctx, req); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	limit := int64(maxAnswerBytes)
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = maxRefusalBytes
	}
	a := &answer{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, limit)); err != nil {
		return nil, c.unreachable(err)
	}
	if int64(len(a.body)) < resp.ContentLength && int64(len(a.body)) == limit && limit == maxAnswerBytes {
		return nil, fmt.Errorf("object of %d bytes is too large to be read whole", resp.ContentLength)
	}
	return a, nil
}

// unreachable leaves the request's address out, whose query may be a secret.
func (c client) unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op
	} else if u := errors.Unwrap(err); u != nil {
		err = u
	}
	return fmt.Errorf("%s %w: %w", c.service.where(), blob.ErrUnreachable, err)
}

// explain gives a refusal the contract's word, or one that a person can act on.
func (c client) explain(a *answer) error {
	switch {
	case a.status < http.StatusMultipleChoices:
		return nil
	case c.service.bucket(a):
		return fmt.Errorf("%w: %s at %s", ErrBucket, c.service.url(""), c.service.where())
	case c.service.taken(a):
		return blob.ErrExists
	case c.service.absent(a):
		return blob.ErrNotFound
	case a.status == http.StatusRequestedRangeNotSatisfiable:
		return errRange
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fmt.Errorf("%w: these credentials need to read, write, list and delete objects in %s: %s", ErrDenied, c.service.url(""), said(a))
	}
	return fmt.Errorf("%s answers %s", c.service.where(), said(a))
}

// said is what a service says of a refusal, on one line.
func said(a *answer) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(a.body), "")), " ")
	return strings.TrimSpace(fmt.Sprintf("%d %s %.500s", a.status, http.StatusText(a.status), text))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
