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
// in order. With DeletedOnly these are the subjects that have nothing else.
func (r *Registry) Subjects(prefix string, which Which) []string {
	names := []string{}
	for name, s := range r.view.Load().subjects {
		if strings.HasPrefix(name, prefix) && len(s.versions) > 0 && which.shows(s.latest == nil) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Latest is the latest version of subject that is not deleted.
func (r *Registry) Latest(subject string) (Version, bool) {
	s := r.view.Load().subjects[subject]
	if s == nil || s.latest == nil {
		return Version{}, false
	}
	return s.public(s.latest), true
}

// Versions lists a subject's versions in order. A subject that has none,
// deleted ones counted if they are asked for, is refused with
// ErrSubjectNotFound.
func (r *Registry) Versions(subject string, which Which) ([]Version, error) {
	s := r.view.Load().subjects[subject]
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
	s := r.view.Load().subjects[subject]
	ver := s.find(number, deleted)
	switch {
	case ver != nil:
		return s.public(ver), nil
	case !s.exists(deleted):
		return Version{}, refuse(ErrSubjectNotFound, subject)
	}
	return Version{}, refuseVersion(ErrVersionNotFound, subject, number)
}

// List gives all versions of the subjects with a prefix, in order, or only the
// latest of each.
func (r *Registry) List(prefix string, which Which, latestOnly bool) []Version {
	v := r.view.Load()
	var list []Version
	for _, name := range slices.Sorted(maps.Keys(v.subjects)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		s := v.subjects[name]
		from := len(list)
		for i := range s.versions {
			if ver := &s.versions[i]; which.shows(ver.Deleted) {
				list = append(list, s.public(ver))
			}
		}
		if n := len(list); latestOnly && n > from {
			list = append(list[:from], list[n-1])
		}
	}
	return list
}

// ByID is the schema of an id, without subject and version: it may have many.
// Ids resolve as long as any version has them, deleted softly or not. The
// refusal is ErrSchemaNotFound.
func (r *Registry) ByID(id int) (Version, error) {
	if e := r.view.Load().ids[id]; e != nil {
		return e.public(), nil
	}
	return Version{}, &Refused{Kind: ErrSchemaNotFound, ID: id}
}

// ByGUID is ByID for a GUID in text form; of two languages with the same text
// it is the older one.
func (r *Registry) ByGUID(guid string) (Version, error) {
	if u, err := uuid.Parse(guid); err == nil {
		if e := r.view.Load().guids[u]; e != nil {
			return e.public(), nil
		}
	}
	return Version{}, &Refused{Kind: ErrSchemaNotFound, Detail: guid}
}

// MaxID is the highest id given out so far, 0 if none was.
func (r *Registry) MaxID() int { return r.view.Load().next - 1 }

// Uses lists the versions that have an id, by subject and number. The refusal
// is ErrSchemaNotFound.
func (r *Registry) Uses(id int, which Which) ([]Version, error) {
	v := r.view.Load()
	if v.ids[id] == nil {
		return nil, &Refused{Kind: ErrSchemaNotFound, ID: id}
	}
	var list []Version
	for _, s := range v.subjects {
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
	v := r.view.Load()
	s := v.subjects[subject]
	ver := s.find(number, true)
	switch {
	case ver == nil && !s.exists(true):
		return nil, refuse(ErrSubjectNotFound, subject)
	case ver == nil:
		return nil, refuseVersion(ErrVersionNotFound, subject, number)
	}
	return v.referrers(subject, ver.Version, deleted), nil
}

// Schema is the parsed schema of an id. It is parsed once, without the checks
// that only new schemas must pass. Errors: *Refused of ErrSchemaNotFound, or
// what is wrong with the stored text.
func (r *Registry) Schema(id int) (schema.Schema, error) {
	v := r.view.Load()
	e := v.ids[id]
	if e == nil {
		return nil, &Refused{Kind: ErrSchemaNotFound, ID: id}
	}
	p := e.load(v)
	return p.schema, p.err
}

// Format gives the text of ver in one of Confluent's formats: "" and "default"
// as stored, "serialized" a Protobuf schema's descriptor in base64, "resolved"
// an Avro schema that refers to nothing. The refusal is ErrFormat.
func (r *Registry) Format(ver Version, format string) (string, error) {
	switch {
	case format == "" || format == "default":
		return ver.Text, nil
	case format == "serialized" && ver.Type == schema.Protobuf:
		s, err := r.Schema(ver.ID)
		if err != nil {
			return "", err
		}
		return language.Serialized(s)
	case format == "resolved" && ver.Type == schema.Avro && len(ver.References) == 0:
		return ver.Text, nil
	}
	return "", &Refused{Kind: ErrFormat, Detail: format}
}

func guidString(guid [16]byte) string { return uuid.UUID(guid).String() }

func sorted(ids []int) []int {
	if ids == nil {
		return []int{}
	}
	slices.Sort(ids)
	return ids
}
