package record

import (
	"encoding/binary"
	"math/bits"
)

// maxVarint32 is the longest encoding of an int32. Java's reader refuses longer
// ones even if the value would fit, so they are refused here as well.
const maxVarint32 = 5

// varint reads a zigzag varint at the start of b. n is the number of bytes read,
// 0 if b does not begin with a valid one.
func varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	v, n = binary.Varint(b)
	return v, max(n, 0)
}

// varint32 is varint for values that must fit in an int32.
func varint32(b []byte) (v int32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int32(b[0]>>1) ^ -int32(b[0]&1), 1
	}
	if len(b) > 1 && b[1] < 0x80 { // lengths of most records, and of their values
		u := uint32(b[0]&0x7f) | uint32(b[1])<<7
		return int32(u>>1) ^ -int32(u&1), 2
	}
	w, n := binary.Varint(b)
	if n <= 0 || n > maxVarint32 || w != int64(int32(w)) {
		return 0, 0
	}
	return int32(w), n
}

// varintSize is the number of bytes that binary.AppendVarint writes for v.
func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
