package record

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// An lz4 frame (lz4_Frame_format.md), as far as this package looks into it:
//
//	magic 4 | FLG 1 | BD 1 | content size 8, if FLG says so |
//	dictionary id 4, if FLG says so | header checksum 1 |
//	{ block size 4, top bit: stored | block | checksum 4, if FLG says so } … |
//	0 4 | content checksum 4, if FLG says so
const (
	lz4Magic           = 0x184D2204
	lz4FlagDictionary  = 0x01
	lz4FlagContentSum  = 0x04
	lz4FlagContentSize = 0x08
	lz4FlagBlockSum    = 0x10
	lz4FlagIndependent = 0x20
	lz4Stored          = 1 << 31
	lz4MinHeader       = 4 + 2 + 1
)

// checkLZ4Frame walks the lengths of a frame and refuses all but one standard
// frame of independent blocks, which is what Kafka's own reader accepts. It
// keeps legacy and skippable frames away from the decoder: legacy frames make it
// recurse once for each four bytes of input.
func checkLZ4Frame(b []byte) error {
	if len(b) < lz4MinHeader || binary.LittleEndian.Uint32(b) != lz4Magic {
		return fmt.Errorf("%w: lz4: not a frame", ErrCorrupt)
	}
	flags := b[4]
	if flags&lz4FlagIndependent == 0 || flags&lz4FlagDictionary != 0 {
		return fmt.Errorf("%w: lz4: linked blocks and dictionaries are not supported", ErrCorrupt)
	}
	pos := lz4HeaderSize(flags)
	for {
		if len(b)-pos < 4 {
			return fmt.Errorf("%w: lz4: frame cut short", ErrCorrupt)
		}
		size := int(binary.LittleEndian.Uint32(b[pos:]) &^ lz4Stored)
		end := binary.LittleEndian.Uint32(b[pos:]) == 0
		pos += 4
		if end {
			break
		}
		if flags&lz4FlagBlockSum != 0 {
			size += 4
		}
		if size > len(b)-pos {
			return fmt.Errorf("%w: lz4: block of %d bytes, %d left", ErrCorrupt, size, len(b)-pos)
		}
		pos += size
	}
	if flags&lz4FlagContentSum != 0 {
		pos += 4
	}
	if pos != len(b) {
		return fmt.Errorf("%w: lz4: frame ends at %d of %d bytes", ErrCorrupt, pos, len(b))
	}
	return nil
}

// lz4HeaderSize is the size of a frame's header with its checksum.
func lz4HeaderSize(flags byte) int {
	size := lz4MinHeader
	if flags&lz4FlagContentSize != 0 {
		size += 8
	}
	if flags&lz4FlagDictionary != 0 {
		size += 4
	}
	return size
}

// repairLZ4 returns a frame with the header checksum of the specification.
// Kafka's client of before 0.10 let the magic into the sum (KAFKA-3160); brokers
// must read such frames in messages of magic 0. Everything else is left as it is
// for the decoder to judge. b is not changed.
func repairLZ4(b []byte) []byte {
	if len(b) < lz4MinHeader || binary.LittleEndian.Uint32(b) != lz4Magic {
		return b
	}
	end := lz4HeaderSize(b[4]) - 1 // the checksum's place
	if len(b) <= end {
		return b
	}
	right, wrong := byte(xxh32(b[4:end])>>8), byte(xxh32(b[:end])>>8)
	if b[end] == right || b[end] != wrong {
		return b
	}
	fixed := append([]byte(nil), b...)
	fixed[end] = right
	return fixed
}

// Primes of XXH32 (xxhash_spec.md).
const (
	xxPrime1 = 2654435761
	xxPrime2 = 2246822519
	xxPrime3 = 3266489917
	xxPrime4 = 668265263
	xxPrime5 = 374761393
)

// xxh32 is XXH32 with seed 0, which no module of ours exports. It is used on
// frame headers only, of at most 18 bytes.
func xxh32(b []byte) uint32 {
	h := uint32(xxPrime5)
	size := uint32(len(b))
	if len(b) >= 16 {
		lanes := [4]uint32{xxPrime1, xxPrime2, 0, 0}
		lanes[0] += xxPrime2
		lanes[3] -= xxPrime1
		for ; len(b) >= 16; b = b[16:] {
			for i := range lanes {
				lanes[i] += binary.LittleEndian.Uint32(b[4*i:]) * xxPrime2
				lanes[i] = bits.RotateLeft32(lanes[i], 13) * xxPrime1
			}
		}
		h = bits.RotateLeft32(lanes[0], 1) + bits.RotateLeft32(lanes[1], 7) +
			bits.RotateLeft32(lanes[2], 12) + bits.RotateLeft32(lanes[3], 18)
	}
	h += size
	for ; len(b) >= 4; b = b[4:] {
		h += binary.LittleEndian.Uint32(b) * xxPrime3
		h = bits.RotateLeft32(h, 17) * xxPrime4
	}
	for _, c := range b {
		h += uint32(c) * xxPrime5
		h = bits.RotateLeft32(h, 11) * xxPrime1
	}
	h ^= h >> 15
	h *= xxPrime2
	h ^= h >> 13
	h *= xxPrime3
	return h ^ h>>16
}
