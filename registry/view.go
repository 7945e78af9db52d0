package registry

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

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
	twins    bool // one schema has, or had, several ids
	gone     bool // the context is deleted: next is all that is left of it
	settings settingsItem
	subjects *pmap[string, *subject]
	ids      *pmap[int, *entry]
	same     *pmap[identity, *entry] // by what makes two schemas the same
	refers   *pmap[int, *entry]      // the ids that refer to others

	nextVersion, settingsVersion int64 // of their items
}

// identity is what two registrations of the same schema have in common.
type identity struct {
	guid     [16]byte
	language byte
}

// languages are those that schemas of a GUID may have, with their sign in an
// identity.
var languages = [...]struct {
	language schema.Type
	sign     byte
}{{schema.Avro, 'a'}, {schema.JSON, 'j'}, {schema.Protobuf, 'p'}}

// signAlike is the sign of what schemas of one form have in common.
const signAlike = '='

func identityOf(guid [16]byte, language schema.Type) identity {
	for _, l := range languages {
		if l.language == language {
			return identity{guid, l.sign}
		}
	}
	return identity{guid, 0}
}

// byGUID is the schema of a GUID, nil if there is none. The oldest id speaks for
// it: another language may have the same one, and in import mode another id.
func (v *view) byGUID(guid [16]byte) (oldest *entry) {
	for _, l := range languages {
		if e := v.same.get(identity{guid, l.sign}); e != nil && (oldest == nil || e.id < oldest.id) {
			oldest = e
		}
	}
	return oldest
}

// subject is a subject's state. It is immutable.
type subject struct {
	name        string // within its context
	context     string
	itemVersion int64
	item        subjectItem
	versions    []version   // ascending by number
	latest      *version    // newest that is not deleted, nil if there is none
	held        map[int]int // id → newest number with it that is not deleted; nil if versions are few
}

// version is one version of a subject.
type version struct {
	versionItem
	*entry
}

func newView(w *world, context string) *view {
	return &view{
		world: w, context: context, keys: keysOf(context), next: 1,
		subjects: newPmap[string, *subject](), ids: newPmap[int, *entry](),
		same: newPmap[identity, *entry](), refers: newPmap[int, *entry](),
	}
}

// apply is the view after items of its context, as the store has them now:
// Delete says that one is gone. v is not touched. Schemas go before subjects,
// whose versions point to them.
func (v *view) apply(items []storage.Item) (*view, error) {
	n := *v
	var schemas, subjects, others []storage.Item
	for _, it := range items {
		switch rest := it.Key[len(v.keys):]; {
		case strings.HasPrefix(rest, prefixSchema):
			schemas = append(schemas, it)
		case strings.HasPrefix(rest, prefixSubject):
			subjects = append(subjects, it)
		default:
			others = append(others, it)
		}
	}
	if err := n.applySchemas(schemas); err != nil {
		return nil, err
	}
	if err := n.applySubjects(subjects); err != nil {
		return nil, err
	}
	for _, it := range others {
		if err := n.applyOther(it); err != nil {
			return nil, err
		}
	}
	return &n, nil
}

// manyItems is from how many items on reading them is shared out among the
// processors: at start-up.
const manyItems = 1000

// each calls do for the numbers below n, in parallel if they are many.
func each(n int, do func(i int) error) error {
	if n < manyItems {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	var g errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				if err := do(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (v *view) applySchemas(items []storage.Item) error {
	if len(items) == 0 {
		return nil
	}
	v.ids, v.same, v.refers = v.ids.clone(), v.same.clone(), v.refers.clone()
	entries, err := readSchemas(v.keys, v.context, items)
	if err != nil {
		return err
	}
	for i := range entries {
		switch e := &entries[i]; {
		case !items[i].Delete:
			v.ids.set(e.id, e)
			v.remember(e)
		case v.ids.get(e.id) != nil:
			old := v.ids.get(e.id)
			v.ids.delete(e.id)
			v.forget(old)
		}
	}
	return nil
}

// remember takes e into the indexes beside ids.
func (v *view) remember(e *entry) {
	if len(e.item.References) > 0 {
		v.refers.set(e.id, e)
	}
	list, n := e.identities()
	for _, is := range list[:n] {
		old := v.same.get(is)
		v.twins = v.twins || old != nil && old.id != e.id
		if old == nil || old.id >= e.id {
			v.same.set(is, e)
		}
	}
}

// forget removes e from the indexes, leaving its identities to other ids.
func (v *view) forget(e *entry) {
	if len(e.item.References) > 0 {
		v.refers.delete(e.id)
	}
	list, n := e.identities()
	for _, is := range list[:n] {
		if v.same.get(is) == e {
			v.same.delete(is)
			if v.twins {
				v.succeed(is)
			}
		}
	}
}

// succeed lets the oldest id left speak for what it has in common with one that
// is gone.
func (v *view) succeed(is identity) {
	for _, other := range v.ids.all() {
		list, n := other.identities()
		if old := v.same.get(is); slices.Contains(list[:n], is) && (old == nil || other.id < old.id) {
			v.same.set(is, other)
		}
	}
}

func (v *view) applySubjects(items []storage.Item) error {
	if len(items) == 0 {
		return nil
	}
	v.subjects = v.subjects.clone()
	list := make([]*subject, len(items))
	name := func(i int) string { return items[i].Key[len(v.keys)+len(prefixSubject):] }
	err := each(len(items), func(i int) (err error) {
		if !items[i].Delete {
			list[i], err = v.subject(name(i), items[i])
		}
		return err
	})
	if err != nil {
		return err
	}
	for i, s := range list {
		if s == nil {
			v.subjects.delete(name(i))
		} else {
			v.subjects.set(name(i), s)
		}
	}
	return nil
}

func (v *view) applyOther(it storage.Item) error {
	switch {
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
	s := &subject{name: name, context: v.context, itemVersion: it.Version}
	if !readVersions(it.Value, &s.item) {
		if err := decode(it, &s.item); err != nil {
			return nil, err
		}
	}
	if len(s.item.Versions) > fewVersions {
		s.held = make(map[int]int, len(s.item.Versions))
	}
	s.versions = make([]version, len(s.item.Versions))
	for i, vi := range s.item.Versions {
		e := v.ids.get(vi.ID)
		if e == nil {
			return nil, broken(it.Key, fmt.Sprintf("version %d has id %d, which is not stored", vi.Version, vi.ID))
		}
		s.versions[i] = version{vi, e}
		if !vi.Deleted {
			s.latest = &s.versions[i]
			if s.held != nil {
				s.held[vi.ID] = vi.Version
			}
		}
	}
	return s, nil
}

// fewVersions is up to how many versions going over them is as fast as a map.
const fewVersions = 16

// newest is the newest version with an id that is not deleted.
func (s *subject) newest(id int) (number int, ok bool) {
	if s.held != nil {
		number, ok = s.held[id]
		return number, ok
	}
	for i := len(s.versions) - 1; i >= 0; i-- {
		if ver := &s.versions[i]; ver.ID == id && !ver.Deleted {
			return ver.Version, true
		}
	}
	return 0, false
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
