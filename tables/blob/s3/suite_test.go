package s3

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
)

// TestServer runs the suite of stores against a real server, at the address in
// TARN_TEST_S3 (s3://BUCKET/PREFIX?endpoint=…), with credentials from the
// environment. `make s3` starts one and sets it.
func TestServer(t *testing.T) {
	address := os.Getenv("TARN_TEST_S3")
	if address == "" {
		t.Skip("TARN_TEST_S3 is not set: make s3 runs this against a real server")
	}
	c, err := Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	base := c.Prefix
	blobtest.Run(t, func(t *testing.T) blob.Store {
		c.Prefix = fmt.Sprintf("%s/%d-%d", base, os.Getpid(), n.Add(1))
		s, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	})
}
