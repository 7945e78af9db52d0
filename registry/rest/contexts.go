package rest

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// listContexts answers the default context, which is the only one.
func (a *api) listContexts(req *http.Request) (any, error) {
	return page(req, []string{"."}, 0)
}

// plain gives handlers the path they know: without a slash at its end, and
// without /contexts/:.:, the default context. A path that is not clean is
// nobody's; the mux would redirect it, and a subject cannot be empty or a dot.
func (a *api) plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		full := req.URL.EscapedPath()
		escaped := full
		if rest, ok := strings.CutPrefix(full, "/contexts/"); ok {
			name, rest, deeper := strings.Cut(rest, "/")
			if word, err := url.PathUnescape(name); deeper && err == nil && word == defaultContext {
				escaped = "/" + rest
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
			req = req.Clone(req.Context())
			req.URL.Path, req.URL.RawPath = decoded, escaped
		}
		next.ServeHTTP(w, req)
	})
}
