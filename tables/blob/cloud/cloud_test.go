package cloud

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tarn-io/tarn/tables/blob"
)

// configs are of a fake's two services.
func configs(endpoint string) []Config {
	return []Config{
		{Kind: GCS, Bucket: "lake", Prefix: "below", Endpoint: endpoint, hurry: true},
		{Kind: Azure, Bucket: "lake", Account: "someone", Prefix: "below", Endpoint: endpoint, hurry: true},
	}
}

// each runs a test against both services of a fake.
func each(t *testing.T, test func(t *testing.T, f *fake, s *Store)) {
	t.Setenv("AZURE_STORAGE_KEY", "a2V5")
	t.Setenv(googleEnv, "")
	for _, name := range []Kind{GCS, Azure} {
		t.Run(string(name), func(t *testing.T) {
			f, at := newFake(t)
			for _, c := range configs(at) {
				if c.Kind != name {
					continue
				}
				s, err := Open(c)
				if err != nil {
					t.Fatal(err)
				}
				test(t, f, s)
			}
		})
	}
}

// TestSuite runs the suite of stores against fakes, with the empty pages and slow
// copies that real servers have.
func TestSuite(t *testing.T) {
	each(t, func(t *testing.T, _ *fake, s *Store) { suite(t, s.cfg) })
}

// TestLostAnswer loses the answer of a write that was done: whoever made it is
// told so, and whoever came second is not.
func TestLostAnswer(t *testing.T) {
	each(t, func(t *testing.T, f *fake, s *Store) {
		var lost atomic.Int64
		f.lose = func(r *http.Request) bool {
			return (r.Method == http.MethodPut || r.Method == http.MethodPost) && lost.Add(1) == 1
		}
		if err := s.PutIfAbsent(t.Context(), "a", []byte("ours")); err != nil {
			t.Errorf("put whose answer was lost: %v", err)
		}
		lost.Store(0)
		if err := s.PutIfAbsent(t.Context(), "a", []byte("theirs")); !errors.Is(err, blob.ErrExists) {
			t.Errorf("put of a key that is taken: %v, want ErrExists", err)
		}
		if got, err := s.Get(t.Context(), "a"); err != nil || string(got) != "ours" {
			t.Errorf("got %q, %v, want ours", got, err)
		}
	})
}

// TestTrouble has the server fail: a call is repeated, and tells; one that goes on
// failing says what the server did.
func TestTrouble(t *testing.T) {
	each(t, func(t *testing.T, f *fake, s *Store) {
		var n, told atomic.Int64
		f.before = func(*http.Request) int {
			if n.Add(1) < maxTries {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		ctx := blob.WithTrouble(t.Context(), func(error) { told.Add(1) })
		if err := s.Put(ctx, "a", nil); err != nil || told.Load() != maxTries-1 {
			t.Errorf("put: %v, told %d times, want %d", err, told.Load(), maxTries-1)
		}
		for status, want := range map[int]string{
			http.StatusServiceUnavailable: "answers 503", http.StatusForbidden: ErrDenied.Error(), http.StatusConflict: "answers 409", http.StatusNotFound: ErrBucket.Error(),
		} {
			f.before = func(*http.Request) int { return status }
			if err := s.Put(t.Context(), "a", nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d: %v, want %q", status, err, want)
			}
		}
		f.before = func(*http.Request) int { panic(http.ErrAbortHandler) }
		if err := s.Check(t.Context()); !errors.Is(err, blob.ErrUnreachable) {
			t.Errorf("no answer: %v, want ErrUnreachable", err)
		}
	})
}

// TestUnconditional refuses a server that overwrites what it should not.
func TestUnconditional(t *testing.T) {
	each(t, func(t *testing.T, f *fake, s *Store) {
		f.before = func(r *http.Request) int {
			r.Header.Del("If-None-Match")
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "ifGenerationMatch=0", "")
			return 0
		}
		if err := s.Check(t.Context()); !errors.Is(err, ErrUnconditional) {
			t.Errorf("check: %v, want ErrUnconditional", err)
		}
	})
}

// TestLarge reads an object in ranges, and never a mixture of two.
func TestLarge(t *testing.T) {
	each(t, func(t *testing.T, _ *fake, s *Store) {
		data := bytes.Repeat([]byte("0123456789"), blob.WholeBytes/8)
		if err := s.Put(t.Context(), "large", data); err != nil {
			t.Fatal(err)
		}
		f, err := s.Open(t.Context(), "large")
		if err != nil || f.Size() != int64(len(data)) {
			t.Fatalf("open: %v, size %d, want %d", err, f.Size(), len(data))
		}
		defer f.Close()
		got := make([]byte, 20)
		for _, off := range []int64{0, blob.WholeBytes - 10, blob.WholeBytes + 3, int64(len(data)) - 20} {
			if n, err := f.ReadAt(got, off); n != 20 || err != nil || !bytes.Equal(got, data[off:off+20]) {
				t.Errorf("at %d: %d, %v, %q, want %q", off, n, err, got, data[off:off+20])
			}
		}
		if n, err := f.ReadAt(got, int64(len(data))-5); n != 5 || err != io.EOF { //nolint:errorlint // io.ReaderAt promises io.EOF itself
			t.Errorf("at its end: %d, %v, want 5, EOF", n, err)
		}
		if err := s.Put(t.Context(), "large", bytes.ToUpper(data)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(got, blob.WholeBytes+3); err == nil || !strings.Contains(err.Error(), "replaced") {
			t.Errorf("read of an object that was replaced: %v, want that it was", err)
		}
	})
}

func TestParse(t *testing.T) {
	for address, want := range map[string]Config{
		"gs://lake":                     {Kind: GCS, Bucket: "lake"},
		"gs://lake/a/b/":                {Kind: GCS, Bucket: "lake", Prefix: "a/b"},
		"gs://lake?endpoint=http://h:1": {Kind: GCS, Bucket: "lake", Endpoint: "http://h:1"},
		"abfss://lake@me.dfs.core.windows.net/a?endpoint=http://h:1/me": {Kind: Azure, Bucket: "lake", Account: "me", Prefix: "a", Endpoint: "http://h:1/me"},
	} {
		if got, err := Parse(address); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "s3://lake", "gs://", "gs://me:secret@lake", "gs://lake#x", "gs://lake?region=x", "gs://lake?endpoint=h",
		"abfss://lake/a", "abfss://me.dfs.core.windows.net/a", "abfss://lake@me.blob.core.windows.net", "abfss://lake:x@me.dfs.core.windows.net",
	} {
		if _, err := Parse(address); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want ErrAddress", address, err)
		}
	}
}

// TestAddresses reads the addresses that others write for the same objects.
func TestAddresses(t *testing.T) {
	s, err := Open(configs("")[1])
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"abfss://lake@someone.dfs.core.windows.net/below/a/b": "a/b",
		"abfs://lake@someone.dfs.core.windows.net/below/a":    "a",
		"wasbs://lake@someone.blob.core.windows.net/below/a":  "a",
		"abfss://lake@other.dfs.core.windows.net/below/a":     "",
		"abfss://lake@someone.dfs.core.windows.net/above/a":   "",
	} {
		if got, ok := s.Key(address); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", address, got, ok, want)
		}
	}
}

// TestSharedKey signs as the service's documentation does ("Authorize with Shared
// Key"): method, headers, those of the service, path and query, each on a line.
func TestSharedKey(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "https://me.blob.core.windows.net/lake/a%20b?restype=container&comp=list&prefix=x", strings.NewReader("12345"))
	for k, v := range map[string]string{"x-ms-version": "2019-12-12", "x-ms-date": "now", "Content-Type": "text/x", "If-None-Match": "*", "Range": "bytes=0-1"} {
		r.Header.Set(k, v)
	}
	k := sharedKey{"me", base64.StdEncoding.EncodeToString([]byte("secret"))}
	want := "PUT\n\n\n5\n\ntext/x\n\n\n\n*\n\nbytes=0-1\nx-ms-date:now\nx-ms-version:2019-12-12\n/me/lake/a%20b\ncomp:list\nprefix:x\nrestype:container"
	if got := k.text(r); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := k.sign(context.Background(), r); err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "SharedKey me:") {
		t.Errorf("signed as %q, %v", r.Header.Get("Authorization"), err)
	}
	if err := (sharedKey{"me", "not base64!"}).sign(context.Background(), r); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("a key that is none: %v, want ErrNoCredentials", err)
	}
}

// TestSharedAccess puts a signature into each address, a copy's source too.
func TestSharedAccess(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=x%3D"}[name]
	}
	creds := azureCredentials("me", env, nil)
	for _, address := range []string{"http://h/lake/a", "http://h/lake?comp=list"} {
		r := httptest.NewRequest(http.MethodGet, address, nil)
		if err := creds.sign(t.Context(), r); err != nil || r.URL.Query().Get("sig") != "x=" {
			t.Errorf("%s became %s, %v", address, r.URL, err)
		}
	}
	if u, err := url.Parse(creds.source("http://h/lake/a")); err != nil || u.Query().Get("sv") != "1" {
		t.Errorf("source of a copy: %s, %v", u, err)
	}
}
