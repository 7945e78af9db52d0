package rest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/rest"
	"github.com/tarn-io/tarn/tables/iceberg"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

// front stands before a host and writes down what it is asked.
type front struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method and path, behind /v1
}

// newFront lets judge answer; false hands the request on to the host.
func newFront(t *testing.T, h *host, judge func(w http.ResponseWriter, r *http.Request) bool) *front {
	t.Helper()
	at, err := url.Parse(h.url)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.seen = append(f.seen, r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/v1"))
		f.mu.Unlock()
		if judge(w, r) {
			return
		}
		r.URL.Scheme, r.URL.Host, r.RequestURI = at.Scheme, at.Host, ""
		r.URL.Path = at.Path + strings.Replace(r.URL.Path, "/v1/p/q/", "/v1/", 1)
		r.URL.RawPath = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) count(line string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if s == line {
			n++
		}
	}
	return n
}

func refuse(w http.ResponseWriter, status int, kind string) bool {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": "no", "type": kind, "code": status}})
	return true
}

func open(t *testing.T, store blob.Store, c rest.Config) (tables.Table, error) {
	t.Helper()
	c.Store = store
	client, err := rest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return iceberg.New(client, store, iceberg.Options{}).Open(t.Context(),
		tabletest.Spec(tabletest.Schema(t, tabletest.SmallFields()...)))
}

func commit(t *testing.T, store blob.Store, tbl tables.Table, id string, r tables.Range) {
	t.Helper()
	from, err := tbl.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tbl.Commit(t.Context(), tabletest.Next(from, id, tabletest.Write(t, store, tbl, id, r))); err != nil {
		t.Fatal(err)
	}
}

// TestOAuth signs in with a credential, is told in the middle that the token is
// no good, and gets another.
func TestOAuth(t *testing.T) {
	store := blob.NewMemory()
	var mu sync.Mutex
	given, good := 0, ""
	f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path == "/v1/oauth/tokens" {
			if r.PostFormValue("client_id") != "me" || r.PostFormValue("client_secret") != "se:cret" ||
				r.PostFormValue("scope") != "PRINCIPAL_ROLE:ALL" || r.PostFormValue("grant_type") != "client_credentials" {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"who?"}`)
				return true
			}
			given++
			good = strings.Repeat("x", given)
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": good, "token_type": "bearer", "expires_in": 3600})
			return true
		}
		if r.Header.Get("Authorization") != "Bearer "+good {
			return refuse(w, http.StatusUnauthorized, "NotAuthorizedException")
		}
		return false
	})
	if _, err := open(t, store, rest.Config{URI: f.URL, Credential: "me:wrong"}); err == nil || !strings.Contains(err.Error(), "who?") ||
		strings.Contains(err.Error(), "wrong") || !strings.Contains(fix(err), "TARN_CATALOG_CREDENTIAL") {
		t.Errorf("wrong secret: %v, to be mended by %q", err, fix(err))
	}
	tbl, err := open(t, store, rest.Config{URI: f.URL, Credential: "me:se:cret", Scope: "PRINCIPAL_ROLE:ALL"})
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	good = "another"
	mu.Unlock()
	commit(t, store, tbl, "c1", tables.Range{From: 0, To: 3})
	if given != 2 {
		t.Errorf("%d tokens were asked for, want 2", given)
	}
}

// fix is what an error says that a person can do.
func fix(err error) string {
	var f interface {
		error
		Fix() string
	}
	if !errors.As(err, &f) {
		return ""
	}
	return f.Fix()
}

// TestForbidden hands on what the catalog forbids in its own words, as a refusal
// that somebody there can mend.
func TestForbidden(t *testing.T) {
	store := blob.NewMemory()
	f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPost && refuse(w, http.StatusForbidden, "ForbiddenException")
	})
	_, err := open(t, store, rest.Config{URI: f.URL})
	if !errors.Is(err, catalog.ErrForbidden) || strings.Contains(err.Error(), "policy") || !strings.Contains(fix(err), "namespace") {
		t.Errorf("a namespace that may not be made: %v, to be mended by %q", err, fix(err))
	}
}

// TestToken sends a token that was given, and says so when it is refused.
func TestToken(t *testing.T) {
	store := blob.NewMemory()
	f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
		return r.Header.Get("Authorization") != "Bearer abc" && refuse(w, http.StatusUnauthorized, "NotAuthorizedException")
	})
	if _, err := open(t, store, rest.Config{URI: f.URL + "/v1/", Token: "abd"}); !strings.Contains(err.Error(), "401") ||
		strings.Contains(err.Error(), "abd") || !strings.Contains(fix(err), "TARN_CATALOG_TOKEN") {
		t.Errorf("wrong token: %v, to be mended by %q", err, fix(err))
	}
	if _, err := open(t, store, rest.Config{URI: f.URL + "/v1/", Token: "abc"}); err != nil {
		t.Error(err)
	}
}

// TestPrefix follows what the catalog says of itself: where tables are, and that
// it takes keys of idempotency.
func TestPrefix(t *testing.T) {
	store := blob.NewMemory()
	keys := map[string]bool{}
	var mu sync.Mutex
	f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
		if key := r.Header.Get("Idempotency-Key"); key != "" {
			mu.Lock()
			defer mu.Unlock()
			keys[key] = true
		}
		if r.URL.Path != "/v1/config" {
			return !strings.HasPrefix(r.URL.Path, "/v1/p/q/") && refuse(w, http.StatusNotFound, "NoSuchEndpointException")
		}
		if r.URL.Query().Get("warehouse") != "the lake" {
			return refuse(w, http.StatusNotFound, "NoSuchWarehouseException")
		}
		_, _ = io.WriteString(w, `{"defaults":{},"overrides":{"prefix":"p/q"},"idempotency-key-lifetime":"PT30M"}`)
		return true
	})
	if _, err := open(t, store, rest.Config{URI: f.URL, Warehouse: "a lake"}); err == nil || errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("wrong warehouse: %v", err)
	}
	tbl, err := open(t, store, rest.Config{URI: f.URL, Warehouse: "the lake"})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, store, tbl, "c1", tables.Range{From: 0, To: 3})
	if len(keys) != 4 {
		t.Errorf("%d keys, want one for the namespace, the table in two steps, and the commit", len(keys))
	}
}

// TestUnchanged does not send metadata again that is still current.
func TestUnchanged(t *testing.T) {
	store := blob.NewMemory()
	var mu sync.Mutex
	same := 0
	f := newFront(t, newHost(t, store), func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("If-None-Match") != "" {
			same++
		}
		return false
	})
	tbl, err := open(t, store, rest.Config{URI: f.URL})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := tbl.Progress(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if same < 3 {
		t.Errorf("%d questions for something newer", same)
	}
}

// TestNoStage makes tables in one step where the catalog does not stage them, and
// keeps none whose columns got other ids.
func TestNoStage(t *testing.T) {
	for _, java := range []bool{true, false} {
		store := blob.NewMemory()
		h := newHost(t, store)
		f := newFront(t, h, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/tables") {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if strings.Contains(string(body), `"stage-create":true`) {
				return refuse(w, http.StatusBadRequest, "BadRequestException")
			}
			return java && keepsIDs(t, h, w, body)
		})
		tbl, err := open(t, store, rest.Config{URI: f.URL})
		if !java {
			// Tarn's own catalog goes through columns in another order than Java.
			if _, lerr := h.cat.LoadTable(t.Context(), catalog.Identifier{"ns", "orders"}); err == nil || !errors.Is(lerr, catalog.ErrNoSuchTable) {
				t.Errorf("other ids: %v, and the table: %v", err, lerr)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		commit(t, store, tbl, "c1", tables.Range{From: 0, To: 3})
	}
}

// keepsIDs makes the table as Java's catalogs do.
func keepsIDs(t *testing.T, h *host, w http.ResponseWriter, data []byte) bool {
	t.Helper()
	var body struct {
		Schema     metadata.Schema
		Properties map[string]string
	}
	if err := json.Unmarshal(data, &body); err != nil {
		t.Error(err)
	}
	last := -1
	meta, at, err := h.cat.CommitTable(t.Context(), catalog.Identifier{"ns", "orders"},
		[]metadata.Requirement{{Type: metadata.AssertCreate}}, []metadata.Update{
			{Action: metadata.AddSchema, Schema: &body.Schema}, {Action: metadata.SetCurrentSchema, SchemaID: &last},
			{Action: metadata.SetProperties, Updates: body.Properties},
		})
	if err != nil {
		t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"metadata": meta, "metadata-location": at})
	return true
}

// TestPages takes pages of proxies and of wrong addresses for no word about
// tables: a table that cannot be seen for a moment must not be made anew.
func TestPages(t *testing.T) {
	store := blob.NewMemory()
	for _, answer := range []func(http.ResponseWriter) bool{
		func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusNotFound); return true },
		func(w http.ResponseWriter) bool { return refuse(w, http.StatusNotFound, "NoSuchEndpointException") },
		func(w http.ResponseWriter) bool { return refuse(w, http.StatusForbidden, "ForbiddenException") },
		func(w http.ResponseWriter) bool { return refuse(w, http.StatusTooManyRequests, "SlowDownException") },
		func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, "<html>"); return true },
		func(w http.ResponseWriter) bool { _, _ = io.WriteString(w, `{"metadata":{}}`); return true },
		func(w http.ResponseWriter) bool {
			_, _ = io.WriteString(w, `{"metadata":{"format-version":2,"schemas":[{}]}}`)
			return true
		},
	} {
		f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/tables/") && answer(w)
		})
		if _, err := open(t, store, rest.Config{URI: f.URL}); err == nil || errors.Is(err, catalog.ErrNoSuchTable) {
			t.Errorf("%v", err)
		}
		if n := f.count("POST /namespaces/ns/tables"); n != 0 {
			t.Errorf("a table was made")
		}
	}
}

// TestSigned signs as Amazon's services want it.
func TestSigned(t *testing.T) {
	store := blob.NewMemory()
	f := newFront(t, newHost(t, store), func(w http.ResponseWriter, r *http.Request) bool {
		h := r.Header.Get("Authorization")
		good := strings.HasPrefix(h, "AWS4-HMAC-SHA256 Credential=AKID/") && strings.Contains(h, "/eu-central-1/glue/aws4_request")
		return !good && refuse(w, http.StatusForbidden, "ForbiddenException")
	})
	tbl, err := open(t, store, rest.Config{URI: f.URL, SigV4: &rest.SigV4{
		Region: "eu-central-1", Service: "glue", Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, store, tbl, "c1", tables.Range{From: 0, To: 3})
}

func TestSettings(t *testing.T) {
	for _, c := range []rest.Config{
		{}, {URI: "catalog:8181"}, {URI: "ftp://x"}, {URI: "http://"},
		{URI: "http://x", Credential: "only-an-id"},
		{URI: "http://x", Credential: "a:b", Token: "t"},
		{URI: "http://x", SigV4: &rest.SigV4{}, Token: "t"},
	} {
		if _, err := rest.New(c); !errors.Is(err, rest.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestOutside says what to do where the catalog keeps tables elsewhere than the
// warehouse.
func TestOutside(t *testing.T) {
	h := newHost(t, blob.NewMemory())
	elsewhere, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if _, err := open(t, elsewhere, rest.Config{URI: h.url}); err == nil {
		t.Error("a table outside of the catalog's warehouse was made")
	}
}
