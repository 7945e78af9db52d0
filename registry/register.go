package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// Latest as a version number means the latest version that is not deleted.
const Latest = -1

// Register gives the schema a version of subject. A schema that the subject has
// already keeps its version; one that another subject has keeps its id. When it
// returns the version is durable.
//
// A schema without metadata and rules takes them from the subject's latest
// version, as in Confluent's registry: clients that know nothing of rules must
// not switch them off. Refusals: *schema.ParseError, *Incompatible, *Refused.
func (r *Registry) Register(ctx context.Context, name string, req Request) (Version, error) {
	if err := checkSubject(name); err != nil {
		return Version{}, err
	}
	d := draft{request: req}
	if err := d.prepare(r.view.Load(), name, false); err != nil { // outside the turn: it may take long
		return Version{}, err
	}
	var out Version
	err := r.mutate(ctx, func(v *view) (w storage.Write, err error) {
		if err := d.prepare(v, name, false); err != nil {
			return w, err
		}
		s := v.subjects[name]
		if ver := d.find(s, false); ver != nil && (req.Version <= 0 || req.Version == ver.Version) {
			out = s.public(ver)
			return w, nil
		}
		if err := r.admit(v, s, name, &d); err != nil {
			return w, err
		}
		w, out, err = r.write(v, name, &d)
		return w, err
	})
	return out, err
}

// Lookup finds the version of subject that has the schema. Refusals:
// *schema.ParseError, *Refused of ErrSubjectNotFound or ErrSchemaNotFound.
func (r *Registry) Lookup(_ context.Context, name string, req Request, deleted bool) (Version, error) {
	v := r.view.Load()
	s := v.subjects[name]
	if !s.exists(deleted) {
		return Version{}, refuse(ErrSubjectNotFound, name)
	}
	d := draft{request: req}
	if err := d.prepare(v, name, true); err != nil {
		return Version{}, err
	}
	if ver := d.find(s, deleted); ver != nil {
		return s.public(ver), nil
	}
	return Version{}, refuse(ErrSchemaNotFound, name)
}

// draft is a request on its way to become a version.
type draft struct {
	request Request
	view    *view // what it was prepared from
	schema  schema.Schema
	item    schemaItem

	named      []schema.Named // what schema was parsed with
	normalized bool           // whether item.Text is
}

// prepare parses the text with its references as v has them. Only references
// and settings make the outcome depend on v. lax takes texts that are stored
// but would not be taken anew.
func (d *draft) prepare(v *view, name string, lax bool) error {
	if d.view == v {
		return nil
	}
	req := d.request
	if len(req.Text) > MaxSchemaBytes {
		return &Refused{Kind: ErrTooLarge, Subject: name, Detail: fmt.Sprintf("%d bytes, the limit is %d", len(req.Text), MaxSchemaBytes)}
	}
	if !utf8.ValidString(req.Text) {
		return badSchema("the text is not UTF-8")
	}
	if req.Type == "" {
		req.Type = schema.Avro
	}
	refs, err := v.pin(req.References)
	if err != nil {
		return err
	}
	named, err := v.resolve(refs, lax)
	if err != nil {
		return err
	}
	normalize := req.Normalize || v.normalize(v.subjects[name])
	if d.schema != nil && d.normalized == normalize && slices.Equal(d.named, named) {
		d.view, d.item.References = v, refs
		return nil
	}
	parsed, err := language.Parse(schema.Source{Type: req.Type, Text: req.Text, References: named, Lax: lax})
	if err != nil {
		if _, ok := errors.AsType[*schema.ParseError](err); !ok {
			err = &schema.ParseError{Msg: err.Error()}
		}
		return err
	}
	text := parsed.Canonical()
	if normalize {
		text = parsed.Normalized()
	}
	d.view, d.schema, d.named, d.normalized = v, parsed, named, normalize
	d.item = schemaItem{Type: req.Type, Text: text, References: refs, Metadata: req.Metadata, Rules: req.Rules}
	return nil
}

// bare reports whether the request says nothing of metadata and rules, and so
// takes what is there.
func (d *draft) bare() bool { return d.request.Metadata == nil && d.request.Rules == nil }

// find gives the newest version of s with the same schema, those not deleted
// first; nil if there is none.
func (d *draft) find(s *subject, deleted bool) *version {
	if s == nil {
		return nil
	}
	for _, dead := range []bool{false, true} {
		for i := len(s.versions) - 1; i >= 0; i-- {
			ver := &s.versions[i]
			if ver.Deleted == dead && d.same(ver.entry) {
				return ver
			}
		}
		if !deleted {
			break
		}
	}
	return nil
}

func (d *draft) same(e *entry) bool {
	return d.item.Type == e.item.Type && d.item.Text == e.item.Text &&
		slices.Equal(d.item.References, e.item.References) &&
		(d.bare() || d.item.guid() == e.guid)
}

// admit refuses a new version that mode, limits or compatibility forbid.
func (r *Registry) admit(v *view, s *subject, name string, d *draft) error {
	if err := v.writable(s, name); err != nil {
		return err
	}
	if s != nil && len(s.versions) >= MaxVersions {
		return &Refused{Kind: ErrTooMany, Subject: name, Detail: fmt.Sprintf("a subject has at most %d versions", MaxVersions)}
	}
	if want := d.request.Version; want > 0 && want != s.nextNumber() {
		return badSchema("Version %d is not one more than the previous version %d", want, s.nextNumber()-1)
	}
	if s == nil {
		return nil
	}
	return v.compare(s, d.schema, s.alive())
}

// write is the change that stores d as the subject's next version.
func (r *Registry) write(v *view, name string, d *draft) (storage.Write, Version, error) {
	var w storage.Write
	s, err := v.draft(name)
	if err != nil {
		return w, Version{}, err
	}
	item := d.item
	if d.bare() && s.latest != nil {
		item.Metadata, item.Rules = s.latest.item.Metadata, s.latest.item.Rules
	}
	e, err := v.entryOf(item)
	if err != nil {
		return w, Version{}, err
	}
	next := v.next
	if v.ids[e.id] == nil {
		next++
		it := set(schemaKey(e.id), 0, item)
		if len(it.Value) > storage.MaxValueBytes {
			return w, Version{}, &Refused{Kind: ErrTooLarge, Subject: name, Detail: "with its metadata and rules"}
		}
		w.Set = append(w.Set, it)
	} else {
		w.Check = append(w.Check, storage.Check{Key: schemaKey(e.id), Version: e.itemVersion})
	}
	vi := versionItem{Version: s.nextNumber(), ID: e.id, CreatedMs: r.now().UnixMilli()}
	s.item.Versions = append(s.item.Versions, vi)
	// The next id is written in any case: deletions check it, so that one that
	// another process computes now, from a view without this version, conflicts.
	w.Set = append(w.Set, s.write(), set(nextKey, v.nextVersion, nextItem{Next: next}))
	w.Check = append(w.Check, storage.Check{Key: settingsKey, Version: v.settingsVersion})
	w.Check = append(w.Check, v.checkReferences(item.References, name)...)
	return w, s.public(&version{vi, e}), nil
}

// entryOf finds the stored schema that is the same as item, or makes one with
// the next id.
func (v *view) entryOf(item schemaItem) (*entry, error) {
	e := &entry{id: v.next, item: item, guid: item.guid()}
	if old := v.same[e.identity()]; old != nil {
		if old.item.Text != item.Text {
			return nil, badSchema("its GUID is the one of schema %d, which is another schema", old.id)
		}
		return old, nil
	}
	if v.next > math.MaxInt32 {
		return nil, &Refused{Kind: ErrTooMany, Detail: "all schema ids are given out"}
	}
	e.guidText = guidString(e.guid)
	return e, nil
}

// checkReferences expects the subjects of referenced versions as they are: they
// might be deleted at this moment.
func (v *view) checkReferences(refs []schema.Reference, except string) []storage.Check {
	var checks []storage.Check
	seen := map[string]bool{except: true}
	for _, ref := range refs {
		if s := v.subjects[ref.Subject]; s != nil && !seen[ref.Subject] {
			seen[ref.Subject] = true
			checks = append(checks, storage.Check{Key: subjectKey(ref.Subject), Version: s.itemVersion})
		}
	}
	return checks
}

// checkSubject refuses names that are no subject's: empty, too long, not UTF-8,
// with control characters, reserved, or of a context other than the default.
func checkSubject(name string) error {
	switch {
	case name == "" || name == "__GLOBAL" || name == "__EMPTY":
	case len(name) > MaxSubjectBytes, !utf8.ValidString(name):
	case len(name) > 1 && (name[:2] == ":." || name[:2] == ":*"):
		return &Refused{Kind: ErrBadSubject, Subject: name, Detail: "contexts are not supported"}
	default:
		for _, c := range name {
			if unicode.IsControl(c) {
				return refuse(ErrBadSubject, name)
			}
		}
		return nil
	}
	return refuse(ErrBadSubject, name)
}
