package main

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/console"
)

// consolePages are the routes of the console that judge for themselves what whoever
// asks may see and do: by the rules on each topic and group, or by asking the broker
// as a Kafka client does.
func consolePages() []string {
	return []string{
		"/api/session", "/api/session/rights",
		"/api/overview", "/api/overview/series",
		"/api/topics", "/api/topics/{topic}", "/api/topics/{topic}/config", "/api/topics/{topic}/partitions",
		"/api/topics/{topic}/records", "/api/topics/{topic}/check", "/api/topics/{topic}/template",
		"/api/groups", "/api/groups/",
		"/api/users", "/api/users/", "/api/quotas",
		"/api/settings",
	}
}

// consoleAPI serves what the console asks for beyond what other commands do.
func (n *node) consoleAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/session", n.whoAmI)
	mux.HandleFunc("POST /api/session", n.signIn)
	mux.HandleFunc("DELETE /api/session", n.signOut)
	mux.HandleFunc("GET /api/session/rights", n.rights)
	mux.HandleFunc("GET /api/overview", n.overview)
	mux.HandleFunc("GET /api/overview/series", n.overviewSeries)
	mux.HandleFunc("GET /api/topics", n.listTopics)
	mux.HandleFunc("POST /api/topics", n.createTopic)
	mux.HandleFunc("GET /api/topics/{topic}", n.describeTopic)
	mux.HandleFunc("DELETE /api/topics/{topic}", n.deleteTopic)
	mux.HandleFunc("GET /api/topics/{topic}/config", n.topicConfig)
	mux.HandleFunc("PATCH /api/topics/{topic}/config", n.alterTopicConfig)
	mux.HandleFunc("POST /api/topics/{topic}/partitions", n.addPartitions)
	mux.HandleFunc("GET /api/topics/{topic}/records", n.browse)
	mux.HandleFunc("POST /api/topics/{topic}/records", n.produceOne)
	mux.HandleFunc("POST /api/topics/{topic}/check", n.checkDraft)
	mux.HandleFunc("GET /api/topics/{topic}/template", n.draftTemplate)
	mux.HandleFunc("GET /api/groups", n.listGroups)
	mux.HandleFunc("GET /api/groups/{group}", n.describeGroup)
	mux.HandleFunc("DELETE /api/groups/{group}", n.deleteGroup)
	mux.HandleFunc("POST /api/groups/{group}/offsets", n.seekGroup)
	mux.HandleFunc("GET /api/users", n.listUsers)
	mux.HandleFunc("PUT /api/users/{user}", n.setUser)
	mux.HandleFunc("DELETE /api/users/{user}", n.deleteUser)
	mux.HandleFunc("GET /api/quotas", n.listQuotas)
	mux.HandleFunc("POST /api/quotas", n.setQuota)
	mux.HandleFunc("GET /api/settings", n.brokerSettings)
	mux.HandleFunc("PATCH /api/settings", n.alterBrokerSettings)
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, apiError{Code: 404, Message: "no such route: " + r.Method + " " + r.URL.Path})
	})
	return mux
}

// mountConsole lays out the console's pages and routes.
func (n *node) mountConsole(mux *http.ServeMux) {
	api := n.consoleAPI()
	for _, page := range consolePages() {
		mux.Handle(page, api)
	}
	pages := console.Handler()
	mux.Handle(console.Path, pages)
	mux.Handle(console.Path+"/", pages)
}

// judgesItself reports whether a route, by its pattern in the outer mux, asks for
// rules by itself.
func judgesItself(pattern string) bool {
	return pattern == "/" || pattern == dryRunPages || pattern == tablesPage || pattern == sqlPages || pattern == sqlPages+"/" || slices.Contains(consolePages(), pattern)
}

// consolePage reports whether a request is for the console's own files, which hold
// nothing of anybody's and are there before who asks has signed in.
func consolePage(r *http.Request) bool {
	return r.URL.Path == console.Path || strings.HasPrefix(r.URL.Path, console.Path+"/")
}

// home sends a browser that comes to the root to the console; everybody else gets
// what the registry has there.
func home(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
			http.Redirect(w, r, console.Path, http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}
