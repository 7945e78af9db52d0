package catalog_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tarn-io/tarn/tables/catalog"
)

// offered are the views of the namespace default: two of a table, one of none, and
// one whose name a table has.
func offered(ns string) []catalog.View {
	if ns != "default" {
		return nil
	}
	sql := func(columns []catalog.Column) map[string]string {
		var names []string
		for _, c := range columns {
			if names = append(names, c.Name); c.Required {
				names[len(names)-1] += "!"
			}
		}
		return map[string]string{"trino": "trino " + strings.Join(names, ","), "spark": "spark " + strings.Join(names, ",")}
	}
	return []catalog.View{
		{Name: "orders__latest", Table: "orders", Comment: "the last ones", SQL: sql},
		{Name: "orders__all", Table: "orders", SQL: sql},
		{Name: "lost", Table: "gone", SQL: sql}, {Name: "taken", Table: "orders", SQL: sql},
	}
}

// TestViews reads the views that a catalog offers: those of tables that are there.
func TestViews(t *testing.T) {
	c, _, url := serve(t, catalog.Options{Views: offered})
	at := url + "/v1/namespaces/default/views"
	if _, _, body := do(t, "GET", at, ""); !strings.Contains(body, `"identifiers":[]`) {
		t.Errorf("views without tables: %s", body)
	}
	if code, _, body := do(t, "POST", url+"/v1/namespaces/default/tables", createOrders); code != 200 {
		t.Fatal(body)
	}
	mustCreate(t, c, []string{"default", "taken"})
	var got []string
	for token, pages := "", 0; ; pages++ {
		_, _, body := do(t, "GET", at+"?pageSize=1&pageToken="+token, "")
		var page struct {
			Identifiers []struct{ Name string }
			Next        *string `json:"next-page-token"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || pages > 3 {
			t.Fatalf("%s, %v", body, err)
		}
		for _, i := range page.Identifiers {
			got = append(got, i.Name)
		}
		if page.Next == nil {
			break
		}
		token = *page.Next
	}
	if want := []string{"orders__all", "orders__latest"}; !slices.Equal(got, want) {
		t.Errorf("views %v, want %v", got, want)
	}
	for name, want := range map[string]int{"orders__latest": 204, "orders__all": 204, "lost": 404, "taken": 404, "orders": 404} {
		if code, _, _ := do(t, "HEAD", at+"/"+name, ""); code != want {
			t.Errorf("HEAD %s: %d, want %d", name, code, want)
		}
	}
	for _, path := range []string{"/lost", "/taken"} {
		if code, _, body := do(t, "GET", at+path, ""); code != 404 || !strings.Contains(body, "NoSuchViewException") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, _, body := do(t, "GET", url+"/v1/namespaces/none/views/x", ""); code != 404 || !strings.Contains(body, "NoSuchViewException") {
		t.Errorf("a view of no namespace: %d %s", code, body)
	}
}

// TestViewMetadata wants a view's file to stay what it is while its table's
// columns do, and to be another one when they change.
func TestViewMetadata(t *testing.T) {
	c, _, url := serve(t, catalog.Options{Views: offered})
	if code, _, body := do(t, "POST", url+"/v1/namespaces/default/tables", createOrders); code != 200 {
		t.Fatal(body)
	}
	at := url + "/v1/namespaces/default/views/orders__latest"
	code, _, first := do(t, "GET", at, "")
	tbl, err := c.LoadTable(t.Context(), orders)
	if err != nil || code != 200 {
		t.Fatalf("%d %s, %v", code, first, err)
	}
	root, _, _ := strings.Cut(tbl.Metadata.Location, "/default/")
	golden(t, "load_view", scrub(first, root))
	if _, _, again := do(t, "GET", at, ""); again != first {
		t.Errorf("again %s, at first %s", again, first)
	}
	wider := `{"requirements":[],"updates":[{"action":"add-schema","schema":{"type":"struct","fields":[{"id":1,"name":"id","type":"long","required":true},
		{"id":3,"name":"more","type":"string","required":false}]}},{"action":"set-current-schema","schema-id":-1}]}`
	if code, _, body := do(t, "POST", url+"/v1/namespaces/default/tables/orders", wider); code != 200 {
		t.Fatal(body)
	}
	_, _, next := do(t, "GET", at, "")
	if !strings.Contains(next, `"sql":"spark id!,more"`) || !strings.Contains(next, `"current-version-id":2`) || viewUUID(next) != viewUUID(first) {
		t.Errorf("with other columns %s", next)
	}
	for method, path := range map[string]string{http.MethodPost: at, http.MethodDelete: at} {
		if code, _, body := do(t, method, path, "{}"); code != 406 || !strings.Contains(body, "not made, changed or dropped") {
			t.Errorf("%s: %d %s", method, code, body)
		}
	}
}

func viewUUID(answer string) string {
	_, rest, _ := strings.Cut(answer, `"view-uuid":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
