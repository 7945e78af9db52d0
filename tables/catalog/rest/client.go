// Package rest is a client of an Iceberg REST catalog that is not ours: Polaris,
// Lakekeeper, Nessie, Unity, Gravitino, the REST endpoint of Glue, or another
// Tarn. It does what tables of the sink need and no more: load, make, commit,
// drop.
//
// The catalog is asked for nothing until the first call, and for its settings
// (GET /v1/config) again if that failed: a broker starts without it.
//
// What became of a commit whose answer was lost is looked up: the snapshot that
// it adds is in the table, or it is not. Where it is not, or where nobody tells,
// the commit may still be under way, and the outcome is unknown.
package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/metadata"
)

// Limits.
const (
	// requestLimit bounds one request: a catalog that hangs is as good as one
	// that is down, and the sink tries again in its own rhythm.
	requestLimit = time.Minute
	// maxAnswer bounds an answer, as metadata files are bounded.
	maxAnswer = 256 << 20
	// maxCached bounds the tables whose metadata is kept, some 100 kB each.
	maxCached = 1024
	// maxMessage cuts the text of an error page.
	maxMessage = 500
)

// Config says where a catalog is and how to sign in. At most one of Token,
// Credential and SigV4 is set; none is fine where the catalog asks for nothing.
type Config struct {
	// URI is the catalog's address; /v1/… is put behind it.
	URI string
	// Warehouse is the name or place that the catalog knows its warehouse by;
	// empty where it has only one.
	Warehouse string
	// Store holds the tables' files: the same place that the catalog means.
	Store blob.Store
	// Token is sent as it is (Bearer).
	Token string
	// Credential is CLIENT_ID:CLIENT_SECRET, exchanged for a token (OAuth2,
	// client credentials).
	Credential string
	// OAuthURI is where; empty is /v1/oauth/tokens of the catalog.
	OAuthURI string
	// Scope is what is asked for; empty is "catalog".
	Scope string
	// SigV4 signs requests as Amazon's services want it; nil does not.
	SigV4 *SigV4
	// Client sends requests; nil is one of our own.
	Client *http.Client
}

// Client is a catalog behind Iceberg's REST protocol. Safe for concurrent use.
type Client struct {
	c    Config
	base string // without a slash at the end
	auth authorizer

	mu     sync.Mutex
	ready  *settings        // guarded by mu; nil until the catalog has told
	cached map[string]known // guarded by mu; by table
}

// settings are what the catalog says of itself.
type settings struct {
	prefix string // "" or "/PREFIX"
	keys   bool   // it takes Idempotency-Key
}

// known is a table as it was last answered.
type known struct {
	tag   string // its ETag; empty if the catalog gives none
	table *catalog.Table
}

// ErrConfig is refused: the settings cannot be.
var ErrConfig = errors.New("catalog settings")

// New returns a client. It touches no network. Error: ErrConfig.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URI)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: address %q: use http://HOST/PATH or https://HOST/PATH", ErrConfig, c.URI)
	}
	ways := 0
	for _, set := range []bool{c.Token != "", c.Credential != "", c.SigV4 != nil} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return nil, fmt.Errorf("%w: a token, a credential and sigv4 are three ways to sign in: use one", ErrConfig)
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: requestLimit}
	}
	cl := &Client{c: c, base: strings.TrimSuffix(strings.TrimRight(c.URI, "/"), "/v1"), cached: map[string]known{}}
	if cl.auth, err = newAuthorizer(c, cl.base); err != nil {
		return nil, err
	}
	return cl, nil
}

// Error is an answer that is no success.
type Error struct {
	Status        int
	Kind, Message string // as the catalog says it; Kind is empty if it does not
}

// Error says what was answered.
func (e *Error) Error() string {
	return strings.TrimRight(fmt.Sprintf("the catalog answered %d %s: %s", e.Status, e.Kind, e.Message), ": ")
}

// Fix says what a person can do about it; empty where the catalog's own words
// are all there is.
func (e *Error) Fix() string {
	switch e.Status {
	case http.StatusUnauthorized, statusAuthTimeout:
		return "the catalog does not take what the broker signs in with: mend TARN_CATALOG_TOKEN or TARN_CATALOG_CREDENTIAL (catalog.token, catalog.credential) and start the broker again; records wait in the log"
	case http.StatusForbidden:
		return "the catalog forbids it: let the broker's user load, make and commit to tables there, and make the namespace if it may not; it goes on by itself"
	}
	return ""
}

// request is one request to the catalog.
type request struct {
	method, path string // path behind /v1 and prefix, escaped
	body         any    // nil for none
	match        string // an ETag
	once         bool   // carries an Idempotency-Key where the catalog takes one
}

// send sends a request and decodes the answer into out, if that is not nil.
// unchanged says that match still holds. Errors: *Error, else nobody knows
// whether it arrived.
func (c *Client) send(ctx context.Context, r request, out any) (head http.Header, unchanged bool, err error) {
	s, err := c.settings(ctx)
	if err != nil {
		return nil, false, err
	}
	header := http.Header{}
	if r.match != "" {
		header.Set("If-None-Match", r.match)
	}
	if r.once && s.keys {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, false, fmt.Errorf("make an idempotency key: %w", err)
		}
		header.Set("Idempotency-Key", id.String())
	}
	return c.do(ctx, r.method, c.base+"/v1"+s.prefix+r.path, header, r.body, out)
}

// do is send without the catalog's settings. A token that is not taken any more
// is replaced once: such an answer says that nothing happened.
func (c *Client) do(ctx context.Context, method, at string, header http.Header, body, out any) (http.Header, bool, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, false, fmt.Errorf("encode request: %w", err)
		}
	}
	for again := false; ; again = true {
		resp, err := c.exchange(ctx, method, at, header, data)
		if err != nil {
			return nil, false, fmt.Errorf("ask the catalog: %w", err)
		}
		expired := resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == statusAuthTimeout
		if expired && !again && c.auth.forget() {
			_ = resp.Body.Close()
			continue
		}
		return readAnswer(resp, out)
	}
}

// statusAuthTimeout is what the API description has for tokens that have ended.
const statusAuthTimeout = 419

func (c *Client) exchange(ctx context.Context, method, at string, header http.Header, data []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header = header.Clone()
	req.Header.Set("Accept", "application/json")
	if data != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.auth.sign(ctx, req, data); err != nil {
		return nil, err
	}
	return c.c.Client.Do(req)
}

func readAnswer(resp *http.Response, out any) (head http.Header, unchanged bool, err error) {
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return resp.Header, true, nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("read the catalog's answer: %w", err)
	case len(data) > maxAnswer:
		return nil, false, fmt.Errorf("the catalog's answer is above %d bytes", maxAnswer)
	case resp.StatusCode >= http.StatusMultipleChoices:
		return nil, false, answered(resp.StatusCode, data)
	case out == nil:
		return resp.Header, false, nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, false, fmt.Errorf("read the catalog's answer: %w", err)
	}
	return resp.Header, false, nil
}

// answered reads the error that a catalog answers, or the page of somebody else.
func answered(status int, data []byte) *Error {
	var body struct {
		Error struct {
			Message string `json:"message"`
			Type    string `json:"type"`
		} `json:"error"`
	}
	e := &Error{Status: status}
	if json.Unmarshal(data, &body) == nil && body.Error.Type+body.Error.Message != "" {
		e.Kind, e.Message = cmp.Or(body.Error.Type, "error"), body.Error.Message
		return e
	}
	e.Message = strings.TrimSpace(string(data[:min(len(data), maxMessage)]))
	return e
}

// settings asks the catalog what it says of itself, until it has answered.
func (c *Client) settings(ctx context.Context) (*settings, error) {
	c.mu.Lock()
	s := c.ready
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	at := c.base + "/v1/config"
	if c.c.Warehouse != "" {
		at += "?warehouse=" + url.QueryEscape(c.c.Warehouse)
	}
	var body struct {
		Defaults  map[string]string `json:"defaults"`
		Overrides map[string]string `json:"overrides"`
		KeyLife   string            `json:"idempotency-key-lifetime"`
	}
	if _, _, err := c.do(ctx, http.MethodGet, at, http.Header{}, nil, &body); err != nil {
		return nil, fmt.Errorf("settings of the catalog %s: %w", c.base, err)
	}
	s = &settings{keys: body.KeyLife != ""}
	if prefix := cmp.Or(body.Overrides["prefix"], body.Defaults["prefix"]); prefix != "" {
		s.prefix = "/" + strings.Trim(prefix, "/")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = s
	return s, nil
}

// Asks says that requirements of the caller's own cannot be sent.
func (c *Client) Asks() bool { return false }

// remember keeps what was answered about a table.
func (c *Client) remember(ident catalog.Identifier, tag string, t *catalog.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cached) >= maxCached {
		clear(c.cached)
	}
	c.cached[path(ident)] = known{tag, t}
}

func (c *Client) known(ident catalog.Identifier) known {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cached[path(ident)]
}

func (c *Client) forget(ident catalog.Identifier) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cached, path(ident))
}

// separator joins the parts of a namespace in a path.
const separator = "\x1f"

// path is a table's, behind the prefix.
func path(ident catalog.Identifier) string {
	last := len(ident) - 1
	return namespacePath(ident[:last]) + "/tables/" + url.PathEscape(ident[last])
}

func namespacePath(ns catalog.Identifier) string {
	return "/namespaces/" + url.PathEscape(strings.Join(ns, separator))
}

// answer is a LoadTableResult or a CommitTableResponse.
type answer struct {
	Location string          `json:"metadata-location"`
	Metadata json.RawMessage `json:"metadata"`
}

func (a answer) table(ident catalog.Identifier) (t *catalog.Table, err error) {
	// iceberg-go's types dereference what some JSON leaves out.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("metadata of table %s as the catalog answered it: %v", name(ident), p)
		}
	}()
	meta, err := metadata.Parse(a.Metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata of table %s as the catalog answered it: %w", name(ident), err)
	}
	return &catalog.Table{Identifier: ident, Metadata: meta, MetadataLocation: a.Location}, nil
}

// name is an identifier for people.
func name(ident catalog.Identifier) string { return strings.Join(ident, ".") }
