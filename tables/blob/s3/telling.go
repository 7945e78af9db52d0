package s3

import (
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/tarn-io/tarn/tables/blob"
)

// telling says of each attempt that failed, which the library repeats in
// silence, that it did: a call takes half a minute to give up, and whoever looks
// meanwhile wants to know.
type telling struct {
	aws.HTTPClient
	where string
}

// Do implements aws.HTTPClient.
func (c telling) Do(req *http.Request) (*http.Response, error) {
	resp, err := c.HTTPClient.Do(req)
	switch {
	case req.Context().Err() != nil: // the caller's own doing
	case err != nil:
		blob.Trouble(req.Context(), fmt.Errorf("%s %w: %w", c.where, blob.ErrUnreachable, err))
	case resp.StatusCode >= http.StatusInternalServerError:
		blob.Trouble(req.Context(), fmt.Errorf("%s answers %s", c.where, resp.Status))
	}
	return resp, err
}
