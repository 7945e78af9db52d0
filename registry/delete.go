package registry

import (
	"context"

	"github.com/tarn-io/tarn/broker/storage"
)

// Deletion has two steps, as in Confluent's registry. A version that is deleted
// softly is gone from lists and takes no new data, but its id still resolves:
// data written with it can be read. Deleted permanently it is gone, with its
// schema if no other version has that. A version that others refer to stays:
// against soft deletion count the versions that are not deleted, against
// permanent deletion all of them, for their texts could not be parsed without.

// DeleteSubject deletes all versions of a subject and, softly, its settings. It
// returns the numbers of the versions deleted. Refusals are *Refused.
func (r *Registry) DeleteSubject(ctx context.Context, name string, permanent bool) ([]int, error) {
	var gone []int
	context, within := Split(name)
	err := r.mutate(ctx, context, func(v *view) (storage.Write, error) {
		s := v.subjects.get(within)
		switch {
		case !s.exists(true):
			return storage.Write{}, refuse(ErrSubjectNotFound, name)
		case !permanent && !s.exists(false):
			return storage.Write{}, refuse(ErrSubjectDeleted, name)
		}
		if err := v.writable(s, name); err != nil {
			return storage.Write{}, err
		}
		if permanent && s.latest != nil {
			return storage.Write{}, refuse(ErrSubjectNotDeleted, name)
		}
		gone = nil
		for _, ver := range s.versions {
			if permanent || !ver.Deleted {
				gone = append(gone, ver.Version)
			}
		}
		return v.delete(s, gone, permanent)
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// DeleteVersion deletes one version, Latest the latest, and returns its number.
// Refusals are *Refused.
func (r *Registry) DeleteVersion(ctx context.Context, name string, number int, permanent bool) (int, error) {
	var gone int
	context, within := Split(name)
	err := r.mutate(ctx, context, func(v *view) (storage.Write, error) {
		s := v.subjects.get(within)
		ver := s.find(number, number != Latest || permanent)
		switch {
		case ver == nil && !s.exists(true):
			return storage.Write{}, refuse(ErrSubjectNotFound, name)
		case ver == nil:
			return storage.Write{}, refuseVersion(ErrVersionNotFound, name, number)
		case !permanent && ver.Deleted:
			return storage.Write{}, refuseVersion(ErrVersionDeleted, name, ver.Version)
		}
		if err := v.writable(s, name); err != nil {
			return storage.Write{}, err
		}
		if permanent && !ver.Deleted {
			return storage.Write{}, refuseVersion(ErrVersionNotDeleted, name, ver.Version)
		}
		gone = ver.Version
		return v.delete(s, []int{gone}, permanent)
	})
	return gone, err
}

// delete is the change that deletes versions of s.
func (v *view) delete(s *subject, numbers []int, permanent bool) (storage.Write, error) {
	dying := make(map[int]bool, len(numbers))
	for _, n := range numbers {
		dying[n] = true
	}
	if err := v.unreferenced(s, dying, permanent); err != nil {
		return storage.Write{}, err
	}
	d := *s
	d.item.Versions = nil
	alive := false
	for _, vi := range s.item.Versions {
		if dying[vi.Version] {
			if permanent {
				continue
			}
			vi.Deleted = true
		}
		alive = alive || !vi.Deleted
		d.item.Versions = append(d.item.Versions, vi)
	}
	if !alive && !permanent {
		d.item.settingsItem = settingsItem{}
	}
	w := storage.Write{Set: []storage.Item{d.write(v.keys)}}
	if permanent {
		w.Set = append(w.Set, v.orphans(s, dying)...)
	}
	// Registrations write the next id: one of another process that uses an id or
	// refers to a version deleted here conflicts with this, or this with it.
	w.Check = append(w.Check, storage.Check{Key: v.keys.next(), Version: v.nextVersion})
	return w, nil
}

// unreferenced refuses to delete versions that schemas of other versions refer
// to.
func (v *view) unreferenced(s *subject, dying map[int]bool, permanent bool) error {
	for _, from := range v.world.views {
		if from.refers.len() == 0 {
			continue // nobody there refers to anything
		}
		for _, other := range from.subjects.all() {
			for i := range other.versions {
				ver := &other.versions[i]
				if ver.Deleted && !permanent || other == s && dying[ver.Version] {
					continue
				}
				for _, ref := range ver.item.References {
					if dying[ref.Version] && from.means(ref.Subject, s) {
						return refuseVersion(ErrReferenced, s.full(), ref.Version)
					}
				}
			}
		}
	}
	return nil
}

// means reports whether a reference of v's context names s.
func (v *view) means(name string, s *subject) bool {
	if context, within := Split(name); context != DefaultContext {
		return context == s.context && within == s.name
	}
	return name == s.name && v.context == s.context
}

// orphans deletes the schemas that no version has any more.
func (v *view) orphans(s *subject, dying map[int]bool) []storage.Item {
	kept := map[int]bool{}
	for _, other := range v.subjects.all() {
		for i := range other.versions {
			if ver := &other.versions[i]; other != s || !dying[ver.Version] {
				kept[ver.ID] = true
			}
		}
	}
	var items []storage.Item
	for i := range s.versions {
		if ver := &s.versions[i]; !kept[ver.ID] {
			kept[ver.ID] = true
			items = append(items, storage.Item{Key: v.keys.schema(ver.ID), Version: ver.itemVersion, Delete: true})
		}
	}
	return items
}
