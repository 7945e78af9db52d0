package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/pierrec/lz4/v4"
)

// firstOutput is the smallest buffer that gzip and lz4 start with. It grows by
// what was really decompressed.
const firstOutput = 64 << 10

// Decompress appends the decompression of src to dst and returns the result,
// which never holds more than limit bytes beyond dst. dst must not overlap src.
// Memory stays within a small multiple of limit, whatever src claims. Errors:
// ErrTooLarge past the limit, ErrCodec for an unknown codec, ErrCorrupt for all
// else. Safe for concurrent use.
func Decompress(dst, src []byte, c Codec, limit int) ([]byte, error) {
	switch c {
	case None:
		if len(src) > limit {
			return dst, ErrTooLarge
		}
		return append(dst, src...), nil
	case Gzip:
		return gunzip(dst, src, limit)
	case Snappy:
		return unsnappy(dst, src, limit)
	case LZ4:
		return unlz4(dst, src, limit)
	case Zstd:
		return unzstd(dst, src, limit)
	}
	return dst, fmt.Errorf("%w: %d", ErrCodec, c)
}

// gzipSource is a reusable gzip decoder with its input. Emptying the input after
// use keeps the pool from holding a frame.
type gzipSource struct {
	z   gzip.Reader
	src bytes.Reader
}

// lz4Source is the same for lz4.
type lz4Source struct {
	z   *lz4.Reader
	src bytes.Reader
}

// Decoders are costly to make and hold nothing between uses.
var (
	gzipSources = sync.Pool{New: func() any { return new(gzipSource) }}
	lz4Sources  = sync.Pool{New: func() any { return &lz4Source{z: lz4.NewReader(nil)} }}
)

// gunzip reads all members of a gzip stream.
func gunzip(dst, src []byte, limit int) ([]byte, error) {
	g := gzipSources.Get().(*gzipSource)
	defer gzipSources.Put(g)
	g.src.Reset(src)
	defer g.src.Reset(nil)
	if err := g.z.Reset(&g.src); err != nil {
		return dst, fmt.Errorf("%w: gzip: %w", ErrCorrupt, err)
	}
	return readAll(dst, &g.z, limit, "gzip")
}

// unlz4 reads one lz4 frame.
func unlz4(dst, src []byte, limit int) ([]byte, error) {
	if err := checkLZ4Frame(src); err != nil {
		return dst, err
	}
	l := lz4Sources.Get().(*lz4Source)
	defer lz4Sources.Put(l)
	l.src.Reset(src)
	defer l.src.Reset(nil)
	l.z.Reset(&l.src)
	defer l.z.Reset(&l.src) // gives its block buffers back
	return readAll(dst, l.z, limit, "lz4")
}

// readAll appends what r holds to dst, up to limit bytes.
func readAll(dst []byte, r io.Reader, limit int, codec string) ([]byte, error) {
	start := len(dst)
	for {
		// One byte of room past the limit tells a stream that ends at the
		// limit from one that goes on.
		room := start + limit + 1 - len(dst)
		if room <= 0 {
			return dst[:start], ErrTooLarge
		}
		if len(dst) == cap(dst) {
			dst = grow(dst, min(max(firstOutput, 2*cap(dst)), start+limit+1))
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), len(dst)+room)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			if len(dst)-start > limit {
				return dst[:start], ErrTooLarge
			}
			return dst, nil
		}
		if err != nil {
			return dst[:start], fmt.Errorf("%w: %s: %w", ErrCorrupt, codec, err)
		}
	}
}

// grow moves b to a buffer of the capacity given.
func grow(b []byte, capacity int) []byte {
	c := make([]byte, len(b), max(capacity, len(b)+1))
	copy(c, b)
	return c
}
