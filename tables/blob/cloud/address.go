package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Kind is which service a store speaks to.
type Kind string

// The services.
const (
	GCS   Kind = "gs"    // Google Cloud Storage
	Azure Kind = "abfss" // Azure Blob Storage
)

// azureHost ends the host of an account's address, as readers of tables want it.
const azureHost = ".dfs.core.windows.net"

// Config says where a store lies. Credentials come from the environment, as
// tables/blob/README.md says.
type Config struct {
	Kind     Kind
	Bucket   string // or container
	Account  string // of Azure
	Prefix   string // of all keys; "" is the whole bucket
	Endpoint string // of another server: http://host:port

	hurry bool // tests do not wait between attempts
}

// ErrAddress is refused: not an address of a store.
var ErrAddress = errors.New("not an address of a bucket")

// Parse reads gs://BUCKET/PREFIX and
// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX, each with ?endpoint=URL
// for another server. Errors: ErrAddress.
func Parse(address string) (Config, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	c := Config{Kind: Kind(u.Scheme), Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	switch c.Kind {
	case GCS:
		if u.Host == "" || u.User != nil || u.Fragment != "" {
			return Config{}, fmt.Errorf("%w: want gs://BUCKET/PREFIX, without credentials: these come from the environment", ErrAddress)
		}
	case Azure:
		account, ok := strings.CutSuffix(u.Host, azureHost)
		_, password := u.User.Password()
		if c.Bucket = u.User.Username(); !ok || account == "" || c.Bucket == "" || password || u.Fragment != "" {
			return Config{}, fmt.Errorf("%w: want abfss://CONTAINER@ACCOUNT%s/PREFIX, without credentials: these come from the environment", ErrAddress, azureHost)
		}
		c.Account = account
	default:
		return Config{}, fmt.Errorf("%w: want gs:// or abfss://", ErrAddress)
	}
	for name, values := range u.Query() {
		v := values[len(values)-1]
		if name != "endpoint" {
			return Config{}, fmt.Errorf("%w: unknown parameter %q: there is endpoint", ErrAddress, name)
		}
		e, err := url.Parse(v)
		if err != nil || e.Scheme != "http" && e.Scheme != "https" || e.Host == "" {
			return Config{}, fmt.Errorf("%w: endpoint=%q: want http://HOST:PORT or https://HOST", ErrAddress, v)
		}
		c.Endpoint = strings.TrimSuffix(v, "/")
	}
	return c, nil
}
