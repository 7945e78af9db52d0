package main

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/registry/rest"
)

// right is an operation on something.
type right struct {
	op   acl.Operation
	res  acl.Resource
	name string
}

// String is a right in Kafka's words, such as Delete on Topic orders.
func (w right) String() string {
	out := rightWord(w.op.String()) + " on " + rightWord(w.res.String())
	if w.res != acl.Cluster {
		out += " " + w.name
	}
	return out
}

// rightWord is a name of package acl as Kafka spells it: DescribeConfigs.
func rightWord(name string) string {
	parts := strings.Split(name, "-")
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, "")
}

// flag is what chooses a right's resource in tarn acl.
func (w right) flag() string {
	if w.res == acl.Cluster {
		return "--cluster"
	}
	return "--" + w.res.String() + " " + shellWord(w.name)
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+=-]+$`)

// shellWord is a text as one word of a shell.
func shellWord(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// lacking says in one line which right the sender of a request has not got, and the
// command that gives it. It names nothing that the request did not name.
func (n *node) lacking(r *http.Request, w right) string {
	who := principalOf(r)
	if n.who.rules != nil && n.who.rules.Denied(who.String(), hostOf(r), w.op, w.res, w.name) {
		return "a rule denies " + who.Name + " " + w.String() + "; the rules about it: tarn acl list --pattern match " + w.flag()
	}
	return who.Name + " needs " + w.String() + "; who may alter the cluster gives it: tarn acl create --principal " + shellWord(who.Name) +
		" --operation " + w.op.String() + " " + w.flag()
}

// notAllowed answers that a right is missing.
func (n *node) notAllowed(w http.ResponseWriter, r *http.Request, missing right) {
	answer(w, http.StatusForbidden, apiError{Code: 40301, Message: "not allowed: " + n.lacking(r, missing)})
}

// deniedSubject is lacking for the registry: its words of a refusal.
func (n *node) deniedSubject(r *http.Request, op rest.Operation, subject string) string {
	w := right{res: acl.Subject, name: subject}
	if err := w.op.UnmarshalText([]byte(op)); err != nil {
		return ""
	}
	if subject == "" {
		w.res, w.name = acl.Cluster, acl.ClusterName
	}
	return n.lacking(r, w)
}

// hostOf is where a request came from, as rules name it.
func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

type neededKey struct{}

// needing has a request know the rights that its work will be asked for as a Kafka
// client, which is told no more than a code when it is refused.
func needing(r *http.Request, rights ...right) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), neededKey{}, rights))
}

// missing is the first of the rights that a request needs and its sender lacks.
func (n *node) missing(r *http.Request) (right, bool) {
	rights, _ := r.Context().Value(neededKey{}).([]right)
	for _, w := range rights {
		if !n.allowed(r, w.op, w.res, w.name, true) {
			return w, true
		}
	}
	return right{}, false
}

// rightsInfo is what whoever asks may do with something, in Kafka's words; without a
// name, with anything of its kind.
type rightsInfo struct {
	Resource   string   `json:"resource"`
	Name       string   `json:"name,omitempty"`
	Operations []string `json:"operations"`
}

// rights answers anybody about himself, whether or not there is such a thing: the
// console offers what would be done. What is done is judged when it is asked for.
func (n *node) rights(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	res, name := acl.Cluster, q.Get("name")
	if word := q.Get("resource"); word != "" {
		if err := res.UnmarshalText([]byte(word)); err != nil || res == acl.AnyResource {
			answer(w, http.StatusBadRequest, apiError{Code: 40001, Message: "resource=" + word + ": cluster, topic, group, subject or transactional-id"})
			return
		}
	}
	if res == acl.Cluster {
		name = acl.ClusterName
	}
	out := rightsInfo{Resource: res.String(), Name: name, Operations: []string{}}
	for op := acl.Read; op <= acl.IdempotentWrite; op++ {
		if n.could(r, right{op, res, name}) {
			out.Operations = append(out.Operations, rightWord(op.String()))
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	answer(w, http.StatusOK, out)
}

// could is allowed as the handlers of requests have it: who may make or delete topics
// by a right on the cluster needs none on the topic, and a subject's alias stands for
// another one. Without a name it is enough to be allowed somewhere.
func (n *node) could(r *http.Request, w right) bool {
	if w.res == acl.Topic && (w.op == acl.Create || w.op == acl.Delete) && n.allowed(r, w.op, acl.Cluster, acl.ClusterName, true) {
		return true
	}
	if w.name == "" {
		return n.who.rules == nil || n.who.rules.AllowedSomewhere(principalOf(r).String(), hostOf(r), w.op, w.res)
	}
	if w.res == acl.Subject && w.op != acl.DescribeConfigs && w.op != acl.AlterConfigs {
		w.name = n.registry.Alias(w.name)
	}
	return n.allowed(r, w.op, w.res, w.name, true)
}
