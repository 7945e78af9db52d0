package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOpenAPI wants each route of this package's muxes in the description, read
// off the source, and none that is not there.
func TestOpenAPI(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	route := regexp.MustCompile(`Handle(?:Func)?\("([A-Z]+ /[^"]*)"`)
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
	}
	if len(served) < 15 {
		t.Fatalf("found %d routes in the source", len(served))
	}
	for _, e := range ownRoutes() {
		name := e.Method + " " + e.Path
		if !served[name] {
			t.Errorf("%s is described and not served", name)
		}
		delete(served, name)
	}
	for name := range served {
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
	for _, path := range []string{"/subjects/{subject}/versions", "/dek-registry/v1/keks", "/api/tables/{topic}", "/livez"} {
		if doc.Paths[path] == nil {
			t.Errorf("no path %s", path)
		}
	}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			list, _ := op["parameters"].([]any)
			for _, p := range list {
				if p, ok := p.(map[string]any); !ok || p["description"] == "" {
					t.Errorf("%s %s: parameter %v says nothing", method, path, p)
				}
			}
		}
	}
}
