package registry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/broker/storage"
)

// MaxResources bounds the resources with associations: a change copies the map.
const MaxResources = 100_000

// Lifecycle says whom an association belongs to: a Strong one to its resource,
// with a subject that is the resource's own; a Weak one binds a subject that
// lives by itself.
type Lifecycle string

// The lifecycles there are.
const (
	Strong Lifecycle = "STRONG"
	Weak   Lifecycle = "WEAK"
)

// Resource is what has associations: a topic of a Kafka cluster.
type Resource struct {
	Name      string `json:"resourceName"`
	Namespace string `json:"resourceNamespace"` // id of the cluster, or "-"
	ID        string `json:"resourceId"`
	Type      string `json:"resourceType"` // "topic", the only one
}

// Association binds the keys or the values of a resource to a subject.
type Association struct {
	Subject string `json:"subject"`
	GUID    string `json:"guid"`
	Resource
	Type      string    `json:"associationType"` // "key" or "value"
	Lifecycle Lifecycle `json:"lifecycle"`
	// Frozen associations cannot be changed: all strong ones are frozen, no weak
	// one is.
	Frozen    bool  `json:"frozen"`
	CreatedMs int64 `json:"createTs"`
	UpdatedMs int64 `json:"updateTs"`
}

// resourceItem is the value of a resource's item.
type resourceItem struct {
	Resource
	Associations []Association `json:"associations"` // their Resource is the same
}

// resource is one with associations. It is immutable.
type resource struct {
	resourceItem
	itemVersion int64
}

// bindings are the resources of a world, by id and by name. Immutable.
type bindings struct {
	byID   map[string]*resource
	byName map[string][]*resource
}

// with gives the bindings after items.
func (b *bindings) with(items []storage.Item, prefix string) (*bindings, error) {
	n := &bindings{byID: maps.Clone(b.byID), byName: map[string][]*resource{}}
	if n.byID == nil {
		n.byID = map[string]*resource{}
	}
	for _, it := range items {
		id := strings.TrimPrefix(it.Key, prefix)
		if it.Delete {
			delete(n.byID, id)
			continue
		}
		r := &resource{itemVersion: it.Version}
		if err := decode(it, &r.resourceItem); err != nil {
			return nil, err
		}
		n.byID[id] = r
	}
	for _, id := range slices.Sorted(maps.Keys(n.byID)) {
		r := n.byID[id]
		n.byName[r.Name] = append(n.byName[r.Name], r)
	}
	return n, nil
}

// Filter picks associations. What is empty picks all.
type Filter struct {
	ResourceType string
	Types        []string
	Lifecycle    Lifecycle
}

func (f Filter) takes(a Association) bool {
	return (f.ResourceType == "" || f.ResourceType == a.Resource.Type) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, a.Type)) &&
		(f.Lifecycle == "" || f.Lifecycle == a.Lifecycle)
}

// collect gives the associations of resources that a filter takes, by name and
// type.
func collect(from []*resource, f func(Association) bool) []Association {
	list := []Association{}
	for _, r := range from {
		for _, a := range r.Associations {
			if f(a) {
				list = append(list, a)
			}
		}
	}
	slices.SortFunc(list, func(a, b Association) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name),
			strings.Compare(a.ID, b.ID), strings.Compare(a.Type, b.Type))
	})
	return list
}

// OfSubject lists the associations that bind a subject.
func (r *Registry) OfSubject(subject string, f Filter) []Association {
	return collect(r.world.Load().bindings.all(), func(a Association) bool { return a.Subject == subject && f.takes(a) })
}

// OfResource lists the associations of the resource with an id.
func (r *Registry) OfResource(id string, f Filter) []Association {
	if one := r.world.Load().bindings.byID[id]; one != nil {
		return collect([]*resource{one}, f.takes)
	}
	return []Association{}
}

// OfName lists the associations of the resources with a name: "-" as the name
// lists a whole namespace, "-" as the namespace matches any.
func (r *Registry) OfName(namespace, name string, f Filter) []Association {
	b := r.world.Load().bindings
	from := b.byName[name]
	if name == "-" {
		from = b.all()
	}
	return collect(from, func(a Association) bool {
		return (namespace == "-" || a.Namespace == namespace) && f.takes(a)
	})
}

// SubjectOf is the subject of a topic's keys or values: what part, "key" or
// "value", is bound to, else "<topic>-<part>". Of several namespaces with such
// a topic the first by resource id counts.
func (r *Registry) SubjectOf(topic, part string) string {
	for _, one := range r.world.Load().bindings.byName[topic] {
		if a := one.find(part); a != nil {
			return a.Subject
		}
	}
	return topic + "-" + part
}

func (b *bindings) all() []*resource { return slices.Collect(maps.Values(b.byID)) }

// Binding asks for one association of a resource.
type Binding struct {
	Subject   string    // "" is the resource's own: ":.<namespace>:<name>-<type>"
	Type      string    // "" is "value"
	Lifecycle Lifecycle // "" is Strong for the resource's own subject, else Weak
	Frozen    *bool
	Schema    *Request // registered in the subject
}

// Associate binds a resource as asked for. An association that is there
// already and the same is left alone. update may extend what is there; without
// it one that differs is refused. With dryRun everything is checked and nothing
// done. It returns the resource's associations of the types asked for.
// Refusals: those of Register, and *Refused of the kinds ErrAssociation...
func (r *Registry) Associate(ctx context.Context, to Resource, asked []Binding, update, dryRun bool) ([]Association, error) {
	asked, err := to.complete(asked, dryRun)
	if err != nil {
		return nil, err
	}
	w := r.world.Load()
	for _, b := range asked {
		if err := w.admits(to, b, update); err != nil {
			return nil, err
		}
		if dryRun && b.Schema != nil {
			if err := r.Compatible(b.Subject, *b.Schema, 0); err != nil {
				return nil, err
			}
		}
	}
	if dryRun {
		return []Association{}, nil
	}
	// Schemas come first: an association whose subject has none would mislead.
	for _, b := range asked {
		if b.Schema != nil {
			if _, err := r.Register(ctx, b.Subject, *b.Schema); err != nil {
				return nil, err
			}
		}
	}
	if err := r.bind(ctx, to, asked, update); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(r.OfResource(to.ID, Filter{}), func(a Association) bool {
		return !slices.ContainsFunc(asked, func(b Binding) bool { return b.Type == a.Type })
	}), nil
}

// bind commits the associations themselves.
func (r *Registry) bind(ctx context.Context, to Resource, asked []Binding, update bool) error {
	return r.mutate(ctx, DefaultContext, func(v *view) (storage.Write, error) {
		item := resourceItem{Resource: to}
		var version int64
		if old := v.world.bindings.byID[to.ID]; old != nil {
			item.Associations, version = slices.Clone(old.Associations), old.itemVersion
		} else if len(v.world.bindings.byID) >= MaxResources {
			return storage.Write{}, &Refused{Kind: ErrTooManyAssociations, Detail: fmt.Sprintf("%d resources", MaxResources)}
		}
		w := storage.Write{}
		changed := false
		for _, b := range asked {
			if err := v.world.admits(to, b, update); err != nil {
				return storage.Write{}, err
			}
			if old := item.find(b.Type); old != nil && old.same(b) {
				continue
			}
			now := r.now().UnixMilli()
			item.Associations = append(item.Associations, Association{
				Subject: b.Subject, GUID: uuid.NewString(), Resource: to, Type: b.Type,
				Lifecycle: b.Lifecycle, Frozen: b.Lifecycle == Strong, CreatedMs: now, UpdatedMs: now,
			})
			changed = true
			sub := v.world.subject(b.Subject)
			if sub == nil || sub.latest == nil {
				return storage.Write{}, &Refused{Kind: ErrNoActiveVersion, Subject: b.Subject}
			}
			// The subject may lose its versions at this moment.
			w.Check = append(w.Check, storage.Check{Key: keysOf(sub.context).subject(sub.name), Version: sub.itemVersion})
		}
		if !changed {
			return storage.Write{}, nil
		}
		w.Set = append(w.Set, set(v.keys.association(to.ID), version, item), v.lock())
		return w, nil
	})
}

// lock writes the next id as it is: of two changes at the same time that do so
// one conflicts, whatever else they touch.
func (v *view) lock() storage.Item {
	return set(v.keys.next(), v.nextVersion, nextItem{Next: v.next, Gone: v.gone})
}

// Dissociate removes associations of a resource: those of the types given, or
// all. Frozen ones go only with cascade, which deletes the subjects that belong
// to the resource as well. Refusals: ErrNoAssociation, ErrFrozen.
func (r *Registry) Dissociate(ctx context.Context, id string, f Filter, cascade, dryRun bool) error {
	var own []string
	err := r.mutate(ctx, DefaultContext, func(v *view) (storage.Write, error) {
		old := v.world.bindings.byID[id]
		if old == nil {
			return storage.Write{}, &Refused{Kind: ErrNoAssociation, Detail: id}
		}
		own = nil
		item := old.resourceItem
		item.Associations = nil
		for _, a := range old.Associations {
			switch {
			case !f.takes(a):
				item.Associations = append(item.Associations, a)
			case a.Frozen && !cascade:
				return storage.Write{}, &Refused{Kind: ErrFrozen, Subject: a.Subject, Detail: a.Type}
			case a.Lifecycle == Strong:
				own = append(own, a.Subject)
			}
		}
		if dryRun || len(item.Associations) == len(old.Associations) {
			own = nil
			return storage.Write{}, nil
		}
		it := set(v.keys.association(id), old.itemVersion, item)
		if len(item.Associations) == 0 {
			it = storage.Item{Key: it.Key, Version: old.itemVersion, Delete: true}
		}
		return storage.Write{Set: []storage.Item{it, v.lock()}}, nil
	})
	if err != nil {
		return err
	}
	for _, subject := range own {
		for _, permanent := range []bool{false, true} {
			if s := r.subject(subject); !s.exists(permanent) {
				continue
			}
			if _, err := r.DeleteSubject(ctx, subject, permanent); err != nil {
				return fmt.Errorf("the association is gone, its subject %q is not: %w", subject, err)
			}
		}
	}
	return nil
}

func (i *resourceItem) find(kind string) *Association {
	for n := range i.Associations {
		if i.Associations[n].Type == kind {
			return &i.Associations[n]
		}
	}
	return nil
}
