package catalog

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route is one line of the API.
type route struct {
	method, path string // path below /v1, as the API description writes it
	serve        handlerFunc
	does         string // one line, for people
	query        []string
	// once is the status of success of an operation that the API description
	// lets carry an Idempotency-Key; 0 for others.
	once int
}

// handlerFunc answers a request, or returns the error that it is answered with.
type handlerFunc = func(*server, http.ResponseWriter, *http.Request) error

// routes is the list of what is served; /v1/config tells it to clients.
func routes() []route {
	return []route{
		{"GET", "/namespaces", (*server).listNamespaces, "List namespaces", []string{"parent", "pageToken", "pageSize"}, 0},
		{"POST", "/namespaces", (*server).createNamespace, "Make a namespace", nil, http.StatusOK},
		{"GET", "/namespaces/{namespace}", (*server).loadNamespace, "Get a namespace and its properties", nil, 0},
		{"HEAD", "/namespaces/{namespace}", (*server).namespaceExists, "Answer whether a namespace is there", nil, 0},
		{"DELETE", "/namespaces/{namespace}", (*server).dropNamespace, "Drop an empty namespace", nil, http.StatusNoContent},
		{"POST", "/namespaces/{namespace}/properties", (*server).updateProperties, "Change a namespace's properties", nil, http.StatusOK},
		{"GET", "/namespaces/{namespace}/tables", (*server).listTables, "List a namespace's tables", []string{"pageToken", "pageSize"}, 0},
		{"POST", "/namespaces/{namespace}/tables", (*server).createTable, "Make a table, or stage one", nil, http.StatusOK},
		{"POST", "/namespaces/{namespace}/register", (*server).registerTable, "Register a table by its metadata file", nil, http.StatusOK},
		{"GET", "/namespaces/{namespace}/tables/{table}", (*server).loadTable, "Get a table's metadata", []string{"snapshots"}, 0},
		{"HEAD", "/namespaces/{namespace}/tables/{table}", (*server).tableExists, "Answer whether a table is there", nil, 0},
		{"POST", "/namespaces/{namespace}/tables/{table}", (*server).updateTable, "Commit to a table", nil, http.StatusOK},
		{"DELETE", "/namespaces/{namespace}/tables/{table}", (*server).dropTable, "Drop a table", []string{"purgeRequested"}, http.StatusNoContent},
		{"POST", "/namespaces/{namespace}/tables/{table}/unregister", (*server).unregisterTable, "Forget a table, and leave its files", nil, http.StatusOK},
		{"POST", "/namespaces/{namespace}/tables/{table}/metrics", (*server).reportMetrics, "Take what a scan or a commit measured", nil, 0},
		{"POST", "/tables/rename", (*server).renameTable, "Rename a table", nil, http.StatusNoContent},
		{"POST", "/transactions/commit", (*server).commitTransaction, "Commit to several tables, all or none", nil, http.StatusNoContent},
		{"GET", "/namespaces/{namespace}/views", (*server).listViews, "List a namespace's views", []string{"pageToken", "pageSize"}, 0},
		{"GET", "/namespaces/{namespace}/views/{view}", (*server).loadView, "Get a view's metadata", nil, 0},
		{"HEAD", "/namespaces/{namespace}/views/{view}", (*server).viewExists, "Answer whether a view is there", nil, 0},
	}
}

// refusal is an operation of the API description that is not served, and why
// not. It is answered with 406, Iceberg's UnsupportedOperationException, so that
// a client's user reads the reason instead of "no endpoint".
type refusal struct{ method, path, why string }

// Reasons of refusals.
const (
	noViews       = "views are of Tarn's making: they can be listed and read, not made, changed or dropped"
	noFunctions   = "the catalog holds no functions"
	noPlanning    = "scans are planned by clients, from the manifests"
	noCredentials = "the catalog hands out no credentials: clients bring their own for the warehouse"
)

func unserved() []refusal {
	const table, view = "/namespaces/{namespace}/tables/{table}", "/namespaces/{namespace}/views/{view}"
	return []refusal{
		{"POST", "/namespaces/{namespace}/views", noViews},
		{"POST", view, noViews},
		{"DELETE", view, noViews},
		{"POST", "/views/rename", noViews},
		{"POST", "/namespaces/{namespace}/register-view", noViews},
		{"GET", "/namespaces/{namespace}/functions", noFunctions},
		{"GET", "/namespaces/{namespace}/functions/{function}", noFunctions},
		{"POST", table + "/plan", noPlanning},
		{"GET", table + "/plan/{plan}", noPlanning},
		{"DELETE", table + "/plan/{plan}", noPlanning},
		{"POST", table + "/tasks", noPlanning},
		{"GET", table + "/credentials", noCredentials},
		{"POST", table + "/sign", noCredentials},
	}
}

// refuse is the answer to an operation that is not served.
func (u refusal) refuse(_ *server, _ http.ResponseWriter, r *http.Request) error {
	return &httpError{http.StatusNotAcceptable, "UnsupportedOperationException",
		fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, u.why)}
}

// Operation is one line of the API as a description of the server lists it.
type Operation struct {
	Method, Path string // the path below the server's root, as Handler serves it
	Does         string
	Query        []string
	Body         bool // it takes one
	Answer       bool // it has one; what is refused has none but the error
}

// Operations are all that Handler answers below /iceberg/v1 in Iceberg's words,
// those too that it refuses with a reason. What the bodies are, Iceberg's own
// description says (open-api/rest-catalog-open-api.yaml).
func Operations() []Operation {
	const base = "/iceberg/v1"
	list := []Operation{{Method: http.MethodGet, Path: base + "/config", Does: "Get what clients are to know", Answer: true}}
	silent := []string{"/tables/rename", "/transactions/commit", "/namespaces/{namespace}/tables/{table}/metrics"}
	for _, r := range routes() {
		list = append(list, Operation{
			Method: r.method, Path: base + r.path, Does: r.does, Query: r.query,
			Body:   r.method == http.MethodPost && !strings.HasSuffix(r.path, "/unregister"),
			Answer: r.method != http.MethodHead && r.method != http.MethodDelete && !slices.Contains(silent, r.path),
		})
	}
	for _, u := range unserved() {
		list = append(list, Operation{Method: u.method, Path: base + u.path, Does: "Not offered: " + u.why})
	}
	return list
}
