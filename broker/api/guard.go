package api

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tarn-io/tarn/broker/acl"
	"github.com/tarn-io/tarn/broker/wire"
)

// Access rules are applied here, around handlers and not in them: a guard knows
// what Kafka wants for its key, takes out of the request what is not allowed,
// and puts the refusals into the answer. A key that is served and has no guard
// is refused while rules are in force, and fails TestAccess. Three handlers ask
// for themselves: Fetch, whose sessions remember what requests named,
// SaslHandshake with SaslAuthenticate, which come before anybody is known, and
// those of delegation tokens, which are their owners' whatever the rules are.
//
//	guard_records.go   Produce, Fetch, offsets, deletion
//	guard_topics.go    Metadata, topics, partitions
//	guard_groups.go    classic and KIP-848 groups; guard_share.go, guard_streams.go share and streams groups
//	guard_offsets.go   committed offsets
//	guard_txn.go       producers' ids and transactions
//	guard_cluster.go   configs, rules, users, quotas, all that is the cluster's

// asker is who sent a request, before the rules; nil may do everything.
type asker struct {
	rules           *acl.Rules
	lg              *slog.Logger
	principal, host string
	key             int16
}

// asker is nil unless rules are in force.
func (h *Handlers) asker(r *Request) *asker {
	if h.cfg.Rules == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(r.Conn.Remote)
	if err != nil {
		host = r.Conn.Remote
	}
	return &asker{h.cfg.Rules, h.cfg.Audit, r.Conn.Auth.Principal().String(), host, r.Body.Key()}
}

// could reports whether something is allowed: for lists, which leave out the
// rest without a word.
func (a *asker) could(op acl.Operation, res acl.Resource, name string) bool {
	return a == nil || a.rules.Allowed(a.principal, a.host, op, res, name)
}

// may is could for what was asked for by name: a refusal is written down.
func (a *asker) may(op acl.Operation, res acl.Resource, name string) bool {
	if a.could(op, res, name) {
		return true
	}
	a.lg.Warn("access refused", "principal", a.principal, "host", a.host, "operation", op.String(),
		"resource", res.String(), "name", name, "key", a.key)
	return false
}

// mayCluster is may on the cluster.
func (a *asker) mayCluster(op acl.Operation) bool { return a.may(op, acl.Cluster, acl.ClusterName) }

func (a *asker) couldCluster(op acl.Operation) bool { return a.could(op, acl.Cluster, acl.ClusterName) }

// operations are the bits of what is allowed on a resource.
func (a *asker) operations(res acl.Resource, name string, all int32) int32 {
	var out int32
	for op := acl.Read; op <= acl.DescribeTokens; op++ {
		if bit := int32(1) << op; all&bit != 0 && a.could(op, res, name) {
			out |= bit
		}
	}
	return out
}

// guard judges a request. It may take elements out of it, and returns what
// completes the answer, or nil; with refused, the answer is refusal and the
// handler is not called.
type guard func(h *Handlers, a *asker, body kmsg.Request) (refusal kmsg.Response, after func(kmsg.Response))

// rule types a guard. f fills r only if it refuses.
func rule[Q kmsg.Request, R kmsg.Response](f func(h *Handlers, a *asker, q Q, r R) (refused bool, after func(R))) guard {
	return func(h *Handlers, a *asker, body kmsg.Request) (kmsg.Response, func(kmsg.Response)) {
		refusal := body.ResponseKind().(R)
		refused, after := f(h, a, body.(Q), refusal)
		if refused {
			return refusal, nil
		}
		if after == nil {
			return nil, nil
		}
		return nil, func(resp kmsg.Response) { after(resp.(R)) }
	}
}

// free is the guard of keys that everybody may use.
func free(*Handlers, *asker, kmsg.Request) (kmsg.Response, func(kmsg.Response)) { return nil, nil }

func guards() map[int16]guard {
	all := map[int16]guard{
		wire.KeyApiVersions: free, 17: free, 36: free, // before anybody is known
		38: free, 39: free, 40: free, 41: free, // delegation tokens: their handlers ask
		71: free, 72: free, // in Kafka, too
	}
	for _, part := range []map[int16]guard{
		recordGuards(), topicGuards(), groupGuards(), offsetGuards(), shareGuards(), streamsGuards(), txnGuards(), configGuards(), clusterGuards(),
	} {
		for key, g := range part {
			all[key] = g
		}
	}
	return all
}

// errNoAccess closes a connection that can be told in no other way.
var errNoAccess = errors.New("access refused")

// guarded puts the rules around a handler.
func (h *Handlers) guarded(f handler) handler {
	return func(ctx context.Context, r *Request) (Reply, error) {
		g, ok := h.guards[r.Body.Key()]
		if !ok {
			return nil, errNoAccess // a test does not let it come to this
		}
		silent := false
		if p, ok := r.Body.(*kmsg.ProduceRequest); ok {
			silent = p.Acks == 0
		}
		refusal, after := g(h, r.who, r.Body)
		if refusal != nil && silent {
			return last(nil, errNoAccess)
		}
		if refusal != nil {
			return now(refusal)
		}
		reply, err := f(ctx, r)
		if err != nil || after == nil {
			return reply, err
		}
		return func(ctx context.Context) (kmsg.Response, error) {
			resp, err := reply(ctx)
			switch {
			case resp != nil:
				after(resp)
			case err == nil && silent:
				err = errNoAccess
			}
			return resp, err
		}, nil
	}
}

// keep leaves in list what ok lets pass, and returns the rest.
func keep[T any](list *[]T, ok func(*T) bool) (denied []T) {
	kept := (*list)[:0:0]
	if *list != nil {
		kept = []T{}
	}
	for i := range *list {
		if e := &(*list)[i]; ok(e) {
			kept = append(kept, *e)
		} else {
			denied = append(denied, *e)
		}
	}
	if len(denied) > 0 {
		*list = kept
	}
	return denied
}

// nameOf gives a topic's name. One that is named by an id that nobody has has
// none: there is nothing to protect.
func (h *Handlers) nameOf(name string, id [16]byte, byID bool) (string, bool) {
	if !byID {
		return name, true
	}
	t, err := h.lookup("", id, true)
	if err != nil {
		return "", false
	}
	return t.Name, true
}

// mayTopic judges a topic named by name or id.
func (h *Handlers) mayTopic(a *asker, op acl.Operation, name string, id [16]byte, byID bool) bool {
	name, known := h.nameOf(name, id, byID)
	return !known || a.may(op, acl.Topic, name)
}

// Codes of refusals.
const (
	noTopic   = int16(wire.TopicAuthorizationFailed)
	noGroup   = int16(wire.GroupAuthorizationFailed)
	noCluster = int16(wire.ClusterAuthorizationFailed)
	noTxn     = int16(wire.TransactionalIDAuthorizationFailed)
)

// refusalText is what a client may read of a refusal: Kafka's words.
func refusalText(code int16) *string {
	text := map[int16]string{
		noTopic: "Topic authorization failed.", noGroup: "Group authorization failed.",
		noCluster: "Cluster authorization failed.", noTxn: "The transactional id authorization failed.",
	}[code]
	return &text
}
