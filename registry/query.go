package registry

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// Which says which versions a list shows, by whether they are deleted softly.
type Which int

// What lists show.
const (
	Alive       Which = iota // not deleted
	All                      // deleted ones too
	DeletedOnly              // deleted ones alone
)

func (w Which) shows(deleted bool) bool { return w == All || deleted == (w == DeletedOnly) }

// Subjects lists the subjects with a given prefix that have versions to show,
// in order. With DeletedOnly these are the subjects that have nothing else. A
// prefix that begins with AnyContext asks for all contexts, one that begins
// with another context's name for that one, any other for the default context.
func (r *Registry) Subjects(prefix string, which Which) []string {
	names := []string{}
	views, start := r.world.Load().under(prefix)
	for _, v := range views {
		for name, s := range v.subjects.all() {
			if strings.HasPrefix(name, start) && len(s.versions) > 0 && which.shows(s.latest == nil) {
				names = append(names, s.full())
			}
		}
	}
	slices.Sort(names)
	return names
}

// subject finds a subject by its name, nil if there is none.
func (r *Registry) subject(name string) *subject {
	v, within := r.world.Load().at(name)
	return v.subjects.get(within)
}

// Latest is the latest version of subject that is not deleted.
func (r *Registry) Latest(subject string) (Version, bool) {
	s := r.subject(subject)
	if s == nil || s.latest == nil {
		return Version{}, false
	}
	return s.public(s.latest), true
}

// Versions lists a subject's versions in order. A subject that has none,
// deleted ones counted if they are asked for, is refused with
// ErrSubjectNotFound.
func (r *Registry) Versions(subject string, which Which) ([]Version, error) {
	s := r.subject(subject)
	if !s.exists(which != Alive) {
		return nil, refuse(ErrSubjectNotFound, subject)
	}
	var list []Version
	for i := range s.versions {
		if ver := &s.versions[i]; which.shows(ver.Deleted) {
			list = append(list, s.public(ver))
		}
	}
	return list, nil
}

// Version is one version of subject, Latest the latest; deleted ones if asked
// for. Refusals are ErrSubjectNotFound and ErrVersionNotFound.
func (r *Registry) Version(subject string, number int, deleted bool) (Version, error) {
	s := r.subject(subject)
	ver := s.find(number, deleted)
	switch {
	case ver != nil:
		return s.public(ver), nil
	case !s.exists(deleted):
		return Version{}, refuse(ErrSubjectNotFound, subject)
	}
	return Version{}, refuseVersion(ErrVersionNotFound, subject, number)
}

// List gives all versions of the subjects with a prefix, read as Subjects does,
// in order, or only the latest of each.
func (r *Registry) List(prefix string, which Which, latestOnly bool) []Version {
	var list []Version
	views, start := r.world.Load().under(prefix)
	for _, v := range views {
		for _, name := range slices.Sorted(v.subjects.keys()) {
			if strings.HasPrefix(name, start) {
				list = v.subjects.get(name).list(list, which, latestOnly)
			}
		}
	}
	return list
}

// ListOf gives all versions of one subject in order, or only the latest; none if
// there is no such subject.
func (r *Registry) ListOf(subject string, which Which, latestOnly bool) []Version {
	s := r.subject(subject)
	if s == nil {
		return nil
	}
	return s.list(nil, which, latestOnly)
}

// Aliases gives, for each subject that others are aliases of, their names in
// order, as far as these have the prefix, read as Subjects does.
func (r *Registry) Aliases(prefix string) map[string][]string {
	out := map[string][]string{}
	views, start := r.world.Load().under(prefix)
	for _, v := range views {
		for _, name := range slices.Sorted(v.subjects.keys()) {
			if s := v.subjects.get(name); s.item.Alias != "" && strings.HasPrefix(name, start) {
				out[s.item.Alias] = append(out[s.item.Alias], s.full())
			}
		}
	}
	return out
}

// list appends the versions of s.
func (s *subject) list(to []Version, which Which, latestOnly bool) []Version {
	if latestOnly {
		for i := len(s.versions) - 1; i >= 0; i-- {
			if ver := &s.versions[i]; which.shows(ver.Deleted) {
				return append(to, s.public(ver))
			}
		}
		return to
	}
	for i := range s.versions {
		if ver := &s.versions[i]; which.shows(ver.Deleted) {
			to = append(to, s.public(ver))
		}
	}
	return to
}

// ByID is the schema of an id, without subject and version: it may have many.
// Ids resolve as long as any version has them, deleted softly or not. An id
// belongs to a context: that of subject, if it names one. A subject that names
// none, and has no such schema in the default context, is looked for in all
// others; "" means the default context alone. The refusal is ErrSchemaNotFound.
func (r *Registry) ByID(id int, subject string) (Version, error) {
	if v := r.world.Load().holder(id, subject); v != nil {
		return v.ids.get(id).public(), nil
	}
	return Version{}, &Refused{Kind: ErrSchemaNotFound, ID: id}
}

// holder finds the context that an id is meant in, nil if it is in none.
func (w *world) holder(id int, subject string) *view {
	home, within := w.at(subject)
	if home.context != DefaultContext || within == "" {
		if home.ids.get(id) == nil {
			return nil
		}
		return home
	}
	has := func(v *view) bool {
		s := v.subjects.get(within)
		return s != nil && slices.ContainsFunc(s.versions, func(ver version) bool { return ver.ID == id })
	}
	if home.ids.get(id) != nil && has(home) {
		return home
	}
	for _, context := range slices.Sorted(maps.Keys(w.views)) {
		if v := w.views[context]; has(v) {
			return v
		}
	}
	if home.ids.get(id) != nil {
		return home
	}
	return nil
}

// ByGUID gives the schemas with a GUID in text form, one of each context that
// has it, the default one first; of two languages with the same text it is the
// older one. The refusal is ErrSchemaNotFound.
func (r *Registry) ByGUID(guid string) ([]Version, error) {
	var list []Version
	if u, err := uuid.Parse(guid); err == nil {
		w := r.world.Load()
		for _, context := range slices.Sorted(maps.Keys(w.views)) {
			if e := w.views[context].byGUID(u); e != nil {
				list = append(list, e.public())
			}
		}
	}
	if len(list) == 0 {
		return nil, &Refused{Kind: ErrSchemaNotFound, Detail: guid}
	}
	return list, nil
}

// guid finds the schema of a GUID in whatever context, nil if there is none.
func (w *world) guid(guid [16]byte) *entry {
	for _, context := range slices.Sorted(maps.Keys(w.views)) {
		if e := w.views[context].byGUID(guid); e != nil {
			return e
		}
	}
	return nil
}

// MaxID is the highest id of a context given out so far, 0 if none was.
func (r *Registry) MaxID(context string) int { return r.world.Load().view(context).next - 1 }

// Uses lists the versions that have an id, by subject and number. subject names
// the context as for ByID. The refusal is ErrSchemaNotFound.
func (r *Registry) Uses(id int, subject string, which Which) ([]Version, error) {
	v := r.world.Load().holder(id, subject)
	if v == nil {
		return nil, &Refused{Kind: ErrSchemaNotFound, ID: id}
	}
	var list []Version
	for _, s := range v.subjects.all() {
		for i := range s.versions {
			if ver := &s.versions[i]; ver.ID == id && which.shows(ver.Deleted) {
				list = append(list, s.public(ver))
			}
		}
	}
	slices.SortFunc(list, func(a, b Version) int {
		if c := strings.Compare(a.Subject, b.Subject); c != 0 {
			return c
		}
		return a.Version - b.Version
	})
	return list, nil
}

// ReferencedBy lists the ids of the schemas that refer to a version, ascending;
// of those whose own versions are all deleted only if asked for.
func (r *Registry) ReferencedBy(subject string, number int, deleted bool) ([]int, error) {
	v, within := r.world.Load().at(subject)
	s := v.subjects.get(within)
	ver := s.find(number, true)
	switch {
	case ver == nil && !s.exists(true):
		return nil, refuse(ErrSubjectNotFound, subject)
	case ver == nil:
		return nil, refuseVersion(ErrVersionNotFound, subject, number)
	}
	return v.referrers(s, ver.Version, deleted), nil
}

// Schema is the parsed schema of an id of a context. It is parsed once, without
// the checks that only new schemas must pass. Errors: *Refused of
// ErrSchemaNotFound, or what is wrong with the stored text.
func (r *Registry) Schema(context string, id int) (schema.Schema, error) {
	v := r.world.Load().view(context)
	e := v.ids.get(id)
	if e == nil {
		return nil, &Refused{Kind: ErrSchemaNotFound, ID: id}
	}
	p := e.load(v)
	return p.schema, p.err
}

// Format gives the text of ver in one of Confluent's formats, those that
// language.Format has. One that the language does not have is the text as it is
// stored, as in Confluent's registry, so that newer clients may ask for more;
// "logical", whose text clients would read as something else, is refused with
// ErrFormat.
func (r *Registry) Format(ver Version, format string) (string, error) {
	format = strings.ToLower(strings.TrimSpace(format))
	switch format {
	case "", "default":
		return ver.Text, nil
	case "logical":
		return "", &Refused{Kind: ErrFormat, Detail: format}
	}
	s, err := r.Schema(ver.Context, ver.ID)
	if err != nil {
		return "", err
	}
	if text, ok, err := language.Format(s, format); ok || err != nil {
		return text, err
	}
	return ver.Text, nil
}

func guidString(guid [16]byte) string { return uuid.UUID(guid).String() }
