package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/fake"
)

// noSchemaID is an id that registries have not come to: ids are given one by one.
const noSchemaID = 2_000_000_000

// errNoSchema says that there is nothing to make records by.
var errNoSchema = errors.New("has no schema to make records by")

// maker makes documents by the latest schema of a topic's keys or values; nil if the
// topic has none.
func (p *payloads) maker(ctx context.Context, by topicSchema, seed uint64) (*fake.Generator, error) {
	if by.err != nil {
		return nil, by.err
	}
	s, err := p.forSubject(ctx, by.subject)
	if err != nil || s == nil {
		return nil, err
	}
	g, err := fake.New(schema.Source{Text: s.text, Type: schema.Type(s.typ.String()), References: s.refs}, fake.Options{Seed: seed, Message: by.message})
	if err != nil {
		return nil, fmt.Errorf("documents of %s: %w", by.subject, err)
	}
	return g, nil
}

// madeUp makes records by a topic's schemas. Used by one goroutine.
type madeUp struct {
	payloads   *payloads
	key, value topicSchema
	keys       *fake.Generator // nil: keys by the template
	values     *fake.Generator
	template   keyTemplate
	random     *rand.Rand
	n          int64
}

// newMadeUp asks for the schemas of a topic.
func (c *connect) newMadeUp(ctx context.Context, cl *kgo.Client, topic string, seed uint64, template string) (*madeUp, error) {
	reg, err := c.registry()
	if err != nil {
		return nil, err
	}
	m := &madeUp{payloads: newPayloads(reg), random: rand.New(rand.NewPCG(seed, 2))}
	if m.template, err = parseKeyTemplate(template); err != nil {
		return nil, fmt.Errorf("--key: %w", err)
	}
	m.key, m.value = c.topicSchemas(ctx, cl, topic)
	if m.values, err = m.payloads.maker(ctx, m.value, seed); err != nil {
		return nil, fmt.Errorf("values of %s: %w", topic, err)
	}
	if m.values == nil {
		return nil, fmt.Errorf("topic %q %w: register one with tarn schema register %s FILE", topic, errNoSchema, m.value.subject)
	}
	if template == "" {
		if m.keys, err = m.payloads.maker(ctx, m.key, seed+1); err != nil {
			return nil, fmt.Errorf("keys of %s: %w", topic, err)
		}
	}
	return m, nil
}

// document makes the key and the value of the next record as JSON; the key is nil if
// there is none.
func (m *madeUp) document() (key, value json.RawMessage, err error) {
	n := m.n
	m.n++
	if value, err = m.values.Next(); err != nil {
		return nil, nil, err
	}
	switch {
	case m.keys != nil:
		key, err = m.keys.Next()
	case m.template != nil:
		var text []byte
		if text, err = m.template.fill(n, value); err == nil {
			key, err = json.Marshal(string(text))
		}
	}
	return key, value, err
}

// record makes the next record.
func (m *madeUp) record(ctx context.Context) (*kgo.Record, error) {
	key, value, err := m.document()
	if err != nil {
		return nil, err
	}
	r := &kgo.Record{}
	if r.Value, err = m.payloads.encode(ctx, m.value, value); err != nil {
		return nil, fmt.Errorf("value %w", err)
	}
	if r.Key, err = m.encodeKey(ctx, key); err != nil {
		return nil, fmt.Errorf("key %w", err)
	}
	return r, nil
}

// encodeKey encodes a key by the schema of keys. A template gives a text, which a
// schema may want as a number or an object.
func (m *madeUp) encodeKey(ctx context.Context, key json.RawMessage) ([]byte, error) {
	b, err := m.payloads.encode(ctx, m.key, key)
	var text string
	if err == nil || m.template == nil || json.Unmarshal(key, &text) != nil || !json.Valid([]byte(text)) {
		return b, err
	}
	if plain, plainErr := m.payloads.encode(ctx, m.key, json.RawMessage(text)); plainErr == nil {
		return plain, nil
	}
	return nil, err
}

// spoil makes a record's value one that does not fit, as programs with defects do: cut
// short, of a schema that nobody knows, or without one.
func (m *madeUp) spoil(r *kgo.Record) {
	latest := m.payloads.latest[m.value.subject]
	switch kind := m.random.IntN(3); {
	case len(r.Value) == 0 || kind == 0:
		r.Value = []byte("this is no record")
	case kind == 1:
		f, _ := schema.ParseFrame(r.Value, nil, false)
		r.Value = append(schema.AppendPrefix(nil, noSchemaID), f.Payload...)
	case latest != nil && latest.typ == sr.TypeProtobuf:
		// What is cut off might be a whole field; a field of the number 0 is never one.
		r.Value = append(r.Value, 0)
	default:
		r.Value = r.Value[:len(r.Value)-1]
	}
}
