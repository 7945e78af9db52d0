package registry

import (
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/tarn-io/tarn/schema"
)

// maxMessages bounds the message indexes that one schema remembers. They are
// kept by their bytes, which a client may pad; beyond the bound each payload
// pays for its own look-up.
const maxMessages = 1024

// Payload is a record's key or value with what reads it.
type Payload struct {
	ID      int
	Schema  schema.Schema
	Decoder schema.Decoder // nil after Identify
	// Validator checks Bytes; it is the only one for Reading.Check.
	Validator schema.Validator
	// Index selects the message of a Protobuf schema. It is shared: do not
	// change it.
	Index []int
	// Name is the full name of the record or message, the title of a JSON
	// schema; "" if it has none.
	Name string
	// Framed says that the record named its schema, by prefix or header. It is
	// set on errors too.
	Framed bool
	// Bytes are the payload without its frame. They alias the value.
	Bytes []byte
	// Rules are those of the schema's version; nil if it has none. Shared.
	Rules *schema.RuleSet
	// Metadata are those of the schema's version; nil if it has none. Shared.
	Metadata *schema.Metadata
	// Fits says that the payload was found to fit; only Read ever says so.
	Fits bool
}

// Unresolved says why a payload has no decoder. It is a refusal of the payload.
type Unresolved struct {
	Reason string
	ID     int // 0 if the payload names none
}

// Error is the reason.
func (e *Unresolved) Error() string { return e.Reason }

// Resolve finds the decoder of one key or value as produced. The schema is
// named by header, the value of the record's last header schema.KeyHeader or
// schema.ValueHeader, else by Confluent's prefix; a bare payload is of the
// latest version of subject. That an id belongs to a subject is not asked: see
// VersionOf.
//
// It locks nothing, and on success it allocates nothing once a schema has been
// used. The error is an *Unresolved.
func (r *Registry) Resolve(subject string, value, header []byte, hasHeader bool) (p Payload, err error) {
	return r.resolve(subject, value, header, hasHeader, &Reading{})
}

func (r *Registry) resolve(subject string, value, header []byte, hasHeader bool, how *Reading) (p Payload, err error) {
	m, err := r.identify(&p, subject, value, header, hasHeader)
	if err != nil {
		return p, err
	}
	return p, p.by(m, how)
}

// by fills in what reads the payload, or only what checks it.
func (p *Payload) by(m *message, how *Reading) error {
	err := m.err
	if how.Check {
		err = m.invalid
	}
	if err != nil {
		return &Unresolved{fmt.Sprintf("payloads of schema %d cannot be decoded: %v", p.ID, err), p.ID}
	}
	p.Validator = m.validator
	if how.Strict && m.strict != nil {
		p.Validator = m.strict
	}
	if !how.Check {
		p.Decoder = m.decoder
	}
	return nil
}

// Identify is Resolve for who wants no decoder: schemas whose payloads cannot
// be decoded are fine.
func (r *Registry) Identify(subject string, value, header []byte, hasHeader bool) (p Payload, err error) {
	_, err = r.identify(&p, subject, value, header, hasHeader)
	return p, err
}

// identify fills p as far as it comes.
func (r *Registry) identify(p *Payload, subject string, value, header []byte, hasHeader bool) (*message, error) {
	frame, err := schema.ParseFrame(value, header, hasHeader)
	if err != nil {
		p.Framed = true
		return nil, &Unresolved{Reason: "schema id header: " + err.Error()}
	}
	p.Framed, p.Bytes = frame.Form != schema.Bare, frame.Payload
	v, within := r.world.Load().at(subject)
	e, err := v.entryFor(within, &frame)
	if err != nil {
		return nil, err
	}
	p.ID = e.id
	parsed := e.load(v.world.view(e.context))
	if parsed.err != nil {
		return nil, &Unresolved{parsed.err.Error(), e.id}
	}
	p.Schema, p.Rules, p.Metadata = parsed.schema, e.item.Rules, e.item.Metadata
	m := parsed.first
	if e.item.Type == schema.Protobuf {
		if m, p.Bytes, err = e.message(parsed, &frame); err != nil {
			return nil, &Unresolved{"message indexes: " + err.Error(), e.id}
		}
	}
	if m.missing {
		return nil, &Unresolved{m.err.Error(), e.id}
	}
	p.Index, p.Name = m.index, m.name
	return m, nil
}

// entryFor finds the schema that a frame names, or for a bare payload the
// subject's latest.
func (v *view) entryFor(subject string, f *schema.Frame) (*entry, error) {
	switch {
	case f.Form == schema.Bare:
		if s := v.subjects.get(subject); s != nil && s.latest != nil {
			return s.latest.entry, nil
		}
		return nil, &Unresolved{Reason: fmt.Sprintf("no schema id, and subject %q has no schema", subject)}
	case f.HasGUID:
		if e := v.byGUID(f.GUID); e != nil {
			return e, nil
		}
		if e := v.world.guid(f.GUID); e != nil {
			return e, nil
		}
		return nil, &Unresolved{Reason: "unknown schema GUID " + guidString(f.GUID)}
	}
	if e := v.ids.get(int(f.ID)); e != nil {
		return e, nil
	}
	return nil, &Unresolved{fmt.Sprintf("unknown schema id %d", f.ID), int(f.ID)}
}

// message finds the Protobuf message that a frame selects, and the payload
// behind the message indexes.
func (e *entry) message(p *parsed, f *schema.Frame) (*message, []byte, error) {
	from := f.Indexes
	if f.Form == schema.Prefix {
		from = f.Payload
	}
	if f.Form == schema.Bare || f.Form == schema.Header && len(from) == 0 {
		return p.first, f.Payload, nil
	}
	size := indexSize(from)
	if size > 0 && (f.Form == schema.Prefix || size == len(from)) {
		payload := f.Payload
		if f.Form == schema.Prefix {
			payload = from[size:]
		}
		if from[0] == 0 {
			return p.first, payload, nil
		}
		if m := (*p.others.Load())[string(from[:size])]; m != nil {
			return m, payload, nil
		}
	}
	index, payload, err := f.Split(schema.Protobuf)
	if err != nil {
		return nil, nil, err
	}
	return e.remember(p, from[:size], index), payload, nil
}

// indexSize is the length of message indexes at the front of b, 0 if they are
// cut off. It does not check them.
func indexSize(b []byte) int {
	count, pos := binary.Varint(b)
	if pos <= 0 || count < 0 || count > int64(len(b)) {
		return 0
	}
	for range count {
		_, n := binary.Varint(b[pos:])
		if n <= 0 {
			return 0
		}
		pos += n
	}
	return pos
}

// remember makes a message and keeps it under the bytes of its indexes.
func (e *entry) remember(p *parsed, raw []byte, index []int) *message {
	if index == nil {
		return p.first
	}
	m := newMessage(p.schema, index)
	e.mu.Lock()
	defer e.mu.Unlock()
	known := *p.others.Load()
	if len(known) >= maxMessages || m.missing {
		return m
	}
	more := maps.Clone(known)
	more[string(raw)] = m
	p.others.Store(&more)
	return m
}

// HasID reports whether subject has a version with the id that is not deleted.
func (r *Registry) HasID(subject string, id int) bool {
	_, ok := r.VersionOf(subject, id)
	return ok
}

// VersionOf is the newest version of subject with the id that is not deleted.
func (r *Registry) VersionOf(subject string, id int) (number int, ok bool) {
	v, within := r.world.Load().at(subject)
	s := v.subjects.get(within)
	if s == nil {
		return 0, false
	}
	return s.newest(id)
}
