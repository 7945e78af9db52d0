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

// Level is how hard a codec works, in the numbers of Kafka's
// compression.*.level (KIP-390). 0 is the codec's default, and so is anything
// that is no level of it. Snappy has none.
type Level int

// kafkaLZ4Level is what Kafka calls lz4's default: its fast compressor. Any other
// level is the high compressor's.
const kafkaLZ4Level = 9

// Encoders are costly to make and hold no state between uses. There is a pool for
// each level of the libraries. lz4 blocks are of 64 KiB and independent, as Java's
// producer makes them and its consumer requires; no content checksum, since the
// batch has one.
var (
	gzipWriters  [gzip.BestCompression + 1]sync.Pool      // of *gzip.Writer; 0: the default
	lz4Writers   [10]sync.Pool                            // of *lz4.Writer; 0: fast
	zstdEncoders [zstd.SpeedBestCompression + 1]sync.Pool // of *zstd.Encoder
)

func gzipWriter(l Level) (w *gzip.Writer, pool *sync.Pool, err error) {
	if l < 1 || l > gzip.BestCompression {
		l = 0
	}
	pool = &gzipWriters[l]
	if w, ok := pool.Get().(*gzip.Writer); ok {
		return w, pool, nil
	}
	if l == 0 {
		l = gzip.DefaultCompression
	}
	w, err = gzip.NewWriterLevel(io.Discard, int(l))
	return w, pool, err
}

func lz4Writer(l Level) (w *lz4.Writer, pool *sync.Pool, err error) {
	level := lz4.Fast
	if l < 1 || l == kafkaLZ4Level {
		l = 0
	} else {
		l = min(l, 8) // the higher ones gain nothing in blocks of 64 KiB
		level = lz4.Level1 << (l - 1)
	}
	pool = &lz4Writers[l]
	if w, ok := pool.Get().(*lz4.Writer); ok {
		return w, pool, nil
	}
	w = lz4.NewWriter(io.Discard)
	err = w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(level))
	return w, pool, err
}

func zstdEncoder(l Level) (e *zstd.Encoder, pool *sync.Pool, err error) {
	speed := zstd.SpeedDefault
	if l != 0 {
		speed = zstd.EncoderLevelFromZstd(int(l))
	}
	pool = &zstdEncoders[speed]
	if e, ok := pool.Get().(*zstd.Encoder); ok {
		return e, pool, nil
	}
	e, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithEncoderLevel(speed))
	return e, pool, err
}

// Compress is CompressLevel at the codec's default level.
func Compress(dst, src []byte, c Codec) ([]byte, error) { return CompressLevel(dst, src, c, 0) }

// CompressLevel appends the compression of src to dst. Snappy is written as one
// bare block, which every consumer reads. The only error of a known codec is lack
// of memory, which Go does not report. Safe for concurrent use.
func CompressLevel(dst, src []byte, c Codec, l Level) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w, pool, err := gzipWriter(l)
		if err != nil {
			return dst, fmt.Errorf("%w: gzip: %w", ErrCodec, err)
		}
		defer pool.Put(w)
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
		w, pool, err := lz4Writer(l)
		if err != nil {
			return dst, fmt.Errorf("%w: lz4: %w", ErrCodec, err)
		}
		defer pool.Put(w)
		return writeAll(dst, src, w)
	case Zstd:
		e, pool, err := zstdEncoder(l)
		if err != nil {
			return dst, fmt.Errorf("%w: zstd: %w", ErrCodec, err)
		}
		defer pool.Put(e)
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
