package protobuf

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tarn-io/tarn/schema"
)

// Tags stand in confluent.Meta, field tagsNumber, of a message's or a field's
// options, field metaNumber; the import of metaFile makes them text.
const (
	tagsNumber = 3
	metaFile   = "confluent/meta.proto"
)

// Tags lists the messages and fields that have tags, in the order of the file.
func (s *Schema) Tags() []schema.Tagged {
	var list []schema.Tagged
	each(protodesc.ToFileDescriptorProto(s.file).MessageType, "", func(at schema.Tagged, options proto.Message) {
		if at.Tags = tagsIn(options); len(at.Tags) > 0 {
			list = append(list, at)
		}
	})
	return list
}

// Retag gives the text of src with tags added and then removed, printed from its
// descriptor. The error is a *schema.ParseError, or says that the descriptor
// cannot be encoded.
func Retag(src schema.Source, add, remove []schema.Tagged) (string, error) {
	parsed, err := Parse(src)
	if err != nil {
		return "", err
	}
	s, ok := parsed.(*Schema)
	if !ok {
		return "", fmt.Errorf("parsed a Protobuf schema to %T", parsed)
	}
	fdp := protodesc.ToFileDescriptorProto(s.file)
	err = schema.Retag(add, remove, func(want schema.Tagged, change func([]string) []string) (found bool) {
		each(fdp.MessageType, "", func(at schema.Tagged, options proto.Message) {
			if at.Is(want) && !found {
				found = true
				setTags(options, change(tagsIn(options)))
			}
		})
		return found
	})
	if err != nil {
		return "", err
	}
	if !slices.Contains(fdp.Dependency, metaFile) && len(add) > 0 {
		fdp.Dependency = append(fdp.Dependency, metaFile)
	}
	text, err := encodeDescriptor(fdp)
	if err != nil {
		return "", err
	}
	src.Text = text
	if parsed, err = Parse(src); err != nil {
		return "", err
	}
	return parsed.Canonical(), nil
}

// each calls see for every message and field with its options, which it makes
// where there are none.
func each(messages []*descriptorpb.DescriptorProto, scope string, see func(schema.Tagged, proto.Message)) {
	for _, m := range messages {
		path := scope + m.GetName()
		if m.GetOptions().GetMapEntry() {
			continue
		}
		if m.Options == nil {
			m.Options = &descriptorpb.MessageOptions{}
		}
		see(schema.Tagged{Path: path, Record: true}, m.Options)
		for _, f := range m.Field {
			if f.Options == nil {
				f.Options = &descriptorpb.FieldOptions{}
			}
			see(schema.Tagged{Path: path + "." + f.GetName()}, f.Options)
		}
		each(m.NestedType, path+".", see)
	}
}

// tagsIn reads tags off the options' bytes, whether they were resolved to a type
// or not.
func tagsIn(options proto.Message) []string {
	b, err := proto.Marshal(options)
	if err != nil {
		return nil
	}
	var tags []string
	eachBytes(b, metaNumber, func(meta []byte) {
		eachBytes(meta, tagsNumber, func(tag []byte) { tags = append(tags, string(tag)) })
	})
	return tags
}

// setTags writes other tags into the options, and keeps the rest of them.
func setTags(options proto.Message, tags []string) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(options)
	if err != nil {
		return // descriptors that were parsed encode
	}
	var meta []byte
	b = splitField(b, metaNumber, func(old []byte) { meta = append(meta, old...) })
	meta = splitField(meta, tagsNumber, func([]byte) {})
	for _, tag := range tags {
		meta = protowire.AppendTag(meta, tagsNumber, protowire.BytesType)
		meta = protowire.AppendString(meta, tag)
	}
	if len(meta) > 0 {
		b = protowire.AppendTag(b, metaNumber, protowire.BytesType)
		b = protowire.AppendBytes(b, meta)
	}
	proto.Reset(options)
	// The resolver knows no extension, so that Confluent's stay bytes.
	_ = proto.UnmarshalOptions{Resolver: new(protoregistry.Types)}.Unmarshal(b, options)
}

// splitField gives b without the values of one field of wire type 2, which fn gets.
func splitField(b []byte, number protowire.Number, fn func([]byte)) []byte {
	var rest []byte
	for len(b) > 0 {
		n, kind, tag := protowire.ConsumeTag(b)
		size := protowire.ConsumeFieldValue(n, kind, b[max(tag, 0):])
		if tag < 0 || size < 0 {
			return rest
		}
		if n == number && kind == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b[tag:])
			fn(v)
		} else {
			rest = append(rest, b[:tag+size]...)
		}
		b = b[tag+size:]
	}
	return rest
}

// FieldTags are the tags that stand at a field, of whatever file.
func FieldTags(fd protoreflect.FieldDescriptor) []string { return tagsIn(fd.Options()) }
