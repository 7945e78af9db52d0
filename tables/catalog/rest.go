package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/apache/iceberg-go"

	"github.com/tarn-io/tarn/tables/metadata"
)

// maxBodyBytes bounds a request. A commit that adds a schema of ten thousand
// fields stays below 2 MB.
const maxBodyBytes = 16 << 20

// Options of the REST server.
type Options struct {
	// Guard decides about commits, creations (with no updates), drops and
	// renames; nil lets everybody do everything.
	Guard Guard
	// Drop decides about drops and renames; nil lets everybody.
	Drop func(namespace, name string) error
	// Views are what the catalog offers in a namespace, whose levels are joined
	// by dots; nil for none. It may be called concurrently.
	Views func(namespace string) []View
	// Defaults and Overrides are client properties that /v1/config hands out.
	Defaults, Overrides map[string]string
	// TableConfig is handed out with each table (s3.endpoint, region, …). It
	// must hold no secrets.
	TableConfig map[string]string
}

// server answers the Iceberg REST catalog API, as of the OpenAPI description
// of Iceberg 1.10 (open-api/rest-catalog-open-api.yaml). routes.go tells what of
// it is served.
type server struct {
	cat  *Catalog
	opts Options
	keys *onceStore
}

// Handler serves a catalog under /iceberg/v1/… and, for callers that strip the
// mount point, /v1/…. Authentication is the caller's.
func Handler(c *Catalog, opts Options) http.Handler {
	s := &server{c, opts, newOnceStore(c.items)}
	mux := http.NewServeMux()
	for _, base := range []string{"/iceberg/v1", "/v1"} {
		mux.Handle("GET "+base+"/config", s.handler((*server).config))
		for _, r := range routes() {
			serve := r.serve
			if r.once != 0 {
				serve = func(s *server, w http.ResponseWriter, q *http.Request) error { return s.once(w, q, r.once, r.serve) }
			}
			mux.Handle(r.method+" "+base+r.path, s.handler(serve))
		}
		for _, u := range unserved() {
			mux.Handle(u.method+" "+base+u.path, s.handler(u.refuse))
		}
	}
	mux.HandleFunc("GET /iceberg/{$}", welcome)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &httpError{http.StatusNotFound, "NoSuchEndpointException",
			fmt.Sprintf("no endpoint %s %s", r.Method, r.URL.Path)})
	})
	return mux
}

// welcome tells who opens the catalog's own address, which the broker prints, what it is for.
func welcome(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "An Iceberg REST catalog. Its clients take this address as their uri: "+
		"type=rest, uri=http://…/iceberg.\nWhat they ask first is v1/config below it; the tables are in the namespace default.\n")
}

// handler adds what every route needs: a limit on the body, an answer to an
// error, and one to a panic.
func (s *server) handler(serve handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("internal: %v", p)
				}
			}()
			return serve(s, w, r)
		}()
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// httpError is an answer that no error of the catalog stands for.
type httpError struct {
	code      int
	kind, msg string
}

func (e *httpError) Error() string { return e.msg }

// answerTo maps the catalog's errors to status codes and the exception names
// of Iceberg's Java implementation, which clients know errors by.
func answerTo(err error) *httpError {
	var known *httpError
	var tooLong *http.MaxBytesError
	var refused metadata.Refusal
	msg := err.Error()
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &tooLong):
		return &httpError{http.StatusRequestEntityTooLarge, "BadRequestException", msg}
	case errors.As(err, &refused):
		return &httpError{http.StatusConflict, "CommitFailedException", refused.Error()}
	case errors.Is(err, ErrUnknown):
		return &httpError{http.StatusInternalServerError, "CommitStateUnknownException", msg}
	case errors.Is(err, ErrNoSuchTable):
		return &httpError{http.StatusNotFound, "NoSuchTableException", sentence(msg)}
	case errors.Is(err, ErrNoSuchView):
		return &httpError{http.StatusNotFound, "NoSuchViewException", sentence(msg)}
	case errors.Is(err, ErrNoSuchNamespace):
		return &httpError{http.StatusNotFound, "NoSuchNamespaceException", sentence(msg)}
	case errors.Is(err, ErrTableAlreadyExists), errors.Is(err, ErrNamespaceAlreadyExists):
		return &httpError{http.StatusConflict, "AlreadyExistsException", sentence(msg)}
	case errors.Is(err, ErrNamespaceNotEmpty):
		return &httpError{http.StatusConflict, "NamespaceNotEmptyException", sentence(msg)}
	case errors.Is(err, ErrCommitFailed):
		return &httpError{http.StatusConflict, "CommitFailedException", msg}
	case errors.Is(err, ErrForbidden):
		return &httpError{http.StatusForbidden, "ForbiddenException", msg}
	case errors.Is(err, ErrOverlap):
		return &httpError{http.StatusUnprocessableEntity, "UnprocessableEntityException", msg}
	case errors.Is(err, ErrInvalid), errors.Is(err, iceberg.ErrInvalidArgument):
		return &httpError{http.StatusBadRequest, "BadRequestException", msg}
	}
	return &httpError{http.StatusInternalServerError, "InternalServerError", msg}
}

// sentence begins a message as Java's do: "Table does not exist: default.orders".
func sentence(msg string) string {
	return strings.ToUpper(msg[:1]) + msg[1:]
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	a := answerTo(err)
	if r.Method == http.MethodHead {
		w.WriteHeader(a.code)
		return
	}
	s.reply(w, a.code, map[string]any{
		"error": map[string]any{"message": a.msg, "type": a.kind, "code": a.code},
	})
}

func (s *server) reply(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		code, body = http.StatusInternalServerError,
			[]byte(`{"error":{"message":"answer cannot be encoded","type":"InternalServerError","code":500}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A client that went away is its own affair.
	_, _ = w.Write(body)
}

func (s *server) done(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// decode reads a request's body. Errors are ErrInvalid, or *http.MaxBytesError.
func decode(r io.Reader, v any) (err error) {
	defer recovered(&err)
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func (s *server) config(w http.ResponseWriter, _ *http.Request) error {
	var endpoints []string
	for _, r := range routes() {
		endpoints = append(endpoints, r.method+" /v1/{prefix}"+r.path)
	}
	s.reply(w, http.StatusOK, map[string]any{
		"defaults": notNil(s.opts.Defaults), "overrides": notNil(s.opts.Overrides), "endpoints": endpoints,
		"idempotency-key-lifetime": fmt.Sprintf("PT%dM", int(onceLifetime.Minutes())),
	})
	return nil
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// namespaceOf is the namespace in a request's path; its parts are separated by
// %1F, which the router has decoded.
func namespaceOf(r *http.Request) Identifier {
	return strings.Split(r.PathValue("namespace"), separator)
}

func tableOf(r *http.Request) Identifier {
	return append(namespaceOf(r), r.PathValue("table"))
}

// guard asks the policy about a commit.
func (s *server) guard(ident Identifier, updates []metadata.Update) error {
	if s.opts.Guard == nil {
		return nil
	}
	return forbid(s.opts.Guard(nameOf(ident), nameOfTable(ident), updates))
}

// guardDrop asks the policy about taking a table away.
func (s *server) guardDrop(ident Identifier) error {
	if s.opts.Drop == nil {
		return nil
	}
	return forbid(s.opts.Drop(nameOf(ident), nameOfTable(ident)))
}

func nameOf(ident Identifier) string {
	return strings.Join(namespaceOfTable(ident), ".")
}

func forbid(err error) error {
	if err == nil || errors.Is(err, ErrForbidden) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrForbidden, err)
}
