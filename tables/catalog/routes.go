package catalog

import (
	"fmt"
	"net/http"
)

// route is one line of the API.
type route struct {
	method, path string // path below /v1, as the API description writes it
	serve        func(*server, http.ResponseWriter, *http.Request) error
}

// routes is the list of what is served; /v1/config tells it to clients.
func routes() []route {
	return []route{
		{"GET", "/namespaces", (*server).listNamespaces},
		{"POST", "/namespaces", (*server).createNamespace},
		{"GET", "/namespaces/{namespace}", (*server).loadNamespace},
		{"HEAD", "/namespaces/{namespace}", (*server).namespaceExists},
		{"DELETE", "/namespaces/{namespace}", (*server).dropNamespace},
		{"POST", "/namespaces/{namespace}/properties", (*server).updateProperties},
		{"GET", "/namespaces/{namespace}/tables", (*server).listTables},
		{"POST", "/namespaces/{namespace}/tables", (*server).createTable},
		{"POST", "/namespaces/{namespace}/register", (*server).registerTable},
		{"GET", "/namespaces/{namespace}/tables/{table}", (*server).loadTable},
		{"HEAD", "/namespaces/{namespace}/tables/{table}", (*server).tableExists},
		{"POST", "/namespaces/{namespace}/tables/{table}", (*server).updateTable},
		{"DELETE", "/namespaces/{namespace}/tables/{table}", (*server).dropTable},
		{"POST", "/namespaces/{namespace}/tables/{table}/unregister", (*server).unregisterTable},
		{"POST", "/namespaces/{namespace}/tables/{table}/metrics", (*server).reportMetrics},
		{"POST", "/tables/rename", (*server).renameTable},
		{"POST", "/transactions/commit", (*server).commitTransaction},
		{"GET", "/namespaces/{namespace}/views", (*server).listViews},
		{"GET", "/namespaces/{namespace}/views/{view}", (*server).loadView},
		{"HEAD", "/namespaces/{namespace}/views/{view}", (*server).loadView},
	}
}

// refusal is an operation of the API description that is not served, and why
// not. It is answered with 406, Iceberg's UnsupportedOperationException, so that
// a client's user reads the reason instead of "no endpoint".
type refusal struct{ method, path, why string }

// Reasons of refusals.
const (
	noViews       = "the catalog holds no views: they can be listed and asked for, not made"
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
