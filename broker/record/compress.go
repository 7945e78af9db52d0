package record

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Encoders are costly to make and hold no state between uses. Levels are the
// libraries' defaults. lz4 blocks are of 64 KiB and independent, as Java's
// producer makes them and its consumer requires; no content checksum, since the
// batch has one.
var (
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(io.Discard) }}
	lz4Writers  = sync.Pool{New: func() any {
		w := lz4.NewWriter(io.Discard)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
			return err // an option out of range
		}
		return w
	}}
	zstdEncoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return err // an option out of range
		}
		return e
	}}
)

// Compress appends the compression of src to dst. Snappy is written as one bare
// block, which every consumer reads. The only error of a known codec is lack of
// memory, which Go does not report. Safe for concurrent use.
func Compress(dst, src []byte, c Codec) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		return writeAll(dst, src, w)
	case Snappy:
		start := len(dst)
		most := s2.MaxEncodedLen(len(src))
		if most < 0 {
			return dst, fmt.Errorf("compress with snappy: %w", ErrTooLarge)
		}
		if cap(dst)-start < most {
			dst = grow(dst, start+most)
		}
		out := s2.EncodeSnappy(dst[start:cap(dst)], src)
		return dst[:start+len(out)], nil
	case LZ4:
		w, ok := lz4Writers.Get().(*lz4.Writer)
		if !ok {
			return dst, fmt.Errorf("%w: lz4 encoder is not available", ErrCodec)
		}
		defer lz4Writers.Put(w)
		return writeAll(dst, src, w)
	case Zstd:
		e, ok := zstdEncoders.Get().(*zstd.Encoder)
		if !ok {
			return dst, fmt.Errorf("%w: zstd encoder is not available", ErrCodec)
		}
		defer zstdEncoders.Put(e)
		return e.EncodeAll(src, dst), nil
	}
	return dst, fmt.Errorf("%w: %d", ErrCodec, c)
}

// resetWriter is what the gzip and lz4 writers share.
type resetWriter interface {
	io.WriteCloser
	Reset(io.Writer)
}

func writeAll(dst, src []byte, w resetWriter) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w.Reset(buf)
	defer w.Reset(io.Discard) // a pooled writer must not hold the batch
	if _, err := w.Write(src); err != nil {
		return dst, fmt.Errorf("compress records: %w", err)
	}
	if err := w.Close(); err != nil {
		return dst, fmt.Errorf("compress records: %w", err)
	}
	return buf.Bytes(), nil
}
