package protobuf

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// known says which message the type mapping knows by name.
type known uint8

const (
	knownNone known = iota
	knownTimestamp
	knownDuration
	knownDate
	knownTimeOfDay
	knownDecimal
	knownWrapper
	knownStruct
	knownValue
	knownList
	knownAny
	knownFieldMask
	knownEmpty
)

// ranged says whether a value may be out of the range of its column.
func (k known) ranged() bool { return knownTimestamp <= k && k <= knownDecimal }

// json says whether the message has no column but JSON text.
func (k known) json() bool { return knownStruct <= k && k <= knownAny }

// shape is a known message's fields: numbers count from 1. A reference may
// bring its own file under a known path, and then it is no known message.
type shape struct {
	known known
	kinds []protoreflect.Kind
}

// knownOf tells a known message by its full name and the kinds of its fields.
func knownOf(md protoreflect.MessageDescriptor) known {
	s := shapeOf(md.FullName())
	if s.known == knownNone || md.Fields().Len() != len(s.kinds) {
		return knownNone
	}
	for i, k := range s.kinds {
		fd := md.Fields().Get(i)
		repeated := i == 0 && (s.known == knownStruct || s.known == knownList || s.known == knownFieldMask)
		if int(fd.Number()) != i+1 || fd.Kind() != k || (fd.Cardinality() == protoreflect.Repeated) != repeated || fd.Cardinality() == protoreflect.Required {
			return knownNone
		}
		if k == protoreflect.StringKind && !verifiesUTF8(fd) {
			return knownNone
		}
		if o := fd.ContainingOneof(); s.known == knownValue && (o == nil || o.Fields().Len() != len(s.kinds)) {
			return knownNone
		}
	}
	return s.known
}

func shapeOf(name protoreflect.FullName) shape {
	const (
		i32, i64, u32, u64 = protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind
		str, bin, boolean  = protoreflect.StringKind, protoreflect.BytesKind, protoreflect.BoolKind
		f32, f64           = protoreflect.FloatKind, protoreflect.DoubleKind
		enum, msg          = protoreflect.EnumKind, protoreflect.MessageKind
	)
	of := func(k known, kinds ...protoreflect.Kind) shape { return shape{k, kinds} }
	switch name {
	case "google.protobuf.Timestamp":
		return of(knownTimestamp, i64, i32)
	case "google.protobuf.Duration":
		return of(knownDuration, i64, i32)
	case "google.type.Date":
		return of(knownDate, i32, i32, i32)
	case "google.type.TimeOfDay":
		return of(knownTimeOfDay, i32, i32, i32, i32)
	case "confluent.type.Decimal":
		return of(knownDecimal, bin, u32, i32)
	case "google.protobuf.DoubleValue":
		return of(knownWrapper, f64)
	case "google.protobuf.FloatValue":
		return of(knownWrapper, f32)
	case "google.protobuf.Int64Value":
		return of(knownWrapper, i64)
	case "google.protobuf.UInt64Value":
		return of(knownWrapper, u64)
	case "google.protobuf.Int32Value":
		return of(knownWrapper, i32)
	case "google.protobuf.UInt32Value":
		return of(knownWrapper, u32)
	case "google.protobuf.BoolValue":
		return of(knownWrapper, boolean)
	case "google.protobuf.StringValue":
		return of(knownWrapper, str)
	case "google.protobuf.BytesValue":
		return of(knownWrapper, bin)
	case "google.protobuf.Struct":
		return of(knownStruct, msg)
	case "google.protobuf.Value":
		return of(knownValue, enum, f64, str, boolean, msg, msg)
	case "google.protobuf.ListValue":
		return of(knownList, msg)
	case "google.protobuf.Any":
		return of(knownAny, str, bin)
	case "google.protobuf.FieldMask":
		return of(knownFieldMask, str)
	case "google.protobuf.Empty":
		return of(knownEmpty)
	}
	return shape{}
}
