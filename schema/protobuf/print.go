package protobuf

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tarn-io/tarn/schema"
)

// Serialized is the schema as a base64 FileDescriptorProto, the registry's
// format=serialized, without positions and comments. Imports are named, not
// included. s must come from this package.
func Serialized(s schema.Schema) (string, error) {
	p, ok := s.(*Schema)
	if !ok {
		return "", fmt.Errorf("a %s schema has no file descriptor", s.Type())
	}
	return p.serialized()
}

func encodeFile(file protoreflect.FileDescriptor) (string, error) {
	fdp := protodesc.ToFileDescriptorProto(file)
	fdp.SourceCodeInfo = nil
	return encodeDescriptor(fdp)
}

func encodeDescriptor(fdp *descriptorpb.FileDescriptorProto) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(fdp)
	if err != nil {
		return "", fmt.Errorf("encode the file descriptor: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// printFile prints a file as text, with the comments its descriptor carries.
func printFile(file protoreflect.FileDescriptor) (string, error) {
	return printPlaced(protoprint.Printer{}, protodesc.ToFileDescriptorProto(file), file)
}

// printPlaced prints a changed descriptor of a file, with each message where its
// index says. The imports are those of the file.
func printPlaced(p protoprint.Printer, fdp *descriptorpb.FileDescriptorProto, file protoreflect.FileDescriptor) (string, error) {
	placeMessages(fdp)
	keepDefaults(fdp)
	known := new(protoregistry.Files)
	for i := range file.Imports().Len() {
		if err := register(known, file.Imports().Get(i).FileDescriptor); err != nil {
			return "", fmt.Errorf("print the schema: %w", err)
		}
	}
	placed, err := protodesc.NewFile(fdp, known)
	if err != nil {
		return "", fmt.Errorf("print the schema: %w", err)
	}
	return printWith(p, placed)
}

// keepDefaults hands defaults of float and double to the printer as options that
// it prints letter for letter. As defaults it would print them with six decimals
// and infinity as "+Inf", which no parser takes.
func keepDefaults(fdp *descriptorpb.FileDescriptorProto) {
	keepFieldDefaults(fdp.Extension)
	messages := slices.Clone(fdp.MessageType)
	for len(messages) > 0 {
		m := messages[len(messages)-1]
		messages = append(messages[:len(messages)-1], m.NestedType...)
		keepFieldDefaults(m.Field)
		keepFieldDefaults(m.Extension)
	}
}

func keepFieldDefaults(fields []*descriptorpb.FieldDescriptorProto) {
	for _, f := range fields {
		kind := f.GetType()
		if f.DefaultValue == nil || kind != descriptorpb.FieldDescriptorProto_TYPE_FLOAT && kind != descriptorpb.FieldDescriptorProto_TYPE_DOUBLE {
			continue
		}
		value := f.GetDefaultValue()
		if value == "-0" {
			value = "-0.0" // the integer has no sign
		}
		if f.Options == nil {
			f.Options = &descriptorpb.FieldOptions{}
		}
		f.Options.UninterpretedOption = append(f.Options.UninterpretedOption, &descriptorpb.UninterpretedOption{
			Name:            []*descriptorpb.UninterpretedOption_NamePart{{NamePart: proto.String("default"), IsExtension: proto.Bool(false)}},
			IdentifierValue: proto.String(value),
		})
		f.DefaultValue = nil
	}
}

// printWith guards against a printer that gives up on a descriptor it does not
// understand by panicking: the descriptor came from outside.
func printWith(p protoprint.Printer, file protoreflect.FileDescriptor) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("print the file descriptor: %v", r)
		}
	}()
	text, err = p.PrintProtoToString(file)
	if err != nil {
		return "", fmt.Errorf("print the file descriptor: %w", err)
	}
	return text, nil
}

// printNormalized prints a file so that texts which mean the same come out the
// same. What is compared by position stays where it is: messages, enums, and
// the first constant of an enum, which is its default.
func printNormalized(file protoreflect.FileDescriptor) (string, error) {
	fdp := protodesc.ToFileDescriptorProto(file)
	fdp.SourceCodeInfo = nil
	sortImports(fdp)
	for _, e := range fdp.EnumType {
		sortConstants(e)
	}
	for _, m := range fdp.MessageType {
		sortMessage(m)
	}
	return printPlaced(protoprint.Printer{
		OmitComments:             protoprint.CommentsAll,
		ForceFullyQualifiedNames: true,
	}, fdp, file)
}

// sortImports sorts the imports; the lists of public and weak ones hold
// positions among them.
func sortImports(fdp *descriptorpb.FileDescriptorProto) {
	old := fdp.Dependency
	fdp.Dependency = slices.Sorted(slices.Values(old))
	for _, list := range []*[]int32{&fdp.PublicDependency, &fdp.WeakDependency} {
		for i, p := range *list {
			(*list)[i] = int32(slices.Index(fdp.Dependency, old[p]))
		}
		slices.Sort(*list)
	}
}

func sortMessage(m *descriptorpb.DescriptorProto) {
	place := memberPlaces(m)
	slices.SortFunc(m.Field, func(a, b *descriptorpb.FieldDescriptorProto) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a.GetNumber(), b.GetNumber()))
	})
	slices.SortFunc(m.ReservedRange, func(a, b *descriptorpb.DescriptorProto_ReservedRange) int {
		return cmp.Compare(a.GetStart(), b.GetStart())
	})
	slices.Sort(m.ReservedName)
	for _, e := range m.EnumType {
		sortConstants(e)
	}
	for _, n := range m.NestedType {
		sortMessage(n)
	}
}

// memberPlaces says by which number a field is sorted: its own, or the lowest
// of its oneof, since members stand together.
func memberPlaces(m *descriptorpb.DescriptorProto) func(*descriptorpb.FieldDescriptorProto) int32 {
	lowest := make(map[int32]int32)
	for _, f := range m.Field {
		if f.OneofIndex == nil {
			continue
		}
		if n, ok := lowest[f.GetOneofIndex()]; !ok || f.GetNumber() < n {
			lowest[f.GetOneofIndex()] = f.GetNumber()
		}
	}
	return func(f *descriptorpb.FieldDescriptorProto) int32 {
		if f.OneofIndex == nil {
			return f.GetNumber()
		}
		return lowest[f.GetOneofIndex()]
	}
}

func sortConstants(e *descriptorpb.EnumDescriptorProto) {
	if len(e.Value) == 0 {
		return
	}
	slices.SortStableFunc(e.Value[1:], func(a, b *descriptorpb.EnumValueDescriptorProto) int {
		return cmp.Compare(a.GetNumber(), b.GetNumber())
	})
}
