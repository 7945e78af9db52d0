package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/acl"
)

// namesInQuery are of routes that name what they are about in their query.
func namesInQuery() map[string]string {
	return map[string]string{
		"GET /api/schemas/describe": "?name=x", "GET /api/schemas/diff": "?subject=x&from=1", "POST /api/schemas/check": "?subject=x",
	}
}

// routeRequest is a request for a route.
type routeRequest struct{ route, method, path, body string }

// judgedRoutes are the described routes that are not for everybody, of which each
// is asked about x: a subject, and nothing else has that name.
func judgedRoutes(paths map[string]map[string]any) []routeRequest {
	names := regexp.MustCompile(`\{\w+\}`)
	var out []routeRequest
	for path, ops := range paths {
		for op := range ops {
			r := routeRequest{route: strings.ToUpper(op) + " " + path, method: strings.ToUpper(op)}
			_, open := openRoutes()[r.route]
			if freeRoutes()[r.route] != 0 || open || strings.Contains(path, "/_dev/") {
				continue
			}
			r.path = names.ReplaceAllString(strings.NewReplacer("{id}", "1", "{version}", "1").Replace(path), "x") + namesInQuery()[r.route]
			if r.body = bodies()[r.route]; r.body == "" && r.method != http.MethodGet && r.method != http.MethodHead {
				r.body = "{}"
			}
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b routeRequest) int { return strings.Compare(a.path+" "+a.route, b.path+" "+b.route) })
	return out
}

// shortest leaves out operations that imply another one of the list, as Kafka's
// rules do: those behind describe, and alter-configs behind describe-configs.
func shortest(ops []acl.Operation) string {
	var words []string
	for _, op := range ops {
		behind := op == acl.Read || op == acl.Write || op == acl.Delete || op == acl.Alter
		if behind && slices.Contains(ops, acl.Describe) || op == acl.AlterConfigs && slices.Contains(ops, acl.DescribeConfigs) {
			continue
		}
		words = append(words, op.String())
	}
	return strings.Join(words, "|")
}

// TestNeededRules asks for every route that is described as a user with one rule,
// for each rule there may be, and as a super user. neededRules says which single
// rules are enough for which route.
func TestNeededRules(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(users, []byte("root: {password: root, super: true}\nbob: {password: bob}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := openNode(t, "--http.auth", "--auth.acl", "--auth.users-file", users)
	ask := func(r routeRequest, user string) (int, string) {
		req := httptest.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader(r.body))
		req.Header.Set("Content-Type", "application/json")
		req.SetBasicAuth(user, user)
		w := httptest.NewRecorder()
		n.web.Handler.ServeHTTP(w, req)
		return w.Code, w.Body.String()
	}
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if code, text := ask(routeRequest{method: "GET", path: "/api"}, "root"); code != http.StatusOK || json.Unmarshal([]byte(text), &doc) != nil {
		t.Fatalf("%d %.100s", code, text)
	}
	routes := judgedRoutes(doc.Paths)
	enough := map[string][]string{} // by route
	for _, on := range []struct {
		res  acl.Resource
		name string
	}{{acl.Cluster, acl.ClusterName}, {acl.Topic, "x"}, {acl.Group, "x"}, {acl.Subject, "x"}, {acl.TransactionalID, "x"}} {
		fits := map[string][]acl.Operation{}
		for op := acl.Read; op <= acl.IdempotentWrite; op++ {
			b := acl.Binding{Resource: on.res, Name: on.name, Pattern: acl.Literal, Principal: "User:bob", Host: "*", Operation: op, Permission: acl.Allow}
			if _, err := n.who.rules.Delete(t.Context(), []acl.Filter{{}}); err != nil {
				t.Fatal(err)
			}
			if err := n.who.rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
				t.Fatal(err)
			}
			if code, text := ask(routeRequest{"", "POST", "/subjects/x/versions", `{"schema": "\"int\""}`}, "root"); code != http.StatusOK {
				t.Fatalf("%d %s", code, text)
			}
			for _, r := range routes {
				if code, _ := ask(r, "bob"); code != http.StatusForbidden {
					fits[r.route] = append(fits[r.route], op)
				}
			}
		}
		for route, ops := range fits {
			enough[route] = append(enough[route], shortest(ops)+" "+on.res.String())
		}
	}
	got := map[string]string{}
	for _, r := range routes {
		if code, text := ask(r, "root"); code == http.StatusForbidden || code == http.StatusUnauthorized {
			t.Errorf("%s as a super user: got %d %s", r.route, code, text)
		}
		got[r.route] = strings.Join(enough[r.route], ", ")
	}
	want := map[string]string{}
	for line := range strings.Lines(neededRules) {
		if route, rules, ok := strings.Cut(strings.TrimSpace(line), " <- "); ok {
			want[route] = strings.TrimSuffix(rules, "two")
		}
	}
	for route, rules := range got {
		if w, ok := want[route]; !ok || w != rules {
			t.Errorf("got %s <- %s\nwant %s (%v)", route, rules, w, ok)
		}
	}
	for route := range maps.Keys(want) {
		if _, ok := got[route]; !ok {
			t.Errorf("%s is not described any more", route)
		}
	}
}

// neededRules are the single rules of which each is enough for a route, by path;
// "two" is where no single one is.
const neededRules = `
GET /api <- describe cluster
POST /api/acls <- alter cluster
POST /api/acls/check <- alter cluster
POST /api/acls/delete <- alter cluster
POST /api/acls/list <- describe cluster
POST /api/backup <- alter cluster
GET /api/clients <- describe cluster
GET /api/clients/metrics <- describe cluster
GET /api/clients/subscriptions <- describe cluster
DELETE /api/clients/subscriptions/{name} <- alter cluster
PUT /api/clients/subscriptions/{name} <- alter cluster
GET /api/debug/cpu <- describe cluster
GET /api/debug/goroutines <- describe cluster
GET /api/debug/heap <- describe cluster
GET /api/debug/log <- describe cluster
GET /api/debug/trace <- describe cluster
DELETE /api/groups/{group} <- delete group
GET /api/groups/{group} <- describe group
POST /api/groups/{group}/offsets <- two
GET /api/listeners <- describe cluster
PUT /api/listeners <- alter cluster
GET /api/log-level <- describe cluster
PUT /api/log-level <- alter cluster
GET /api/openapi.json <- describe cluster
GET /api/overview/series <- describe cluster
GET /api/quotas <- describe-configs cluster
POST /api/quotas <- alter-configs cluster
POST /api/schemas/check <- read subject
GET /api/schemas/describe <- read subject
GET /api/schemas/diff <- read subject
GET /api/settings <- describe-configs cluster
PATCH /api/settings <- alter-configs cluster
GET /api/tables/{topic} <- describe topic
POST /api/tables/{topic}/compact <- alter topic
POST /api/tables/{topic}/expire <- alter topic
GET /api/tables/{topic}/explain <- describe topic
GET /api/tables/{topic}/files <- describe topic
POST /api/tables/{topic}/flush <- alter topic
GET /api/tables/{topic}/history <- describe topic
DELETE /api/tables/{topic}/rebuild <- alter topic
POST /api/tables/{topic}/rebuild <- alter topic
POST /api/tables/{topic}/redrive <- alter topic
POST /api/tables/{topic}/verify <- alter topic
GET /api/tables/{topic}/wait <- describe topic
POST /api/topics <- create cluster
DELETE /api/topics/{topic} <- delete cluster, describe topic
GET /api/topics/{topic} <- describe topic
POST /api/topics/{topic}/check <- write topic
GET /api/topics/{topic}/config <- describe-configs topic
PATCH /api/topics/{topic}/config <- alter-configs topic
GET /api/topics/{topic}/infer <- read topic
POST /api/topics/{topic}/partitions <- alter topic
GET /api/topics/{topic}/records <- read topic
POST /api/topics/{topic}/records <- write topic
POST /api/topics/{topic}/redrive <- alter topic
GET /api/topics/{topic}/rejections <- read topic
GET /api/topics/{topic}/report <- describe topic
GET /api/topics/{topic}/template <- describe topic
GET /api/users <- describe cluster
DELETE /api/users/{user} <- read|write|delete|alter cluster
PUT /api/users/{user} <- alter cluster
POST /associations <- alter cluster
GET /associations/resources/{namespace}/{resource} <- read cluster
DELETE /associations/resources/{resource} <- alter cluster
GET /associations/resources/{resource} <- read cluster
PUT /associations/resources/{resource} <- alter cluster
GET /associations/subjects/{subject} <- read subject
POST /associations:batchGet <- alter cluster
POST /associations:batchMutate <- alter cluster
POST /compatibility/subjects/{subject}/versions <- read subject
POST /compatibility/subjects/{subject}/versions/{version} <- read subject
DELETE /config <- alter-configs cluster
GET /config <- describe-configs cluster
PUT /config <- alter-configs cluster
DELETE /config/{subject} <- alter-configs subject
GET /config/{subject} <- describe-configs subject
PUT /config/{subject} <- alter-configs subject
GET /contexts <- read cluster
DELETE /contexts/{context} <- alter cluster
GET /dek-registry/v1/keks <- read cluster
POST /dek-registry/v1/keks <- alter cluster
DELETE /dek-registry/v1/keks/{name} <- alter cluster
GET /dek-registry/v1/keks/{name} <- read cluster
PUT /dek-registry/v1/keks/{name} <- alter cluster
GET /dek-registry/v1/keks/{name}/deks <- read cluster
POST /dek-registry/v1/keks/{name}/deks <- alter cluster
DELETE /dek-registry/v1/keks/{name}/deks/{subject} <- delete subject
GET /dek-registry/v1/keks/{name}/deks/{subject} <- read subject
POST /dek-registry/v1/keks/{name}/deks/{subject} <- write subject
POST /dek-registry/v1/keks/{name}/deks/{subject}/undelete <- write subject
GET /dek-registry/v1/keks/{name}/deks/{subject}/versions <- read subject
DELETE /dek-registry/v1/keks/{name}/deks/{subject}/versions/{version} <- delete subject
GET /dek-registry/v1/keks/{name}/deks/{subject}/versions/{version} <- read subject
POST /dek-registry/v1/keks/{name}/deks/{subject}/versions/{version}/undelete <- write subject
POST /dek-registry/v1/keks/{name}/test <- alter cluster
POST /dek-registry/v1/keks/{name}/undelete <- alter cluster
GET /exporters <- read cluster
POST /exporters <- alter cluster
DELETE /exporters/{exporter} <- alter cluster
GET /exporters/{exporter} <- read cluster
PUT /exporters/{exporter} <- alter cluster
GET /exporters/{exporter}/config <- read cluster
PUT /exporters/{exporter}/config <- alter cluster
PUT /exporters/{exporter}/pause <- alter cluster
PUT /exporters/{exporter}/reset <- alter cluster
PUT /exporters/{exporter}/resume <- alter cluster
GET /exporters/{exporter}/status <- read cluster
GET /iceberg/v1/config <- describe cluster
GET /iceberg/v1/namespaces <- describe cluster
POST /iceberg/v1/namespaces <- alter cluster
DELETE /iceberg/v1/namespaces/{namespace} <- alter cluster
GET /iceberg/v1/namespaces/{namespace} <- describe cluster
HEAD /iceberg/v1/namespaces/{namespace} <- describe cluster
GET /iceberg/v1/namespaces/{namespace}/functions <- describe cluster
GET /iceberg/v1/namespaces/{namespace}/functions/{function} <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/properties <- alter cluster
POST /iceberg/v1/namespaces/{namespace}/register <- alter cluster
POST /iceberg/v1/namespaces/{namespace}/register-view <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/tables <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/tables <- alter cluster
DELETE /iceberg/v1/namespaces/{namespace}/tables/{table} <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/tables/{table} <- describe cluster
HEAD /iceberg/v1/namespaces/{namespace}/tables/{table} <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table} <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/tables/{table}/credentials <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table}/metrics <- alter cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table}/plan <- alter cluster
DELETE /iceberg/v1/namespaces/{namespace}/tables/{table}/plan/{plan} <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/tables/{table}/plan/{plan} <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table}/sign <- alter cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table}/tasks <- alter cluster
POST /iceberg/v1/namespaces/{namespace}/tables/{table}/unregister <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/views <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/views <- alter cluster
DELETE /iceberg/v1/namespaces/{namespace}/views/{view} <- alter cluster
GET /iceberg/v1/namespaces/{namespace}/views/{view} <- describe cluster
HEAD /iceberg/v1/namespaces/{namespace}/views/{view} <- describe cluster
POST /iceberg/v1/namespaces/{namespace}/views/{view} <- alter cluster
POST /iceberg/v1/tables/rename <- alter cluster
POST /iceberg/v1/transactions/commit <- alter cluster
POST /iceberg/v1/views/rename <- alter cluster
GET /metrics <- describe cluster
DELETE /mode <- alter-configs cluster
GET /mode <- describe-configs cluster
PUT /mode <- alter-configs cluster
DELETE /mode/{subject} <- alter-configs subject
GET /mode/{subject} <- describe-configs subject
PUT /mode/{subject} <- alter-configs subject
GET /schemas/ids/{id} <- read subject
GET /schemas/ids/{id}/schema <- read subject
DELETE /subjects/{subject} <- delete subject
POST /subjects/{subject} <- read subject
GET /subjects/{subject}/metadata <- read subject
GET /subjects/{subject}/versions <- read subject
POST /subjects/{subject}/versions <- write subject
DELETE /subjects/{subject}/versions/{version} <- delete subject
GET /subjects/{subject}/versions/{version} <- read subject
GET /subjects/{subject}/versions/{version}/referencedby <- read subject
GET /subjects/{subject}/versions/{version}/schema <- read subject
POST /subjects/{subject}/versions/{version}/tags <- write subject
`
