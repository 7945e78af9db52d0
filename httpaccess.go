package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/registry/rest"
)

// allowed judges a request over HTTP by the same rules as Kafka's. Without rules
// everybody may do everything; whoever nobody asked is User:ANONYMOUS.
func (n *node) allowed(r *http.Request, op acl.Operation, res acl.Resource, name string, quiet bool) bool {
	if n.who.rules == nil {
		return true
	}
	who, host := principalOf(r).String(), hostOf(r)
	if n.who.rules.Allowed(who, host, op, res, name) {
		return true
	}
	if !quiet {
		n.lg.Warn("access refused", "component", "audit", "principal", who, "host", host, "operation", op.String(),
			"resource", res.String(), "name", name, "path", r.URL.Path)
	}
	return false
}

// subjectRules lends the rules to the registry, or nil. The registry as a whole
// is the cluster's; what is left out of lists is not written down.
func (n *node) subjectRules() rest.Allow {
	if n.who.rules == nil {
		return nil
	}
	return func(r *http.Request, op rest.Operation, subject string) bool {
		var on acl.Operation
		if err := on.UnmarshalText([]byte(op)); err != nil {
			return false
		}
		if subject == "" {
			return n.allowed(r, on, acl.Cluster, acl.ClusterName, false)
		}
		return n.allowed(r, on, acl.Subject, subject, op == rest.Describe)
	}
}

// authorize judges everything that mux serves by its path: a topic's pages want
// Describe or Alter on it, all else Describe or Alter on the cluster. The pages of
// schemas ask for themselves, by subject, SQL does by the topics that it reads, and
// those of consolePages by what they show. The registry, at the root, asks for itself. Probes of health are free.
func (n *node) authorize(mux *http.ServeMux) http.Handler {
	if n.who.rules == nil {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); judgesItself(pattern) || healthProbe(r) || consolePage(r) || r.URL.Path == tokenRoute || strings.HasPrefix(r.URL.Path, schemaPages) {
			mux.ServeHTTP(w, r)
			return
		}
		op := acl.Alter
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.URL.Path == "/api/acls/list" {
			op = acl.Describe
		}
		res, name := acl.Cluster, acl.ClusterName
		words := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
		if len(words) >= 3 && words[0] == "api" && (words[1] == "tables" || words[1] == "topics") {
			res, name = acl.Topic, words[2]
		}
		if len(words) == 4 && (words[3] == "infer" || words[3] == "rejections") {
			op = acl.Read // they show what is in records
		}
		if !n.allowed(r, op, res, name, false) {
			refuse(w, r, http.StatusForbidden, 40301, "not allowed: "+n.lacking(r, right{op, res, name}))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// schemaPages are below this path; each names its subjects in a parameter, and asks
// readable about them.
const schemaPages = "/api/schemas/"

// readable asks whether a request may read subjects; if not, it is answered.
func (n *node) readable(w http.ResponseWriter, r *http.Request, subjects ...string) bool {
	for _, s := range subjects {
		if !n.allowed(r, acl.Read, acl.Subject, s, false) {
			n.notAllowed(w, r, right{acl.Read, acl.Subject, s})
			return false
		}
	}
	return true
}

// maxRulesBytes bounds a request that changes rules.
const maxRulesBytes = 4 << 20

// aclAPI serves what tarn acl asks for.
func (n *node) aclAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/acls", func(w http.ResponseWriter, r *http.Request) {
		var bs []acl.Binding
		if n.readChecked(w, r, &bs) { // all of them are made, or none
			if err := errors.Join(n.who.rules.Create(r.Context(), bs)...); err != nil {
				refuseRules(w, err)
				return
			}
			answer(w, http.StatusOK, bs)
		}
	})
	mux.HandleFunc("POST /api/acls/check", func(w http.ResponseWriter, r *http.Request) {
		bs := []acl.Binding{}
		if n.readChecked(w, r, &bs) {
			answer(w, http.StatusOK, bs)
		}
	})
	// A filter is too much for a query, so both of these are POST.
	mux.HandleFunc("POST /api/acls/list", func(w http.ResponseWriter, r *http.Request) {
		var f acl.Filter
		if n.readRules(w, r, &f) {
			answer(w, http.StatusOK, n.who.rules.List(f))
		}
	})
	mux.HandleFunc("POST /api/acls/delete", func(w http.ResponseWriter, r *http.Request) {
		var f acl.Filter
		if n.readRules(w, r, &f) {
			gone, err := n.who.rules.Delete(r.Context(), []acl.Filter{f})
			if err != nil {
				refuseRules(w, err)
				return
			}
			if gone[0] == nil {
				gone[0] = []acl.Binding{}
			}
			answer(w, http.StatusOK, gone[0])
		}
	})
	return mux
}

// readChecked reads rules that are to be made, each of which could be; false means that
// the request has been answered.
func (n *node) readChecked(w http.ResponseWriter, r *http.Request, into *[]acl.Binding) bool {
	if !n.readRules(w, r, into) {
		return false
	}
	for _, b := range *into {
		if err := b.Check(); err != nil {
			refuseRules(w, err)
			return false
		}
	}
	return true
}

// readRules reads a request's body; false means that it has been answered.
func (n *node) readRules(w http.ResponseWriter, r *http.Request, into any) bool {
	if n.who.rules == nil {
		answer(w, http.StatusConflict, apiError{Code: 40901, Message: "no access rules are in force: start the broker with --auth.acl"})
		return false
	}
	return readJSON(w, r, maxRulesBytes, into)
}

func refuseRules(w http.ResponseWriter, err error) {
	if errors.Is(err, acl.ErrInvalid) {
		answer(w, http.StatusUnprocessableEntity, apiError{Code: 42201, Message: err.Error()})
		return
	}
	answer(w, http.StatusInternalServerError, apiError{Code: 50001, Message: err.Error()})
}
