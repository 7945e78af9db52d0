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

const (
	// firstOutput is the smallest buffer that gzip and lz4 start with. It grows by
	// what was really decompressed.
	firstOutput = 64 << 10
	// measureFrom is from where on that growth ends: a stream that goes on is read
	// to its end once without being kept, so that a bomb takes no memory and all
	// else takes what it needs. Real batches end before.
	measureFrom = 8 << 20
)

// Most that one byte of input can make: deflate (its longest match in two bits),
// lz4 (a length byte).
const (
	maxGzipRatio = 1032
	maxLZ4Ratio  = 255
)

// MostUnpacked is the most memory that unpacking b takes, a batch or a message set
// of old clients, by its codec and size and at most limit; 0 if there is nothing to
// unpack. It reads headers only, and judges nothing: what is damaged is refused by
// those who unpack it.
func MostUnpacked(b []byte, limit int) int {
	h, err := ParseHeader(b)
	if err != nil { // a message set, whose wrappers are not looked into
		return bounded(len(b), maxGzipRatio, limit)
	}
	body := b[min(HeaderSize, len(b)):min(max(h.Size(), HeaderSize), len(b))]
	switch h.Codec() {
	case Gzip:
		return bounded(len(body), maxGzipRatio, limit)
	case Snappy:
		return bounded(len(body), maxSnappyRatio, limit)
	case LZ4:
		return bounded(len(body), maxLZ4Ratio, limit)
	case Zstd:
		if most, err := zstdBound(body); err == nil {
			return int(min(most, int64(limit)))
		}
	}
	return 0
}

func bounded(size, ratio, limit int) int { return int(min(int64(size)*int64(ratio), int64(limit))) }

// Decompress appends the decompression of src to dst and returns the result,
// which never holds more than limit bytes beyond dst. dst must not overlap src.
// Memory stays within limit and a buffer of measureFrom, whatever src claims. Errors:
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
	defer g.src.Reset(nil)
	return readAll(dst, limit, "gzip", func() (io.Reader, error) {
		g.src.Reset(src)
		return &g.z, g.z.Reset(&g.src)
	})
}

// unlz4 reads one lz4 frame.
func unlz4(dst, src []byte, limit int) ([]byte, error) {
	if err := checkLZ4Frame(src); err != nil {
		return dst, err
	}
	l := lz4Sources.Get().(*lz4Source)
	defer lz4Sources.Put(l)
	defer l.src.Reset(nil)
	defer l.z.Reset(&l.src) // gives its block buffers back
	return readAll(dst, limit, "lz4", func() (io.Reader, error) {
		l.src.Reset(src)
		l.z.Reset(&l.src)
		return l.z, nil
	})
}

// readAll appends what a stream holds to dst, up to limit bytes. open begins it,
// a second time if it has to be measured.
func readAll(dst []byte, limit int, codec string, open func() (io.Reader, error)) ([]byte, error) {
	start := len(dst)
	r, err := open()
	if err != nil {
		return dst, fmt.Errorf("%w: %s: %w", ErrCorrupt, codec, err)
	}
	for measured := false; ; {
		// One byte of room past the limit tells a stream that ends at the
		// limit from one that goes on.
		room := start + limit + 1 - len(dst)
		if room <= 0 {
			return dst[:start], ErrTooLarge
		}
		if got := len(dst) - start; len(dst) == cap(dst) && got >= measureFrom && !measured {
			rest, err := io.Copy(io.Discard, io.LimitReader(r, int64(room)))
			if err == nil && rest == int64(room) {
				return dst[:start], ErrTooLarge
			}
			if err == nil {
				r, err = open()
			}
			if err != nil {
				return dst[:start], fmt.Errorf("%w: %s: %w", ErrCorrupt, codec, err)
			}
			dst, measured = grow(dst[:start], start+got+int(rest)+1), true
			continue
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
