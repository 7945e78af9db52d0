package schema

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Confluent's wire forms. Prefix, in front of the payload:
//
//	0        1            5
//	0x00     schema id    [Protobuf: message indexes] payload
//	         int32 BE
//
// Header, in the record header __key_schema_id or __value_schema_id, with the
// payload bare; the second form is read, not written, by Confluent's clients:
//
//	0        1            17
//	0x01     schema GUID  [Protobuf: message indexes]
//	0x00     schema id    [Protobuf: message indexes]   (id to position 5)
//
// Message indexes are a zigzag varint count and as many zigzag varints: the
// path of a message type in its file. [0], the first message, is the byte 0x00.

const (
	magicID   = 0x00
	magicGUID = 0x01
	prefixLen = 5
	guidLen   = 16
)

// The record headers that carry a schema id. Of several with the same name the
// last counts.
const (
	KeyHeader   = "__key_schema_id"
	ValueHeader = "__value_schema_id"
)

// maxIndexes bounds a message index path: message types nest no deeper than
// MaxDepth in a text that we parse.
const maxIndexes = MaxDepth

// Form is how a payload says which schema it has.
type Form uint8

// The three forms: nothing, the five-byte prefix, the record header.
const (
	Bare Form = iota
	Prefix
	Header
)

// Frame is a record's key or value taken out of its wire form.
type Frame struct {
	Form Form
	// ID is the schema id, if Form is not Bare and HasGUID is false.
	ID int32
	// GUID is the schema's GUID, if HasGUID.
	GUID    [16]byte
	HasGUID bool
	// Indexes are the bytes behind the id in a header, where Protobuf's message
	// indexes stand. In the prefix form they open the Payload instead, which
	// only the schema's language can tell: Split does.
	Indexes []byte
	// Payload aliases the value.
	Payload []byte
}

// ParseFrame tells the form of a key or value. header is the value of the last
// record header named KeyHeader or ValueHeader, if there is one; it goes before
// a prefix. The error, an *Invalid, is for a header that names no schema. A
// value too short for a prefix, or not beginning with 0x00, is Bare; that a
// bare payload may begin with 0x00 too is for the caller to know.
func ParseFrame(value []byte, header []byte, headerPresent bool) (Frame, error) {
	if headerPresent {
		return parseHeader(value, header)
	}
	if len(value) < prefixLen || value[0] != magicID {
		return Frame{Payload: value}, nil
	}
	id := int32(binary.BigEndian.Uint32(value[1:prefixLen]))
	return Frame{Form: Prefix, ID: id, Payload: value[prefixLen:]}, nil
}

func parseHeader(value, header []byte) (Frame, error) {
	f := Frame{Form: Header, Payload: value}
	switch {
	case len(header) > guidLen && header[0] == magicGUID:
		f.HasGUID = true
		copy(f.GUID[:], header[1:])
		f.Indexes = header[1+guidLen:]
	case len(header) >= prefixLen && header[0] == magicID:
		f.ID = int32(binary.BigEndian.Uint32(header[1:prefixLen]))
		f.Indexes = header[prefixLen:]
	default:
		return Frame{}, Refuse(0, "schema id header of 0x01 and a GUID, or 0x00 and an id", Preview(header))
	}
	return f, nil
}

// Split gives what Schema.Decoder and Decoder take: the message index (always
// empty but for Protobuf) and the payload behind it. The error is an *Invalid.
func (f Frame) Split(t Type) (index []int, payload []byte, err error) {
	switch {
	case t != Protobuf || f.Form == Bare:
		return nil, f.Payload, nil
	case f.Form == Prefix:
		return ParseIndexes(f.Payload)
	case len(f.Indexes) == 0:
		return nil, f.Payload, nil
	}
	index, rest, err := ParseIndexes(f.Indexes)
	if err == nil && len(rest) > 0 {
		err = Refuse(len(f.Indexes)-len(rest), "end of the message indexes", fmt.Sprintf("%d more bytes", len(rest)))
	}
	return index, f.Payload, err
}

// ParseIndexes reads message indexes from the front of b. For the first
// message, in its short or long form, index is nil and nothing is allocated.
// The error is an *Invalid.
func ParseIndexes(b []byte) (index []int, rest []byte, err error) {
	if len(b) > 0 && b[0] == 0 {
		return nil, b[1:], nil
	}
	count, size := binary.Varint(b)
	if size <= 0 || count < 0 || count > maxIndexes || count > int64(len(b)-size) {
		return nil, nil, Refuse(0, "count of message indexes", Preview(b[:min(len(b), binary.MaxVarintLen64)]))
	}
	pos := size
	for i := range count {
		v, size := binary.Varint(b[pos:])
		if size <= 0 || v < 0 || v > math.MaxInt32 {
			return nil, nil, Refuse(pos, "message index", Preview(b[pos:min(len(b), pos+binary.MaxVarintLen64)]))
		}
		pos += size
		if count == 1 && v == 0 {
			break
		}
		if i == 0 {
			index = make([]int, 0, count)
		}
		index = append(index, int(v))
	}
	return index, b[pos:], nil
}

// AppendPrefix appends 0x00 and the id.
func AppendPrefix(dst []byte, id int32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, magicID), uint32(id))
}

// AppendHeader appends a header's value, 0x01 and the GUID; for Protobuf
// AppendIndexes follows.
func AppendHeader(dst []byte, guid [16]byte) []byte {
	return append(append(dst, magicGUID), guid[:]...)
}

// AppendIndexes appends message indexes; none, or 0 alone, is the byte 0x00.
func AppendIndexes(dst []byte, index []int) []byte {
	if len(index) == 0 || len(index) == 1 && index[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(index)))
	for _, i := range index {
		dst = binary.AppendVarint(dst, int64(i))
	}
	return dst
}
