package rest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is what the description says, as far as tests ask.
type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		ID         string `json:"operationId"`
		Parameters []struct {
			Name, In, Description string
			Required              bool
		} `json:"parameters"`
		Body      json.RawMessage            `json:"requestBody"`
		Responses map[string]json.RawMessage `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

func described(t *testing.T) (document, string) {
	t.Helper()
	text, err := Document("1.2.3", Endpoints())
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d, string(text)
}

// TestDocument wants each route of the mux in the description with all its
// parameters, and nothing else.
func TestDocument(t *testing.T) {
	d, _ := described(t)
	count := 0
	ids := map[string]bool{}
	for _, rt := range (&api{}).routes() {
		method, path, ok := strings.Cut(plainPattern(rt.pattern), " ")
		if !ok {
			method, path = "POST", rt.pattern
		}
		op, ok := d.Paths[path][strings.ToLower(method)]
		if !ok {
			t.Errorf("%s %s is not described", method, path)
			continue
		}
		count++
		if ids[op.ID] {
			t.Errorf("two operations are called %s", op.ID)
		}
		ids[op.ID] = true
		want := map[string]string{}
		for _, name := range rt.parameters() {
			want[name] = "query"
		}
		_, names := plainPath(path)
		for _, name := range names {
			want[name] = "path"
		}
		for _, p := range op.Parameters {
			if want[p.Name] != p.In || p.Description == "" || p.Required != (p.In == "path") {
				t.Errorf("%s %s: parameter %+v", method, path, p)
			}
			delete(want, p.Name)
		}
		if len(want) > 0 {
			t.Errorf("%s %s: parameters %v are not described", method, path, want)
		}
		if (rt.in != nil) != (op.Body != nil) || len(op.Responses) != 2 {
			t.Errorf("%s %s: body %s, answers %v", method, path, op.Body, op.Responses)
		}
	}
	for _, ops := range d.Paths {
		count -= len(ops)
	}
	if count != 0 {
		t.Errorf("%d operations are described that are not served", -count)
	}
}

// TestDocumentTypes holds real answers against the schemas of their types.
func TestDocumentTypes(t *testing.T) {
	_, text := described(t)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///api.json", doc); err != nil {
		t.Fatal(err)
	}
	for component, answers := range map[string][2]string{
		"VersionAnswer": {`{"subject":"s","version":1,"id":2,"schema":"{}","references":[{"name":"a","subject":"b","version":1}],"metadata":{"tags":{"a":["b"]},"properties":{"k":"v"}},"ruleSet":{"domainRules":[{"name":"n"}]}}`, `{"version":"one"}`},
		"ConfigBody":    {`{"compatibility":"FULL","alias":"x","defaultMetadata":{"properties":{"a":"b"}}}`, `{"normalize":"yes"}`},
		"KEK":           {`{"name":"k","kmsProps":{"a":"b"},"shared":true,"ts":1}`, `{"shared":1}`},
		"Problem":       {`{"error_code":40401,"message":"m"}`, `{"error_code":"40401"}`},
	} {
		s, err := c.Compile("mem:///api.json#/components/schemas/" + component)
		if err != nil {
			t.Fatal(err)
		}
		for i, answer := range answers {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(answer))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(v); (err == nil) != (i == 0) {
				t.Errorf("%s of %s: %v", component, answer, err)
			}
		}
	}
}
