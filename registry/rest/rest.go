// Package rest serves a registry over Confluent's HTTP API (Schema Registry
// 8.x): paths, fields, error codes and texts are theirs, so that serializers,
// consoles and the tools around them work as they are. One file is one resource.
//
//	subjects.go       /subjects, look-up, deletion, metadata
//	versions.go       /subjects/{subject}/versions: register, read, delete
//	tags.go           tags within a version's schema
//	schemas.go        /schemas by id and GUID, types, list
//	compatibility.go  /compatibility
//	config.go         /config: compatibility levels
//	mode.go           /mode
//	contexts.go       /contexts, and every path below one of them
//	metadata.go       /, /v1/metadata
//	associations.go   /associations: which subject a topic's keys and values have
//	keks.go, deks.go  /dek-registry: keys of client-side encryption
//	limits.go         how many requests are served
//	routes.go         the table of all routes, their parameters and bodies
//	access.go         what a client may do
//	answer.go         answers; errors.go codes and texts; body.go requests
//
// Exporters are not offered, and refused in words.
package rest

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/registry/dek"
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
	// RequestsPerSecond bounds the requests of one client, counted over some
	// seconds; those beyond it are answered with 429. 0 is no bound.
	RequestsPerSecond float64
	// Client names who sent a request, for that bound; nil or "" takes the address.
	Client func(req *http.Request) string
	// Log hears of requests that failed for the store's sake; may be nil.
	Log *slog.Logger
	// Keys is the DEK registry; nil offers none.
	Keys *dek.Store
	// Allow judges what a client may do; nil lets everybody do everything.
	Allow Allow
	// Refusal says what a refused client lacks, of a subject that it named; "" stands
	// for the registry. nil says no more than that it is refused.
	Refusal func(req *http.Request, op Operation, subject string) string
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
	a := &api{reg: r, opts: opts, mux: http.NewServeMux(), working: make(chan struct{}, maxWorking), patience: workPatience}
	for _, rt := range a.routes() {
		a.mux.Handle(rt.pattern, a.serve(a.guarded(rt)))
	}
	a.mux.Handle("/", a.serve(a.unknown))
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(a.serve(func(*http.Request) (any, error) {
		return nil, &problem{http.StatusForbidden, http.StatusForbidden, "cross-origin request refused"}
	}))
	return named(guard.Handler(a.limited(a.plain(a.mux))))
}

// api holds what handlers share.
type api struct {
	reg  *registry.Registry
	opts Options
	mux  *http.ServeMux

	working  chan struct{} // a place for each request with a body that is worked on
	patience time.Duration // how long one waits for a place
}

// handle answers a request with a value to be written as JSON, a text to be
// written as it is, or an error.
type handle func(*http.Request) (any, error)

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
