package record

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/klauspost/compress/s2"
)

// maxSnappyRatio is more than snappy can reach: its densest element makes 64
// bytes of 3. A block that claims more is refused before its output is allocated.
const maxSnappyRatio = 22

// Xerial's framing, which snappy-java writes: a magic, two versions, and then
// blocks, each with its length. Other producers send one bare block.
const (
	xerialMagic      = "\x82SNAPPY\x00"
	xerialHeaderSize = len(xerialMagic) + 4 + 4
)

// snappyBlocks yields the blocks of src, or one error where its framing ends
// early.
func snappyBlocks(src []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if !xerialHeader(src) {
			yield(src, nil)
			return
		}
		for b := src; len(b) > 0; {
			if xerialHeader(b) { // streams may be concatenated
				b = b[xerialHeaderSize:]
				continue
			}
			if len(b) < 4 {
				yield(nil, fmt.Errorf("%w: snappy: block length cut short", ErrCorrupt))
				return
			}
			size := binary.BigEndian.Uint32(b)
			if b = b[4:]; uint64(size) > uint64(len(b)) {
				yield(nil, fmt.Errorf("%w: snappy: block of %d bytes, %d left", ErrCorrupt, size, len(b)))
				return
			}
			if !yield(b[:size], nil) {
				return
			}
			b = b[size:]
		}
	}
}

func xerialHeader(b []byte) bool {
	return len(b) >= xerialHeaderSize && string(b[:len(xerialMagic)]) == xerialMagic
}

func unsnappy(dst, src []byte, limit int) ([]byte, error) {
	start := len(dst)
	for block, err := range snappyBlocks(src) {
		if err == nil {
			dst, err = unsnappyBlock(dst, block, limit-(len(dst)-start))
		}
		if err != nil {
			return dst[:start], err
		}
	}
	return dst, nil
}

// checkSnappy looks for s2 in place of snappy, which Decompress does not: it
// costs as much as the decompression and is wanted once, at the door.
func checkSnappy(src []byte) error {
	for block, err := range snappyBlocks(src) {
		if err != nil {
			return err
		}
		if !plainSnappy(block) {
			return fmt.Errorf("%w: snappy: block uses s2 extensions", ErrCorrupt)
		}
	}
	return nil
}

// unsnappyBlock appends one snappy block to dst.
func unsnappyBlock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return dst, fmt.Errorf("%w: snappy: %w", ErrCorrupt, err)
	case n/maxSnappyRatio > len(src):
		return dst, fmt.Errorf("%w: snappy: %d bytes cannot hold %d", ErrCorrupt, len(src), n)
	case n > limit:
		return dst, ErrTooLarge
	}
	start := len(dst)
	if cap(dst)-start < n {
		dst = grow(dst, max(start+n, min(2*cap(dst), start+limit)))
	}
	if _, err := s2.Decode(dst[start:start+n:start+n], src); err != nil {
		return dst[:start], fmt.Errorf("%w: snappy: %w", ErrCorrupt, err)
	}
	return dst[:start+n], nil
}

// plainSnappy reports whether a block keeps to snappy. The decoder understands
// s2 too, which writes repeats as copies of offset 0; consumers would not.
// Elements (format_description.txt) have their kind in the low two bits of the
// first byte: 0 literal, then copies with offsets of 11 bits, 16 and 32 bits.
func plainSnappy(b []byte) bool {
	_, n := binary.Uvarint(b)
	for b = b[max(n, 0):]; len(b) > 0; {
		tag := b[0]
		size := 1
		switch tag & 3 {
		case 0:
			literal := int(tag >> 2)
			if extra := literal - 59; extra > 0 { // the length is in 1 to 4 bytes
				if literal = 0; len(b) <= extra {
					return true
				}
				for i, v := range b[1 : 1+extra] {
					literal |= int(v) << (8 * i)
				}
				size += extra
			}
			size += literal + 1
		case 1:
			if size = 2; len(b) >= 2 && tag>>5 == 0 && b[1] == 0 {
				return false
			}
		case 2:
			size = 3
		case 3:
			size = 5
		}
		if size >= len(b) {
			return true // the decoder judges the lengths
		}
		b = b[size:]
	}
	return true
}
