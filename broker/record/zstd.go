package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxZstdWindow is the largest window a frame may ask for: level 22's. The
	// reference decoder refuses larger ones, so consumers would.
	maxZstdWindow = 128 << 20
	// usualZstdWindow is the largest window of levels up to 19.
	usualZstdWindow = 8 << 20
	// maxZstdBlock is the most that one block can decompress to (RFC 8878,
	// section 3.1.1.2.3).
	maxZstdBlock = 128 << 10
	zstdChecksum = 4
	zstdBlockRaw = 0
	zstdBlockRLE = 1
)

// zstdDecoders are costly to make and hold nothing between uses. They write no
// further than the capacity they are given.
var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return err // an option out of range
	}
	return d
}}

// unzstd decodes frames straight into dst, in one piece. How much room they need
// at most is known from their blocks. Where that is above limit, they are measured
// first: a bomb, or many small blocks.
func unzstd(dst, src []byte, limit int) ([]byte, error) {
	most, err := zstdBound(src)
	if err == nil && most > int64(limit) {
		most, err = measureZstd(src, limit)
	}
	if err != nil {
		return dst, err
	}
	d, ok := zstdDecoders.Get().(*zstd.Decoder)
	if !ok {
		return dst, fmt.Errorf("%w: zstd decoder is not available", ErrCodec)
	}
	defer zstdDecoders.Put(d)
	start := len(dst)
	room := int(min(most, int64(limit)))
	if cap(dst)-start < room {
		dst = grow(dst, start+room)
	}
	out, err := d.DecodeAll(src, dst[start:start:start+room])
	switch {
	case err == nil && len(out) <= room:
		if len(out) > 0 && &out[0] != &dst[:start+1][start] {
			return append(dst[:start], out...), nil // the decoder took memory of its own
		}
		return dst[:start+len(out)], nil
	}
	return dst[:start], fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
}

// measureZstd decodes frames without keeping them, and gives their size. It takes
// the memory of their window, which limit bounds too: what has a larger one and
// still fits is not made.
func measureZstd(src []byte, limit int) (int64, error) {
	window := uint64(min(max(limit, usualZstdWindow), maxZstdWindow))
	d, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return 0, fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
	}
	defer d.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(d, int64(limit)+1))
	switch {
	case n > int64(limit), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return 0, ErrTooLarge
	case err != nil:
		return 0, fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
	}
	return n, nil
}

// zstdBound is the most that frames can decompress to, by the headers of their
// blocks: little more than the real size, as encoders fill all blocks but the
// last.
func zstdBound(b []byte) (most int64, err error) {
	for len(b) > 0 {
		var h zstd.Header
		rest, err := h.DecodeAndStrip(b)
		if err != nil {
			return 0, fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
		}
		if b = rest; h.Skippable {
			if int64(h.SkippableSize) > int64(len(b)) {
				return 0, errZstdCut()
			}
			b = b[h.SkippableSize:]
			continue
		}
		frame, rest, err := zstdBlocks(b)
		if err != nil {
			return 0, err
		}
		if h.HasFCS && h.FrameContentSize < uint64(frame) {
			frame = int64(h.FrameContentSize)
		}
		most += frame
		if b = rest; h.HasCheckSum {
			if len(b) < zstdChecksum {
				return 0, errZstdCut()
			}
			b = b[zstdChecksum:]
		}
	}
	return most, nil
}

// zstdBlocks steps over the blocks of one frame. A block header is 3 bytes,
// little-endian: bit 0 last, bits 1–2 type, then its size.
func zstdBlocks(b []byte) (most int64, rest []byte, err error) {
	for {
		if len(b) < 3 {
			return 0, nil, errZstdCut()
		}
		head := int(binary.LittleEndian.Uint16(b)) | int(b[2])<<16
		last, kind, size := head&1 != 0, head>>1&3, head>>3
		b = b[3:]
		switch kind {
		case zstdBlockRaw:
			most += int64(size)
		case zstdBlockRLE:
			most += int64(size)
			size = 1
		default:
			most += maxZstdBlock
		}
		if size > len(b) {
			return 0, nil, errZstdCut()
		}
		if b = b[size:]; last {
			return most, b, nil
		}
	}
}

func errZstdCut() error { return fmt.Errorf("%w: zstd: frame cut short", ErrCorrupt) }
