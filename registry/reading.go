package registry

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// maxAttempted bounds the versions that one payload without schema id is tried
// against: each costs a validation.
const maxAttempted = 16

// Bare says which schema reads a payload that names none.
type Bare uint8

// The ways to read bare payloads.
const (
	// BareLatest is the newest version that a Reading admits.
	BareLatest Bare = iota
	// BareAttempt is the newest one that the payload fits to the last byte. A
	// payload whose prefix names no schema of the subject, or one that it does
	// not fit, is tried as well: its first byte may be a zero of its own.
	BareAttempt
	// BareRefused is none.
	BareRefused
)

// Reading says which schemas the keys or the values of a topic may have, and
// which of them reads a payload that names none.
type Reading struct {
	Subject string
	// Latest and Versions narrow the subject's versions: to the latest, to those
	// listed, or not at all.
	Latest   bool
	Versions []int
	Bare     Bare
	// Message is the full name of the Protobuf message that bare payloads are;
	// "" is the first of the file.
	Message string
	// Check says that payloads are only checked: schemas without a table form
	// are fine, and no decoder is given.
	Check bool
	// Strict, with Check, refuses Protobuf fields that the schema does not have.
	Strict bool
}

// admits tells whether the version of a subject with a number is one of those
// that the reading takes. latest is the number of the subject's latest.
func (h *Reading) admits(number, latest int) bool {
	switch {
	case h.Latest:
		return number == latest
	case len(h.Versions) > 0:
		return slices.Contains(h.Versions, number)
	}
	return true
}

// Read is Resolve by a reading. That an id is one that the reading takes is not
// asked of payloads that name theirs, see Admitted. With BareAttempt the
// payload may be known to fit its schema. Errors are those of Resolve, and *Unfit.
func (r *Registry) Read(how *Reading, value, header []byte, hasHeader bool) (Payload, error) {
	frame, err := schema.ParseFrame(value, header, hasHeader)
	switch {
	case err != nil || frame.Form == schema.Header:
		return r.resolve(how.Subject, value, header, hasHeader, how)
	case frame.Form == schema.Prefix:
		p, err := r.resolve(how.Subject, value, nil, false, how)
		if how.Bare != BareAttempt {
			return p, err
		}
		if err == nil {
			if _, ok := r.Admitted(how, how.Subject, p.ID); ok && p.Validator.Validate(p.Bytes) == nil {
				p.Fits = true
				return p, nil
			}
		}
		if q, attempted := r.attempt(how, value); attempted == nil {
			return q, nil
		}
		return p, err
	case how.Bare == BareRefused:
		return Payload{Bytes: value}, &Unresolved{Reason: "no schema id"}
	case how.Bare == BareAttempt:
		return r.attempt(how, value)
	}
	return r.bare(how, value)
}

// bare reads a payload by the newest version that how admits.
func (r *Registry) bare(how *Reading, value []byte) (Payload, error) {
	w := r.world.Load()
	for v, e := range w.admitted(how) {
		return w.asBare(how, v, e, value)
	}
	return Payload{Bytes: value}, how.unresolved()
}

// attempt reads a payload by the newest version that it fits. The error is the
// first one: of the newest version.
func (r *Registry) attempt(how *Reading, value []byte) (Payload, error) {
	w := r.world.Load()
	first, tried := Payload{Bytes: value}, 0
	var why error
	for v, e := range w.admitted(how) {
		p, err := w.asBare(how, v, e, value)
		if err == nil && p.Validator.Validate(value) == nil {
			p.Fits = true
			return p, nil
		}
		if tried == 0 {
			first, why = p, err
		}
		if tried++; tried == maxAttempted {
			break
		}
	}
	if tried == 0 {
		return first, how.unresolved()
	}
	if why == nil {
		// The caller is to say which field does not fit.
		why = &Unfit{first}
	}
	return first, why
}

// Unfit says that a bare payload fits no version that was tried. Payload is how
// the newest one reads it.
type Unfit struct{ Payload Payload }

// Error is for who does not ask the decoder.
func (e *Unfit) Error() string {
	return fmt.Sprintf("the payload has no schema id and fits no version that it may have; the newest is id %d", e.Payload.ID)
}

func (h *Reading) unresolved() error {
	return &Unresolved{Reason: fmt.Sprintf("no schema id, and subject %q has no schema that it may have", h.Subject)}
}

// admitted goes through the versions that how takes, newest first.
func (w *world) admitted(how *Reading) func(yield func(*view, *entry) bool) {
	return func(yield func(*view, *entry) bool) {
		v, within := w.at(how.Subject)
		s := v.subjects.get(within)
		if s == nil || s.latest == nil {
			return
		}
		for i := len(s.versions) - 1; i >= 0; i-- {
			ver := &s.versions[i]
			if ver.Deleted || !how.admits(ver.Version, s.latest.Version) {
				continue
			}
			if !yield(v, ver.entry) || how.Latest {
				return
			}
		}
	}
}

// asBare reads a payload without frame by one schema.
func (w *world) asBare(how *Reading, v *view, e *entry, value []byte) (Payload, error) {
	p := Payload{ID: e.id, Bytes: value}
	parsed := e.load(w.view(e.context))
	if parsed.err != nil {
		return p, &Unresolved{parsed.err.Error(), e.id}
	}
	p.Schema, p.Rules, p.Metadata = parsed.schema, e.item.Rules, e.item.Metadata
	m := parsed.first
	if how.Message != "" && e.item.Type == schema.Protobuf {
		if m = e.messageNamed(parsed, how.Message); m == nil {
			return p, &Unresolved{fmt.Sprintf("schema %d has no message %q", e.id, how.Message), e.id}
		}
	}
	p.Index, p.Name = m.index, m.name
	return p, p.by(m, how)
}

// messageNamed finds a message by its name and remembers it; nil if there is
// none.
func (e *entry) messageNamed(p *parsed, name string) *message {
	if known := p.named.Load(); known != nil {
		if m := (*known)[name]; m != nil {
			return m
		}
	}
	index, ok := language.Index(p.schema, name)
	if !ok {
		return nil
	}
	m := newMessage(p.schema, index)
	e.mu.Lock()
	defer e.mu.Unlock()
	more := map[string]*message{}
	if known := p.named.Load(); known != nil {
		maps.Copy(more, *known)
	}
	// Names come from topics' configs: there are no more than topics ask for.
	if more[name] = m; len(more) <= maxMessages {
		p.named.Store(&more)
	}
	return m
}

// Admitted looks an id up in a subject: the newest version with it that is not
// deleted and that the reading takes. If there is none, number is the newest
// version with it that is not deleted, 0 for none.
func (r *Registry) Admitted(how *Reading, subject string, id int) (number int, ok bool) {
	v, within := r.world.Load().at(subject)
	s := v.subjects.get(within)
	if s == nil || s.latest == nil {
		return 0, false
	}
	number, ok = s.newest(id)
	switch {
	case !ok:
		return 0, false
	case how.admits(number, s.latest.Version):
		return number, true
	}
	for i := len(s.versions) - 1; i >= 0; i-- {
		if ver := &s.versions[i]; ver.id == id && !ver.Deleted && how.admits(ver.Version, s.latest.Version) {
			return ver.Version, true
		}
	}
	return number, false
}

// Newest is what reads a bare payload now: the newest version that the reading
// takes. It reports false if there is none.
func (r *Registry) Newest(how *Reading) (p Payload, ok bool, err error) {
	w := r.world.Load()
	for v, e := range w.admitted(how) {
		p, err = w.asBare(how, v, e, nil)
		return p, true, err
	}
	return Payload{}, false, nil
}
