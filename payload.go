package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// payloads turns record payloads into JSON and back for tarn consume and tarn
// produce, by the schemas that the registry gives. It is a client like any
// other: exact and simple, not fast. One goroutine at a time.
type payloads struct {
	registry *sr.Client
	keysIn   string // the context of the ids and references of keys
	valuesIn string // and of values
	byID     map[idIn]*payloadSchema
	byGUID   map[[16]byte]*payloadSchema
	latest   map[string]*payloadSchema // by subject; nil: it has none
}

// idIn is an id in its context.
type idIn struct {
	in string
	id int
}

// payloadSchema is one schema with what is needed to encode and decode by it.
type payloadSchema struct {
	id    int
	typ   sr.SchemaType
	avro  *avro.Schema
	exact *decimals // of avro
	proto *protobuf.Schema
	text  string
	refs  []schema.Named // what text refers to
}

func newPayloads(client *sr.Client) *payloads {
	return &payloads{registry: client, keysIn: registry.DefaultContext, valuesIn: registry.DefaultContext, byID: map[idIn]*payloadSchema{}, byGUID: map[[16]byte]*payloadSchema{}, latest: map[string]*payloadSchema{}}
}

// forID returns the schema of an id in a context.
func (p *payloads) forID(ctx context.Context, in string, id int) (*payloadSchema, error) {
	if s, ok := p.byID[idIn{in, id}]; ok {
		return s, nil
	}
	asked := ctx
	if in != registry.DefaultContext {
		asked = sr.WithParams(ctx, sr.Subject(":"+in+":"))
	}
	got, err := p.registry.SchemaByID(asked, id)
	if err != nil {
		return nil, fmt.Errorf("schema id %d: %w", id, err)
	}
	s, err := p.parse(ctx, in, got)
	if err != nil {
		return nil, fmt.Errorf("schema id %d: %w", id, err)
	}
	s.id = id
	p.byID[idIn{in, id}] = s
	return s, nil
}

// forGUID returns the schema of a GUID, with its id in a context.
func (p *payloads) forGUID(ctx context.Context, in string, guid [16]byte) (*payloadSchema, error) {
	if s, ok := p.byGUID[guid]; ok {
		return s, nil
	}
	text := fmt.Sprintf("%x-%x-%x-%x-%x", guid[:4], guid[4:6], guid[6:8], guid[8:10], guid[10:])
	got, err := p.registry.SchemaByGUID(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("schema GUID %s: %w", text, err)
	}
	ids, err := p.registry.SchemaIDsByGUID(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("schema GUID %s: %w", text, err)
	}
	s, err := p.parse(ctx, in, got.Schema)
	if err != nil {
		return nil, fmt.Errorf("schema GUID %s: %w", text, err)
	}
	for _, id := range ids {
		if cmp.Or(id.Context, registry.DefaultContext) == in {
			s.id = id.ID
		}
	}
	p.byGUID[guid] = s
	return s, nil
}

// forFrame returns the schema that a key or value names.
func (p *payloads) forFrame(ctx context.Context, in string, f schema.Frame) (*payloadSchema, error) {
	if f.HasGUID {
		return p.forGUID(ctx, in, f.GUID)
	}
	return p.forID(ctx, in, int(f.ID))
}

// forSubject returns the latest schema of a subject, nil if there is none.
func (p *payloads) forSubject(ctx context.Context, subject string) (*payloadSchema, error) {
	if s, ok := p.latest[subject]; ok {
		return s, nil
	}
	got, err := p.registry.SchemaByVersion(ctx, subject, -1)
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode == 404 {
		p.latest[subject] = nil
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	in, _ := registry.Split(subject)
	s, err := p.parse(ctx, in, got.Schema)
	if err != nil {
		return nil, fmt.Errorf("latest schema of %s: %w", subject, err)
	}
	s.id = got.ID
	p.latest[subject] = s // and not by id: another context has other ids
	return s, nil
}

func (p *payloads) parse(ctx context.Context, in string, s sr.Schema) (*payloadSchema, error) {
	refs, err := p.references(ctx, in, s, map[string]bool{})
	if err != nil {
		return nil, err
	}
	out := &payloadSchema{typ: s.Type, text: s.Schema, refs: refs}
	switch s.Type {
	case sr.TypeAvro:
		var cache avro.SchemaCache
		for _, r := range refs {
			if _, err := cache.Parse(r.Text); err != nil {
				return nil, fmt.Errorf("reference %s: %w", r.Name, err)
			}
		}
		if out.avro, err = cache.Parse(s.Schema); err == nil {
			out.exact = decimalsOf(out.avro)
		}
	case sr.TypeProtobuf:
		var parsed schema.Schema
		if parsed, err = protobuf.Parse(schema.Source{Type: schema.Protobuf, Text: s.Schema, References: refs, Lax: true}); err == nil {
			out.proto = parsed.(*protobuf.Schema)
		}
	case sr.TypeJSON: // payloads are JSON already
	default:
		err = fmt.Errorf("schema type %v is unknown", s.Type)
	}
	return out, err
}

// references fetches what a schema of a context refers to, in dependency order.
func (p *payloads) references(ctx context.Context, in string, s sr.Schema, seen map[string]bool) ([]schema.Named, error) {
	var out []schema.Named
	for _, r := range s.References {
		if seen[r.Name] {
			continue
		}
		seen[r.Name] = true
		subject := r.Subject
		if !strings.HasPrefix(subject, ":.") {
			subject = registry.Qualify(in, subject)
		}
		got, err := p.registry.SchemaByVersion(ctx, subject, r.Version)
		if err != nil {
			return nil, fmt.Errorf("reference %s (%s version %d): %w", r.Name, r.Subject, r.Version, err)
		}
		of, _ := registry.Split(subject)
		deeper, err := p.references(ctx, of, got.Schema, seen)
		if err != nil {
			return nil, err
		}
		out = append(append(out, deeper...), schema.Named{Name: r.Name, Text: got.Schema.Schema})
	}
	return out, nil
}

// decode turns a key or value into JSON, by the schema that the last of the
// headers with that name gives, else its prefix. Without a schema, JSON stays
// JSON, text becomes a string, and bytes become {"$base64": "…"};
// decoded says that a schema explained it.
func (p *payloads) decode(ctx context.Context, b []byte, headers []kgo.RecordHeader, name string) (text json.RawMessage, id int, decoded bool, err error) {
	if b == nil {
		return json.RawMessage("null"), 0, false, nil
	}
	var header []byte
	present := false
	for _, h := range headers {
		if h.Key == name {
			header, present = h.Value, true
		}
	}
	f, err := schema.ParseFrame(b, header, present)
	if err != nil {
		return plainJSON(b), 0, false, fmt.Errorf("header %s: %w", name, err)
	}
	if f.Form == schema.Bare {
		return plainJSON(b), 0, false, nil
	}
	in := p.valuesIn
	if name == schema.KeyHeader {
		in = p.keysIn
	}
	s, err := p.forFrame(ctx, in, f)
	if err != nil {
		return plainJSON(b), int(f.ID), false, err
	}
	text, err = s.decode(f)
	if err != nil {
		return plainJSON(b), s.id, false, fmt.Errorf("schema id %d: %w", s.id, err)
	}
	return text, s.id, true, nil
}

func (s *payloadSchema) decode(f schema.Frame) (json.RawMessage, error) {
	switch s.typ {
	case sr.TypeAvro:
		var v any
		if _, err := s.avro.Decode(f.Payload, &v); err != nil {
			return nil, err
		}
		text, err := s.avro.EncodeJSON(v)
		if err != nil {
			return nil, err
		}
		return s.exact.show(text)
	case sr.TypeProtobuf:
		index, rest, err := f.Split(schema.Protobuf)
		if err != nil {
			return nil, err
		}
		return s.proto.AppendJSON(nil, index, rest)
	}
	if !json.Valid(f.Payload) {
		return nil, errors.New("payload is not JSON")
	}
	return f.Payload, nil
}

// plainJSON shows bytes that no schema explains.
func plainJSON(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	var v any = string(b)
	if !utf8.Valid(b) {
		v = map[string]string{"$base64": base64.StdEncoding.EncodeToString(b)}
	}
	out, err := json.Marshal(v)
	if err != nil { // strings and bytes always marshal
		return json.RawMessage("null")
	}
	return out
}

// encode is the inverse of decode: by the subject's latest schema, with its
// prefix; without one as decode shows plain payloads.
func (p *payloads) encode(ctx context.Context, by topicSchema, text json.RawMessage) ([]byte, error) {
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		return nil, nil
	}
	if by.err != nil {
		return nil, by.err
	}
	s, err := p.forSubject(ctx, by.subject)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return plainBytes(text)
	}
	b, err := s.encode(by.message, text)
	if err != nil {
		return nil, fmt.Errorf("does not fit %s (schema id %d): %w", by.subject, s.id, err)
	}
	return b, nil
}

// encodeText is encode for a text that a format has cut out: JSON where there is a
// schema, else bytes as they are.
func (p *payloads) encodeText(ctx context.Context, by topicSchema, text []byte) ([]byte, error) {
	if by.err == nil {
		if s, err := p.forSubject(ctx, by.subject); err == nil && s == nil {
			return text, nil
		}
	}
	if text != nil && !json.Valid(text) {
		return nil, fmt.Errorf("is not JSON: %.80s", text)
	}
	return p.encode(ctx, by, text)
}

func (s *payloadSchema) encode(message string, text json.RawMessage) ([]byte, error) {
	out := schema.AppendPrefix(nil, int32(s.id))
	switch s.typ {
	case sr.TypeAvro:
		var v any
		if err := s.avro.DecodeJSON(text, &v); err != nil {
			return nil, errors.New(avroNoise.ReplaceAllString(err.Error(), ""))
		}
		if err := s.exact.check(text); err != nil {
			return nil, err
		}
		return s.avro.AppendEncode(out, v)
	case sr.TypeProtobuf:
		var index []int
		if message != "" {
			var ok bool
			if index, ok = s.proto.Index(message); !ok {
				return nil, fmt.Errorf("the schema has no message %s", message)
			}
		}
		md, err := s.proto.Message(index)
		if err != nil {
			return nil, err
		}
		m := dynamicpb.NewMessage(md)
		if err := protojson.Unmarshal(text, m); err != nil {
			return nil, err
		}
		return proto.MarshalOptions{}.MarshalAppend(schema.AppendIndexes(out, index), m)
	}
	return append(out, text...), nil
}

// avroNoise is what the library says of itself in an error, before what is wrong.
var avroNoise = regexp.MustCompile(`avro(?: json)?: |cannot use \S+ with Avro type \w+: `)

func plainBytes(text json.RawMessage) ([]byte, error) {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return []byte(s), nil
	}
	var wrapped struct {
		Base64 []byte `json:"$base64"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(&wrapped) == nil && wrapped.Base64 != nil {
		return wrapped.Base64, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	return compact.Bytes(), nil
}
