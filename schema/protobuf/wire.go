package protobuf

import (
	"fmt"

	"github.com/tarn-io/tarn/schema"
)

// The wire format, protobuf.dev/programming-guides/encoding:
//
//	tag       varint: field number << 3 | wire type
//	0 varint  little-endian groups of 7 bits, at most 10 bytes
//	1 64-bit  8 bytes, little-endian
//	2 bytes   varint length, then that many bytes
//	3 group   fields up to the tag of wire type 4 with the same number
//	5 32-bit  4 bytes, little-endian
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wireGroup  = 3
	wireEnd    = 4
	wire32     = 5
)

// maxNumber is the highest field number.
const maxNumber = 1<<29 - 1

// uvarint reads a varint of b at pos; next is where it ends, or -1 if it does
// not end or does not fit in 64 bits.
func uvarint(b []byte, pos int) (v uint64, next int) {
	if pos < len(b) && b[pos] < 0x80 {
		return uint64(b[pos]), pos + 1
	}
	return uvarintLong(b, pos)
}

func uvarintLong(b []byte, pos int) (v uint64, next int) {
	for shift := uint(0); shift < 70; shift += 7 {
		if pos >= len(b) {
			return 0, -1
		}
		c := b[pos]
		pos++
		if shift == 63 && c > 1 {
			return 0, -1
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, pos
		}
	}
	return 0, -1
}

// length reads the length at pos and returns where its bytes start and end, or
// end < 0 if they reach past b.
func length(b []byte, pos int) (start, end int) {
	n, next := uvarint(b, pos)
	if next < 0 || n > uint64(len(b)-next) {
		return next, -1
	}
	return next, next + int(n)
}

// skip returns the position after the value at pos of a field that nothing is
// known of, or -1.
func skip(b []byte, pos, num, wire, depth int) int {
	switch wire {
	case wireVarint:
		_, pos = uvarint(b, pos)
		return pos
	case wire64:
		return within(b, pos+8)
	case wire32:
		return within(b, pos+4)
	case wireBytes:
		_, end := length(b, pos)
		return end
	case wireGroup:
		_, next := skipGroup(b, pos, num, depth+1)
		return next
	}
	return -1
}

// skipField is skip for a tag that was read; a field number that is none is -1
// too.
func skipField(b []byte, pos int, tag uint64, depth int) int {
	num := tag >> 3
	if num < 1 || num > maxNumber {
		return -1
	}
	return skip(b, pos, int(num), int(tag&7), depth)
}

func within(b []byte, pos int) int {
	if pos > len(b) {
		return -1
	}
	return pos
}

// skipGroup finds the end of the group whose start tag ends at pos: where its
// content ends, and where the payload goes on; next is -1 if it has no end, or
// nests too deep.
func skipGroup(b []byte, pos, num, depth int) (end, next int) {
	if depth > schema.MaxDepth {
		return 0, -1
	}
	for {
		start := pos
		tag, after := uvarint(b, pos)
		n := tag >> 3
		if after < 0 || n < 1 || n > maxNumber {
			return 0, -1
		}
		if tag&7 == wireEnd {
			if n != uint64(num) {
				return 0, -1
			}
			return start, after
		}
		if pos = skip(b, after, int(n), int(tag&7), depth); pos < 0 {
			return 0, -1
		}
	}
}

// broken explains why the field at pos, whose tag could not be read or whose
// value could not be skipped, is no field.
func broken(b []byte, pos int) *schema.Invalid {
	tag, after := uvarint(b, pos)
	n, wire := tag>>3, tag&7
	switch {
	case after < 0 && len(b)-pos < 10:
		return schema.Refuse(pos, "a field", "the end of the payload")
	case after < 0:
		return schema.Refuse(pos, "a field", "a varint of more than 64 bits")
	case n < 1 || n > maxNumber:
		return schema.Refuse(pos, fmt.Sprintf("a field number from 1 to %d", maxNumber), fmt.Sprintf("number %d", n))
	case wire > wire32:
		return schema.Refuse(pos, "a wire type from 0 to 5", fmt.Sprintf("wire type %d of field %d", wire, n))
	case wire == wireEnd:
		return schema.Refuse(pos, "a field", fmt.Sprintf("the end of a group %d that did not start", n))
	case wire == wireGroup:
		return schema.Refuse(pos, fmt.Sprintf("a group %d that ends, at most %d deep", n, schema.MaxDepth), "none")
	case wire == wireVarint:
		return schema.Refuse(after, fmt.Sprintf("a varint for field %d", n), "more than 64 bits, or the end of the payload")
	case wire == wireBytes:
		if size, start := uvarint(b, after); start >= 0 {
			return schema.Refuse(after, fmt.Sprintf("%d bytes for field %d", size, n), fmt.Sprintf("%d bytes", len(b)-start))
		}
		return schema.Refuse(after, fmt.Sprintf("a length for field %d", n), "more than 64 bits, or the end of the payload")
	}
	return schema.Refuse(after, fmt.Sprintf("the bytes of field %d", n), fmt.Sprintf("%d bytes", len(b)-after))
}
