package protobuf

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// metaNumber is the number of confluent.field_meta among a field's options, and
// paramsNumber that of the map params in confluent.Meta.
const (
	metaNumber   = 1088
	paramsNumber = 2
)

// verifiesUTF8 says whether a string field refuses what is not UTF-8: proto3
// does, proto2 does not, editions say so in a feature that is inherited from
// file to message to field. A map entry's fields take their map's.
func verifiesUTF8(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.StringKind {
		return false
	}
	switch fd.ParentFile().Syntax() {
	case protoreflect.Proto2:
		return false
	case protoreflect.Proto3:
		return true
	}
	for d := protoreflect.Descriptor(fd); d != nil; d = d.Parent() {
		if m, ok := d.(protoreflect.MessageDescriptor); ok && m.IsMapEntry() {
			d = mapFieldOf(m)
		}
		switch featuresOf(d).GetUtf8Validation() {
		case descriptorpb.FeatureSet_VERIFY:
			return true
		case descriptorpb.FeatureSet_NONE:
			return false
		}
	}
	return true // the default of editions 2023 and later
}

// mapFieldOf is the field whose entries m describes; m itself if none is found.
func mapFieldOf(m protoreflect.MessageDescriptor) protoreflect.Descriptor {
	parent, ok := m.Parent().(protoreflect.MessageDescriptor)
	if !ok {
		return m
	}
	for i := range parent.Fields().Len() {
		if f := parent.Fields().Get(i); f.IsMap() && f.Message().FullName() == m.FullName() {
			return f
		}
	}
	return m
}

func featuresOf(d protoreflect.Descriptor) *descriptorpb.FeatureSet {
	switch o := d.Options().(type) {
	case *descriptorpb.FieldOptions:
		return o.GetFeatures()
	case *descriptorpb.MessageOptions:
		return o.GetFeatures()
	case *descriptorpb.FileOptions:
		return o.GetFeatures()
	}
	return nil
}

// params is the precision and scale that a decimal field declares; precision 0
// means that it declares none.
type params struct {
	precision, scale int32
}

// maxDecimalParam bounds both: what no decimal needs more of.
const maxDecimalParam = 1000

// decimalParams reads them from confluent.field_meta.
func decimalParams(fd protoreflect.FieldDescriptor) (params, error) {
	meta := fieldMeta(fd)
	text, ok := meta["precision"]
	if !ok {
		return params{}, nil
	}
	precision, err := strconv.Atoi(text)
	if err != nil || precision < 1 || precision > maxDecimalParam {
		return params{}, fmt.Errorf("the decimal's precision %q is not a number from 1 to %d", text, maxDecimalParam)
	}
	scale := 0
	if text, ok = meta["scale"]; ok {
		scale, err = strconv.Atoi(text)
	}
	if err != nil || scale < 0 || scale > precision {
		return params{}, fmt.Errorf("the decimal's scale %q is not a number from 0 to its precision %d", text, precision)
	}
	return params{precision: int32(precision), scale: int32(scale)}, nil
}

// fieldMeta reads the params of confluent.field_meta off the options' bytes:
// whether a file's custom options were resolved to a type does not matter so.
func fieldMeta(fd protoreflect.FieldDescriptor) map[string]string {
	b, err := proto.Marshal(fd.Options())
	if err != nil {
		return nil
	}
	out := make(map[string]string)
	eachBytes(b, metaNumber, func(meta []byte) {
		eachBytes(meta, paramsNumber, func(entry []byte) {
			var key, value string
			eachBytes(entry, 1, func(b []byte) { key = string(b) })
			eachBytes(entry, 2, func(b []byte) { value = string(b) })
			out[key] = value
		})
	})
	return out
}

// eachBytes calls fn with each value of a field of wire type 2.
func eachBytes(b []byte, num protowire.Number, fn func([]byte)) {
	for len(b) > 0 {
		n, wire, size := protowire.ConsumeTag(b)
		if size < 0 {
			return
		}
		rest := protowire.ConsumeFieldValue(n, wire, b[size:])
		if rest < 0 {
			return
		}
		if n == num && wire == protowire.BytesType {
			if v, k := protowire.ConsumeBytes(b[size:]); k >= 0 {
				fn(v)
			}
		}
		b = b[size+rest:]
	}
}
