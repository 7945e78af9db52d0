package registry

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tarn-io/tarn/broker/storage"
)

// Names of contexts. A context is a registry within the registry: it has
// subjects, ids, settings and a mode of its own. A subject of a context other
// than the default is named ":.context:subject", the context as a whole, for
// settings and modes, ":.context:".
const (
	// DefaultContext holds the subjects that name no context.
	DefaultContext = "."
	// GlobalContext holds no subjects; its settings and its mode count where
	// neither a subject nor its context has any.
	GlobalContext = ".__GLOBAL"
	// AnyContext as the prefix of a list stands for all contexts.
	AnyContext = ":*:"
)

// Qualify names a subject of a context as it is named from outside.
func Qualify(context, subject string) string {
	if context == DefaultContext {
		return subject
	}
	return ":" + context + ":" + subject
}

// Split takes a subject's name apart: its context, DefaultContext if it names
// none, and the name within.
func Split(name string) (context, subject string) {
	if !strings.HasPrefix(name, ":.") {
		return DefaultContext, name
	}
	context, subject, ok := strings.Cut(name[1:], ":")
	if !ok {
		return DefaultContext, name
	}
	return context, subject
}

// world is the state of all contexts at one moment. It is immutable: apply
// makes the next one and shares what did not change.
type world struct {
	changed  chan struct{} // closed when a newer world took this one's place
	views    map[string]*view
	bindings *bindings
	compared *atomic.Int64 // schemas parsed to be compared with, see maxCompared
}

func newWorld() *world {
	w := &world{changed: make(chan struct{}), views: map[string]*view{}, bindings: &bindings{}, compared: new(atomic.Int64)}
	w.views[DefaultContext] = newView(w, DefaultContext)
	return w
}

// apply is the world after items, as the store has them now. Start-up, changes
// and reloads all come through here. w is not touched.
func (w *world) apply(items []storage.Item) (*world, error) {
	byContext := map[string][]storage.Item{}
	var bound []storage.Item
	for _, it := range items {
		context, rest, err := splitKey(it.Key)
		if err != nil {
			return nil, err
		}
		if context == DefaultContext && strings.HasPrefix(rest, prefixAssociation) {
			bound = append(bound, it)
		} else {
			byContext[context] = append(byContext[context], it)
		}
	}
	n := &world{changed: make(chan struct{}), views: make(map[string]*view, len(w.views)), bindings: w.bindings, compared: w.compared}
	if len(bound) > 0 {
		var err error
		if n.bindings, err = w.bindings.with(bound, string(keysOf(DefaultContext))+prefixAssociation); err != nil {
			return nil, err
		}
	}
	// Every view knows the other contexts as they are now: references reach them.
	for context, v := range w.views {
		same := *v
		same.world = n
		n.views[context] = &same
	}
	for context, items := range byContext {
		v, err := n.view(context).apply(items)
		if err != nil {
			return nil, err
		}
		n.views[context] = v
	}
	return n, nil
}

// view gives a context's view, an empty one if there is nothing of it.
func (w *world) view(context string) *view {
	if v := w.views[context]; v != nil {
		return v
	}
	return newView(w, context)
}

// at finds the view of a subject's context, and the subject's name within.
func (w *world) at(name string) (v *view, within string) {
	context, within := Split(name)
	return w.view(context), within
}

// home is the default context.
func (w *world) home() *view { return w.views[DefaultContext] }

// names lists the contexts, in order.
func (w *world) names() []string {
	var list []string
	for context, v := range w.views {
		if context == DefaultContext || !v.gone && v.nextVersion > 0 {
			list = append(list, context)
		}
	}
	slices.Sort(list)
	return list
}

// under lists the contexts and the start of their subjects' names that a prefix
// of subjects asks for, in order.
func (w *world) under(prefix string) (views []*view, start string) {
	if rest, ok := strings.CutPrefix(prefix, AnyContext); ok {
		for _, context := range slices.Sorted(maps.Keys(w.views)) {
			views = append(views, w.views[context])
		}
		return views, rest
	}
	v, start := w.at(prefix)
	return []*view{v}, start
}

// find gives what a reference or a request means by a subject, seen from v's
// context: names without a context stay in it. nil if there is none.
func (v *view) find(name string) *subject {
	if strings.HasPrefix(name, ":.") {
		context, within := Split(name)
		return v.world.view(context).subjects.get(within)
	}
	return v.subjects.get(name)
}

// full is the subject's name as seen from outside.
func (s *subject) full() string { return Qualify(s.context, s.name) }

// Contexts lists the contexts that have had a schema and are not deleted, the
// default one always, by their names' start.
func (r *Registry) Contexts(prefix string) []string {
	return slices.DeleteFunc(r.world.Load().names(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
}

// DeleteContext deletes a context that holds no subjects any more, with its
// settings. Its ids are not given out again. Refusals are ErrContextNotEmpty
// and ErrBadContext, the latter for the default context too.
func (r *Registry) DeleteContext(ctx context.Context, name string) error {
	if name == DefaultContext || name == GlobalContext {
		return &Refused{Kind: ErrBadContext, Detail: name}
	}
	if err := checkContext(name); err != nil {
		return err
	}
	return r.mutate(ctx, name, func(v *view) (storage.Write, error) {
		for _, s := range v.subjects.all() {
			if len(s.versions) > 0 {
				return storage.Write{}, &Refused{Kind: ErrContextNotEmpty, Detail: name}
			}
		}
		if v.nextVersion == 0 || v.gone {
			return storage.Write{}, nil
		}
		w := storage.Write{Set: []storage.Item{set(v.keys.next(), v.nextVersion, nextItem{Next: v.next, Gone: true})}}
		if v.settingsVersion > 0 {
			w.Set = append(w.Set, storage.Item{Key: v.keys.settings(), Version: v.settingsVersion, Delete: true})
		}
		for _, s := range v.subjects.all() {
			w.Set = append(w.Set, storage.Item{Key: v.keys.subject(s.name), Version: s.itemVersion, Delete: true})
		}
		return w, nil
	})
}
