package registry

import (
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/tarn-io/tarn/schema"
)

// resolve gives the texts that refs name, transitively: what a text refers to
// stands before it, and of two texts under one name the first counts, as in
// Confluent's registry. deleted allows soft-deleted versions, which stored
// schemas may refer to and new ones may not. The error is a *schema.ParseError.
func (v *view) resolve(refs []schema.Reference, deleted bool) ([]schema.Named, error) {
	w := walk{view: v, deleted: deleted, seen: map[string]bool{}}
	if err := w.add(refs, 1); err != nil {
		return nil, err
	}
	return w.named, nil
}

type walk struct {
	view    *view
	deleted bool
	seen    map[string]bool
	named   []schema.Named
	bytes   int
}

func (w *walk) add(refs []schema.Reference, depth int) error {
	if len(refs) > 0 && depth > maxReferenceDepth {
		return badSchema("references are nested deeper than %d schemas", maxReferenceDepth)
	}
	for _, ref := range refs {
		if w.seen[ref.Name] {
			continue
		}
		if w.seen[ref.Name] = true; len(w.seen) > MaxReferences {
			return badSchema("more than %d references", MaxReferences)
		}
		sub := w.view.find(ref.Subject)
		ver := sub.find(ref.Version, w.deleted)
		if ver == nil {
			return badSchema("No schema reference found for subject \"%s\" and version %d", ref.Subject, ref.Version)
		}
		if w.bytes += len(ver.item.Text); w.bytes > schema.MaxTextBytes {
			return badSchema("the references have more than %d bytes", schema.MaxTextBytes)
		}
		// What a stored schema refers to is kept, be it deleted softly.
		inner := *w
		inner.deleted, inner.view = true, w.view.world.view(sub.context)
		if err := inner.add(ver.item.References, depth+1); err != nil {
			return err
		}
		w.named, w.bytes = append(inner.named, schema.Named{Name: ref.Name, Text: ver.item.Text}), inner.bytes
	}
	return nil
}

// pin checks the references of a request and gives them with real version
// numbers in place of -1.
func (v *view) pin(refs []schema.Reference) ([]schema.Reference, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	pinned := make([]schema.Reference, len(refs))
	names := make(map[string]bool, len(refs))
	for i, ref := range refs {
		if ref.Name == "" || ref.Subject == "" || names[ref.Name] || !utf8.ValidString(ref.Name) {
			return nil, badSchema("reference %d needs a name of its own and a subject", i)
		}
		names[ref.Name] = true
		if ref.Version == Latest {
			if ver := v.find(ref.Subject).find(Latest, false); ver != nil {
				ref.Version = ver.Version
			}
		}
		pinned[i] = ref
	}
	return pinned, nil
}

// referrers lists the ids of schemas that refer to a version of s and are in
// use by some version themselves, ascending, in
// whatever context. deleted counts users that are deleted softly too.
func (v *view) referrers(s *subject, number int, deleted bool) []int {
	ids := []int{}
	for _, from := range v.world.views {
		found := map[int]bool{}
		for id, e := range from.refers.all() {
			if from.refersTo(e, s, number) {
				found[id] = true
			}
		}
		from.inUse(found, deleted)
		ids = slices.AppendSeq(ids, maps.Keys(found))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (v *view) refersTo(e *entry, s *subject, number int) bool {
	for _, ref := range e.item.References {
		if ref.Version == number && v.means(ref.Subject, s) {
			return true
		}
	}
	return false
}

// inUse leaves of ids those that some version of the context has.
func (v *view) inUse(ids map[int]bool, deleted bool) {
	if len(ids) == 0 {
		return
	}
	used := make(map[int]bool, len(ids))
	for _, s := range v.subjects.all() {
		for i := range s.versions {
			if ver := &s.versions[i]; ids[ver.ID] && (deleted || !ver.Deleted) {
				used[ver.ID] = true
			}
		}
	}
	maps.DeleteFunc(ids, func(id int, _ bool) bool { return !used[id] })
}
