package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
	context, within, err := checkSubject(name)
	if err != nil {
		return Version{}, err
	}
	d := draft{request: req}
	if err := d.prepare(r.world.Load().view(context), within, false); err != nil { // outside the turn: it may take long
		return Version{}, err
	}
	var out Version
	err = r.mutate(ctx, context, func(v *view) (w storage.Write, err error) {
		if err := d.prepare(v, within, false); err != nil {
			return w, err
		}
		s := v.subjects.get(within)
		d.fill(v.settingsOf(s), s)
		if ver := d.find(s, false); ver != nil && (req.Version <= 0 || req.Version == ver.Version) && (req.ID <= 0 || req.ID == ver.ID) {
			out = s.public(ver)
			return w, nil
		}
		if err := r.admit(v, s, name, &d); err != nil {
			return w, err
		}
		w, out, err = r.write(v, within, &d)
		return w, err
	})
	return out, err
}

// Lookup finds the version of subject that has the schema. Refusals:
// *schema.ParseError, *Refused of ErrSubjectNotFound or ErrSchemaNotFound.
func (r *Registry) Lookup(_ context.Context, name string, req Request, deleted bool) (Version, error) {
	v, within := r.world.Load().at(name)
	s := v.subjects.get(within)
	if !s.exists(deleted) {
		return Version{}, refuse(ErrSubjectNotFound, name)
	}
	d := draft{request: req}
	if err := d.prepare(v, within, true); err != nil {
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

	exact      bool           // metadata and rules must be the same too
	text       string         // what schema was parsed from
	named      []schema.Named // what schema was parsed with
	normalized bool           // whether item.Text is
	form       string         // language.Form of schema, once known
}

// prepare parses the text with its references as v has them. Only references
// and settings make the outcome depend on v. lax takes texts that are stored
// but would not be taken anew.
func (d *draft) prepare(v *view, name string, lax bool) error {
	if d.view == v {
		return nil
	}
	req := d.request
	if !lax && len(req.Text) <= MaxSchemaBytes {
		if err := req.takeOver(v.subjects.get(name)); err != nil {
			return err
		}
	}
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
	set := v.settingsOf(v.subjects.get(name))
	if set.ValidateRules == nil || *set.ValidateRules {
		if err := checkRules(req.Rules); err != nil {
			return err
		}
	}
	lax = lax || set.ValidateNewSchemas != nil && !*set.ValidateNewSchemas
	normalize := req.Normalize || set.Normalize != nil && *set.Normalize
	d.exact = !d.bare()
	if req.retags() {
		if req.Text, err = v.retag(req, v.subjects.get(name), named, lax); err != nil {
			return err
		}
	}
	if d.schema != nil && d.text == req.Text && d.normalized == normalize && slices.Equal(d.named, named) {
		d.view, d.item.References = v, refs
		d.item.Metadata, d.item.Rules = req.Metadata, req.Rules
		return nil
	}
	parsed, err := language.Parse(schema.Source{Type: req.Type, Text: req.Text, References: named, Lax: lax})
	if err != nil {
		if _, ok := errors.AsType[*schema.ParseError](err); !ok {
			err = &schema.ParseError{Msg: err.Error()}
		}
		return err
	}
	if set.ValidateFields != nil && *set.ValidateFields && !lax {
		if err := checkFields(parsed); err != nil {
			return err
		}
	}
	text := parsed.Canonical()
	if normalize {
		text = parsed.Normalized()
	}
	d.view, d.schema, d.text, d.named, d.normalized, d.form = v, parsed, req.Text, named, normalize, ""
	d.item = schemaItem{Type: req.Type, Text: text, References: refs, Metadata: req.Metadata, Rules: req.Rules}
	return nil
}

// bare reports whether the request says nothing of metadata and rules, and so
// takes what is there.
func (d *draft) bare() bool { return d.request.Metadata == nil && d.request.Rules == nil }

// find gives the newest version of s with the same schema, those not deleted
// first, and of these one with the very text before others; nil if there is none.
func (d *draft) find(s *subject, deleted bool) *version {
	if s == nil {
		return nil
	}
	for _, dead := range []bool{false, true} {
		if dead && !deleted {
			break
		}
		for _, literally := range []bool{true, false} {
			for i := len(s.versions) - 1; i >= 0; i-- {
				ver := &s.versions[i]
				if ver.Deleted == dead && (d.item.Text == ver.item.Text) == literally && d.same(d.view, ver.entry) {
					return ver
				}
			}
		}
	}
	return nil
}

// same reports whether e is the schema of d. A text without references is the
// same as one with references that resolves to it: clients send the classes they
// were generated. Protobuf texts and descriptors are the same if their form is.
func (d *draft) same(v *view, e *entry) bool {
	if d.item.Type != e.item.Type {
		return false
	}
	stored := e.item
	if len(d.item.References) == 0 && len(stored.References) > 0 && d.item.Type == schema.Avro {
		p := e.load(v)
		if p.err != nil {
			return false
		}
		if stored.Text, _, _ = language.Format(p.schema, "resolved"); stored.Text != d.item.Text {
			return false
		}
		stored.References = nil
	}
	if d.item.Text != stored.Text && d.item.Type == schema.Protobuf && d.alike(v, e) {
		stored.Text = d.item.Text
	}
	return d.item.Text == stored.Text && slices.Equal(d.item.References, stored.References) &&
		(!d.exact || d.item.guid() == stored.guid() || d.item.unversioned().guid() == stored.unversioned().guid())
}

// alike reports whether e is another text of d's Protobuf schema: one of the same
// form, or where the request wants it normalized, of the same normalized text.
func (d *draft) alike(v *view, e *entry) bool {
	if d.form == "" {
		d.form, _ = language.Form(d.schema) // what has none is like its own text only
	}
	if d.form != "" && d.form == e.form(v) {
		return true
	}
	if !d.normalized {
		return false
	}
	p := e.load(v)
	return p.err == nil && p.schema.Normalized() == d.item.Text
}

// storedForm is the form of the text that is stored, "" for other languages.
func (d *draft) storedForm() string {
	s := d.schema
	if d.normalized {
		var err error
		if s, err = language.Parse(schema.Source{Type: d.item.Type, Text: d.item.Text, References: d.named, Lax: true}); err != nil {
			return ""
		}
	}
	form, _ := language.Form(s)
	return form
}

func latestOf(s *subject) *version {
	if s == nil {
		return nil
	}
	return s.latest
}

// admit refuses a new version that mode, limits or compatibility forbid.
func (r *Registry) admit(v *view, s *subject, name string, d *draft) error {
	if err := v.writable(s, name); err != nil {
		return err
	}
	importing := v.mode(s).importing()
	switch {
	case d.request.ID > 0 && !importing:
		return refuse(ErrNotImport, name)
	case d.request.ID <= 0 && importing:
		return refuse(ErrNotReadWrite, name)
	}
	if s != nil && len(s.versions) >= MaxVersions {
		return &Refused{Kind: ErrTooMany, Subject: name, Detail: fmt.Sprintf("a subject has at most %d versions", MaxVersions)}
	}
	if importing {
		if ver := s.find(d.request.Version, true); d.request.Version > 0 && ver != nil {
			return &Refused{Kind: ErrOtherID, Subject: name, Version: ver.Version, ID: d.request.ID, Detail: fmt.Sprintf("the version has id %d", ver.ID)}
		}
		return nil
	}
	if want := d.request.Version; want > 0 && want != s.nextNumber() {
		return badSchema("Version %d is not one more than the previous version %d", want, s.nextNumber()-1)
	}
	if d.request.Force {
		return nil
	}
	return v.compare(name, s, d, s.alive())
}

// write is the change that stores d as the subject's next version.
func (r *Registry) write(v *view, name string, d *draft) (storage.Write, Version, error) {
	var w storage.Write
	s, err := v.draft(name)
	if err != nil {
		return w, Version{}, err
	}
	if !d.exact {
		d.inherit(s.latest)
	}
	d.item.Form = d.storedForm()
	item := d.item
	e, err := v.entryOf(item, d.request.ID)
	if err != nil {
		return w, Version{}, err
	}
	next := max(v.next, e.id+1)
	if v.ids.get(e.id) == nil {
		it := set(v.keys.schema(e.id), 0, item)
		if len(it.Value) > storage.MaxValueBytes {
			return w, Version{}, &Refused{Kind: ErrTooLarge, Subject: name, Detail: "with its metadata and rules"}
		}
		w.Set = append(w.Set, it)
	} else {
		w.Check = append(w.Check, storage.Check{Key: v.keys.schema(e.id), Version: e.itemVersion})
	}
	vi := versionItem{Version: s.nextNumber(), ID: e.id, CreatedMs: r.now().UnixMilli()}
	if d.request.ID > 0 && d.request.Version > 0 {
		vi.Version = d.request.Version
	}
	s.add(vi)
	// The next id is written in any case: deletions check it, so that one that
	// another process computes now, from a view without this version, conflicts.
	w.Set = append(w.Set, s.write(v.keys), set(v.keys.next(), v.nextVersion, nextItem{Next: next}))
	w.Check = append(w.Check, storage.Check{Key: v.keys.settings(), Version: v.settingsVersion})
	v.expectReferences(&w, item.References, name)
	return w, s.public(&version{vi, e}), nil
}

// add puts a version where its number belongs. s is a draft.
func (s *subject) add(vi versionItem) {
	at, _ := slices.BinarySearchFunc(s.item.Versions, vi.Version, func(have versionItem, number int) int { return have.Version - number })
	s.item.Versions = slices.Insert(s.item.Versions, at, vi)
}

// entryOf finds the stored schema that is the same as item, or makes one with
// the next id. With id above zero it is that one: in import mode one schema may
// have several ids, but no id two schemas.
func (v *view) entryOf(item schemaItem, id int) (*entry, error) {
	e := &entry{id: v.next, context: v.context, item: item, guid: item.guid()}
	old := v.same.get(e.identity())
	if sum, ok := item.alike(); ok && old == nil {
		if old = v.same.get(identity{sum, signAlike}); old != nil && id <= 0 {
			return old, nil
		}
	}
	if id > 0 {
		e.id, old = id, v.ids.get(id)
		if old != nil && old.identity() != e.identity() {
			return nil, &Refused{Kind: ErrOtherID, ID: id}
		}
	}
	if old != nil {
		if old.item.Text != item.Text {
			return nil, badSchema("its GUID is the one of schema %d, which is another schema", old.id)
		}
		return old, nil
	}
	if e.id > math.MaxInt32 {
		return nil, &Refused{Kind: ErrTooMany, Detail: "all schema ids are given out"}
	}
	return e, nil
}

// expectReferences expects the subjects of referenced versions as they are:
// they might be deleted at this moment. Those of another context conflict by
// that context's next id, which is written again.
func (v *view) expectReferences(w *storage.Write, refs []schema.Reference, except string) {
	seen := map[*subject]bool{v.subjects.get(except): true}
	far := map[*view]bool{v: true}
	for _, ref := range refs {
		s := v.find(ref.Subject)
		if s == nil || seen[s] {
			continue
		}
		seen[s] = true
		from := v.world.view(s.context)
		if s.context == v.context {
			from = v
		}
		w.Check = append(w.Check, storage.Check{Key: from.keys.subject(s.name), Version: s.itemVersion})
		if !far[from] {
			far[from] = true
			w.Set = append(w.Set, set(from.keys.next(), from.nextVersion, nextItem{Next: from.next, Gone: from.gone}))
		}
	}
}

// checkSubject takes a subject's name apart and refuses what is none: names
// that are empty, too long, not UTF-8, with control characters, or reserved.
func checkSubject(name string) (context, within string, err error) {
	context, within = Split(name)
	if checkContext(context) != nil {
		return "", "", refuse(ErrBadSubject, name)
	}
	switch {
	case within == "" || within == "__GLOBAL" || within == "__EMPTY" || context == GlobalContext:
	case len(within) > MaxSubjectBytes, !utf8.ValidString(within), strings.HasPrefix(within, ":."), strings.HasPrefix(within, ":*"):
	case strings.ContainsFunc(within, unicode.IsControl):
	default:
		return context, within, nil
	}
	return "", "", refuse(ErrBadSubject, name)
}

// checkContext refuses what is no context's name: it begins with a dot and has
// letters, digits, dots, dashes and underscores, as Confluent's have.
func checkContext(name string) error {
	bad := func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	if name == "" || name[0] != '.' || len(name) > MaxContextBytes || strings.ContainsFunc(name, bad) {
		return &Refused{Kind: ErrBadContext, Detail: name}
	}
	return nil
}
