package registry

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/language"
)

// entry is a stored schema with what is made of it. Views share it: the text of
// an id never changes. It is parsed when first needed.
type entry struct {
	id          int
	context     string
	item        schemaItem
	guid        [16]byte
	itemVersion int64

	mu     sync.Mutex // held while parsing or adding a message
	parsed atomic.Pointer[parsed]
}

// parsed is what became of a text.
type parsed struct {
	schema schema.Schema
	err    error
	first  *message // what an empty message index selects
	form   sync.Once
	formed string // see entry.form; set by form
	// others are the Protobuf messages that payloads selected so far, by the
	// raw bytes of their indexes; replaced under entry.mu.
	others atomic.Pointer[map[string]*message]
	// named are those that topics name; replaced under entry.mu, nil if none.
	named atomic.Pointer[map[string]*message]
}

// message is one payload type of a schema: the whole of an Avro or JSON schema,
// a message of a Protobuf file.
type message struct {
	index   []int
	name    string
	decoder schema.Decoder
	err     error // why there is no decoder
	missing bool  // the schema has no such message at all

	validator schema.Validator // also of what has no table form
	invalid   error            // why there is no validator
	strict    schema.Validator // nil for languages whose schemas say it themselves
}

func (e *entry) identity() identity { return identityOf(e.guid, e.item.Type) }

// identities are all by which the schema is found: its own, and that of its form.
func (e *entry) identities() (list [2]identity, n int) {
	list[0] = e.identity()
	if sum, ok := e.item.alike(); ok {
		list[1] = identity{sum, signAlike}
		return list, 2
	}
	return list, 1
}

// form is what all texts of e have in common, "" if there is no such thing. v is
// a view of e's context.
func (e *entry) form(v *view) string {
	if e.item.Form != "" || e.item.Type != schema.Protobuf {
		return e.item.Form
	}
	p := e.load(v) // registered before forms were noted
	if p.err != nil {
		return ""
	}
	p.form.Do(func() { p.formed, _ = language.Form(p.schema) })
	return p.formed
}

func (e *entry) public() Version {
	return Version{
		Context: e.context, ID: e.id, GUID: guidString(e.guid), Type: e.item.Type, Text: e.item.Text,
		References: e.item.References, Metadata: e.item.Metadata, Rules: e.item.Rules,
	}
}

// load parses the text when first asked, with the references as v, a view of
// its context, has them: as long as e is stored, so are they.
func (e *entry) load(v *view) *parsed {
	if p := e.parsed.Load(); p != nil {
		return p
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.parsed.Load(); p != nil {
		return p
	}
	p := e.parse(v)
	e.parsed.Store(p)
	return p
}

// maxCompared bounds the schemas that stay parsed because new versions were
// compared with them: each takes some 10 KB, and most of them read no payload ever.
const maxCompared = 10_000

// glance is load for who compares. Beyond maxCompared what is parsed is not kept.
func (e *entry) glance(v *view) *parsed {
	if p := e.parsed.Load(); p != nil {
		return p
	}
	if v.world.compared.Load() < maxCompared {
		v.world.compared.Add(1)
		return e.load(v)
	}
	return e.parse(v)
}

// parse is what becomes of the text, with the references as v has them.
func (e *entry) parse(v *view) *parsed {
	p := &parsed{}
	p.others.Store(&map[string]*message{})
	var named []schema.Named
	if named, p.err = v.resolve(e.item.References, true); p.err == nil {
		p.schema, p.err = language.Parse(schema.Source{
			Type: e.item.Type, Text: e.item.Text, References: named, Lax: true,
		})
	}
	if p.err != nil {
		p.err = fmt.Errorf("stored schema %d: %w", e.id, p.err)
	} else {
		p.first = newMessage(p.schema, nil)
	}
	return p
}

func newMessage(s schema.Schema, index []int) *message {
	m := &message{index: index}
	var ok bool
	if m.name, ok = language.Name(s, index); !ok {
		m.missing = true
		m.err = fmt.Errorf("message index %v: the schema has no such message", index)
		return m
	}
	m.decoder, m.err = s.Decoder(index)
	m.validator, m.invalid = s.Validator(index)
	if s, ok := s.(interface {
		StrictValidator(index []int) (schema.Validator, error)
	}); ok && m.invalid == nil {
		m.strict, m.invalid = s.StrictValidator(index)
	}
	return m
}
