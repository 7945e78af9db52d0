package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/broker/acl"
)

// secureNode is a broker with rules, the super user root and bob, whose passwords are
// their names, and ask sends it a request of one of them.
func secureNode(t *testing.T) (n *node, ask func(user, method, path, body string) (int, string)) {
	t.Helper()
	users := filepath.Join(t.TempDir(), "users.yaml")
	if err := os.WriteFile(users, []byte("root: {password: root, super: true}\nbob: {password: bob}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, "--http.auth", "--auth.acl", "--auth.users-file", users)
	return n, func(user, method, path, body string) (int, string) {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if user != "" {
			r.SetBasicAuth(user, user)
		}
		w := httptest.NewRecorder()
		n.web.Handler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
}

// TestRefusalsSayTheRight: who is refused reads which right is missing on what, and the
// command of the CLI that gives it, from whatever refuses.
func TestRefusalsSayTheRight(t *testing.T) {
	n, ask := secureNode(t)
	for _, made := range []struct{ path, body string }{{"/api/topics", `{"name": "x"}`}, {"/subjects/s/versions", `{"schema": "\"int\""}`}} {
		if code, text := ask("root", "POST", made.path, made.body); code != http.StatusOK {
			t.Fatalf("%s: %d %s", made.path, code, text)
		}
	}
	for _, c := range []struct {
		method, path, body, right, flags string
	}{
		{"GET", "/api/topics/x", "", "Describe on Topic x", "describe --topic x"},
		{"DELETE", "/api/topics/x", "", "Delete on Topic x", "delete --topic x"},
		{"POST", "/api/topics", `{"name": "y"}`, "Create on Topic y", "create --topic y"},
		{"POST", "/api/topics/x/partitions", `{"total": 9}`, "Alter on Topic x", "alter --topic x"},
		{"PATCH", "/api/topics/x/config", `{"set": {"retention.ms": "1000"}}`, "AlterConfigs on Topic x", "alter-configs --topic x"},
		{"POST", "/api/tables/x/flush", "", "Alter on Topic x", "alter --topic x"},
		{"GET", "/api/groups/it's", "", "Describe on Group it's", `describe --group 'it'\''s'`},
		{"DELETE", "/api/groups/g", "", "Delete on Group g", "delete --group g"},
		{"GET", "/api/settings", "", "DescribeConfigs on Cluster", "describe-configs --cluster"},
		{"PATCH", "/api/settings", `{"log_level": "info"}`, "AlterConfigs on Cluster", "alter-configs --cluster"},
		{"GET", "/api/users", "", "Describe on Cluster", "describe --cluster"},
		{"PUT", "/api/users/u", `{"password": "p"}`, "Alter on Cluster", "alter --cluster"},
		{"GET", "/subjects/s/versions", "", "Read on Subject s", "read --subject s"},
		{"PUT", "/config/s", `{"compatibility": "NONE"}`, "AlterConfigs on Subject s", "alter-configs --subject s"},
		{"GET", "/mode", "", "DescribeConfigs on Cluster", "describe-configs --cluster"},
		{"POST", "/api/sql", `{"sql": "select * from x"}`, "Read on Topic x", "read --topic x"},
	} {
		code, text := ask("bob", c.method, c.path, c.body)
		var got apiError
		if err := json.Unmarshal([]byte(text), &got); err != nil || code != http.StatusForbidden {
			t.Errorf("%s %s: %d %s", c.method, c.path, code, text)
			continue
		}
		want := "bob needs " + c.right + "; who may alter the cluster gives it: tarn acl create --principal bob --operation " + c.flags
		if !strings.HasSuffix(got.Message, want) {
			t.Errorf("%s %s: got %q, want it to end %q", c.method, c.path, got.Message, want)
		}
	}
	// What the request did not name is not told.
	if code, text := ask("bob", "GET", "/schemas/ids/1", ""); code != http.StatusForbidden || strings.Contains(text, "Subject s") {
		t.Errorf("got %d %s", code, text)
	}
	if code, text := ask("root", "PUT", "/config/nick", `{"alias": "s"}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if code, text := ask("bob", "GET", "/subjects/nick/versions", ""); code != http.StatusForbidden || strings.Contains(text, "Subject") {
		t.Errorf("got %d %s", code, text)
	}
	b := acl.Binding{Resource: acl.Topic, Name: "x", Pattern: acl.Prefixed, Principal: "User:bob", Host: "*", Operation: acl.All, Permission: acl.Deny}
	if err := n.who.rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
		t.Fatal(err)
	}
	want := "a rule denies bob Describe on Topic x; the rules about it: tarn acl list --pattern match --topic x"
	if _, text := ask("bob", "GET", "/api/topics/x", ""); !strings.Contains(text, want) {
		t.Errorf("got %s, want %q", text, want)
	}
}

// TestRights: everybody is told what he may do, as the requests themselves are judged.
func TestRights(t *testing.T) {
	n, ask := secureNode(t)
	allow := func(res acl.Resource, name string, pattern acl.Pattern, op acl.Operation) {
		t.Helper()
		b := acl.Binding{Resource: res, Name: name, Pattern: pattern, Principal: "User:bob", Host: "*", Operation: op, Permission: acl.Allow}
		if err := n.who.rules.Create(t.Context(), []acl.Binding{b})[0]; err != nil {
			t.Fatal(err)
		}
	}
	says := func(user, query, want string) {
		t.Helper()
		code, text := ask(user, "GET", "/api/session/rights?"+query, "")
		var got rightsInfo
		if err := json.Unmarshal([]byte(text), &got); err != nil || code != http.StatusOK {
			t.Fatalf("%s: %d %s", query, code, text)
		}
		if list := strings.Join(got.Operations, " "); list != want {
			t.Errorf("%s of %s: got %q, want %q", query, user, list, want)
		}
	}
	all := "Read Write Create Delete Alter Describe ClusterAction DescribeConfigs AlterConfigs IdempotentWrite"
	says("bob", "", "")
	says("root", "", all)
	says("root", "resource=topic&name=x", all)
	says("bob", "resource=topic", "")
	allow(acl.Topic, "x", acl.Literal, acl.Read)
	says("bob", "resource=topic&name=x", "Read Describe")
	says("bob", "resource=topic&name=y", "")
	says("bob", "resource=topic", "Read Describe")
	allow(acl.Topic, "team-", acl.Prefixed, acl.Create)
	says("bob", "resource=topic", "Read Create Describe")
	allow(acl.Cluster, acl.ClusterName, acl.Literal, acl.Delete) // deletes all topics
	says("bob", "resource=topic&name=x", "Read Delete Describe")
	says("bob", "resource=cluster", "Delete Describe")
	if code, text := ask("root", "PUT", "/config/nick", `{"alias": "s"}`); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	allow(acl.Subject, "s", acl.Literal, acl.Write)
	allow(acl.Subject, "nick", acl.Literal, acl.AlterConfigs)
	says("bob", "resource=subject&name=nick", "Write Describe DescribeConfigs AlterConfigs")
	if code, text := ask("bob", "GET", "/api/session/rights?resource=pond", ""); code != http.StatusBadRequest {
		t.Errorf("got %d %s", code, text)
	}
	if code, text := ask("", "GET", "/api/session/rights", ""); code != http.StatusUnauthorized {
		t.Errorf("got %d %s", code, text)
	}
}
