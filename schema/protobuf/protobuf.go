// Package protobuf reads Protobuf schemas as Confluent's registry has them,
// decodes their payloads into columns and compares their versions.
//
// From text to rows:
//
//	parse.go     text or base64 descriptor → descriptors (protocompile)
//	wellknown.go the imports that resolve without references
//	print.go     descriptors → text, normalized text, base64
//	plan.go      message descriptor → plan: fields by number, kinds, oneofs
//	columns.go   plan → columns by the type mapping
//	wire.go      varints and skipping, as protobuf.dev/programming-guides/encoding
//	scan.go      one message's bytes → the last value of each field
//	check.go     validation without columns
//	decode.go    scanned values → columns
//	json.go      scanned values → JSON text, for what has no column of its own
//	diff.go      what keeps data of one version from being read with another
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
// is the first message. Map entries count among nested messages, as they do in
// every client's descriptors.
func (s *Schema) Message(index []int) (protoreflect.MessageDescriptor, error) {
	if len(index) == 0 {
		index = []int{0}
	}
	list := s.file.Messages()
	var m protoreflect.MessageDescriptor
	for _, i := range index {
		if i < 0 || i >= list.Len() {
			return nil, fmt.Errorf("message index %v: the schema has no such message", index)
		}
		m = list.Get(i)
		list = m.Messages()
	}
	return m, nil
}

// Index gives the message indexes of a message by its full name, or by its name
// within the file's package. It reports false if there is no such message.
func (s *Schema) Index(name string) ([]int, bool) {
	full := protoreflect.FullName(strings.TrimPrefix(name, "."))
	for _, n := range []protoreflect.FullName{full, s.file.Package() + "." + full} {
		if index, ok := indexOf(s.file.Messages(), n); ok {
			return index, true
		}
	}
	return nil, false
}

func indexOf(list protoreflect.MessageDescriptors, name protoreflect.FullName) ([]int, bool) {
	for i := range list.Len() {
		m := list.Get(i)
		if m.FullName() == name {
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
