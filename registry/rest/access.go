package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/registry"
)

// Operation is what a request does to a subject.
type Operation string

// Operations. Reading implies describing.
const (
	Read            Operation = "read"
	Write           Operation = "write"
	Delete          Operation = "delete"
	Describe        Operation = "describe"
	DescribeConfigs Operation = "describe-configs"
	AlterConfigs    Operation = "alter-configs"
	Alter           Operation = "alter"
)

// Allow says whether whoever sent a request may do op to a subject; "" stands
// for the registry as a whole. It is called concurrently.
type Allow func(req *http.Request, op Operation, subject string) bool

// Routes that everybody may use who got this far, and those whose answers leave
// out subjects that may not be described.
func openRoutes() []string {
	return []string{
		"GET /{$}", "POST /{$}", "GET /schemas/types", "GET /v1/metadata/id", "GET /v1/metadata/version", "GET /v1/metadata/deployment",
		"GET /subjects", "GET /schemas", "GET /schemas/ids/{id}/subjects", "GET /schemas/ids/{id}/versions",
	}
}

// operation is what a route with this pattern does. A new route that is not
// thought of here is one that alters.
func operation(pattern string) Operation {
	method, path, _ := strings.Cut(pattern, " ")
	settings := strings.HasPrefix(path, "/config") || strings.HasPrefix(path, "/mode")
	switch {
	case settings && method == http.MethodGet:
		return DescribeConfigs
	case settings:
		return AlterConfigs
	case method == http.MethodGet, strings.HasPrefix(path, "/compatibility"), path == "/subjects/{subject}" && method == http.MethodPost:
		return Read
	case !strings.HasPrefix(path, "/subjects/") && !strings.Contains(path, "/deks/{subject}"):
		return Alter
	case method == http.MethodDelete:
		return Delete
	}
	return Write
}

// guarded puts the question what a client may do before a route's handler.
func (a *api) guarded(rt route) handle {
	if a.opts.Allow == nil || slices.Contains(openRoutes(), rt.pattern) {
		return rt.handle
	}
	op := operation(rt.pattern)
	return func(req *http.Request) (any, error) {
		name := ""
		switch {
		case strings.HasPrefix(rt.pattern, "GET /schemas/"):
			return a.readable(rt, req)
		case req.PathValue("subject") == "":
		case op == DescribeConfigs || op == AlterConfigs:
			name = subject(req) // of itself, not of what it is an alias of
		case strings.Contains(rt.pattern, "/deks/"):
			name = a.reg.AliasForDEKs(subject(req))
		default:
			name = a.target(req)
		}
		if !a.opts.Allow(req, op, name) {
			if name != "" && name != subject(req) {
				return nil, forbidden("") // the subject that an alias stands for was not named
			}
			return nil, forbidden(a.refusal(req, op, name))
		}
		return rt.handle(req)
	}
}

// forbidden is Confluent's refusal, and more words if there are.
func forbidden(more string) error {
	return &problem{http.StatusForbidden, 40301, strings.TrimSpace("User is denied operation on this server. " + more)}
}

func (a *api) refusal(req *http.Request, op Operation, subject string) string {
	if a.opts.Refusal == nil {
		return ""
	}
	return a.opts.Refusal(req, op, subject)
}

// readable answers about a schema to those who may read a subject that has it.
func (a *api) readable(rt route, req *http.Request) (any, error) {
	var list []registry.Version
	var err error
	if guid := req.PathValue("guid"); guid != "" {
		var same []registry.Version
		if same, err = a.reg.ByGUID(guid); err != nil {
			return nil, err
		}
		for _, v := range same {
			uses, err := a.reg.Uses(v.ID, registry.Qualify(v.Context, ""), registry.All)
			if err != nil {
				return nil, err
			}
			list = append(list, uses...)
		}
	} else {
		n, err := id(req)
		if err != nil {
			return nil, err
		}
		if list, err = a.reg.Uses(n, about(req), registry.All); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(list, func(v registry.Version) bool { return a.opts.Allow(req, Read, v.Subject) }) {
		return nil, forbidden("") // its subjects were not named
	}
	return rt.handle(req)
}

// visible leaves out what may not be described.
func visible[T any](a *api, req *http.Request, list []T, subject func(T) string) []T {
	if a.opts.Allow == nil {
		return list
	}
	out := []T{}
	for _, one := range list {
		if a.opts.Allow(req, Describe, subject(one)) {
			out = append(out, one)
		}
	}
	return out
}
