package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
)

// TestSchemaRoutes: what the console will ask, and what it asks wrongly.
func TestSchemaRoutes(t *testing.T) {
	reg, err := registry.Open(t.Context(), registry.Config{Engine: memory.New()})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{registry: reg}
	for _, text := range []string{`{"type":"object","properties":{"a":{"type":"integer"}}}`, `{"type":"object","properties":{"a":{"type":"number"}}}`} {
		if _, err := reg.Register(t.Context(), "s", registry.Request{Type: "JSON", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := reg.Register(t.Context(), "topic-value", registry.Request{Text: `"int"`}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		want                       string
	}{
		{"diff", "GET", "/api/schemas/diff?subject=s&from=1", "", 200, `"kinds":["TYPE_EXTENDED"]`},
		{"diff of a version that is not there", "GET", "/api/schemas/diff?subject=s&from=1&to=7", "", 404, "no such version"},
		{"diff of no version", "GET", "/api/schemas/diff?subject=s&from=x", "", 400, "is no version"},
		{"diff of no subject", "GET", "/api/schemas/diff?subject=z", "", 404, "no such subject"},
		{"describe", "GET", "/api/schemas/describe?name=s", "", 200, `"column":"a","type":"double"`},
		{"describe the first version", "GET", "/api/schemas/describe?name=s&version=1", "", 200, `"column":"a","type":"long"`},
		{"describe a topic", "GET", "/api/schemas/describe?name=topic", "", 200, `"subject":"topic-value"`},
		{"describe nothing", "GET", "/api/schemas/describe?name=nothing", "", 404, "no such subject"},
		{"describe no version", "GET", "/api/schemas/describe?name=s&version=0", "", 400, "is no version"},
		{"check", "POST", "/api/schemas/check?subject=s", `{"schemaType":"JSON","schema":"{\"type\":\"string\"}"}`, 200, `"compatible":false`},
		{"check of a broken schema", "POST", "/api/schemas/check?subject=s", `{"schemaType":"JSON","schema":"{"}`, 422, "Invalid schema"},
		{"check of nothing", "POST", "/api/schemas/check?subject=s", "", 400, "request: "},
		{"check of too much", "POST", "/api/schemas/check?subject=s", `{"schema":"` + strings.Repeat("x", maxSchemaRequest) + `"}`, 400, "too large"},
		{"check with a missing reference", "POST", "/api/schemas/check?subject=s", `{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":1}]}`, 422, "b"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))
		map[string]http.HandlerFunc{"diff": n.schemaDiff, "check": n.schemaCheck, "describe": n.schemaDescribe}[strings.SplitN(tt.name, " ", 2)[0]](w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s, want %d with %q", tt.name, w.Code, w.Body.String(), tt.status, tt.want)
		}
	}
}
