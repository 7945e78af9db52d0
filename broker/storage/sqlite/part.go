package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A part is a piece of a backup or a replica on its way: changes, compressed.
//
//	magic    8  "TARNPRT1"
//	flags    1  1: with this part the changes so far are a state of the store
//	time     8  Unix ms, big endian: of the state, or of the part
//	raw      4  bytes of the changes, big endian
//	changes  …  one after another (Change.Append), as one frame of Zstandard
//	crc      4  CRC-32C of all that comes before, big endian
const (
	partMagic  = "TARNPRT1"
	partHeader = len(partMagic) + 1 + 8 + 4
	partWhole  = 1
	// partBytes is where a part ends, before compression.
	partBytes = 4 << 20
	// MaxPartBytes bounds a part: a chunk may hold one batch of 100 MB.
	MaxPartBytes = 128 << 20
)

// ErrPart says that bytes are no part, or a damaged one.
var ErrPart = errors.New("malformed part")

// Part is one part as Parts makes it.
type Part struct {
	// Whole: with this part, all so far are a state of the store, that of Time.
	Whole bool
	Time  time.Time
	Bytes []byte // encoded
}

// Parts reads a store by a Follower as parts: everything first, then, when each
// tick arrives, what has changed. It ends with ctx's error, or nil when ticks is
// closed. emit may keep the bytes.
func (e *Engine) Parts(ctx context.Context, ticks <-chan time.Time, emit func(Part) error) error {
	f, err := e.Follow()
	if err != nil {
		return err
	}
	err = parts(ctx, f, ticks, emit)
	return errors.Join(err, f.Close())
}

func parts(ctx context.Context, f *Follower, ticks <-chan time.Time, emit func(Part) error) error {
	// One goroutine and small windows: it runs beside the broker.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return fmt.Errorf("make a compressor: %w", err)
	}
	defer func() { _ = enc.Close() }() // it writes to nobody
	for {
		var raw []byte
		changed, err := f.Next(ctx, func(c Change) error {
			if len(raw) > 0 && len(raw)+c.Size() > partBytes {
				if err := emit(encodePart(enc, raw, false)); err != nil {
					return err
				}
				raw = raw[:0]
			}
			raw = c.Append(raw)
			return nil
		})
		if err == nil && changed {
			err = emit(encodePart(enc, raw, true))
		}
		if err != nil {
			return err
		}
		select {
		case _, ok := <-ticks:
			if !ok {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func encodePart(enc *zstd.Encoder, raw []byte, whole bool) Part {
	p := Part{Whole: whole, Time: time.Now()}
	b := append(make([]byte, 0, partHeader+len(raw)/2), partMagic...)
	flags := byte(0)
	if whole {
		flags = partWhole
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Time.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, uint32(len(raw)))
	b = enc.EncodeAll(raw, b)
	p.Bytes = binary.BigEndian.AppendUint32(b, checksum(b))
	return p
}

// DecodePart reads a part and hands its changes to apply, which must not keep
// them. Errors: ErrPart, ErrChange, or what apply returns.
func DecodePart(b []byte, apply func(Change) error) (Part, error) {
	if len(b) < partHeader+4 || len(b) > MaxPartBytes || string(b[:len(partMagic)]) != partMagic {
		return Part{}, ErrPart
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return Part{}, fmt.Errorf("%w: wrong checksum", ErrPart)
	}
	p := Part{
		Whole: b[8]&partWhole != 0, Bytes: b,
		Time: time.UnixMilli(int64(binary.BigEndian.Uint64(b[9:]))),
	}
	size := binary.BigEndian.Uint32(b[17:])
	if size > MaxPartBytes {
		return Part{}, ErrPart
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxPartBytes))
	if err != nil {
		return Part{}, fmt.Errorf("make a decompressor: %w", err)
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(body[partHeader:], nil)
	if err != nil || len(raw) != int(size) {
		return Part{}, fmt.Errorf("%w: %d bytes of changes, expected %d (%w)", ErrPart, len(raw), size, err)
	}
	for len(raw) > 0 {
		var c Change
		if c, raw, err = DecodeChange(raw); err != nil {
			return Part{}, err
		}
		if err := apply(c); err != nil {
			return Part{}, err
		}
	}
	return p, nil
}
