package catalog

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryOperation holds routes and README to Iceberg's API description, whose
// operations are in testdata/operations.txt: each is served or refused with a
// reason, and the README says the same.
func TestEveryOperation(t *testing.T) {
	text, err := os.ReadFile("testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"GET /v1/config":        "yes",
		"POST /v1/oauth/tokens": "yes, by the broker",
	}
	for _, r := range routes() {
		want[r.method+" /v1/{prefix}"+r.path] = "yes"
	}
	for _, u := range unserved() {
		at := u.method + " /v1/{prefix}" + strings.ReplaceAll(u.path, "{plan}", "{plan-id}")
		if want[at] != "" {
			t.Errorf("%s is both served and refused", at)
		}
		want[at] = u.why
	}
	described := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, op := range described {
		how, ok := want[op]
		if !ok {
			t.Errorf("%s is neither served nor refused", op)
			continue
		}
		line := fmt.Sprintf("| `%s` | %s |", strings.Replace(op, "/{prefix}", "", 1), how)
		if !strings.Contains(string(readme), line) {
			t.Errorf("README.md lacks the line\n%s", line)
		}
	}
	for op := range want {
		if !slices.Contains(described, op) {
			t.Errorf("%s is not in the description", op)
		}
	}
}
