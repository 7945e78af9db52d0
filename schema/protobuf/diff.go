package protobuf

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// Differences as Confluent's registry names and judges them (schema-registry
// 8.5). Types match by name within their scope, fields and enum constants by
// number.
const (
	packageChanged         = "PACKAGE_CHANGED"
	messageAdded           = "MESSAGE_ADDED"
	messageRemoved         = "MESSAGE_REMOVED"
	messageMoved           = "MESSAGE_MOVED"
	enumAdded              = "ENUM_ADDED"
	enumRemoved            = "ENUM_REMOVED"
	enumConstAdded         = "ENUM_CONST_ADDED"
	enumConstChanged       = "ENUM_CONST_CHANGED"
	enumConstRemoved       = "ENUM_CONST_REMOVED"
	fieldAdded             = "FIELD_ADDED"
	fieldRemoved           = "FIELD_REMOVED"
	fieldNameChanged       = "FIELD_NAME_CHANGED"
	fieldKindChanged       = "FIELD_KIND_CHANGED"
	fieldScalarKindChanged = "FIELD_SCALAR_KIND_CHANGED"
	fieldNamedTypeChanged  = "FIELD_NAMED_TYPE_CHANGED"
	numericLabelChanged    = "FIELD_NUMERIC_LABEL_CHANGED"
	textLabelChanged       = "FIELD_STRING_OR_BYTES_LABEL_CHANGED"
	requiredFieldAdded     = "REQUIRED_FIELD_ADDED"
	requiredFieldRemoved   = "REQUIRED_FIELD_REMOVED"
	oneofAdded             = "ONEOF_ADDED"
	oneofRemoved           = "ONEOF_REMOVED"
	oneofFieldAdded        = "ONEOF_FIELD_ADDED"
	oneofFieldRemoved      = "ONEOF_FIELD_REMOVED"
	oneofFieldToTop        = "ONEOF_FIELD_MOVED_TO_TOP_LEVEL"
	fieldsMovedToOneof     = "MULTIPLE_FIELDS_MOVED_TO_ONEOF"
	fieldMovedToOneof      = "FIELD_MOVED_TO_EXISTING_ONEOF"
)

// sentence says in our words why a difference keeps data from being read, with %s
// for the reader's side and then for the writer's; empty for a compatible one.
func sentence(kind string) string {
	switch kind {
	case packageChanged:
		return "the %s schema is in another package than the %s schema"
	case messageRemoved:
		return "the %s schema lacks a message that the %s schema defines"
	case fieldKindChanged:
		return "the %s schema takes another kind of value in a field than the %s schema"
	case fieldScalarKindChanged:
		return "the %s schema reads other bytes in a scalar field than the %s schema writes"
	case fieldNamedTypeChanged:
		return "the %s schema has a message in a field that cannot read the one in the %s schema"
	case numericLabelChanged:
		return "the %s schema labels a field of numbers otherwise than the %s schema"
	case requiredFieldAdded:
		return "the %s schema requires a field that the %s schema does not have"
	case requiredFieldRemoved:
		return "the %s schema lacks a field that is required in the %s schema"
	case oneofFieldRemoved:
		return "the %s schema drops a member of a oneof that the %s schema has"
	case fieldsMovedToOneof:
		return "the %s schema puts fields into one oneof that stand alone in the %s schema"
	case fieldMovedToOneof:
		return "the %s schema makes fields exclude one another that can be set together in the %s schema"
	}
	return ""
}

// difference is one change between two versions, compatible or not. reader and
// writer are what the two sides have there, where that says more.
type difference struct {
	kind, path     string
	reader, writer string
}

// describe is the difference in one line. The path and what the sides have come
// last, as the first two %s of a description are the names of the sides.
func (d difference) describe() string {
	text := sentence(d.kind) + ", at '" + d.path + "'"
	if d.reader != d.writer {
		text += ": " + orNone(d.reader) + " against " + orNone(d.writer)
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Reads lists what keeps data written with writer from being read with s. Of a
// type that several fields import, the differences are listed once.
func (s *Schema) Reads(writer schema.Schema) []schema.Incompatibility {
	old, ok := writer.(*Schema)
	if !ok {
		// The registry knows this text: it stands for the whole message.
		return []schema.Incompatibility{{
			Type: "TYPE_MISMATCH", Path: "#/", Description: "Incompatible because of different schema type",
		}}
	}
	var out []schema.Incompatibility
	for _, d := range compare(old.file, s.file) {
		if sentence(d.kind) != "" {
			out = append(out, schema.Incompatibility{Type: d.kind, Path: d.path, Description: d.describe()})
		}
	}
	return out
}

// compare lists all differences from old to new.
func compare(old, new protoreflect.FileDescriptor) []difference {
	d := &differ{oldFile: old.Path(), newFile: new.Path(), judged: make(map[[2]protoreflect.FullName]bool)}
	if old.Package() != new.Package() {
		d.addBoth(packageChanged, string(old.Package()), string(new.Package()))
	}
	d.messages(old.Messages(), new.Messages())
	d.enums(old.Enums(), new.Enums())
	return d.found
}

// differ walks two files at once.
type differ struct {
	oldFile, newFile string
	path             []string
	found            []difference
	// judged remembers imported pairs: whether they are compatible, and true
	// while they are being compared, so that a cycle ends.
	judged map[[2]protoreflect.FullName]bool
}

func (d *differ) add(kind string, below ...string) {
	path := "#/" + strings.Join(append(slices.Clone(d.path), below...), "/")
	d.found = append(d.found, difference{kind: kind, path: path})
}

// addBoth adds a difference here, with what the old side and the new one have.
func (d *differ) addBoth(kind, old, new string) {
	d.add(kind)
	last := &d.found[len(d.found)-1]
	last.writer, last.reader = old, new
}

// below calls fn with the path one name longer.
func (d *differ) below(name string, fn func()) {
	d.path = append(d.path, name)
	fn()
	d.path = d.path[:len(d.path)-1]
}

// messages compares the messages of one scope. Map entries are not messages
// that anyone added or removed.
func (d *differ) messages(old, new protoreflect.MessageDescriptors) {
	oldAt, newAt := positions(old), positions(new)
	for i := range old.Len() {
		m := old.Get(i)
		if m.IsMapEntry() {
			continue
		}
		d.below(string(m.Name()), func() {
			at, ok := newAt[m.Name()]
			if !ok {
				d.add(messageRemoved)
				return
			}
			d.message(m, new.ByName(m.Name()))
			if at != oldAt[m.Name()] {
				d.add(messageMoved)
			}
		})
	}
	for i := range new.Len() {
		m := new.Get(i)
		if _, ok := oldAt[m.Name()]; !ok && !m.IsMapEntry() {
			d.add(messageAdded, string(m.Name()))
		}
	}
}

// positions numbers the messages that were written as such.
func positions(list protoreflect.MessageDescriptors) map[protoreflect.Name]int {
	at := make(map[protoreflect.Name]int)
	for i := range list.Len() {
		if m := list.Get(i); !m.IsMapEntry() {
			at[m.Name()] = len(at)
		}
	}
	return at
}

func (d *differ) enums(old, new protoreflect.EnumDescriptors) {
	for i := range old.Len() {
		e := old.Get(i)
		other := new.ByName(e.Name())
		if other == nil {
			d.add(enumRemoved, string(e.Name()))
			continue
		}
		d.below(string(e.Name()), func() { d.constants(e.Values(), other.Values()) })
	}
	for i := range new.Len() {
		if e := new.Get(i); old.ByName(e.Name()) == nil {
			d.add(enumAdded, string(e.Name()))
		}
	}
}

func (d *differ) constants(old, new protoreflect.EnumValueDescriptors) {
	numbers := make(map[protoreflect.EnumNumber]bool)
	for _, list := range []protoreflect.EnumValueDescriptors{old, new} {
		for i := range list.Len() {
			numbers[list.Get(i).Number()] = true
		}
	}
	for _, n := range sortedKeys(numbers) {
		before, after := old.ByNumber(n), new.ByNumber(n)
		at := strconv.Itoa(int(n))
		switch {
		case after == nil:
			d.add(enumConstRemoved, at)
		case before == nil:
			d.add(enumConstAdded, at)
		case before.Name() != after.Name():
			d.add(enumConstChanged, at)
		}
	}
}
