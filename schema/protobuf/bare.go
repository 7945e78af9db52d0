package protobuf

import (
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Bare is the text without extensions and custom options, the registry's
// format=ignore_extensions: code generators that lack the options' files can
// read it. Confluent's own options stay.
func (s *Schema) Bare() (string, error) {
	fdp := protodesc.ToFileDescriptorProto(s.file)
	fdp.Extension = nil
	bareOptions(fdp.GetOptions())
	for _, m := range fdp.MessageType {
		bareMessage(m)
	}
	for _, e := range fdp.EnumType {
		bareEnum(e)
	}
	for _, svc := range fdp.Service {
		bareOptions(svc.GetOptions())
		for _, m := range svc.Method {
			bareOptions(m.GetOptions())
		}
	}
	return printPlaced(protoprint.Printer{}, fdp, s.file)
}

func bareMessage(m *descriptorpb.DescriptorProto) {
	m.Extension, m.ExtensionRange = nil, nil
	bareOptions(m.GetOptions())
	for _, f := range m.Field {
		bareOptions(f.GetOptions())
	}
	for _, o := range m.OneofDecl {
		bareOptions(o.GetOptions())
	}
	for _, e := range m.EnumType {
		bareEnum(e)
	}
	for _, n := range m.NestedType {
		bareMessage(n)
	}
}

func bareEnum(e *descriptorpb.EnumDescriptorProto) {
	bareOptions(e.GetOptions())
	for _, v := range e.Value {
		bareOptions(v.GetOptions())
	}
}

// bareOptions drops the custom options that are not Confluent's, whether they
// were resolved to a type or not.
func bareOptions(options proto.Message) {
	m := options.ProtoReflect()
	if !m.IsValid() {
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if fd.IsExtension() && !strings.HasPrefix(string(fd.FullName()), "confluent.") {
			m.Clear(fd)
		}
		return true
	})
	var kept []byte
	for b := m.GetUnknown(); len(b) > 0; {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			break
		}
		if number == metaNumber {
			kept = append(kept, b[:n]...)
		}
		b = b[n:]
	}
	m.SetUnknown(kept)
}
