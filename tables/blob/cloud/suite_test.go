package cloud

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/blob/blobtest"
)

// TestServer runs the suite of stores against real servers, at the addresses in
// TARN_TEST_GCS and TARN_TEST_AZURE, with credentials from the environment.
// The scenario clouds of
// .ci/conformance starts two and sets them.
func TestServer(t *testing.T) {
	for _, name := range []string{"TARN_TEST_GCS", "TARN_TEST_AZURE"} {
		t.Run(name, func(t *testing.T) {
			address := os.Getenv(name)
			if address == "" {
				t.Skip(name + " is not set: .ci/conformance/run full clouds runs this against real servers")
			}
			c, err := Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(c)
			if err != nil {
				t.Fatal(err)
			}
			s.make(t)
			suite(t, c)
		})
	}
}

// make makes the store's bucket, if it is not there.
func (s *Store) make(t *testing.T) {
	t.Helper()
	r := request{method: http.MethodPost, url: s.cfg.Endpoint + "/storage/v1/b?project=suite", body: []byte(`{"name":"` + s.cfg.Bucket + `"}`)}
	if s.cfg.Kind == Azure {
		r = request{method: http.MethodPut, url: s.service.(*azure).base + "?restype=container"}
	}
	if _, err := s.client.do(t.Context(), r); err != nil && !strings.Contains(err.Error(), " 409 ") {
		t.Fatal(err)
	}
}

// suite runs the suite of stores, each store below a prefix of its own.
func suite(t *testing.T, c Config) {
	var n atomic.Int64
	base := c.Prefix
	blobtest.Run(t, func(t *testing.T) blob.Store {
		c.Prefix = fmt.Sprintf("%s/%d-%d", base, os.Getpid(), n.Add(1))
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		return s
	})
}
