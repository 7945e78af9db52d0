// Package rest serves a registry over Confluent's HTTP API (Schema Registry
// 8.x): paths, fields, error codes and texts are theirs, so that serializers,
// consoles and the tools around them work as they are. One file is one resource.
//
//	subjects.go       /subjects, look-up, deletion, metadata
//	versions.go       /subjects/{subject}/versions: register, read, delete
//	schemas.go        /schemas by id and GUID, types, list
//	compatibility.go  /compatibility
//	config.go         /config: compatibility levels
//	mode.go           /mode
//	contexts.go       /contexts, and every path below one of them
//	metadata.go       /, /v1/metadata
//	associations.go   /associations: which subject a topic's keys and values have
//	access.go         what a client may do
//	answer.go         answers; errors.go codes and texts; body.go requests
//
// Not served: tags, exporters, the DEK registry. Each is refused in words.
package rest

import (
	"log/slog"
	"net/http"

	"github.com/tarn-io/tarn/registry"
)

// defaultBodyBytes bounds a request's body: a schema of
// registry.MaxSchemaBytes in JSON's longest escapes, with references and rules.
const defaultBodyBytes = 8 << 20

// Options are what the handler says about its server. The zero value will do.
type Options struct {
	Version   string // of the server, in /v1/metadata/version
	Commit    string // it was built from
	ClusterID string // of the Kafka cluster, in /v1/metadata/id
	// MaxBodyBytes bounds a request's body; 0 is 8 MiB.
	MaxBodyBytes int64
	// Log hears of requests that failed for the store's sake; may be nil.
	Log *slog.Logger
	// Allow judges what a client may do; nil lets everybody do everything.
	Allow Allow
}

// Handler serves r from the root of its server. It answers every path, with
// Confluent's JSON errors where there is nothing. Requests of browsers from
// other origins that would change something are refused.
func Handler(r *registry.Registry, opts Options) http.Handler {
	if opts.MaxBodyBytes <= 0 {
		opts.MaxBodyBytes = defaultBodyBytes
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &api{reg: r, opts: opts, mux: http.NewServeMux()}
	for _, rt := range a.routes() {
		a.mux.Handle(rt.pattern, a.serve(a.guarded(rt)))
	}
	a.mux.Handle("/", a.serve(a.unknown))
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(a.serve(func(*http.Request) (any, error) {
		return nil, &problem{http.StatusForbidden, http.StatusForbidden, "cross-origin request refused"}
	}))
	return guard.Handler(a.plain(a.mux))
}

// api holds what handlers share.
type api struct {
	reg  *registry.Registry
	opts Options
	mux  *http.ServeMux
}

// handle answers a request with a value to be written as JSON, a text to be
// written as it is, or an error.
type handle func(*http.Request) (any, error)

type route struct {
	pattern string
	handle  handle
}

func (a *api) routes() []route {
	return []route{
		{"GET /{$}", a.root},
		{"POST /{$}", a.root},

		{"GET /subjects", a.listSubjects},
		{"POST /subjects/{subject}", a.lookUp},
		{"DELETE /subjects/{subject}", a.deleteSubject},
		{"GET /subjects/{subject}/metadata", a.latestWithMetadata},
		{"GET /subjects/{subject}/versions", a.listVersions},
		{"POST /subjects/{subject}/versions", a.register},
		{"GET /subjects/{subject}/versions/{version}", a.getVersion},
		{"GET /subjects/{subject}/versions/{version}/schema", a.getVersionText},
		{"GET /subjects/{subject}/versions/{version}/referencedby", a.referencedBy},
		{"POST /subjects/{subject}/versions/{version}/tags", unsupported("Schema tags")},
		{"DELETE /subjects/{subject}/versions/{version}", a.deleteVersion},

		{"GET /schemas", a.listSchemas},
		{"GET /schemas/types", a.listTypes},
		{"GET /schemas/ids/{id}", a.getID},
		{"GET /schemas/ids/{id}/schema", a.getIDText},
		{"GET /schemas/ids/{id}/subjects", a.subjectsOfID},
		{"GET /schemas/ids/{id}/versions", a.versionsOfID},
		{"GET /schemas/guids/{guid}", a.getGUID},
		{"GET /schemas/guids/{guid}/ids", a.idsOfGUID},

		{"POST /compatibility/subjects/{subject}/versions/{version}", a.compareWithVersion},
		{"POST /compatibility/subjects/{subject}/versions", a.compareWithAll},

		{"GET /config", a.getConfig},
		{"PUT /config", a.putConfig},
		{"DELETE /config", a.deleteConfig},
		{"GET /config/{subject}", a.getConfig},
		{"PUT /config/{subject}", a.putConfig},
		{"DELETE /config/{subject}", a.deleteConfig},

		{"GET /mode", a.getMode},
		{"PUT /mode", a.putMode},
		{"DELETE /mode", a.deleteMode},
		{"GET /mode/{subject}", a.getMode},
		{"PUT /mode/{subject}", a.putMode},
		{"DELETE /mode/{subject}", a.deleteMode},

		{"GET /contexts", a.listContexts},
		{"DELETE /contexts/{context}", a.deleteContext},

		{"GET /v1/metadata/id", a.serverID},
		{"GET /v1/metadata/version", a.serverVersion},

		{"GET /associations/subjects/{subject}", a.associationsOfSubject},
		{"GET /associations/resources/{resource}", a.associationsOfResource},
		{"GET /associations/resources/{namespace}/{resource}", a.associationsOfName},
		{"PUT /associations/resources/{resource}", a.putAssociations},
		{"DELETE /associations/resources/{resource}", a.deleteAssociations},
		{"POST /associations", a.postAssociations},
		{"POST /associations:batchGet", a.batchGetAssociations},
		{"POST /associations:batchMutate", a.batchMutateAssociations},
	}
}

// unknown answers what no route takes: 405 if another method would be taken.
func (a *api) unknown(req *http.Request) (any, error) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := req.Clone(req.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/" && pattern != "" {
			return nil, &problem{http.StatusMethodNotAllowed, http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed"}
		}
	}
	return nil, notFound()
}
