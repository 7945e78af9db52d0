package main

import (
	"net/http"
	"slices"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/console"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/rest"
	"github.com/tarn-io/tarn/sink"
	"github.com/tarn-io/tarn/sink/query"
	"github.com/tarn-io/tarn/tables/catalog"
)

// ownRoutes are the routes of this package as the OpenAPI description says them;
// a test holds the list to the code.
func ownRoutes() []rest.Endpoint {
	const plainText = "text/plain"
	return []rest.Endpoint{
		{Method: "GET", Path: "/api", Tag: "server", Does: "Get this description", Out: map[string]any{}},
		{Method: "GET", Path: "/api/openapi.json", Tag: "server", Does: "Get this description", Out: map[string]any{}},
		{Method: "GET", Path: "/livez", Tag: "server", Does: "Answer while the process lives", Out: "", Type: plainText},
		{Method: "GET", Path: "/readyz", Tag: "server", Does: "Answer 200 when Kafka, storage and catalog answer, with verbose how each is", Query: []string{"verbose"}, Out: map[string]string{}},
		{Method: "GET", Path: "/startupz", Tag: "server", Does: "Answer 200 once everything has been started", Out: "", Type: plainText},
		{Method: "GET", Path: "/api/log-level", Tag: "server", Does: "Get the level of the log", Out: logLevel{}},
		{Method: "PUT", Path: "/api/log-level", Tag: "server", Does: "Set the level of the log, for good or for a time", In: logLevel{}, Out: logLevel{}},
		{Method: "GET", Path: "/metrics", Tag: "server", Does: "Get metrics in Prometheus' text format", Out: "", Type: plainText},
		{Method: "GET", Path: "/api/debug/log", Tag: "server", Does: "Get the last lines of the log", Out: "", Type: plainText},
		{Method: "GET", Path: "/api/debug/goroutines", Tag: "server", Does: "Get what every goroutine does", Out: "", Type: plainText},
		{Method: "GET", Path: "/api/debug/heap", Tag: "server", Does: "Get a profile of the memory, for go tool pprof", Out: "", Type: "application/octet-stream"},
		{Method: "GET", Path: "/api/debug/cpu", Tag: "server", Does: "Record the processors' time for some seconds, for go tool pprof", Query: []string{"seconds"}, Out: "", Type: "application/octet-stream"},
		{Method: "GET", Path: "/api/debug/trace", Tag: "server", Does: "Record what goroutines and processors do for some seconds, the newest 8 MB of it, for go tool trace", Query: []string{"seconds"}, Out: "", Type: "application/octet-stream"},

		{Method: "POST", Path: "/api/backup", Tag: "server", Does: "Get the store as a stream of parts, and with follow_ms what changes (tarn backup, tarn replicate)", Query: []string{"follow_ms"}, Out: "", Type: "application/octet-stream"},
		{Method: "GET", Path: "/api/tables", Tag: "tables", Does: "List topics with tables", Out: []sink.Status{}},
		{Method: "GET", Path: "/api/tables/{topic}", Tag: "tables", Does: "Get how far a topic's tables are, and how readers open them", Out: tableStatus{}},
		{Method: "GET", Path: "/api/tables/{topic}/wait", Tag: "tables", Does: "Answer when the record at an offset, or all that the log holds now, is visible in the tables", Query: []string{"partition", "offset", "timeout_ms"}, Out: sink.Waited{}},
		{Method: "GET", Path: "/api/tables/{topic}/explain", Tag: "tables", Does: "Say how many commits, files and requests the tables cost, and what longer intervals would make of it", Out: sink.Explained{}},
		{Method: "POST", Path: "/api/tables/{topic}/flush", Tag: "tables", Does: "Commit what is pending to the tables", Query: []string{"dry_run"}, Out: sink.Flushed{}},
		{Method: "POST", Path: "/api/tables/{topic}/verify", Tag: "tables", Does: "Compare the tables with the log", Out: sink.Report{}},
		{Method: "POST", Path: "/api/tables/{topic}/compact", Tag: "tables", Does: "Rewrite small files of the tables", Query: []string{"dry_run"}, Out: map[string]sink.Kept{}},
		{Method: "POST", Path: "/api/tables/{topic}/rebuild", Tag: "tables", Does: "Write the tables anew from the log, and exchange all rows in one commit", Query: []string{"dry_run", "from_log_start"}, Out: map[string]sink.RebuildInfo{}},
		{Method: "DELETE", Path: "/api/tables/{topic}/rebuild", Tag: "tables", Does: "Give up rebuilds that are under way, and leave the tables as they are", Out: map[string]sink.RebuildInfo{}},
		{Method: "POST", Path: "/api/tables/{topic}/redrive", Tag: "tables", Does: "Decode dead letters once more, and bring those that have become valid into the tables", Query: []string{"dry_run"}, Out: map[string]sink.Redriven{}},
		{Method: "POST", Path: "/api/tables/{topic}/expire", Tag: "tables", Does: "Expire snapshots of the tables", Query: []string{"dry_run"}, Out: map[string]sink.Kept{}},
		{Method: "GET", Path: "/api/tables/{topic}/files", Tag: "tables", Does: "List the tables' files", Out: []sink.TableFiles{}},
		{Method: "GET", Path: "/api/tables/{topic}/history", Tag: "tables", Does: "List the tables' commits", Out: []sink.TableHistory{}},

		{Method: "GET", Path: "/api/topics/{topic}/rejections", Tag: "validation", Does: "List rejected records, or follow them as text/event-stream", Query: []string{"limit"}, Out: []rejection{}},
		{Method: "GET", Path: "/api/topics/{topic}/report", Tag: "validation", Does: "Say what validation refuses or would refuse", Out: validationReport{}},
		{Method: "POST", Path: "/api/topics/{topic}/redrive", Tag: "validation", Does: "Produce dead letters again, a step at a time", Query: []string{"dry_run", "limit", "from"}, Out: redriven{}},

		{Method: "GET", Path: "/api/topics/{topic}/infer", Tag: "validation", Does: "Propose a schema from the JSON that flows", Query: []string{"records", "part", "format", "closed"}, Out: inferred{}},
		{Method: "GET", Path: "/api/schemas/describe", Tag: "schemas", Does: "Say what the schemas of a subject, or of a topic, mean for records and tables", Query: []string{"name", "version", "message"}, Out: []describedSchema{}},
		{Method: "GET", Path: "/api/schemas/diff", Tag: "schemas", Does: "Say what changes from one version to another, for readers and tables", Query: []string{"subject", "from", "to"}, Out: registry.Review{}},
		{Method: "POST", Path: "/api/schemas/check", Tag: "schemas", Does: "Say what a schema would change as the next version", Query: []string{"subject"}, In: schemaText{}, Out: registry.Review{}},

		{Method: "GET", Path: "/api/sql", Tag: "sql", Does: "Run a query over topics and tables", Query: []string{"q", "limit", "timeout_ms", "format"}, Out: sqlAnswer{}},
		{Method: "POST", Path: "/api/sql", Tag: "sql", Does: "Run a query over topics and tables", In: sqlRequest{}, Out: sqlAnswer{}},
		{Method: "GET", Path: "/api/sql/tables", Tag: "sql", Does: "List the tables that queries may name", Out: []query.Table{}},

		{Method: "GET", Path: "/api/clients", Tag: "clients", Does: "List connections", Out: []clientInfo{}},
		{Method: "GET", Path: "/api/clients/metrics", Tag: "clients", Does: "List what clients pushed about themselves", Query: []string{"client_id"}, Out: []instanceInfo{}},
		{Method: "GET", Path: "/api/clients/subscriptions", Tag: "clients", Does: "List subscriptions to clients' metrics", Out: []subscriptionInfo{}},
		{Method: "PUT", Path: "/api/clients/subscriptions/{name}", Tag: "clients", Does: "Set a subscription", In: subscriptionInfo{}, Out: []subscriptionInfo{}},
		{Method: "DELETE", Path: "/api/clients/subscriptions/{name}", Tag: "clients", Does: "Delete a subscription", Out: []subscriptionInfo{}},
		{Method: "GET", Path: "/api/listeners", Tag: "clients", Does: "List listeners and what clients are told", Out: []listenerInfo{}},
		{Method: "PUT", Path: "/api/listeners", Tag: "clients", Does: "Set what clients are told", In: []listenerInfo{}, Out: []listenerInfo{}},

		{Method: "GET", Path: "/api/session", Tag: "console", Does: "Say who asks, and whether he has to sign in", Out: sessionInfo{}},
		{Method: "POST", Path: "/api/session", Tag: "console", Does: "Sign in with a user's password, for a cookie", In: map[string]string{}, Out: map[string]string{}},
		{Method: "DELETE", Path: "/api/session", Tag: "console", Does: "Sign out", Out: ""},
		{Method: "GET", Path: "/api/session/rights", Tag: "console", Does: "Say what whoever asks may do with something, or without a name with anything of its kind", Query: []string{"resource", "name"}, Out: rightsInfo{}},
		{Method: "GET", Path: "/api/overview", Tag: "console", Does: "Say how the broker is", Out: overviewInfo{}},
		{Method: "GET", Path: "/api/overview/series", Tag: "console", Does: "Get the numbers of charts", Query: []string{"span", "name"}, Out: console.Points{}},
		{Method: "GET", Path: "/api/settings", Tag: "console", Does: "List the broker's configs with where they come from", Out: settingsInfo{}},
		{Method: "PATCH", Path: "/api/settings", Tag: "console", Does: "Change configs of the broker, or the level of its log", In: settingsChange{}, Out: map[string]any{}},

		{Method: "GET", Path: "/api/topics", Tag: "topics", Does: "List topics with their sizes and lag", Out: []topicInfo{}},
		{Method: "POST", Path: "/api/topics", Tag: "topics", Does: "Create a topic", In: topicRequest{}, Out: map[string]any{}},
		{Method: "GET", Path: "/api/topics/{topic}", Tag: "topics", Does: "Get a topic with its partitions", Out: topicDetail{}},
		{Method: "DELETE", Path: "/api/topics/{topic}", Tag: "topics", Does: "Delete a topic", Out: map[string]string{}},
		{Method: "GET", Path: "/api/topics/{topic}/config", Tag: "topics", Does: "List a topic's configs with where they come from", Out: []configEntry{}},
		{Method: "PATCH", Path: "/api/topics/{topic}/config", Tag: "topics", Does: "Change configs of a topic, all of them or none", In: configChange{}, Out: map[string]any{}},
		{Method: "POST", Path: "/api/topics/{topic}/partitions", Tag: "topics", Does: "Raise a topic's number of partitions", In: map[string]int{}, Out: map[string]int{}},
		{Method: "GET", Path: "/api/topics/{topic}/records", Tag: "topics", Does: "Read records by time across all partitions, or follow them as text/event-stream", Query: []string{"order", "at", "cursor", "partition", "key", "text", "where", "limit", "scan", "follow", "full"}, Out: browseAnswer{}},
		{Method: "POST", Path: "/api/topics/{topic}/records", Tag: "topics", Does: "Produce a record", In: draft{}, Out: produced{}},
		{Method: "POST", Path: "/api/topics/{topic}/check", Tag: "topics", Does: "Say what the broker would say of a record", In: draft{}, Out: draftVerdict{}},
		{Method: "GET", Path: "/api/topics/{topic}/template", Tag: "topics", Does: "Get texts to begin a record with, from the newest schemas", Out: draftStart{}},

		{Method: "GET", Path: "/api/groups", Tag: "groups", Does: "List groups with their lag", Query: []string{"topic"}, Out: []groupInfo{}},
		{Method: "GET", Path: "/api/groups/{group}", Tag: "groups", Does: "Get a group with its members and its lag by partition", Out: groupDetail{}},
		{Method: "DELETE", Path: "/api/groups/{group}", Tag: "groups", Does: "Delete a group without members", Out: map[string]string{}},
		{Method: "POST", Path: "/api/groups/{group}/offsets", Tag: "groups", Does: "Set a group's offsets on a topic, or say what that would change", In: seekRequest{}, Out: seekAnswer{}},

		{Method: "GET", Path: "/api/users", Tag: "access", Does: "List users", Out: []userInfo{}},
		{Method: "PUT", Path: "/api/users/{user}", Tag: "access", Does: "Make a user or set the password", In: map[string]string{}, Out: map[string]string{}},
		{Method: "DELETE", Path: "/api/users/{user}", Tag: "access", Does: "Delete a user", Out: map[string]string{}},
		{Method: "GET", Path: "/api/quotas", Tag: "access", Does: "List quotas", Out: []quotaInfo{}},
		{Method: "POST", Path: "/api/quotas", Tag: "access", Does: "Set the quotas of users, clients or addresses", In: quotaInfo{}, Out: quotaInfo{}},

		{Method: "POST", Path: "/api/acls", Tag: "access", Does: "Make rules", In: []acl.Binding{}, Out: []acl.Binding{}},
		{Method: "POST", Path: "/api/acls/check", Tag: "access", Does: "Say whether rules could be made, and make none", In: []acl.Binding{}, Out: []acl.Binding{}},
		{Method: "POST", Path: "/api/acls/list", Tag: "access", Does: "List rules", In: acl.Filter{}, Out: []acl.Binding{}},
		{Method: "POST", Path: "/api/acls/delete", Tag: "access", Does: "Delete rules", In: acl.Filter{}, Out: []acl.Binding{}},
	}
}

// icebergFault is an error in the words of the Iceberg catalog, oauthFault one of
// the route that gives tokens to its clients.
type (
	icebergFault struct {
		Error struct {
			Message string `json:"message"`
			Type    string `json:"type"`
			Code    int    `json:"code"`
		} `json:"error"`
	}
	oauthFault struct {
		Error string `json:"error"`
		Text  string `json:"error_description"`
	}
)

// catalogRoutes are those of the Iceberg catalog, and the one that gives its
// clients tokens.
func catalogRoutes() []rest.Endpoint {
	list := []rest.Endpoint{{
		Method: http.MethodPost, Path: tokenRoute, Tag: "iceberg", Does: "Give a client a token for its user and password, as a form of OAuth 2",
		Out: map[string]any{}, Fault: oauthFault{},
	}}
	for _, op := range catalog.Operations() {
		e := rest.Endpoint{Method: op.Method, Path: op.Path, Tag: "iceberg", Does: op.Does, Query: op.Query, Fault: icebergFault{}}
		if op.Body {
			e.In = map[string]any{}
		}
		if op.Answer {
			e.Out = map[string]any{}
		}
		list = append(list, e)
	}
	return list
}

// openAPI serves the OpenAPI 3 description of every route that the broker has. It
// is made when it is asked for: nobody asks often.
func openAPI(w http.ResponseWriter, _ *http.Request) {
	text, err := rest.Document(version, slices.Concat(rest.Endpoints(), ownRoutes(), catalogRoutes()))
	if err != nil {
		answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// The client is gone if this fails; there is nobody to tell.
	_, _ = w.Write(text)
}
