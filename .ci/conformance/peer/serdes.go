package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// valueLine is a value in or out, as its language writes JSON. The first line
// in has the schema instead.
type valueLine struct {
	Schema string          `json:"schema,omitempty"`
	Type   string          `json:"type,omitempty"`
	Offset int64           `json:"offset"`
	Value  json.RawMessage `json:"value,omitempty"`
}

// coder is one schema of the registry: JSON to a payload and back.
type coder struct {
	encode func(any) ([]byte, error)
	decode func([]byte, any) error
	opts   []sr.EncodingOpt
}

// serdesWrite registers the schema of the first line for the topic's values and
// produces the values of the others with sr's Serde.
func serdesWrite(ctx context.Context, p *peer) error {
	registry, err := p.registry()
	if err != nil {
		return err
	}
	serde := sr.NewSerde()
	var records []*kgo.Record
	registered := false
	err = readLines(func(l valueLine) error {
		if !registered {
			registered = true
			s := sr.Schema{Schema: l.Schema}
			if err := s.Type.UnmarshalText([]byte(l.Type)); err != nil {
				return err
			}
			got, err := registry.CreateSchema(ctx, p.topic+"-value", s)
			if err != nil {
				return err
			}
			c, err := newCoder(ctx, registry, got.Schema)
			if err != nil {
				return err
			}
			serde.Register(got.ID, json.RawMessage{}, append(c.opts, sr.EncodeFn(c.encode))...)
			return nil
		}
		value, err := serde.Encode(l.Value)
		if err != nil {
			return fmt.Errorf("encode %s: %w", l.Value, err)
		}
		records = append(records, &kgo.Record{Topic: p.topic, Value: value})
		return nil
	})
	if err != nil {
		return err
	}
	cl, err := p.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	for _, r := range records {
		if err := p.write(valueLine{Offset: r.Offset}); err != nil {
			return err
		}
	}
	return nil
}

// serdesRead consumes -n records and writes their values, each by the schema
// that its id names.
func serdesRead(ctx context.Context, p *peer) error {
	registry, err := p.registry()
	if err != nil {
		return err
	}
	cl, err := p.client(kgo.ConsumeTopics(p.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer cl.Close()
	serde := sr.NewSerde()
	for n := 0; n < p.count; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			value, err := readBy(ctx, registry, serde, r.Value)
			if err != nil {
				return fmt.Errorf("record at %d: %w", r.Offset, err)
			}
			if err := p.write(valueLine{Offset: r.Offset, Value: value}); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// readBy decodes a value, fetching its schema when it is seen first.
func readBy(ctx context.Context, registry *sr.Client, serde *sr.Serde, b []byte) (json.RawMessage, error) {
	var v json.RawMessage
	err := serde.Decode(b, &v)
	if !errors.Is(err, sr.ErrNotRegistered) {
		return v, err
	}
	id, _, err := serde.DecodeID(b)
	if err != nil {
		return nil, err
	}
	s, err := registry.SchemaByID(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := newCoder(ctx, registry, s)
	if err != nil {
		return nil, err
	}
	serde.Register(id, json.RawMessage{}, append(c.opts, sr.DecodeFn(c.decode))...)
	return v, serde.Decode(b, &v)
}

func newCoder(ctx context.Context, registry *sr.Client, s sr.Schema) (coder, error) {
	parts := map[string]string{}
	names, err := fetchParts(ctx, registry, s, parts)
	if err != nil {
		return coder{}, err
	}
	switch s.Type {
	case sr.TypeAvro:
		var cache avro.SchemaCache
		for _, name := range names {
			if _, err := cache.Parse(parts[name]); err != nil {
				return coder{}, err
			}
		}
		parsed, err := cache.Parse(s.Schema)
		return avroCoder(parsed), err
	case sr.TypeProtobuf:
		parts["root.proto"] = s.Schema
		file, err := protoFiles{Root: "root.proto", Files: parts}.compile(ctx)
		if err != nil {
			return coder{}, err
		}
		return protoCoder(file.Messages().Get(0)), nil
	}
	return coder{
		encode: func(v any) ([]byte, error) { return v.(json.RawMessage), nil },
		decode: func(b []byte, v any) error {
			*v.(*json.RawMessage) = append(json.RawMessage{}, b...)
			return nil
		},
	}, nil
}

// fetchParts fetches what a schema refers to, and returns the names in the
// order in which they need each other.
func fetchParts(ctx context.Context, registry *sr.Client, s sr.Schema, parts map[string]string) ([]string, error) {
	var names []string
	for _, ref := range s.References {
		got, err := registry.SchemaByVersion(ctx, ref.Subject, ref.Version)
		if err != nil {
			return nil, err
		}
		deeper, err := fetchParts(ctx, registry, got.Schema, parts)
		if err != nil {
			return nil, err
		}
		names = append(append(names, deeper...), ref.Name)
		parts[ref.Name] = got.Schema.Schema
	}
	return names, nil
}

func avroCoder(s *avro.Schema) coder {
	return coder{
		encode: func(v any) ([]byte, error) {
			var value any
			if err := s.DecodeJSON(v.(json.RawMessage), &value); err != nil {
				return nil, err
			}
			return s.Encode(value)
		},
		decode: func(b []byte, v any) error {
			var value any
			rest, err := s.Decode(b, &value)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("%d bytes behind the value", len(rest))
			}
			if err != nil {
				return err
			}
			*v.(*json.RawMessage), err = s.EncodeJSON(value, avro.TaggedUnions())
			return err
		},
	}
}

func protoCoder(m protoreflect.MessageDescriptor) coder {
	return coder{
		opts: []sr.EncodingOpt{sr.Index(0)},
		encode: func(v any) ([]byte, error) {
			msg := dynamicpb.NewMessage(m)
			if err := protojson.Unmarshal(v.(json.RawMessage), msg); err != nil {
				return nil, err
			}
			return proto.Marshal(msg)
		},
		decode: func(b []byte, v any) error {
			msg := dynamicpb.NewMessage(m)
			if err := proto.Unmarshal(b, msg); err != nil {
				return err
			}
			if len(msg.GetUnknown()) > 0 {
				return fmt.Errorf("unknown fields of %s", strings.TrimSpace(string(m.FullName())))
			}
			out, err := protojson.Marshal(msg)
			*v.(*json.RawMessage) = out
			return err
		},
	}
}
