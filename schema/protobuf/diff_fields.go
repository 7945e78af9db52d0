package protobuf

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// message compares two messages: first what their oneofs make exclusive, then
// field by field, then the types nested in them.
func (d *differ) message(old, new protoreflect.MessageDescriptor) {
	d.movedIntoOneofs(old, new)
	d.oneofs(old, new)
	numbers := make(map[protoreflect.FieldNumber]bool)
	for _, list := range []protoreflect.FieldDescriptors{old.Fields(), new.Fields()} {
		for i := range list.Len() {
			numbers[list.Get(i).Number()] = true
		}
	}
	for _, n := range sortedKeys(numbers) {
		d.field(old, new, n)
	}
	d.messages(old.Messages(), new.Messages())
	d.enums(old.Enums(), new.Enums())
}

// oneofOf is the oneof that was written around a field, or nil: proto3 optional
// makes one of its own that no one wrote.
func oneofOf(f protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if f == nil {
		return nil
	}
	if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

// written lists the oneofs that were written as such, by name.
func written(m protoreflect.MessageDescriptor) map[protoreflect.Name]protoreflect.OneofDescriptor {
	out := make(map[protoreflect.Name]protoreflect.OneofDescriptor)
	for i := range m.Oneofs().Len() {
		if o := m.Oneofs().Get(i); !o.IsSynthetic() {
			out[o.Name()] = o
		}
	}
	return out
}

// movedIntoOneofs reports fields that could be set together and no longer can:
// the members of a new oneof which existed before must have been members of one
// old oneof. Each field that stood alone counts as a group of its own.
func (d *differ) movedIntoOneofs(old, new protoreflect.MessageDescriptor) {
	for i := range new.Oneofs().Len() {
		o := new.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		groups, alone := make(map[string]bool), 0
		for j := range o.Fields().Len() {
			before := old.Fields().ByNumber(o.Fields().Get(j).Number())
			if before == nil {
				continue
			}
			if group := oneofOf(before); group != nil {
				groups["oneof "+string(group.Name())] = true
			} else {
				groups["field "+strconv.Itoa(int(before.Number()))] = true
				alone++
			}
		}
		switch {
		case len(groups) < 2:
		case alone > 1:
			d.add(fieldsMovedToOneof, string(o.Name()))
		default:
			d.add(fieldMovedToOneof, string(o.Name()))
		}
	}
}

func (d *differ) oneofs(old, new protoreflect.MessageDescriptor) {
	before, after := written(old), written(new)
	names := make(map[protoreflect.Name]bool)
	for n := range before {
		names[n] = true
	}
	for n := range after {
		names[n] = true
	}
	for _, n := range sortedKeys(names) {
		switch {
		case after[n] == nil:
			d.add(oneofRemoved, string(n))
		case before[n] == nil:
			d.add(oneofAdded, string(n))
		}
	}
}

// goneWhole says whether a oneof went with its name and all its members; that
// is compatible, while dropping some of its members is not.
func goneWhole(o protoreflect.OneofDescriptor, new protoreflect.MessageDescriptor) bool {
	if written(new)[o.Name()] != nil {
		return false
	}
	for i := range o.Fields().Len() {
		if new.Fields().ByNumber(o.Fields().Get(i).Number()) != nil {
			return false
		}
	}
	return true
}

// field compares what two messages have under one number.
func (d *differ) field(old, new protoreflect.MessageDescriptor, n protoreflect.FieldNumber) {
	before, after := old.Fields().ByNumber(n), new.Fields().ByNumber(n)
	oldOneof, newOneof := oneofOf(before), oneofOf(after)
	at := strconv.Itoa(int(n))
	switch {
	case after == nil && oldOneof != nil:
		if !goneWhole(oldOneof, new) {
			d.add(oneofFieldRemoved, string(oldOneof.Name()), at)
		}
	case after == nil:
		d.add(pick(before.Cardinality() == protoreflect.Required, requiredFieldRemoved, fieldRemoved), at)
	case before == nil && newOneof != nil:
		d.add(oneofFieldAdded, string(newOneof.Name()), at)
	case before == nil:
		d.add(pick(after.Cardinality() == protoreflect.Required, requiredFieldAdded, fieldAdded), at)
	case newOneof != nil:
		d.below(string(newOneof.Name()), func() {
			d.below(at, func() { d.content(before, after) })
		})
	default:
		d.below(at, func() {
			if oldOneof != nil {
				d.add(oneofFieldToTop)
			}
			d.content(before, after)
		})
	}
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func (d *differ) content(old, new protoreflect.FieldDescriptor) {
	if old.Name() != new.Name() {
		d.add(fieldNameChanged)
	}
	d.types(old, new, labelOf(old), labelOf(new))
}

// label is optional, required or repeated where the text says so.
type label uint8

const (
	unlabelled label = iota
	optional
	required
	repeated
)

func (l label) String() string {
	return [...]string{"no label", "optional", "required", "repeated"}[l]
}

func labelOf(f protoreflect.FieldDescriptor) label {
	switch {
	case f.Cardinality() == protoreflect.Repeated:
		return repeated
	case f.Cardinality() == protoreflect.Required:
		return required
	case f.HasOptionalKeyword():
		return optional
	}
	return unlabelled
}

// class is what kind of value a field has.
type class uint8

const (
	classScalar class = iota // enums too
	classMessage
	classMap
)

func (c class) String() string {
	return [...]string{"scalar", "message", "map"}[c]
}

func classOf(f protoreflect.FieldDescriptor) class {
	switch {
	case f.IsMap():
		return classMap
	case f.Message() != nil:
		return classMessage
	}
	return classScalar
}

// types compares the types of two fields. A map's keys and values have no
// labels.
func (d *differ) types(old, new protoreflect.FieldDescriptor, oldLabel, newLabel label) {
	if classOf(old) != classOf(new) {
		d.addBoth(fieldKindChanged, classOf(old).String(), classOf(new).String())
		return
	}
	switch classOf(old) {
	case classMap:
		d.types(old.MapKey(), new.MapKey(), unlabelled, unlabelled)
		d.types(old.MapValue(), new.MapValue(), unlabelled, unlabelled)
	case classMessage:
		if (old.Kind() == protoreflect.GroupKind) != (new.Kind() == protoreflect.GroupKind) {
			d.addBoth(fieldKindChanged, old.Kind().String(), new.Kind().String()) // other bytes on the wire
			return
		}
		d.named(old.Message(), new.Message())
	default:
		d.scalars(old.Kind(), new.Kind(), oldLabel, newLabel)
	}
}

func (d *differ) scalars(old, new protoreflect.Kind, oldLabel, newLabel label) {
	group := scalarGroup(old)
	switch {
	case group != scalarGroup(new):
		d.addBoth(fieldScalarKindChanged, old.String(), new.String())
	case oldLabel == unlabelled || newLabel == unlabelled || oldLabel == newLabel:
	case group == groupText:
		d.add(textLabelChanged)
	default:
		d.addBoth(numericLabelChanged, oldLabel.String(), newLabel.String())
	}
}

// Scalars of one group have the same bytes on the wire.
const (
	groupNumber = iota
	groupSigned
	groupText
	groupFixed32
	groupFixed64
	groupFloat
	groupDouble
)

func scalarGroup(k protoreflect.Kind) int {
	switch k {
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return groupSigned
	case protoreflect.StringKind, protoreflect.BytesKind:
		return groupText
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return groupFixed32
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return groupFixed64
	case protoreflect.FloatKind:
		return groupFloat
	case protoreflect.DoubleKind:
		return groupDouble
	}
	return groupNumber
}

// named compares two message types by name without package and, where either
// comes from an import, by what is in them: types of the file itself are
// compared where they stand.
func (d *differ) named(old, new protoreflect.MessageDescriptor) {
	name := localName(new)
	if name != localName(old) {
		d.addBoth(fieldNamedTypeChanged, localName(old), name)
		return
	}
	if old.ParentFile().Path() == d.oldFile && new.ParentFile().Path() == d.newFile {
		return
	}
	pair := [2]protoreflect.FullName{old.FullName(), new.FullName()}
	same, seen := d.judged[pair]
	if !seen {
		d.judged[pair] = true
		first, path := len(d.found), d.path
		d.path = strings.Split(name, ".")
		d.message(old, new)
		d.path = path
		same = !slices.ContainsFunc(d.found[first:], func(f difference) bool {
			return sentence(f.kind) != ""
		})
		d.judged[pair] = same
	}
	if !same {
		d.add(fieldNamedTypeChanged)
	}
}

// localName is a message's name without its package.
func localName(m protoreflect.MessageDescriptor) string {
	pkg := m.ParentFile().Package()
	if pkg == "" {
		return string(m.FullName())
	}
	return strings.TrimPrefix(string(m.FullName()), string(pkg)+".")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return slices.Sorted(maps.Keys(m))
}
