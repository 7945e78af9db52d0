package protobuf

import (
	"crypto/md5" // tells schemas apart, as their GUIDs do; not a protection
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Form is the same, 32 hexadecimal digits, for all texts and descriptors of one
// schema, and for no others: layout, comments and the file's name do not count,
// nor do names in JSON that are written out though they are the usual ones (texts
// compiled by protoc have them, descriptors in generated Python have not). The
// order of messages, fields and constants does, since tables and message indexes
// follow it.
func (s *Schema) Form() (string, error) {
	fdp := protodesc.ToFileDescriptorProto(s.file)
	fdp.Name, fdp.SourceCodeInfo = nil, nil
	plainFields(fdp.Extension)
	for _, m := range fdp.MessageType {
		plainMessage(m)
	}
	fdp, err := resolveOptions(fdp, s.file)
	if err != nil {
		return "", fmt.Errorf("the form of the schema: %w", err)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(fdp)
	if err != nil {
		return "", fmt.Errorf("the form of the schema: %w", err)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:]), nil
}

// resolveOptions is fdp with its custom options as messages, where they came as
// bytes, whose order is not settled.
func resolveOptions(fdp *descriptorpb.FileDescriptorProto, file protoreflect.FileDescriptor) (*descriptorpb.FileDescriptorProto, error) {
	known := new(protoregistry.Files)
	if err := register(known, file); err != nil {
		return nil, err
	}
	b, err := proto.Marshal(fdp)
	if err != nil {
		return nil, err
	}
	out := new(descriptorpb.FileDescriptorProto)
	err = proto.UnmarshalOptions{Resolver: dynamicpb.NewTypes(known), RecursionLimit: 2 * descriptorDepth}.Unmarshal(b, out)
	return out, err
}

// plainMessage leaves out of m what does not count.
func plainMessage(m *descriptorpb.DescriptorProto) {
	plainFields(m.Field)
	plainFields(m.Extension)
	for _, n := range m.NestedType {
		plainMessage(n)
	}
}

func plainFields(fields []*descriptorpb.FieldDescriptorProto) {
	for _, f := range fields {
		if f.GetJsonName() == jsonName(f.GetName()) || f.GetExtendee() != "" {
			f.JsonName = nil
		}
	}
}

// jsonName is the name in JSON of a field that says nothing else
// (protobuf.dev/programming-guides/json).
func jsonName(name string) string {
	var b strings.Builder
	up := false
	for i := range len(name) {
		c := name[i]
		if c == '_' {
			up = true
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}
