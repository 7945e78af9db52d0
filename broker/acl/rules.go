package acl

import (
	"cmp"
	"slices"
	"strings"
)

// Config says who needs no rules. The zero value denies what no rule allows.
type Config struct {
	// Super are principals who may do everything ("User:admin").
	Super []string
	// EveryoneIfNone allows everything on a resource that no rule is about
	// (allow.everyone.if.no.acl.found).
	EveryoneIfNone bool
}

// index is all bindings, arranged for judging; never written to.
type index struct {
	all   map[string]entry // by item key
	kinds map[Resource]*kind
}

// entry is a binding with the version of its item.
type entry struct {
	Binding
	version int64
}

// kind holds the bindings of one kind of resource by name.
type kind struct {
	literal, prefixed map[string][]Binding
	lengths           []int // of prefixes, each once
}

func newIndex(all map[string]entry) *index {
	x := &index{all: all, kinds: map[Resource]*kind{}}
	for _, e := range all {
		k := x.kinds[e.Resource]
		if k == nil {
			k = &kind{literal: map[string][]Binding{}, prefixed: map[string][]Binding{}}
			x.kinds[e.Resource] = k
		}
		if e.Pattern == Literal {
			k.literal[e.Name] = append(k.literal[e.Name], e.Binding)
			continue
		}
		k.prefixed[e.Name] = append(k.prefixed[e.Name], e.Binding)
		if !slices.Contains(k.lengths, len(e.Name)) {
			k.lengths = append(k.lengths, len(e.Name))
		}
	}
	return x
}

// about calls f with the bindings about a name, in groups.
func (k *kind) about(name string, f func([]Binding)) {
	if k == nil {
		return
	}
	f(k.literal[name])
	if name != Wildcard {
		f(k.literal[Wildcard])
	}
	for _, n := range k.lengths {
		if n <= len(name) {
			f(k.prefixed[name[:n]])
		}
	}
}

// covers reports whether a binding is about this principal, host and operation.
// What may be read, written, deleted or altered may be described; denying that
// does not deny describing.
func (b *Binding) covers(principal, host string, op Operation) bool {
	if b.Principal != principal && !wildPrincipal(b.Principal, principal) || b.Host != host && b.Host != Wildcard {
		return false
	}
	if b.Operation == op || b.Operation == All {
		return true
	}
	if b.Permission != Allow {
		return false
	}
	switch op {
	case Describe:
		return b.Operation == Read || b.Operation == Write || b.Operation == Delete || b.Operation == Alter
	case DescribeConfigs:
		return b.Operation == AlterConfigs
	}
	return false
}

// wildPrincipal reports whether pattern is "Type:*" of the principal's type.
func wildPrincipal(pattern, principal string) bool {
	kind, name, _ := strings.Cut(pattern, ":")
	return name == Wildcard && strings.HasPrefix(principal, kind+":")
}

// Allowed reports whether principal at host may do op on a resource: nothing
// denies it, and something allows it.
func (r *Rules) Allowed(principal, host string, op Operation, res Resource, name string) bool {
	if r.IsSuper(principal) {
		return true
	}
	allowed, denied, found := false, false, false
	r.index.Load().kinds[res].about(name, func(bs []Binding) {
		found = found || len(bs) > 0
		for i := range bs {
			if b := &bs[i]; b.covers(principal, host, op) {
				allowed = allowed || b.Permission == Allow
				denied = denied || b.Permission == Deny
			}
		}
	})
	if !found {
		return r.cfg.EveryoneIfNone
	}
	return allowed && !denied
}

// Denied reports whether a rule denies principal at host an operation on a resource,
// so that none can allow it.
func (r *Rules) Denied(principal, host string, op Operation, res Resource, name string) bool {
	denied := false
	r.index.Load().kinds[res].about(name, func(bs []Binding) {
		for i := range bs {
			denied = denied || bs[i].Permission == Deny && bs[i].covers(principal, host, op)
		}
	})
	return denied
}

// AllowedSomewhere reports whether there is any name of a kind on which
// principal may do op: what a producer needs for its id.
func (r *Rules) AllowedSomewhere(principal, host string, op Operation, res Resource) bool {
	if r.IsSuper(principal) {
		return true
	}
	k := r.index.Load().kinds[res]
	if k == nil {
		return r.cfg.EveryoneIfNone
	}
	var allowed, denied []Binding
	for _, names := range []map[string][]Binding{k.literal, k.prefixed} {
		for _, bs := range names {
			for _, b := range bs {
				switch {
				case !b.covers(principal, host, op):
				case b.Permission == Allow:
					allowed = append(allowed, b)
				default:
					denied = append(denied, b)
				}
			}
		}
	}
	if r.cfg.EveryoneIfNone && !slices.ContainsFunc(denied, func(d Binding) bool { return d.Pattern == Literal && d.Name == Wildcard }) {
		return true
	}
	return slices.ContainsFunc(allowed, func(a Binding) bool {
		return !slices.ContainsFunc(denied, func(d Binding) bool { return dominates(d, a) })
	})
}

// dominates reports whether d denies all names that a allows.
func dominates(d, a Binding) bool {
	if d.Pattern == Literal {
		return d.Name == Wildcard || a.Pattern == Literal && d.Name == a.Name
	}
	return strings.HasPrefix(a.Name, d.Name) && (a.Pattern == Prefixed || a.Name != Wildcard)
}

// IsSuper reports whether principal needs no rules.
func (r *Rules) IsSuper(principal string) bool {
	super := r.super.Load()
	return super != nil && slices.Contains(*super, principal)
}

// Mark is a value that compares unequal after rules or super users changed.
func (r *Rules) Mark() any {
	return struct {
		*index
		super *[]string
	}{r.index.Load(), r.super.Load()}
}

// order puts bindings in the order they are listed in.
func order(a, b Binding) int {
	return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Pattern, b.Pattern),
		cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Operation, b.Operation),
		cmp.Compare(a.Permission, b.Permission))
}
