package record

import (
	"encoding/binary"
	"fmt"
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
