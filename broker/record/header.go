// Package record reads and builds Kafka record batches: format v2, and v0 and
// v1 message sets from old clients on their way in and out. It imports nothing
// of ours and does no I/O.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Positions of the fields of a batch header (KIP-98; the table stands in
// broker/README.md). Base offset and leader epoch lie outside the CRC.
const (
	posBaseOffset      = 0
	posLength          = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57

	// HeaderSize is the size of a v2 batch's header in bytes.
	HeaderSize = 61
	// lengthOverhead is what the length field does not count: itself and the
	// base offset.
	lengthOverhead = 12
)

// Attribute bits of a batch.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

// Errors of this package. They are refusals: the bytes are what they are.
var (
	// ErrShort says that the bytes end inside a batch.
	ErrShort = errors.New("record batch is cut short")
	// ErrMagic says that the format version is not the one asked for.
	ErrMagic = errors.New("unexpected record batch format")
	// ErrCRC says that the checksum does not match the bytes.
	ErrCRC = errors.New("record batch checksum does not match")
	// ErrCorrupt says that a batch contradicts itself.
	ErrCorrupt = errors.New("record batch is malformed")
	// ErrTooLarge says that decompressed records pass the limit.
	ErrTooLarge = errors.New("decompressed records exceed the limit")
	// ErrCodec says that the compression codec is unknown.
	ErrCodec = errors.New("unknown compression codec")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is the fixed header of a v2 record batch.
type Header struct {
	BaseOffset      int64
	Length          int32 // bytes after the length field
	LeaderEpoch     int32
	Magic           int8
	CRC             uint32
	Attributes      int16
	LastOffsetDelta int32
	BaseTimestamp   int64 // Unix ms
	MaxTimestamp    int64 // Unix ms
	ProducerID      int64 // -1: none
	ProducerEpoch   int16
	BaseSequence    int32
	Count           int32 // records, fewer than LastOffsetDelta+1 after compaction
}

// ParseHeader reads the header at the start of b. It checks that b holds the
// whole batch and that it is of format v2, and nothing else.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, ErrShort
	}
	h := Header{
		BaseOffset:      int64(binary.BigEndian.Uint64(b[posBaseOffset:])),
		Length:          int32(binary.BigEndian.Uint32(b[posLength:])),
		LeaderEpoch:     int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])),
		Magic:           int8(b[posMagic]),
		CRC:             binary.BigEndian.Uint32(b[posCRC:]),
		Attributes:      int16(binary.BigEndian.Uint16(b[posAttributes:])),
		LastOffsetDelta: int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:])),
		BaseTimestamp:   int64(binary.BigEndian.Uint64(b[posBaseTimestamp:])),
		MaxTimestamp:    int64(binary.BigEndian.Uint64(b[posMaxTimestamp:])),
		ProducerID:      int64(binary.BigEndian.Uint64(b[posProducerID:])),
		ProducerEpoch:   int16(binary.BigEndian.Uint16(b[posProducerEpoch:])),
		BaseSequence:    int32(binary.BigEndian.Uint32(b[posBaseSequence:])),
		Count:           int32(binary.BigEndian.Uint32(b[posCount:])),
	}
	switch {
	case h.Magic != 2:
		return Header{}, fmt.Errorf("%w: magic %d, expected 2", ErrMagic, h.Magic)
	case h.Length < HeaderSize-lengthOverhead:
		return Header{}, fmt.Errorf("%w: length %d", ErrCorrupt, h.Length)
	case int64(len(b)) < int64(h.Length)+lengthOverhead:
		return Header{}, ErrShort
	}
	return h, nil
}

// Size is the batch's size in bytes, header included.
func (h Header) Size() int { return int(h.Length) + lengthOverhead }

// LastOffset is the offset of the last record the batch had when it was made.
func (h Header) LastOffset() int64 { return h.BaseOffset + int64(h.LastOffsetDelta) }

// Codec is the compression of the records.
func (h Header) Codec() Codec { return Codec(h.Attributes & attrCodec) }

// Transactional reports whether the batch belongs to a transaction.
func (h Header) Transactional() bool { return h.Attributes&attrTransactional != 0 }

// Control reports whether the batch holds a transaction marker.
func (h Header) Control() bool { return h.Attributes&attrControl != 0 }

// DeleteHorizon is the time (Unix ms) from which compaction may remove the
// batch's tombstones, or the marker it is; ok is false if none was set. It
// stands in BaseTimestamp's place, and timestamp deltas count from it (KIP-534).
func (h Header) DeleteHorizon() (ms int64, ok bool) {
	return h.BaseTimestamp, h.Attributes&attrDeleteHorizon != 0
}

// LogAppendTime reports whether MaxTimestamp is the time of the append.
func (h Header) LogAppendTime() bool { return h.Attributes&attrLogAppendTime != 0 }

// Idempotent reports whether the batch carries a producer id.
func (h Header) Idempotent() bool { return h.ProducerID >= 0 }

// LastSequence is the sequence of the last record. Sequences wrap from
// 2^31-1 to 0 (KIP-98).
func (h Header) LastSequence() int32 {
	if h.BaseSequence > 1<<31-1-h.LastOffsetDelta {
		return h.LastOffsetDelta - (1<<31 - 1 - h.BaseSequence) - 1
	}
	return h.BaseSequence + h.LastOffsetDelta
}

// CheckCRC compares the batch's checksum with its bytes. b is one whole batch.
func CheckCRC(b []byte) error {
	want := binary.BigEndian.Uint32(b[posCRC:])
	if got := crc32.Checksum(b[posAttributes:], castagnoli); got != want {
		return fmt.Errorf("%w: have %08x, bytes give %08x", ErrCRC, want, got)
	}
	return nil
}

// SetBaseOffset writes a batch's base offset in place; the CRC stays right.
func SetBaseOffset(b []byte, offset int64) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(offset))
}

// SetLeaderEpoch writes a batch's leader epoch in place; the CRC stays right.
func SetLeaderEpoch(b []byte, epoch int32) {
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
}

// SetMaxTimestamp writes a batch's greatest timestamp in place, and its new
// checksum, which it returns. The records stay as they are.
func SetMaxTimestamp(b []byte, ms int64) (crc uint32) {
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms))
	crc = crc32.Checksum(b[posAttributes:], castagnoli)
	binary.BigEndian.PutUint32(b[posCRC:], crc)
	return crc
}

// SetLogAppendTime marks a batch as stamped by the broker at nowMs and writes
// its new checksum.
func SetLogAppendTime(b []byte, nowMs int64) {
	attrs := binary.BigEndian.Uint16(b[posAttributes:]) | attrLogAppendTime
	binary.BigEndian.PutUint16(b[posAttributes:], attrs)
	SetMaxTimestamp(b, nowMs)
}
