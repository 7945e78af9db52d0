package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
)

// view is the state of one context at one moment. It is immutable, like the
// world it belongs to.
type view struct {
	world   *world
	context string
	keys    keys

	next     int  // id of the next new schema
	twins    bool // one schema has, or had, several ids: imported
	gone     bool // the context is deleted: next is all that is left of it
	settings settingsItem
	subjects map[string]*subject
	ids      map[int]*entry
	same     map[identity]*entry // by what makes two schemas the same
	guids    map[[16]byte]*entry

	nextVersion, settingsVersion int64 // of their items
}

// identity is what two registrations of the same schema have in common.
type identity struct {
	language schema.Type
	guid     [16]byte
}

// subject is a subject's state. It is immutable.
type subject struct {
	name        string // within its context
	context     string
	itemVersion int64
	item        subjectItem
	versions    []version   // ascending by number
	latest      *version    // newest that is not deleted, nil if there is none
	held        map[int]int // id → newest number with it that is not deleted
}

// version is one version of a subject.
type version struct {
	versionItem
	*entry
}

func newView(w *world, context string) *view {
	return &view{
		world: w, context: context, keys: keysOf(context), next: 1,
		subjects: map[string]*subject{}, ids: map[int]*entry{},
		same: map[identity]*entry{}, guids: map[[16]byte]*entry{},
	}
}

// apply is the view after items of its context, as the store has them now:
// Delete says that one is gone. v is not touched. Schemas go before subjects,
// whose versions point to them.
func (v *view) apply(items []storage.Item) (*view, error) {
	n := *v
	n.subjects = maps.Clone(v.subjects)
	isSchema := func(it storage.Item) bool { return strings.HasPrefix(it.Key, string(v.keys)+prefixSchema) }
	if slices.ContainsFunc(items, isSchema) {
		n.ids, n.same, n.guids = maps.Clone(v.ids), maps.Clone(v.same), maps.Clone(v.guids)
	}
	for _, it := range items {
		if isSchema(it) {
			if err := n.applySchema(it); err != nil {
				return nil, err
			}
		}
	}
	for _, it := range items {
		if err := n.applyOther(it); err != nil {
			return nil, err
		}
	}
	return &n, nil
}

func (v *view) applySchema(it storage.Item) error {
	id, err := v.keys.idOf(it.Key)
	if err != nil {
		return err
	}
	if it.Delete {
		if e := v.ids[id]; e != nil {
			delete(v.ids, id)
			v.forget(e)
		}
		return nil
	}
	e := &entry{id: id, context: v.context, itemVersion: it.Version}
	if err := decode(it, &e.item); err != nil {
		return err
	}
	e.guid = e.item.guid()
	e.guidText = guidString(e.guid)
	v.ids[id] = e
	// The oldest id speaks for its GUID; another language may have the same one,
	// and in import mode another id.
	if old := v.guids[e.guid]; old == nil || old.id >= id {
		v.guids[e.guid] = e
	}
	old := v.same[e.identity()]
	v.twins = v.twins || old != nil && old.id != id
	if old == nil || old.id >= id {
		v.same[e.identity()] = e
	}
	return nil
}

// forget removes e from the indexes, leaving GUIDs to another entry that has
// the same one.
func (v *view) forget(e *entry) {
	if v.same[e.identity()] == e {
		delete(v.same, e.identity())
		if v.twins {
			v.succeed(e)
		}
	}
	if v.guids[e.guid] != e {
		return
	}
	delete(v.guids, e.guid)
	for _, language := range []schema.Type{schema.Avro, schema.JSON, schema.Protobuf} {
		if other := v.same[identity{language, e.guid}]; other != nil {
			v.guids[e.guid] = other
		}
	}
}

// succeed lets the oldest id left speak for the schema of e.
func (v *view) succeed(e *entry) {
	for _, other := range v.ids {
		if old := v.same[e.identity()]; other.identity() == e.identity() && (old == nil || other.id < old.id) {
			v.same[e.identity()] = other
		}
	}
}

func (v *view) applyOther(it storage.Item) error {
	name, isSubject := strings.CutPrefix(it.Key, string(v.keys)+prefixSubject)
	switch {
	case isSubject && it.Delete:
		delete(v.subjects, name)
	case isSubject:
		s, err := v.subject(name, it)
		if err != nil {
			return err
		}
		v.subjects[name] = s
	case it.Key == v.keys.next() && !it.Delete:
		var next nextItem
		if err := decode(it, &next); err != nil {
			return err
		}
		v.next, v.gone, v.nextVersion = next.Next, next.Gone, it.Version
	case it.Key == v.keys.settings():
		v.settings, v.settingsVersion = settingsItem{}, it.Version
		if !it.Delete {
			return decode(it, &v.settings)
		}
	}
	return nil
}

// subject builds a subject from its item.
func (v *view) subject(name string, it storage.Item) (*subject, error) {
	s := &subject{name: name, context: v.context, itemVersion: it.Version, held: map[int]int{}}
	if err := decode(it, &s.item); err != nil {
		return nil, err
	}
	s.versions = make([]version, len(s.item.Versions))
	for i, vi := range s.item.Versions {
		e := v.ids[vi.ID]
		if e == nil {
			return nil, broken(it.Key, fmt.Sprintf("version %d has id %d, which is not stored", vi.Version, vi.ID))
		}
		s.versions[i] = version{vi, e}
		if !vi.Deleted {
			s.latest = &s.versions[i]
			s.held[vi.ID] = vi.Version
		}
	}
	return s, nil
}

// find gives a subject's version by number, -1 the latest, deleted ones only if
// asked for; nil if there is none.
func (s *subject) find(number int, deleted bool) *version {
	if s == nil {
		return nil
	}
	for i := len(s.versions) - 1; i >= 0; i-- {
		ver := &s.versions[i]
		if (number == Latest || ver.Version == number) && (deleted || !ver.Deleted) {
			return ver
		}
	}
	return nil
}

// exists reports whether the subject has versions, deleted ones if asked for.
func (s *subject) exists(deleted bool) bool {
	return s != nil && (s.latest != nil || deleted && len(s.versions) > 0)
}

// nextNumber is the version number that comes next.
func (s *subject) nextNumber() int {
	if s == nil || len(s.versions) == 0 {
		return 1
	}
	return s.versions[len(s.versions)-1].Version + 1
}

// public gives a version as callers see it.
func (s *subject) public(ver *version) Version {
	p := ver.entry.public()
	p.Subject, p.Version, p.Deleted, p.CreatedMs = s.full(), ver.Version, ver.Deleted, ver.CreatedMs
	return p
}
