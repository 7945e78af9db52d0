package schema

import (
	"encoding/binary"
	"unicode/utf8"
)

// ValidUTF8 is utf8.Valid with a short way for ASCII, which most strings are:
// eight bytes at a time, the last eight overlapping those before.
func ValidUTF8(b []byte) bool {
	const high = 0x8080808080808080
	n := len(b)
	var seen uint64
	switch {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			seen |= binary.LittleEndian.Uint64(b[i:])
		}
		seen |= binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		seen = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		for _, c := range b {
			seen |= uint64(c)
		}
	}
	return seen&high == 0 || utf8.Valid(b)
}
