package rest

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/tarn-io/tarn/registry"
)

func (a *api) listContexts(req *http.Request) (any, error) {
	return page(req, a.reg.Contexts(req.URL.Query().Get("contextPrefix")), 0)
}

// deleteContext answers nothing, as Confluent's registry.
func (a *api) deleteContext(req *http.Request) (any, error) {
	return nothing{}, a.reg.DeleteContext(req.Context(), bare(req.PathValue("context")))
}

// bare is a context's name without the colons that may stand around it.
func bare(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(name, ":"), ":")
}

// contextKey is under which a request carries the context of its path.
type contextKey struct{}

// contextOf is the context that a path began with, the default one if none.
func contextOf(req *http.Request) string {
	if name, ok := req.Context().Value(contextKey{}).(string); ok {
		return name
	}
	return registry.DefaultContext
}

// plain gives handlers the path they know: without a slash at its end, and
// without /contexts/{context} before it, which the request carries from there
// on. A path that is not clean is nobody's; the mux would redirect it, and a
// subject cannot be empty or a dot.
func (a *api) plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		full := req.URL.EscapedPath()
		escaped, within := full, ""
		if rest, ok := strings.CutPrefix(full, "/contexts/"); ok {
			name, rest, deeper := strings.Cut(rest, "/")
			if word, err := url.PathUnescape(name); deeper && err == nil {
				escaped, within = "/"+rest, bare(word)
			}
		}
		if escaped != "/" {
			escaped = strings.TrimSuffix(escaped, "/")
		}
		decoded, err := url.PathUnescape(escaped)
		if err != nil || path.Clean(escaped) != escaped {
			a.serve(func(*http.Request) (any, error) { return nil, notFound() }).ServeHTTP(w, req)
			return
		}
		if escaped != full {
			ctx := req.Context()
			if within != "" {
				ctx = context.WithValue(ctx, contextKey{}, within)
			}
			req = req.Clone(ctx)
			req.URL.Path, req.URL.RawPath = decoded, escaped
		}
		next.ServeHTTP(w, req)
	})
}
