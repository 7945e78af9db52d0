package registry

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What may be bound to what. The rules are those of Confluent's registry 8.x.

const topicResource = "topic"

// complete checks a request by itself and fills in what it leaves out.
func (t *Resource) complete(asked []Binding, dryRun bool) ([]Binding, error) {
	bad := func(why string) error { return &Refused{Kind: ErrAssociation, Detail: why} }
	if t.Type == "" {
		t.Type = topicResource
	}
	switch {
	case t.Name == "" || t.Name == "-":
		return nil, bad("resourceName is missing")
	case t.Namespace == "":
		return nil, bad("resourceNamespace is missing")
	case t.ID == "" && !dryRun:
		return nil, bad("resourceId is missing")
	case t.Type != topicResource:
		return nil, bad("resourceType can only be topic")
	case len(t.Name)+len(t.Namespace)+len(t.ID) > MaxSubjectBytes:
		return nil, bad("the names of the resource are too long")
	case !utf8.ValidString(t.Name+t.Namespace+t.ID) || strings.ContainsFunc(t.Name+t.Namespace+t.ID, unicode.IsControl):
		return nil, bad("the names of the resource must be UTF-8 without control characters")
	case len(asked) == 0:
		return nil, bad("associations are missing")
	}
	asked = slices.Clone(asked)
	seen := map[string]bool{}
	for i := range asked {
		if err := t.fill(&asked[i]); err != nil {
			return nil, err
		}
		if seen[asked[i].Type] {
			return nil, bad("associationType " + asked[i].Type + " is there twice")
		}
		seen[asked[i].Type] = true
		if asked[i].Lifecycle != asked[0].Lifecycle {
			return nil, bad("all associations of a resource have one lifecycle")
		}
	}
	return asked, nil
}

// fill completes and checks one binding.
func (t *Resource) fill(b *Binding) error {
	bad := func(why string) error { return &Refused{Kind: ErrAssociation, Subject: b.Subject, Detail: why} }
	if b.Type == "" {
		b.Type = "value"
	}
	if b.Type != "key" && b.Type != "value" {
		return bad("associationType can only be key or value")
	}
	own := Qualify("."+t.Namespace, t.Name+"-"+b.Type)
	b.Lifecycle = Lifecycle(strings.ToUpper(string(b.Lifecycle)))
	switch {
	case b.Lifecycle == "" && (b.Subject == "" || b.Subject == own):
		b.Lifecycle = Strong
	case b.Lifecycle == "":
		b.Lifecycle = Weak
	}
	switch {
	case b.Lifecycle == Strong && b.Subject != "" && b.Subject != own:
		return bad("a STRONG association is with the subject " + own)
	case b.Lifecycle == Strong && b.Frozen != nil && !*b.Frozen:
		return bad("a STRONG association is frozen")
	case b.Lifecycle == Strong:
		b.Subject = own
	case b.Lifecycle != Weak:
		return bad("lifecycle can only be STRONG or WEAK")
	case b.Subject == "":
		return bad("a WEAK association needs a subject")
	case b.Subject == own:
		return bad("a WEAK association cannot be with the subject " + own)
	case b.Frozen != nil && *b.Frozen:
		return bad("a WEAK association cannot be frozen")
	case b.Schema != nil:
		return bad("a WEAK association takes no schema")
	}
	if _, _, err := checkSubject(b.Subject); err != nil {
		return err
	}
	return nil
}

// same reports whether an association is what is asked for.
func (a *Association) same(b Binding) bool {
	return a.Subject == b.Subject && a.Lifecycle == b.Lifecycle
}

// subject finds a subject by its name as seen from outside.
func (w *world) subject(name string) *subject {
	v, within := w.at(name)
	return v.subjects.get(within)
}

// admits refuses a binding that the present state forbids.
func (w *world) admits(to Resource, b Binding, update bool) error {
	refused := func(kind error, detail string) error {
		return &Refused{Kind: kind, Subject: b.Subject, Detail: detail}
	}
	if old := w.bindings.byID[to.ID]; old != nil && to.ID != "" {
		if old.Name != to.Name || old.Namespace != to.Namespace {
			return refused(ErrAssociation, "resource "+to.ID+" is "+old.Namespace+"/"+old.Name)
		}
		if have := old.find(b.Type); have != nil {
			switch {
			case have.same(b):
				return nil
			case !update:
				return refused(ErrAssociationExists, b.Type)
			case have.Frozen:
				return refused(ErrFrozen, b.Type)
			}
			return refused(ErrAssociation, "subject and lifecycle of an association cannot be changed")
		}
		if len(old.Associations) > 0 && old.Associations[0].Lifecycle != b.Lifecycle {
			return refused(ErrAssociation, "all associations of a resource have one lifecycle")
		}
	}
	v, within := w.at(b.Subject)
	s := v.subjects.get(within)
	if err := v.writable(s, b.Subject); err != nil {
		return err
	}
	for _, a := range collect(w.bindings.all(), func(a Association) bool { return a.Subject == b.Subject }) {
		switch {
		case b.Lifecycle == Strong:
			return refused(ErrSubjectAssociated, a.Name)
		case a.Lifecycle == Strong:
			return refused(ErrSubjectOwned, a.Name)
		}
	}
	if b.Lifecycle == Strong {
		return v.ownable(s, b, update)
	}
	if s == nil || s.latest == nil {
		return refused(ErrNoActiveVersion, "")
	}
	return nil
}

// ownable refuses a strong binding of a subject that is not the resource's
// alone: with more schemas than the one that comes along, or referred to.
func (v *view) ownable(s *subject, b Binding, update bool) error {
	refused := func(kind error, detail string) error {
		return &Refused{Kind: kind, Subject: b.Subject, Detail: detail}
	}
	if update && !v.mode(s).importing() {
		return refused(ErrAssociation, "a STRONG association is made when its resource is")
	}
	if b.Schema == nil && latestOf(s) == nil {
		return refused(ErrNoActiveVersion, "")
	}
	if s == nil {
		return nil
	}
	if len(s.versions) > 1 || len(s.versions) == 1 && s.versions[0].Version != 1 {
		return refused(ErrAssociation, "the subject has versions of its own")
	}
	for i := range s.versions {
		if number := s.versions[i].Version; len(v.referrers(s, number, true)) > 0 {
			return refuseVersion(ErrReferenced, b.Subject, number)
		}
	}
	return nil
}
