package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/auth"
	"github.com/tarn-io/tarn/broker/storage/memory"
	"github.com/tarn-io/tarn/registry"
)

// TestHTTPAccess asks surfaces as nobody, with a wrong password, without rules
// and with the one that is needed.
func TestHTTPAccess(t *testing.T) {
	e := memory.New()
	users, err := auth.OpenUsers(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := auth.NewCredential(auth.SHA256, "pw", auth.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	if err := users.Alter(t.Context(), []auth.Change{{User: "a", Mechanism: auth.SHA256, Set: &c}})["a"]; err != nil {
		t.Fatal(err)
	}
	rules, err := acl.Open(t.Context(), e, acl.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{cmd: &serveCmd{securityFlags: securityFlags{HTTPAuth: true}}, lg: slog.New(slog.DiscardHandler)}
	n.who.users, n.who.rules = users, rules
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	for _, p := range []string{"/", "/api/", "/iceberg/", "/metrics", "/livez"} {
		mux.HandleFunc(p, ok)
	}
	// The pages of schemas ask for themselves; without subjects they find nothing.
	if n.registry, err = registry.Open(t.Context(), registry.Config{Engine: e}); err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("GET /api/schemas/diff", n.schemaDiff)
	mux.HandleFunc("GET /api/schemas/describe", n.schemaDescribe)
	mux.HandleFunc("POST /api/schemas/check", n.schemaCheck)
	h := n.authenticate(n.authorize(mux))
	for _, c := range []struct {
		method, path, password string
		op                     acl.Operation
		res                    acl.Resource
		name                   string
		want                   int
	}{
		{"GET", "/livez", "", 0, 0, "", 200},
		{"GET", "/metrics", "", 0, 0, "", 401},
		{"GET", "/metrics", "wrong", 0, 0, "", 401},
		{"GET", "/subjects", "", 0, 0, "", 401},
		{"GET", "/subjects", "pw", 0, 0, "", 200}, // the registry judges
		{"GET", "/metrics", "pw", 0, 0, "", 403},
		{"GET", "/metrics", "pw", acl.Describe, acl.Cluster, acl.ClusterName, 200},
		{"POST", "/iceberg/v1/namespaces", "pw", acl.Describe, acl.Cluster, acl.ClusterName, 403},
		{"POST", "/iceberg/v1/namespaces", "pw", acl.Alter, acl.Cluster, acl.ClusterName, 200},
		{"GET", "/api/clients", "pw", acl.Describe, acl.Topic, "t", 403},
		{"GET", "/api/clients", "pw", acl.Describe, acl.Cluster, acl.ClusterName, 200},
		{"PUT", "/api/listeners", "pw", acl.Describe, acl.Cluster, acl.ClusterName, 403},
		{"PUT", "/api/listeners", "pw", acl.Alter, acl.Cluster, acl.ClusterName, 200},
		{"GET", "/api/tables", "pw", acl.Describe, acl.Topic, "t", 403},
		{"GET", "/api/tables/t", "pw", acl.Describe, acl.Topic, "t", 200},
		{"GET", "/api/tables/u", "pw", acl.Describe, acl.Topic, "t", 403},
		{"POST", "/api/tables/t/flush", "pw", acl.Describe, acl.Topic, "t", 403},
		{"POST", "/api/tables/t/flush", "pw", acl.Alter, acl.Topic, "t", 200},
		{"GET", "/api/topics/t/infer", "pw", acl.Describe, acl.Topic, "t", 403},
		{"GET", "/api/topics/t/infer", "pw", acl.Read, acl.Topic, "t", 200},
		{"GET", "/api/topics/t/rejections", "pw", acl.Describe, acl.Topic, "t", 403},
		{"GET", "/api/topics/t/rejections", "pw", acl.Read, acl.Topic, "t", 200},
		{"GET", "/api/topics/t/report", "pw", acl.Describe, acl.Topic, "t", 200},
		{"GET", "/api/schemas/diff?subject=s&from=1", "", acl.Read, acl.Subject, "s", 401},
		{"GET", "/api/schemas/diff?subject=s&from=1", "pw", acl.Read, acl.Subject, "u", 403},
		{"GET", "/api/schemas/diff?subject=s&from=1", "pw", acl.Read, acl.Subject, "s", 404},
		{"GET", "/api/schemas/diff?subject=s&name=u&from=1", "pw", acl.Read, acl.Subject, "u", 403},
		{"GET", "/api/schemas/describe?name=s", "pw", acl.Describe, acl.Subject, "s", 403},
		{"GET", "/api/schemas/describe?name=s", "pw", acl.Read, acl.Subject, "s", 404},
		{"POST", "/api/schemas/check?subject=s", "pw", acl.Read, acl.Cluster, acl.ClusterName, 403},
		{"POST", "/api/schemas/check?subject=s", "pw", acl.Read, acl.Subject, "s", 400},
	} {
		if _, err := rules.Delete(t.Context(), []acl.Filter{{}}); err != nil {
			t.Fatal(err)
		}
		if c.op != 0 {
			b := acl.Binding{Resource: c.res, Name: c.name, Pattern: acl.Literal, Principal: "User:a", Host: "*", Operation: c.op, Permission: acl.Allow}
			if err := rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
				t.Fatal(err)
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		if c.password != "" {
			r.SetBasicAuth("a", c.password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s %s with %q and %s %s: got %d, want %d", c.method, c.path, c.password, c.op, c.res, w.Code, c.want)
		}
	}
}

// TestHTTPRules makes rules all or none, and changes none for a body that cannot be
// read.
func TestHTTPRules(t *testing.T) {
	rules, err := acl.Open(t.Context(), memory.New(), acl.Config{})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{lg: slog.New(slog.DiscardHandler)}
	n.who.rules = rules
	const rule = `{"resource": "topic", "name": "t", "pattern": "literal", "principal": "User:a", "host": "*", "operation": "read", "permission": "allow"}`
	for _, c := range []struct {
		path, body string
		code, left int
	}{
		{"/api/acls", "[" + rule + `, {"resource": "topic"}]`, 422, 0},
		{"/api/acls", "[" + strings.Replace(rule, `"read"`, `"frob"`, 1) + "]", 400, 0},
		{"/api/acls", rule, 400, 0},
		{"/api/acls", "[" + rule + "]", 200, 1},
		{"/api/acls/delete", "", 400, 1},
		{"/api/acls/delete", `{"resurce": "group"}`, 400, 1},
		{"/api/acls/delete", `{"resource": "group"}`, 200, 1},
		{"/api/acls/delete", `{"resource": "topic", "name": "t"}`, 200, 0},
	} {
		w := httptest.NewRecorder()
		n.aclAPI().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", c.path, strings.NewReader(c.body)))
		if left := len(rules.List(acl.Filter{})); w.Code != c.code || left != c.left {
			t.Errorf("%s %s: got %d and %d rules, want %d and %d: %s", c.path, c.body, w.Code, left, c.code, c.left, w.Body)
		}
	}
}
