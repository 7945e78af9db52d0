package rest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// reference reads testdata/routes.txt: the parameters of each route.
func reference(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile("testdata/routes.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] == "#" {
			continue
		}
		name := words[0] + " " + words[1]
		if _, twice := table[name]; twice {
			t.Errorf("%s stands twice in the table", name)
		}
		table[name] = words[2:]
	}
	return table
}

// plainPattern is a mux's pattern as the table has it.
func plainPattern(pattern string) string { return strings.ReplaceAll(pattern, "{$}", "") }

// TestRoutes holds the routes to Confluent's table: methods, paths, parameters,
// and the reverse.
func TestRoutes(t *testing.T) {
	want := reference(t)
	for _, rt := range (&api{}).routes() {
		name := plainPattern(rt.pattern)
		if !strings.Contains(name, " ") {
			name = "POST " + name
		}
		parameters, ok := want[name]
		delete(want, name)
		got := rt.parameters()
		slices.Sort(got)
		slices.Sort(parameters)
		if !ok {
			t.Errorf("%s is not in the table", name)
		} else if !slices.Equal(got, parameters) {
			t.Errorf("%s takes %q, want %q", name, got, parameters)
		}
	}
	for name := range want {
		t.Errorf("%s is not served", name)
	}
}

// TestRoutesSpoken wants each route, with each parameter, in some conversation
// of testdata, at the root and in a context; so each parameter's effect is
// written down.
func TestRoutesSpoken(t *testing.T) {
	a := &api{mux: http.NewServeMux()}
	want := map[string]bool{}
	for _, rt := range a.routes() {
		a.mux.HandleFunc(rt.pattern, func(http.ResponseWriter, *http.Request) {})
		if strings.Contains(rt.pattern, "/exporters/") {
			continue // all answered alike
		}
		want[rt.pattern] = true
		for _, name := range rt.parameters() {
			want[rt.pattern+" "+name] = true
		}
	}
	var pattern string
	match := a.plain(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { _, pattern = a.mux.Handler(req) }))
	files, err := filepath.Glob("testdata/*.http")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(script)) {
			method, target, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "> ")), " ")
			if !ok || !strings.HasPrefix(line, "> ") || !strings.HasPrefix(target, "/") {
				continue
			}
			req := httptest.NewRequestWithContext(t.Context(), method, target, nil)
			match.ServeHTTP(httptest.NewRecorder(), req)
			delete(want, pattern)
			for name := range req.URL.Query() {
				delete(want, pattern+" "+name)
			}
		}
	}
	for what := range want {
		t.Errorf("no conversation in testdata has %s", what)
	}
}

// TestContextRoutes asks each route below /contexts/{context}: it must be the
// same route there.
func TestContextRoutes(t *testing.T) {
	a := &api{mux: http.NewServeMux()}
	for _, rt := range a.routes() {
		a.mux.HandleFunc(rt.pattern, func(http.ResponseWriter, *http.Request) {})
	}
	for _, rt := range a.routes() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = http.MethodPost, rt.pattern
		}
		if strings.HasPrefix(path, "/contexts") {
			continue
		}
		var pattern, context string
		h := a.plain(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			_, pattern = a.mux.Handler(req)
			context = contextOf(req)
		}))
		target := "/contexts/:.lab:" + strings.NewReplacer("{$}", "", "{", "", "}", "").Replace(path)
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, target, nil))
		if pattern != rt.pattern || context != ".lab" {
			t.Errorf("%s %s is %q in context %q, want %q", method, target, pattern, context, rt.pattern)
		}
	}
}
