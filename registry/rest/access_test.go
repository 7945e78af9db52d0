package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
)

// TestAccess asks every route as somebody who may do nothing, and some as
// somebody who may do one thing.
func TestAccess(t *testing.T) {
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	var allowed map[string]bool // "read a"
	h := Handler(reg, Options{Allow: func(_ *http.Request, op Operation, subject string) bool {
		return allowed == nil || allowed[string(op)+" "+subject]
	}})
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for _, s := range []string{"a", "b"} {
		if code, body := ask("POST", "/subjects/"+s+"/versions", `{"schema":"\"string\""}`); code != 200 {
			t.Fatal(code, body)
		}
	}
	allowed = map[string]bool{}
	open := map[string]bool{}
	for _, p := range openRoutes() {
		open[p] = true
	}
	for _, rt := range (&api{}).routes() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = http.MethodPost, rt.pattern
		}
		path = strings.NewReplacer("{$}", "", "{subject}", "a", "{version}", "1", "{id}", "1", "{guid}", guidOf(t, reg),
			"{context}", "x", "{resource}", "r", "{namespace}", "n", "{name}", "k", "{exporter}", "e").Replace(path)
		code, body := ask(method, path, `{"schema":"\"string\""}`)
		if open[rt.pattern] != (code != http.StatusForbidden) {
			t.Errorf("%s without any rule: %d %s", rt.pattern, code, body)
		}
	}
	for _, c := range []struct {
		rule, method, path string
		want               int
		text               string
	}{
		{"describe a", "GET", "/subjects", 200, `["a"]`},
		{"describe b", "GET", "/schemas/ids/1/subjects", 200, `["b"]`},
		{"describe a", "GET", "/schemas", 200, `"subject":"a"`},
		{"read a", "GET", "/schemas/ids/1", 200, "string"},
		{"read c", "GET", "/schemas/ids/1", 403, "40301"},
		{"read a", "GET", "/subjects/a/versions/1", 200, "string"},
		{"read a", "GET", "/subjects/b/versions/1", 403, ""},
		{"read a", "POST", "/subjects/a", 200, ""},
		{"read a", "POST", "/subjects/a/versions", 403, ""},
		{"write a", "POST", "/subjects/a/versions", 200, ""},
		{"read a", "POST", "/compatibility/subjects/a/versions", 200, ""},
		{"alter-configs a", "PUT", "/config/a", 422, ""}, // taken, and not a level
		{"write a", "PUT", "/config/a", 403, ""},
		{"alter-configs ", "DELETE", "/config", 200, ""},
		{"write a", "DELETE", "/subjects/a", 403, ""},
		{"delete a", "DELETE", "/subjects/a", 200, ""},
		{"write a", "POST", "/dek-registry/v1/keks/k/deks/a", 422, "42205"}, // taken, and not offered
		{"read a", "POST", "/dek-registry/v1/keks/k/deks/a", 403, ""},
		{"read a", "GET", "/dek-registry/v1/keks/k/deks/a", 422, ""},
		{"read b", "GET", "/dek-registry/v1/keks/k/deks/a/versions/1", 403, ""},
		{"delete a", "DELETE", "/dek-registry/v1/keks/k/deks/a", 422, ""},
		{"read ", "GET", "/dek-registry/v1/keks/k", 422, ""},
		{"read ", "POST", "/dek-registry/v1/keks", 403, ""},
		{"alter ", "POST", "/dek-registry/v1/keks", 422, ""},
	} {
		allowed = map[string]bool{c.rule: true}
		code, body := ask(c.method, c.path, `{"schema":"\"string\"","compatibility":"x"}`)
		if code != c.want || !strings.Contains(body, c.text) {
			t.Errorf("%s with %q: %d %s", c.method+" "+c.path, c.rule, code, body)
		}
		if c.path == "/subjects" && strings.Contains(body, "b") {
			t.Errorf("a hidden subject is listed: %s", body)
		}
	}
}

// guidOf is the GUID of the schema with id 1.
func guidOf(t *testing.T, reg *registry.Registry) string {
	t.Helper()
	v, err := reg.Version("a", 1, true)
	if err != nil {
		t.Fatal(err)
	}
	return v.GUID
}
