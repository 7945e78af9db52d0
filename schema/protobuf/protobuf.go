// Package protobuf reads Protobuf schemas as Confluent's registry has them,
// decodes their payloads into columns and compares their versions.
//
// From text to rows:
//
//	parse.go      text or base64 descriptor → descriptors (protocompile)
//	entries.go    map entries: written out in texts, counted in message indexes
//	wellknown.go  the imports that resolve without references
//	print.go      descriptors → text, normalized text, base64
//	form.go       what all texts and descriptors of one schema have in common
//	plan.go       message descriptor → plan: fields by number, kinds, oneofs
//	extension.go  fields that are declared outside of their message
//	known.go      the messages that the type mapping knows by name
//	options.go    UTF-8 features, Confluent's decimal parameters
//	columns.go    plan → columns by the type mapping
//	wire.go       varints and skipping, as protobuf.dev/programming-guides/encoding
//	scan.go       one message's bytes → the last value of each field
//	check.go      validation without columns
//	decode.go     scanned values → columns; maps.go, values.go, decimal.go help it
//	json.go       scanned values → JSON text, for what has no column of its own
//	diff.go       what keeps data of one version from being read with another;
//	              diff_fields.go has its messages and fields
//
// Descriptors are read once, when a decoder is made; payloads never meet
// reflection.
package protobuf

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// Schema is a parsed Protobuf file. It is immutable and safe for concurrent
// use.
type Schema struct {
	file      protoreflect.FileDescriptor
	canonical string

	normalized func() (string, error) // printed at the first call
	serialized func() (string, error)

	mu       sync.Mutex
	decoders map[protoreflect.FullName]*decoder // guarded by mu; at most one a message
	plans    map[protoreflect.FullName]*plan    // guarded by mu; likewise
}

var _ schema.Schema = (*Schema)(nil)

// Type is schema.Protobuf.
func (s *Schema) Type() schema.Type { return schema.Protobuf }

// Canonical is the text as it was registered; for a schema that came as a
// base64 descriptor the text printed from it.
func (s *Schema) Canonical() string { return s.canonical }

// Normalized is the text printed from the descriptor in a fixed form: no
// comments, imports sorted, fields and enum constants by number, type names in
// full. Messages keep their order, since message indexes count on it.
func (s *Schema) Normalized() string {
	text, err := s.normalized()
	if err != nil { // what cannot be printed is at least the same as itself
		return s.canonical
	}
	return text
}

// File is the parsed file, for writing records with reflection (dynamicpb). To
// read payloads so is not safe: on a map entry whose key comes with a wrong wire
// type protobuf-go v1.36 panics. AppendJSON reads them.
func (s *Schema) File() protoreflect.FileDescriptor { return s.file }

// Message is the message that Confluent's message indexes select: the position
// in the file, then among the messages nested in that one, and so on. No index
// is the first message. Map entries are messages of the descriptor and count, as
// they do in clients that take indexes from descriptors; but no record is one,
// so an index that falls on an entry was made without counting them.
func (s *Schema) Message(index []int) (protoreflect.MessageDescriptor, error) {
	if len(index) == 0 {
		index = []int{0}
	}
	list := s.messages()
	var m protoreflect.MessageDescriptor
	for _, i := range index {
		if i < 0 || i >= list.Len() {
			return nil, fmt.Errorf("message index %v: the schema has no such message", index)
		}
		if m = list.Get(i); m.IsMapEntry() {
			if m = withoutEntries(list, i); m == nil {
				return nil, fmt.Errorf("message index %v: a map entry is no message of its own", index)
			}
		}
		list = m.Messages()
	}
	return m, nil
}

// withoutEntries is the i-th message that is no map entry, or nil.
func withoutEntries(list protoreflect.MessageDescriptors, i int) protoreflect.MessageDescriptor {
	for j := range list.Len() {
		if m := list.Get(j); !m.IsMapEntry() {
			if i == 0 {
				return m
			}
			i--
		}
	}
	return nil
}

// messages are the file's, or, of a file that has nothing but one public import,
// the imported file's: such a schema is another name for it.
func (s *Schema) messages() protoreflect.MessageDescriptors {
	f := s.file
	if f.Messages().Len()+f.Enums().Len()+f.Services().Len()+f.Extensions().Len() == 0 && f.Imports().Len() == 1 && f.Imports().Get(0).IsPublic {
		return f.Imports().Get(0).Messages()
	}
	return f.Messages()
}

// Index gives the message indexes of a message by its full name, or by its name
// within the file's package. It reports false if there is no such message.
func (s *Schema) Index(name string) ([]int, bool) {
	full := protoreflect.FullName(strings.TrimPrefix(name, "."))
	list := s.messages()
	if index, ok := indexOf(list, full); ok || list.Len() == 0 {
		return index, ok
	}
	return indexOf(list, list.Get(0).ParentFile().Package()+"."+full)
}

// Names are the full names of the messages at the top of the file, in its order.
func (s *Schema) Names() []string {
	list := s.messages()
	names := make([]string, list.Len())
	for i := range names {
		names[i] = string(list.Get(i).FullName())
	}
	return names
}

func indexOf(list protoreflect.MessageDescriptors, name protoreflect.FullName) ([]int, bool) {
	for i := range list.Len() {
		m := list.Get(i)
		if m.FullName() == name && !m.IsMapEntry() {
			return []int{i}, true
		}
		if !strings.HasPrefix(string(name), string(m.FullName())+".") {
			continue
		}
		if rest, ok := indexOf(m.Messages(), name); ok {
			return slices.Insert(rest, 0, i), true
		}
	}
	return nil, false
}
