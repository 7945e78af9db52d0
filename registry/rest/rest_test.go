package rest

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/dek"
)

var update = flag.Bool("update", false, "write the answers into testdata")

// serve makes a handler on a registry whose clock stands.
func serve(t testing.TB, e storage.Engine) (http.Handler, *registry.Registry) {
	t.Helper()
	lg := slog.New(slog.NewTextHandler(t.Output(), nil))
	r, err := registry.Open(t.Context(), registry.Config{Engine: e, Log: lg, Now: func() time.Time { return time.UnixMilli(1000) }})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := dek.Open(t.Context(), dek.Config{Engine: e, Log: lg, Secret: "secret", Now: func() time.Time { return time.UnixMilli(1000) }})
	if err != nil {
		t.Fatal(err)
	}
	return Handler(r, Options{Version: "1.2.3", Commit: "abc", ClusterID: "cluster", Keys: keys, Log: lg}), r
}

// do sends one request and gives status and body.
func do(h http.Handler, method, target, body string, headers ...string) (int, string, http.Header) {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n"), w.Header()
}

// TestConversations plays the conversations in testdata, each against a registry
// of its own: "> METHOD TARGET", perhaps "> BODY", then "< STATUS BODY" as the
// answer must be, to the byte. Lines with # are comments. With -update it writes
// the answers it gets; read the difference before you believe it.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".http"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h, _ := serve(t, memory.New())
			got := play(t, h, string(script))
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			wantLines, gotLines := strings.Split(string(script), "\n"), strings.Split(string(got), "\n")
			for i := range min(len(wantLines), len(gotLines)) {
				if wantLines[i] != gotLines[i] && !*update {
					t.Fatalf("line %d:\ngot  %s\nwant %s", i+1, gotLines[i], wantLines[i])
				}
			}
			if len(wantLines) != len(gotLines) && !*update {
				t.Fatalf("%d lines, want %d", len(gotLines), len(wantLines))
			}
		})
	}
}

var randomGUID = regexp.MustCompile(`"guid":"[0-9a-f-]{36}","resourceName"`)

// play sends the requests of a script and gives the script with the answers
// that came.
func play(t *testing.T, h http.Handler, script string) []byte {
	var out bytes.Buffer
	lines := strings.Split(script, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if strings.HasPrefix(line, "< ") {
			continue // written anew
		}
		fmt.Fprintln(&out, line)
		request, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		method, target, ok := strings.Cut(request, " ")
		if !ok {
			t.Fatalf("line %d: no target", i+1)
		}
		body := ""
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "> {") {
			i++
			fmt.Fprintln(&out, lines[i])
			body = lines[i][2:]
		}
		status, answer, header := do(h, method, target, body)
		// Associations have random GUIDs.
		answer = randomGUID.ReplaceAllString(answer, `"guid":"random","resourceName"`)
		fmt.Fprintf(&out, "< %d %s\n", status, answer)
		if got := header.Get("Content-Type"); got != contentType && status != http.StatusNoContent {
			t.Errorf("%s %s: content type %q", method, target, got)
		}
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func TestContentTypes(t *testing.T) {
	h, _ := serve(t, memory.New())
	const body = `{"schema":"\"int\""}`
	tests := []struct {
		kind string
		want int
	}{
		{"application/vnd.schemaregistry.v1+json", 200},
		{"application/vnd.schemaregistry+json; q=0.9", 200},
		{"application/json; charset=utf-8", 200},
		{"application/octet-stream", 200},
		{"", 200},
		{"text/plain", 415},
		{"application/x-www-form-urlencoded", 415},
	}
	for _, tt := range tests {
		if status, answer, _ := do(h, "POST", "/subjects/s/versions", body, "Content-Type", tt.kind); status != tt.want {
			t.Errorf("%q: got %d %s, want %d", tt.kind, status, answer, tt.want)
		}
	}
}

func TestOrigins(t *testing.T) {
	h, _ := serve(t, memory.New())
	const body = `{"schema":"\"int\""}`
	if status, answer, _ := do(h, "POST", "/subjects/s/versions", body, "Sec-Fetch-Site", "cross-site"); status != 403 || !strings.Contains(answer, `"error_code":403`) {
		t.Errorf("a request from another site: %d %s", status, answer)
	}
	if status, _, _ := do(h, "POST", "/subjects/s/versions", body, "Sec-Fetch-Site", "same-origin"); status != 200 {
		t.Errorf("a request from our own page: %d", status)
	}
	if status, _, _ := do(h, "GET", "/subjects", "", "Sec-Fetch-Site", "cross-site"); status != 200 {
		t.Errorf("reading: %d", status)
	}
}

func TestBodyLimit(t *testing.T) {
	r, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	h := Handler(r, Options{MaxBodyBytes: 100})
	status, answer, _ := do(h, "POST", "/subjects/s/versions", `{"schema":"`+strings.Repeat("x", 100)+`"}`)
	if want := `{"error_code":42209,"message":"Request body is larger than 100 bytes"}`; status != 422 || answer != want {
		t.Errorf("got %d %s, want %s", status, answer, want)
	}
	h = Handler(r, Options{})
	status, answer, _ = do(h, "POST", "/subjects/s/versions", `{"schema":"`+strings.Repeat("x", registry.MaxSchemaBytes+1)+`"}`)
	if status != 422 || !strings.Contains(answer, "42209") {
		t.Errorf("a large schema: %d %s", status, answer)
	}
}

// TestStoreFails says that a failing store is a 500 in Confluent's form.
func TestStoreFails(t *testing.T) {
	e := memory.New()
	h, _ := serve(t, e)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	status, answer, _ := do(h, "POST", "/subjects/s/versions", `{"schema":"\"int\""}`)
	if status != 500 || !strings.Contains(answer, `"error_code":50001`) {
		t.Errorf("got %d %s", status, answer)
	}
}

// FuzzRequest throws bodies and paths at every route: any answer will do that is
// one, and a server error is none.
func FuzzRequest(f *testing.F) {
	f.Add("POST", "subjects/s/versions", `{"schema":"\"int\"","references":[{"name":"a","subject":"s","version":1}]}`)
	f.Add("POST", "compatibility/subjects/s/versions/latest?verbose=true", `{"schemaType":"JSON","schema":"{}"}`)
	f.Add("PUT", "config/s", `{"compatibility":"FULL"}`)
	f.Add("PUT", "mode", `{"mode":"READONLY"}`)
	f.Add("GET", "schemas?limit=-1&offset=9", ``)
	f.Add("DELETE", "subjects/%2F?permanent=true", ``)
	h, _ := serve(f, memory.New())
	f.Fuzz(func(t *testing.T, method, target, body string) {
		req, err := http.NewRequest(method, "http://registry/"+target, io.NopCloser(strings.NewReader(body)))
		if err != nil {
			return // no request that could be sent
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code >= 500 || w.Code < 200 || w.Code >= 300 && w.Code < 400 {
			t.Errorf("%s %q %q: %d %s", method, target, body, w.Code, w.Body)
		}
	})
}
