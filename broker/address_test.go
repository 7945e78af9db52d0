package broker

import (
	"errors"
	"testing"

	"github.com/tarn-io/tarn/broker/api"
)

// FuzzAddress reads addresses that clients are to be told: refused, or with a
// host and a port that read as the same again.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"h:1", "[::1]:9092", ":0", "0.0.0.0:1", "[::]:1", "h", "h:x", "h:99999", "[fe80::1%eth0]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s, 9092)
		if err != nil {
			if !errors.Is(err, api.ErrConfig) {
				t.Errorf("%q: %v is no refusal", s, err)
			}
			return
		}
		again, err := parseAddress(a.String(), 1)
		if a.host == "" || a.port == 0 || err != nil || again != a {
			t.Errorf("%q is %+v, written %q, which is %+v, %v", s, a, a, again, err)
		}
	})
}
