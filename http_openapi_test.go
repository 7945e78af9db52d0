package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/catalog"
)

// mounts are the calls that serve what is described elsewhere: muxes below a
// prefix, whose own routes this test sees, the registry's and the catalog's, which
// have tests of their own, and what answers a path that nobody has.
func mounts() []string {
	return []string{
		`.HandleFunc("POST "+tokenRoute`, `.Handle("/iceberg/"`, `.Handle("/", home(n.schemaREST))`, `.Handle(dryRunPages`,
		`.Handle(page, api)`, `.Handle(console.Path`,
		`.Handle(path, n.tablesAPI`, `.Handle("/api/acls", n.aclAPI`, `.Handle("/api/acls/", n.aclAPI`,
		`.Handle(path, n.sqlAPI`, `.Handle(path, n.clientsAPI`, `.HandleFunc("/api/", `,
		`.HandleFunc("/_dev/", `, `.Handle("/", d.seams.faults.http`, // what is handed on
	}
}

// TestCatalogRoutes asks the catalog's handler for everything that is described of
// it: nothing may be a path that it does not know.
func TestCatalogRoutes(t *testing.T) {
	h := catalog.Handler(catalog.New(catalog.Config{}), catalog.Options{})
	names := regexp.MustCompile(`\{\w+\}`)
	count := 0
	for _, e := range catalogRoutes() {
		if e.Path == tokenRoute {
			continue
		}
		count++
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), e.Method, names.ReplaceAllString(e.Path, "x"), strings.NewReader("{")))
		if w.Code == 405 || strings.Contains(w.Body.String(), "NoSuchEndpointException") {
			t.Errorf("%s %s is described and not served: %d %s", e.Method, e.Path, w.Code, w.Body)
		}
	}
	if count < 30 {
		t.Errorf("%d routes are described", count)
	}
}

// TestOpenAPI wants each route of this package's muxes in the description, read
// off the source, and none that is not there.
func TestOpenAPI(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	route := regexp.MustCompile(`Handle(?:Func)?\("([A-Z]+ /[^"]*)"`)
	other := regexp.MustCompile(`\.Handle(?:Func)?\([^\n]*`)
	seams := mounts()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range route.FindAllStringSubmatch(string(text), -1) {
			served[strings.TrimSuffix(m[1], "{$}")] = true
		}
		for _, call := range other.FindAllString(string(text), -1) {
			if i := slices.IndexFunc(seams, func(seam string) bool { return strings.HasPrefix(call, seam) }); i >= 0 {
				continue
			}
			if !route.MatchString(call) {
				t.Errorf("%s: %s: what it serves is not known to be described: give it a method and a path, or say in mounts who describes it", file, call)
			}
		}
	}
	if len(served) < 15 {
		t.Fatalf("found %d routes in the source", len(served))
	}
	for _, e := range append(ownRoutes(), devRoutes()...) {
		name := e.Method + " " + e.Path
		if !served[name] {
			t.Errorf("%s is described and not served", name)
		}
		delete(served, name)
	}
	for name := range served {
		if strings.HasPrefix(name, "GET /debug/pprof/") {
			continue // of Go, on operators' own address only
		}
		t.Errorf("%s is served and not described: add it to ownRoutes", name)
	}

	w := httptest.NewRecorder()
	openAPI(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api", nil))
	var doc struct {
		OpenAPI string                               `json:"openapi"`
		Paths   map[string]map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%d, %v: %.200s", w.Code, err, w.Body)
	}
	for _, path := range []string{"/subjects/{subject}/versions", "/dek-registry/v1/keks", "/api/tables/{topic}", "/livez", "/iceberg/v1/namespaces/{namespace}/tables/{table}", tokenRoute} {
		if doc.Paths[path] == nil {
			t.Errorf("no path %s", path)
		}
	}
	ids := map[any]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			if ids[op["operationId"]] {
				t.Errorf("%s %s: there are two operations %v", method, path, op["operationId"])
			}
			ids[op["operationId"]] = true
			list, _ := op["parameters"].([]any)
			for _, p := range list {
				if p, ok := p.(map[string]any); !ok || p["description"] == "" {
					t.Errorf("%s %s: parameter %v says nothing", method, path, p)
				}
			}
		}
	}
}
