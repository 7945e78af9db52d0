package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/avro"
	"github.com/tarn-io/tarn/schema/protobuf"
)

// Rules of single fields, CEL_FIELD, are asked of the fields that Confluent's
// clients would ask them of: those that hold one value, of all records and
// messages of a payload, and of these the ones that have one of the rule's tags,
// where it names any. Tags stand in the schema or in its metadata. As in the
// clients a field breaks the rule if that says false, and whatever items of a
// list say counts for nothing.

// maxFieldsCost bounds what a rule costs for all fields of a payload.
const maxFieldsCost = 10 * maxCost

// visit is called for each field of a payload that holds one value.
type visit func(f schema.Field, value, message any)

// fieldRule is one rule of a schema's fields. It is safe for concurrent use.
type fieldRule struct {
	rule           schema.Rule
	tagged         []pattern // of the metadata
	guard, program cel.Program
	fields         func(message any, payload []byte, see visit) error

	applies sync.Map // full name → bool; a schema has so many fields
}

// pattern is a line of the metadata's tags: names with wildcards.
type pattern struct {
	names *regexp.Regexp
	tags  []string
}

// ofFields compiles a rule of fields.
func ofFields(s schema.Schema, index []int, r schema.Rule, meta *schema.Metadata) (func(any, []byte) (*Violation, error), error) {
	env, err := environment(s, index)
	if err != nil {
		return nil, err
	}
	env, err = env.Extend(cel.Variable("value", cel.DynType), cel.Variable("name", cel.StringType), cel.Variable("fullName", cel.StringType),
		cel.Variable("typeName", cel.StringType), cel.Variable("tags", cel.ListType(cel.StringType)))
	if err != nil {
		return nil, fmt.Errorf("the environment of fields: %w", err)
	}
	f := &fieldRule{rule: r, fields: fieldsOf(s)}
	if f.guard, f.program, err = guarded(env, r.Expr); err != nil {
		return nil, err
	}
	if meta != nil {
		for path, tags := range meta.Tags {
			names, err := wildcards(path)
			if err != nil {
				return nil, fmt.Errorf("the metadata's tags of %q: %w", path, err)
			}
			f.tagged = append(f.tagged, pattern{names, tags})
		}
	}
	return f.run, nil
}

// run asks the rule of a payload's fields, and gives the first that breaks it.
func (f *fieldRule) run(message any, payload []byte) (bad *Violation, err error) {
	now, spent := time.Now(), uint64(0)
	unread := f.fields(message, payload, func(at schema.Field, value, holder any) {
		if bad != nil || err != nil || !f.about(&at) {
			return
		}
		in := map[string]any{
			"value": value, "name": at.Name, "fullName": at.FullName, "typeName": at.Type, "tags": f.tagsOf(&at), "message": holder, "now": now,
		}
		var kept bool
		if kept, err = f.keeps(in, &spent); err == nil && !kept {
			bad = &Violation{Path: at.FullName, Message: cmp.Or(f.rule.Doc, f.rule.Expr)}
		}
		if err != nil {
			err = fmt.Errorf("field %s: %w", at.FullName, err)
		}
	})
	if unread != nil && err == nil {
		err = unread
	}
	return bad, err
}

// keeps evaluates the rule for one field. Only false breaks it, as in clients.
func (f *fieldRule) keeps(in map[string]any, spent *uint64) (bool, error) {
	for _, p := range []cel.Program{f.guard, f.program} {
		if p == nil {
			continue
		}
		out, details, err := p.Eval(in)
		if err != nil {
			return false, err
		}
		if c := details.ActualCost(); c != nil {
			*spent += *c
		}
		if *spent++; *spent > maxFieldsCost {
			return false, fmt.Errorf("the rule costs more than %d units for the fields of one payload", maxFieldsCost)
		}
		if out == types.False {
			return p == f.guard, nil
		}
	}
	return true, nil
}

// about tells whether the rule is about a field.
func (f *fieldRule) about(at *schema.Field) bool {
	if len(f.rule.Tags) == 0 {
		return true
	}
	if known, ok := f.applies.Load(at.FullName); ok {
		return known.(bool)
	}
	is := slices.ContainsFunc(f.tagsOf(at), func(tag string) bool { return slices.Contains(f.rule.Tags, tag) })
	f.applies.Store(at.FullName, is)
	return is
}

// tagsOf are a field's tags, those of the metadata too.
func (f *fieldRule) tagsOf(at *schema.Field) []string {
	tags := slices.Clone(at.Tags)
	for _, p := range f.tagged {
		if p.names.MatchString(at.FullName) {
			tags = append(tags, p.tags...)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// wildcards reads a path of metadata's tags: ? is one character and * any number
// within a name, ** any number across dots.
func wildcards(path string) (*regexp.Regexp, error) {
	var b strings.Builder
	path = strings.ReplaceAll(path, "**.*", "**")
	for i := 0; i < len(path); i++ {
		switch {
		case strings.HasPrefix(path[i:], "**"):
			b.WriteString(".*")
			i++
		case path[i] == '*':
			b.WriteString("[^.]*")
		case path[i] == '?':
			b.WriteString("[^.]")
		default:
			b.WriteString(regexp.QuoteMeta(path[i : i+1]))
		}
	}
	return regexp.Compile("^(?:" + b.String() + ")$")
}

// fieldsOf is what goes over the fields of a schema's payloads.
func fieldsOf(s schema.Schema) func(any, []byte, visit) error {
	switch s := s.(type) {
	case *avro.Schema:
		return func(_ any, payload []byte, see visit) error {
			return s.Fields(payload, func(f schema.Field, value any, message map[string]any) { see(f, value, message) })
		}
	case *protobuf.Schema:
		return func(message any, _ []byte, see visit) error {
			if m, ok := message.(proto.Message); ok {
				protoFields(m.ProtoReflect(), see)
			}
			return nil
		}
	}
	root := jsonRoot(s)
	return func(message any, _ []byte, see visit) error {
		w := jsonWalk{root: root, see: see}
		return w.value(root, root, "$", nil, message, nil, 0)
	}
}

// timestampName is the message that a rule sees as one value.
const timestampName = "google.protobuf.Timestamp"

// protoFields visits the fields of a message and those below. Fields that tell
// whether they are set are visited if they are.
func protoFields(m protoreflect.Message, see visit) {
	list := m.Descriptor().Fields()
	for i := range list.Len() {
		fd := list.Get(i)
		if fd.HasPresence() && !m.Has(fd) {
			continue
		}
		v := m.Get(fd)
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					protoFields(v.Message(), see)
					return true
				})
			}
		case fd.IsList():
			for j := 0; fd.Message() != nil && j < v.List().Len(); j++ {
				protoFields(v.List().Get(j).Message(), see)
			}
		case fd.Message() != nil && fd.Message().FullName() != timestampName:
			protoFields(v.Message(), see)
		default:
			if word := protoWord(fd.Kind()); word != "" {
				value := v.Interface()
				if fd.Message() != nil {
					value = v.Message().Interface()
				}
				see(schema.Field{Name: string(fd.Name()), FullName: string(fd.FullName()), Type: word, Tags: protobuf.FieldTags(fd)}, value, m.Interface())
			}
		}
	}
}

// protoWord is the type by which rules know a kind; "" for enums.
func protoWord(k protoreflect.Kind) string {
	switch k {
	case protoreflect.BoolKind:
		return "BOOLEAN"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "INT"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind,
		protoreflect.MessageKind: // a timestamp
		return "LONG"
	case protoreflect.FloatKind:
		return "FLOAT"
	case protoreflect.DoubleKind:
		return "DOUBLE"
	case protoreflect.StringKind:
		return "STRING"
	case protoreflect.BytesKind:
		return "BYTES"
	}
	return ""
}
