package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// freeRoutes may be asked for by anybody: how the broker is, and how to sign in.
func freeRoutes() map[string]int {
	return map[string]int{
		"GET /livez": 200, "GET /readyz": 503, "GET /startupz": 503, // nobody has told it that it is ready
		"GET /api/session": 200, "POST /api/session": 401, "DELETE /api/session": 204,
		"POST /iceberg/v1/oauth/tokens": 400,
	}
}

// openRoutes tell somebody who is known and has no rules something: what the
// registry is, and lists that leave out all he may not see.
func openRoutes() map[string]string {
	empty := "[]"
	return map[string]string{
		"GET /": "{}", "POST /": "{}", "GET /v1/metadata/id": "", "GET /v1/metadata/version": "", "GET /v1/metadata/deployment": "",
		"GET /schemas/types": "",
		"GET /subjects":      empty, "GET /schemas": empty, "GET /schemas/ids/{id}/subjects": empty, "GET /schemas/ids/{id}/versions": empty,
		"GET /schemas/guids/{guid}": "not found", "GET /schemas/guids/{guid}/ids": "not found",
		"GET /api/tables": empty, "GET /api/overview": `"topics":0`, "GET /api/topics": empty, "GET /api/groups": empty, "GET /api/sql/tables": empty,
		"GET /api/session/rights": `"operations":[]`,
		"GET /api/sql":            "no statement", "POST /api/sql": "no statement",
	}
}

// bodies are for routes that look at what is asked before they ask who may.
func bodies() map[string]string {
	return map[string]string{
		"POST /api/quotas":                 `{"entity": [{"type": "user", "name": "a"}], "values": {"producer_byte_rate": 1}}`,
		"PATCH /api/settings":              `{"set": {"log.retention.ms": "1000"}}`,
		"PATCH /api/topics/{topic}/config": `{"set": {"retention.ms": "1000"}}`,
		"PUT /api/users/{user}":            `{"password": "x"}`,
		"POST /api/acls/delete":            `{"resource": "topic", "name": "nothing"}`, // {} is all rules
		"POST /api/groups/{group}/offsets": `{"topic": "x", "to": "start"}`,
	}
}

// TestEveryRoute asks for every route that is described: as nobody, and as a user
// without rules.
func TestEveryRoute(t *testing.T) {
	_, by := secureNode(t)
	ask := func(method, path, user, body string) (int, string) { return by(user, method, path, body) }
	if code, text := ask("POST", "/subjects/x/versions", "root", `{"schema": "\"int\""}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	code, text := ask("GET", "/api", "root", "")
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); code != http.StatusOK || err != nil {
		t.Fatalf("%d, %v", code, err)
	}
	names := regexp.MustCompile(`\{\w+\}`)
	asked := 0
	for path, ops := range doc.Paths {
		for op := range ops {
			method := strings.ToUpper(op)
			route := method + " " + path
			if strings.Contains(path, "/_dev/") {
				continue // of tarn dev, not served here
			}
			asked++
			place := names.ReplaceAllString(strings.NewReplacer("{id}", "1", "{version}", "1").Replace(path), "x")
			body := bodies()[route]
			if body == "" && method != http.MethodGet && method != http.MethodHead {
				body = "{}"
			}
			if code, text := ask(method, place, "", body); freeRoutes()[route] != 0 {
				if code != freeRoutes()[route] {
					t.Errorf("%s is free: got %d %.100s, want %d", route, code, text, freeRoutes()[route])
				}
				continue
			} else if code != http.StatusUnauthorized {
				t.Errorf("%s as nobody: got %d %.100s", route, code, text)
			}
			code, text := ask(method, place, "bob", body)
			if want, open := openRoutes()[route]; open {
				if code == http.StatusForbidden || !strings.Contains(text, want) {
					t.Errorf("%s without rules: got %d %.100s, want %q", route, code, text, want)
				}
			} else if code != http.StatusForbidden {
				t.Errorf("%s without rules: got %d %.200s, want a refusal", route, code, text)
			}
		}
	}
	if asked < 150 {
		t.Errorf("%d routes are described", asked)
	}
}
