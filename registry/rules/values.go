package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// reader says how payloads of a schema become values, and whether the schema has
// annotations of protovalidate.
func reader(s schema.Schema, index []int) (read func([]byte) (any, error), annotated bool) {
	switch s := s.(type) {
	case *avro.Schema:
		return s.Value, false
	case *protobuf.Schema:
		md, err := s.Message(index)
		if err != nil {
			return func([]byte) (any, error) { return nil, err }, false
		}
		return func(b []byte) (any, error) { return readProto(md, b) }, imports(md.ParentFile(), map[string]bool{})
	}
	return readJSON, false
}

// readProto reads a message by reflection. protobuf-go panics on map entries
// whose key has a wrong wire type, which validation takes for an unknown field:
// such a payload is refused.
func readProto(md protoreflect.MessageDescriptor, b []byte) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	m := dynamicpb.NewMessage(md)
	err = proto.UnmarshalOptions{RecursionLimit: 2 * schema.MaxDepth}.Unmarshal(b, m)
	return m, err
}

// readJSON reads a document; whole numbers that fit are int64, others float64.
func readJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return numbers(v)
}

func numbers(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			n, err := numbers(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = n
		}
	case map[string]any:
		for key := range v {
			n, err := numbers(v[key])
			if err != nil {
				return nil, err
			}
			v[key] = n
		}
	}
	return v, nil
}

// validatePath is how files import protovalidate's annotations.
const validatePath = "buf/validate/validate.proto"

// imports tells whether a file imports the annotations, by itself or through
// others: types of other files may be annotated too.
func imports(f protoreflect.FileDescriptor, seen map[string]bool) bool {
	if f.Path() == validatePath {
		return true
	}
	if seen[f.Path()] {
		return false
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		if imports(f.Imports().Get(i).FileDescriptor, seen) {
			return true
		}
	}
	return false
}

// protovalidator compiles the annotations of a message.
func protovalidator(s schema.Schema, index []int) (func(any, []byte) (*Violation, error), error) {
	md, err := s.(*protobuf.Schema).Message(index)
	if err != nil {
		return nil, err
	}
	limit, err := newBudget(md)
	if err != nil {
		return nil, err
	}
	// What costs too much on nothing at all would do so here already.
	if err := limit.check(dynamicpb.NewMessage(md)); err != nil {
		return nil, err
	}
	v, err := protovalidate.New(protovalidate.WithFailFast(), protovalidate.WithMessageDescriptors(md), protovalidate.WithDisableLazy(),
		protovalidate.WithExtensionTypeResolver(extensions(md.ParentFile())))
	if err != nil {
		return nil, err
	}
	// What cannot be compiled is told by the first message there is.
	if _, err := annotations(v, dynamicpb.NewMessage(md)); err != nil {
		return nil, err
	}
	return func(m any, _ []byte) (*Violation, error) {
		message := m.(proto.Message)
		if err := limit.check(message.ProtoReflect()); err != nil {
			return nil, err
		}
		return annotations(v, message)
	}, nil
}

// extensions are those of a file and all that it imports, for rules that a file
// defines for itself.
func extensions(file protoreflect.FileDescriptor) *dynamicpb.Types {
	known := new(protoregistry.Files)
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if _, err := known.FindFileByPath(f.Path()); err == nil {
			return
		}
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		_ = known.RegisterFile(f) // names that clash were refused when the schema was parsed
	}
	add(file)
	return dynamicpb.NewTypes(known)
}

// annotations gives the first annotation that m breaks.
func annotations(v protovalidate.Validator, m proto.Message) (bad *Violation, err error) {
	defer func() {
		if r := recover(); r != nil {
			bad, err = nil, fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	err = v.Validate(m)
	broken, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok || len(broken.Violations) == 0 {
		return nil, err
	}
	first := broken.Violations[0].Proto
	bad = &Violation{Message: first.GetRuleId()}
	if path := protovalidate.FieldPathString(first.GetField()); path != "" {
		bad.Path = "$." + path
	}
	if text := first.GetMessage(); text != "" {
		bad.Message = text
		if first.GetRuleId() != "" {
			bad.Message += " (" + first.GetRuleId() + ")"
		}
	}
	return bad, nil
}
