package catalog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	icecat "github.com/apache/iceberg-go/catalog"
	icetest "github.com/apache/iceberg-go/catalog/catalogtest"
	restcat "github.com/apache/iceberg-go/catalog/rest"
	"github.com/apache/iceberg-go/table"

	"github.com/tarn-io/tarn/tables/blob"
	"github.com/tarn-io/tarn/tables/catalog"
	"github.com/tarn-io/tarn/tables/catalog/catalogtest"
	"github.com/tarn-io/tarn/tables/metadata"
	"github.com/tarn-io/tarn/tables/tabletest"
)

var update = flag.Bool("update", false, "write the golden files")

// serve serves a fresh catalog and returns the URL clients are given.
func serve(t *testing.T, opts catalog.Options) (*catalog.Catalog, *tabletest.Items, string) {
	t.Helper()
	it := tabletest.NewItems()
	store, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c := catalog.New(catalog.Config{Items: it, Store: store})
	srv := httptest.NewServer(catalog.Handler(c, opts))
	t.Cleanup(srv.Close)
	return c, it, srv.URL + "/iceberg"
}

// running is the environment variable with the address of a catalog that is served
// already, as http://HOST:PORT/iceberg: of a broker. All that it holds is dropped.
const running = "TARN_TEST_CATALOG"

// TestConformanceOverREST runs iceberg-go's suite through its REST client, on a
// server of the test's own or on a running one.
func TestConformanceOverREST(t *testing.T) {
	icetest.RunCatalogTests(t, icetest.Config{
		NewCatalog: func(t *testing.T) icecat.Catalog {
			url := os.Getenv(running)
			if url == "" {
				_, _, url = serve(t, catalog.Options{})
			}
			c, err := restcat.NewCatalog(t.Context(), "tarn", url)
			if err != nil {
				t.Fatal(err)
			}
			empty(t, c)
			return c
		},
		SupportsNamespaceProperties: true,
	})
}

// empty drops what earlier tests have left in a catalog: tables, and namespaces of
// one level but the default one.
func empty(t *testing.T, c icecat.Catalog) {
	t.Helper()
	all, err := c.ListNamespaces(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range all {
		for ident, err := range c.ListTables(t.Context(), ns) {
			if err != nil {
				t.Fatal(err)
			}
			if err := c.DropTable(t.Context(), ident); err != nil {
				t.Fatal(err)
			}
		}
		if slices.Equal(ns, []string{catalog.DefaultNamespace}) {
			continue
		}
		if err := c.DropNamespace(t.Context(), ns); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStagedCreateOverREST makes a table in two steps, as transactions of
// clients do.
func TestStagedCreateOverREST(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	client, err := restcat.NewCatalog(t.Context(), "tarn", url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateTable(t.Context(), orders, schema,
		icecat.WithStagedUpdates(table.NewSetPropertiesUpdate(iceberg.Properties{"staged": "yes"})))
	if err != nil {
		t.Fatal(err)
	}
	tbl, err := c.LoadTable(t.Context(), orders)
	if err != nil || tbl.Metadata.Properties["staged"] != "yes" {
		t.Fatalf("table %v, %v; want the staged property", tbl, err)
	}
	key := regexp.MustCompile(`/default/orders/iceberg/[0-9a-f]{8}$`)
	if !key.MatchString(tbl.Metadata.Location) {
		t.Errorf("location %s", tbl.Metadata.Location)
	}
}

// TestFieldsFromZero makes a table as Spark asks for it: its fields count from 0.
func TestFieldsFromZero(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	body := `{"name":"orders","schema":{"type":"struct","schema-id":0,"identifier-field-ids":[0],"fields":[
		{"id":0,"name":"id","type":"long","required":true},
		{"id":1,"name":"tags","required":false,"type":{"type":"map","key-id":3,"key":"string","value-id":4,"value-required":false,"value":"string"}},
		{"id":2,"name":"at","type":"timestamptz","required":false}]},
		"partition-spec":{"spec-id":0,"fields":[{"name":"at_day","transform":"day","source-id":2,"field-id":1000},{"name":"b","transform":"bucket[4]","source-id":0,"field-id":1001}]},
		"write-order":{"order-id":1,"fields":[{"transform":"identity","source-id":0,"direction":"asc","null-order":"nulls-first"}]},"properties":{}}`
	if code, _, got := do(t, "POST", url+"/v1/namespaces/default/tables", body); code != 200 {
		t.Fatalf("%d %s", code, got)
	}
	tbl, err := c.LoadTable(t.Context(), orders)
	if err != nil {
		t.Fatal(err)
	}
	m := tbl.Metadata
	name := func(id int) string { n, _ := m.Schema().FindColumnName(id); return n }
	spec := m.Spec(m.DefaultSpecID)
	if got := name(spec.Field(0).SourceIDs[0]) + " " + name(spec.Field(1).SourceIDs[0]); got != "at id" {
		t.Errorf("partitioned by %s", got)
	}
	if got := name(m.SortOrders[len(m.SortOrders)-1].Fields[0].SourceIDs[0]); got != "id" {
		t.Errorf("sorted by %s", got)
	}
	if ids := m.Schema().IdentifierFieldIDs; len(ids) != 1 || name(ids[0]) != "id" {
		t.Errorf("identified by %v", ids)
	}
}

// TestStagedDirectories has a place for the manifests of a table that is only
// staged: DuckDB writes them there without making it.
func TestStagedDirectories(t *testing.T) {
	store, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tbl, err := catalog.New(catalog.Config{Items: tabletest.NewItems(), Store: store}).StageTable(t.Context(), orders, schema, catalog.NewTable{})
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/metadata", "/data"} {
		info, err := os.Stat(strings.TrimPrefix(tbl.Metadata.Location, "file://") + dir)
		if err != nil || !info.IsDir() {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// do sends a request and returns status, headers and body.
func do(t *testing.T, method, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

const createOrders = `{"name":"orders","schema":{"type":"struct","schema-id":0,"fields":[
	{"id":1,"name":"id","type":"long","required":true},
	{"id":2,"name":"at","type":"timestamptz","required":false,"doc":"when"}]},
	"partition-spec":{"spec-id":0,"fields":[{"source-id":2,"field-id":1000,"name":"at_day","transform":"day"}]},
	"write-order":null,"properties":{"owner":"me"}}`

func scrub(body, root string) string {
	body = strings.ReplaceAll(body, root, "ROOT")
	for re, with := range map[string]string{
		`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`: "UUID",
		`/iceberg/[0-9a-f]{8}`:  "/iceberg/SHORT",
		`"last-updated-ms":\d+`: `"last-updated-ms":0`,
		`"timestamp-ms":\d+`:    `"timestamp-ms":0`,
	} {
		body = regexp.MustCompile(re).ReplaceAllString(body, with)
	}
	var out bytes.Buffer
	if json.Indent(&out, []byte(body), "", "  ") != nil {
		return body
	}
	return out.String() + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

func TestGoldenAnswers(t *testing.T) {
	store, err := blob.OpenLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	root := strings.TrimSuffix(store.URL("x"), "/x")
	c := catalog.New(catalog.Config{Items: tabletest.NewItems(), Store: store})
	srv := httptest.NewServer(catalog.Handler(c, catalog.Options{Overrides: map[string]string{"s3.region": "none"}}))
	t.Cleanup(srv.Close)
	for _, tt := range []struct {
		name, method, path, body string
		code                     int
	}{
		{"config", "GET", "/config?warehouse=tarn", "", 200},
		{"create_table", "POST", "/namespaces/default/tables", createOrders, 200},
		{"load_table", "GET", "/namespaces/default/tables/orders", "", 200},
		{"list_tables", "GET", "/namespaces/default/tables", "", 200},
		{"list_namespaces", "GET", "/namespaces", "", 200},
		{"load_namespace", "GET", "/namespaces/default", "", 200},
		{"err_no_table", "GET", "/namespaces/default/tables/none", "", 404},
		{"err_no_namespace", "GET", "/namespaces/a%1Fb", "", 404},
		{"err_table_exists", "POST", "/namespaces/default/tables", createOrders, 409},
		{"err_not_empty", "DELETE", "/namespaces/default", "", 400},
		{"err_requirement", "POST", "/namespaces/default/tables/orders",
			`{"requirements":[{"type":"assert-current-schema-id","current-schema-id":4}],"updates":[]}`, 409},
		{"err_unknown_update", "POST", "/namespaces/default/tables/orders",
			`{"requirements":[],"updates":[{"action":"fly"}]}`, 400},
		{"err_body", "POST", "/namespaces/default/tables/orders", `{"requirements":`, 400},
		{"err_overlap", "POST", "/namespaces/default/properties", `{"removals":["a"],"updates":{"a":"1"}}`, 422},
		{"list_views", "GET", "/namespaces/default/views", "", 200},
		{"err_no_view", "GET", "/namespaces/default/views/none", "", 404},
		{"err_unsupported", "POST", "/namespaces/default/views", "{}", 406},
		{"err_endpoint", "GET", "/namespaces/default/nothing", "", 404},
	} {
		code, _, body := do(t, tt.method, srv.URL+"/iceberg/v1"+tt.path, tt.body)
		if code != tt.code {
			t.Errorf("%s: status %d, want %d: %s", tt.name, code, tt.code, body)
		}
		golden(t, tt.name, scrub(body, root))
	}
}

func TestRoutes(t *testing.T) {
	_, it, url := serve(t, catalog.Options{})
	commit := func(path string) string { return url + "/v1/namespaces/a%1Fb/tables" + path }
	steps := []struct {
		method, url, body string
		code              int
		has               string
	}{
		{"POST", url + "/v1/namespaces", `{"namespace":["a","b"],"properties":{"x":"1"}}`, 200, `"x":"1"`},
		{"POST", url + "/v1/namespaces", `{"namespace":["a","b"]}`, 409, "AlreadyExistsException"},
		{"POST", url + "/v1/namespaces", `{"namespace":[]}`, 400, "BadRequestException"},
		{"HEAD", url + "/v1/namespaces/a%1Fb", "", 204, ""},
		{"HEAD", url + "/v1/namespaces/zz", "", 404, ""},
		{"HEAD", url + "/v1/namespaces/a", "", 204, ""},
		{"GET", url + "/v1/namespaces?parent=a", "", 200, `"namespaces":[["a","b"]]`},
		{"POST", url + "/v1/namespaces", `{"namespace":["a"]}`, 409, "AlreadyExistsException"},
		{"DELETE", url + "/v1/namespaces/a", "", 409, "NamespaceNotEmptyException"},
		{"GET", url + "/v1/namespaces?parent=a%1Fb", "", 200, `"namespaces":[]`},
		{"POST", url + "/v1/namespaces/a%1Fb/properties", `{"removals":["x","y"],"updates":{"z":"2"}}`, 200,
			`{"removed":["x"],"updated":["z"],"missing":["y"]}`},
		{"POST", commit(""), strings.Replace(createOrders, `"write-order"`, `"stage-create":true,"write-order"`, 1), 200, `"metadata-location":null`},
		{"HEAD", commit("/orders"), "", 404, ""},
		{"POST", commit(""), createOrders, 200, `"metadata-location":"file:///`},
		{"HEAD", commit("/orders"), "", 204, ""},
		{"DELETE", url + "/v1/namespaces/a%1Fb", "", 409, "NamespaceNotEmptyException"},
		{"POST", commit("/orders/metrics"), `{"report-type":"scan-report"}`, 204, ""},
		{"POST", commit("/orders"), `{"requirements":[],"updates":[{"action":"set-properties","updates":{"p":"q"}}]}`, 200, `"p":"q"`},
		{"POST", url + "/v1/transactions/commit",
			`{"table-changes":[{"identifier":{"namespace":["a","b"],"name":"orders"},"requirements":[],"updates":[{"action":"set-properties","updates":{"p":"r"}}]}]}`, 204, ""},
		{"POST", url + "/v1/transactions/commit", `{"table-changes":[{"requirements":[],"updates":[]}]}`, 400, "BadRequestException"},
		{"POST", url + "/v1/transactions/commit", `{"table-changes":[]}`, 400, "BadRequestException"},
		{"GET", commit("/orders"), "", 200, `"p":"r"`},
		{"GET", commit("/orders?snapshots=some"), "", 400, "BadRequestException"},
		{"POST", url + "/v1/tables/rename",
			`{"source":{"namespace":["a","b"],"name":"orders"},"destination":{"namespace":["default"],"name":"moved"}}`, 204, ""},
		{"GET", commit("/orders"), "", 404, "NoSuchTableException"},
		{"POST", url + "/v1/namespaces/default/tables/moved/unregister", "", 200, `"metadata-location":"file:///`},
		{"DELETE", url + "/v1/namespaces/default/tables/moved", "", 404, "NoSuchTableException"},
		{"POST", commit(""), createOrders, 200, ""},
		{"DELETE", commit("/orders?purgeRequested=true"), "", 204, ""},
		{"DELETE", url + "/v1/namespaces/a%1Fb", "", 204, ""},
		{"HEAD", url + "/v1/namespaces/a", "", 404, ""}, // nothing lies below it now
		{"PUT", url + "/v1/namespaces", "", 404, "NoSuchEndpointException"},
		{"GET", strings.TrimSuffix(url, "/") + "/", "", 200, "An Iceberg REST catalog"},
		{"POST", url + "/v1/namespaces", `{"namespace":["` + strings.Repeat("x", 17<<20) + `"]}`, 413, "BadRequestException"},
	}
	for _, s := range steps {
		code, _, body := do(t, s.method, s.url, s.body)
		if code != s.code || !strings.Contains(body, s.has) {
			t.Errorf("%s %s: %d %.300s, want %d with %s", s.method, s.url, code, body, s.code, s.has)
		}
	}
	it.Fail = failBefore.errs
	code, _, body := do(t, "POST", url+"/v1/namespaces/default/tables", createOrders)
	if code != 500 || !strings.Contains(body, "CommitStateUnknownException") {
		t.Errorf("store failed: %d %s, want 500 CommitStateUnknownException", code, body)
	}
}

func TestRegisterOverREST(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	at := mustCreate(t, c, orders).MetadataLocation
	body := `{"name":"again","metadata-location":"` + at + `"}`
	for _, want := range []int{200, 409} {
		if code, _, got := do(t, "POST", url+"/v1/namespaces/default/register", body); code != want {
			t.Errorf("register: %d %s, want %d", code, got, want)
		}
	}
	outside := `{"name":"x","metadata-location":"file:///etc/passwd"}`
	if code, _, got := do(t, "POST", url+"/v1/namespaces/default/register", outside); code != 400 {
		t.Errorf("register outside the warehouse: %d %s, want 400", code, got)
	}
}

func TestPagination(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	want := []string{"a", "b", "c", "d", "e"}
	for _, n := range want {
		mustCreate(t, c, table.Identifier{"default", n})
	}
	var got []string
	pages, token := 0, ""
	for {
		pages++
		_, _, body := do(t, "GET", url+"/v1/namespaces/default/tables?pageSize=2&pageToken="+token, "")
		var page struct {
			Identifiers []struct{ Name string }
			Next        *string `json:"next-page-token"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Identifiers {
			got = append(got, i.Name)
		}
		if page.Next == nil {
			break
		}
		token = *page.Next
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%v on %d pages, want %v on 3", got, pages, want)
	}
	_, _, body := do(t, "GET", url+"/v1/namespaces/default/tables?pageSize=2", "")
	if n := strings.Count(body, `"name"`); n != 5 {
		t.Errorf("without pageToken %d tables, want all 5", n)
	}
	for _, bad := range []string{"pageToken=%25", "pageToken=&pageSize=0", "pageToken=&pageSize=x"} {
		if code, _, _ := do(t, "GET", url+"/v1/namespaces?"+bad, ""); code != 400 {
			t.Errorf("%s: status %d, want 400", bad, code)
		}
	}
}

func TestETag(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	mustCreate(t, c, orders)
	at := url + "/v1/namespaces/default/tables/orders"
	_, head, _ := do(t, "GET", at, "")
	tag := head.Get("ETag")
	if code, _, body := do(t, "GET", at, "", "If-None-Match", `"other", W/`+tag); code != 304 || body != "" {
		t.Errorf("unchanged: %d %q, want 304", code, body)
	}
	if code, _, _ := do(t, "GET", at+"?snapshots=refs", "", "If-None-Match", tag); code != 200 {
		t.Errorf("other representation: %d, want 200", code)
	}
	if _, _, err := c.CommitTable(t.Context(), orders, nil, set("k", "v")); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := do(t, "GET", at, "", "If-None-Match", tag); code != 200 {
		t.Errorf("changed: %d, want 200", code)
	}
}

func TestOnlyReferencedSnapshots(t *testing.T) {
	c, _, url := serve(t, catalog.Options{})
	mustCreate(t, c, orders)
	for i := range int64(3) {
		parent := &i
		if i == 0 {
			parent = nil
		}
		_, _, err := c.CommitTable(t.Context(), orders, nil, catalogtest.Updates(t,
			table.NewAddSnapshotUpdate(&table.Snapshot{SnapshotID: i + 1, ParentSnapshotID: parent, SequenceNumber: i + 1,
				TimestampMs: 1_900_000_000_000 + i, ManifestList: "x", Summary: &table.Summary{Operation: table.OpAppend}}),
			table.NewSetSnapshotRefUpdate("main", i+1, table.BranchRef, -1, -1, -1),
		))
		if err != nil {
			t.Fatal(err)
		}
	}
	for mode, want := range map[string]int{"": 3, "?snapshots=all": 3, "?snapshots=refs": 1} {
		_, _, body := do(t, "GET", url+"/v1/namespaces/default/tables/orders"+mode, "")
		var answer struct {
			Metadata struct {
				Snapshots []json.RawMessage `json:"snapshots"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		if got := len(answer.Metadata.Snapshots); got != want {
			t.Errorf("%q: %d snapshots, want %d", mode, got, want)
		}
	}
}

func TestPolicyOverREST(t *testing.T) {
	c, _, url := serve(t, catalog.Options{
		Guard: func(_, name string, updates []metadata.Update) error {
			if name != "orders" {
				return nil
			}
			return catalog.Maintenance(updates)
		},
		Drop: func(_, name string) error {
			if name == "orders" {
				return catalog.ErrForbidden
			}
			return nil
		},
	})
	mustCreate(t, c, orders)
	at := url + "/v1/namespaces/default/tables/orders"
	add := `{"requirements":[],"updates":[{"action":"set-location","location":"x"}]}`
	if code, _, body := do(t, "POST", at, add); code != 403 || !strings.Contains(body, "ForbiddenException") {
		t.Errorf("commit: %d %s, want 403", code, body)
	}
	tx := `{"table-changes":[{"identifier":{"namespace":["default"],"name":"orders"},` + add[1:] + `]}`
	if code, _, body := do(t, "POST", url+"/v1/transactions/commit", tx); code != 403 {
		t.Errorf("transaction: %d %s, want 403", code, body)
	}
	if code, _, _ := do(t, "DELETE", at, ""); code != 403 {
		t.Errorf("drop: %d, want 403", code)
	}
	props := `{"requirements":[],"updates":[{"action":"set-properties","updates":{"a":"b"}}]}`
	if code, _, body := do(t, "POST", at, props); code != 200 {
		t.Errorf("property: %d %s, want 200", code, body)
	}
	if code, _, body := do(t, "POST", at, `{"requirements":[],"updates":[]}`); code != 200 {
		t.Errorf("commit of nothing: %d %s, want 200", code, body)
	}
	other := url + "/v1/namespaces/default/tables/other"
	if code, _, body := do(t, "POST", other, `{"requirements":[{"type":"assert-create"}],"updates":[]}`); code != 400 {
		t.Errorf("making a table of nothing: %d %s, want 400", code, body)
	}
}

// TestDirectoriesOfTrino makes tables where Trino wants them: in the directory
// that the namespace says, with a UUID behind the name, and nowhere else.
func TestDirectoriesOfTrino(t *testing.T) {
	_, _, url := serve(t, catalog.Options{})
	_, _, body := do(t, "GET", url+"/v1/namespaces/default", "")
	var ns struct {
		Properties map[string]string `json:"properties"`
	}
	if err := json.Unmarshal([]byte(body), &ns); err != nil || !strings.HasSuffix(ns.Properties["location"], "/default") {
		t.Fatalf("namespace %s, %v", body, err)
	}
	hex := strings.Repeat("0f", 16)
	for at, want := range map[string]int{
		"/orders-" + hex: 200, "/orders-" + hex + "/x": 400, "/orders-" + hex[1:]: 400, "/orders-" + hex[1:] + "g": 400,
		"/orders2": 400, "/orders": 400, "/orders/x": 200, "/other-" + hex: 400, "/../orders-" + hex: 400,
	} {
		create := strings.Replace(createOrders, `"name"`, `"stage-create":true,"location":"`+ns.Properties["location"]+at+`","name"`, 1)
		if code, _, got := do(t, "POST", url+"/v1/namespaces/default/tables", create); code != want {
			t.Errorf("%s: %d %s, want %d", at, code, got, want)
		}
	}
}

// FuzzRequest sends any body to every route that takes one: whatever comes in,
// an answer goes out, and none of them is a fault of the server.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		createOrders, `{"requirements":[{"type":"assert-create"}],"updates":[{"action":"add-schema","schema":{}}]}`,
		`{"requirements":[],"updates":[{"action":"add-snapshot","snapshot":{"snapshot-id":1}},{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":1}]}`,
		`{"requirements":[],"updates":[{"action":"add-spec","spec":{"fields":[{"source-id":9,"transform":"bucket[0]"}]}}]}`,
		`{"requirements":[],"updates":[{"action":"add-sort-order","sort-order":{"order-id":1,"fields":[{}]}}]}`,
		`{"table-changes":[{"identifier":{"namespace":["default"],"name":"orders"},"requirements":[],"updates":[]}]}`,
		`{"source":{"namespace":["default"],"name":"orders"},"destination":{"namespace":[],"name":""}}`,
		`{"namespace":["\u001f"]}`, `{"name":"x","metadata-location":"mem://"}`, `null`, `[]`, `{"removals":null}`,
	} {
		f.Add([]byte(body))
	}
	paths := []string{
		"/v1/namespaces", "/v1/namespaces/default/tables", "/v1/namespaces/default/tables/orders",
		"/v1/namespaces/default/properties", "/v1/namespaces/default/register",
		"/v1/tables/rename", "/v1/transactions/commit",
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _, _ := setup(t)
		mustCreate(t, c, orders)
		h := catalog.Handler(c, catalog.Options{Guard: func(_, _ string, u []metadata.Update) error {
			_ = catalog.Maintenance(u)
			return nil
		}})
		for _, path := range paths {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", path, bytes.NewReader(body)))
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) && w.Code != 204 {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
