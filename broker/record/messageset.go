package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
)

// A message set is the format of before Kafka 0.11: messages one after the
// other, without a header for all.
//
//	0 offset 8 | 8 size 4 | 12 CRC-32 (IEEE) of all from 16 on, 4 | 16 magic 1 |
//	17 attributes 1: codec 0–2, 0x08 LogAppendTime | 18 timestamp 8, magic 1 only |
//	key: size 4, -1 null | value: size 4, -1 null
//
// Where the attributes name a codec, the message is a wrapper: its value is a
// compressed message set. In magic 0 the inner offsets are absolute; in magic 1
// they count from 0, and the wrapper has the offset of the last (KIP-31).
const (
	posMessageCRC    = 12
	posMessageBody   = 18 // timestamp or key
	messageOverhead  = 12 // offset and size, which the size does not count
	minMessageSize   = 4 + 1 + 1 + 4 + 4
	messageFixedSize = messageOverhead + minMessageSize
)

// noTimestamp is the time of a record that has none, as Kafka has it.
const noTimestamp = -1

// message is one message of a set, no wrapper. Its slices alias the set or the
// decompressed wrapper.
type message struct {
	offset        int64
	timestamp     int64 // Unix ms, noTimestamp in magic 0
	logAppendTime bool
	codec         Codec // of the wrapper it came in
	key, value    []byte
}

// Messages yields the records of a v0 or v1 message set with their absolute
// offsets, wrappers opened, and stops after the first error. Key and value are
// valid until the next one. limit bounds what all wrappers together decompress
// to. Errors are FromMessageSet's.
func Messages(b []byte, limit int) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		var rec Record
		for m, err := range messages(b, limit) {
			if err != nil {
				yield(nil, err)
				return
			}
			rec = Record{Offset: m.offset, Timestamp: m.timestamp, Key: m.key, Value: m.value}
			if !yield(&rec, nil) {
				return
			}
		}
	}
}

// FromMessageSet converts a v0 or v1 message set, as producers older than 0.11
// send it, to one v2 batch. Records get the offset deltas 0, 1, 2 …: what a
// producer writes as offsets means nothing, and many write 0 everywhere. The
// batch has the codec of the first wrapper, and the LogAppendTime bit if a
// message has it, so that CheckProduced refuses it. Messages of v0 have the
// timestamp -1. limit bounds what all wrappers together decompress to.
//
// Errors: ErrShort if b ends inside a message, ErrMagic for other formats,
// ErrCRC, ErrCodec (zstd needs v2), ErrTooLarge, ErrCorrupt for wrappers inside
// wrappers, lengths that contradict each other, and an empty set.
func FromMessageSet(b []byte, limit int) ([]byte, error) {
	var out Builder
	codec, appendTime := None, int64(0)
	for m, err := range messages(b, limit) {
		if err != nil {
			return nil, err
		}
		if out.Len() == 0 {
			codec = m.codec
		}
		if m.logAppendTime {
			appendTime = max(m.timestamp, appendTime)
		}
		out.Append(m.timestamp, m.key, m.value)
	}
	if out.Len() == 0 {
		return nil, fmt.Errorf("%w: no messages", ErrCorrupt)
	}
	out.h.Attributes |= int16(codec)
	if appendTime != 0 {
		out.h.Attributes |= attrLogAppendTime
		out.h.MaxTimestamp = appendTime
	}
	return out.Bytes()
}

// messages walks a set and opens its wrappers.
func messages(b []byte, limit int) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		left := limit
		var buf []byte
		for len(b) > 0 {
			m, size, err := readMessage(b)
			if err != nil {
				yield(message{}, err)
				return
			}
			magic := int8(b[posMagic])
			b = b[size:]
			if m.codec == None {
				if !yield(m, nil) {
					return
				}
				continue
			}
			if buf, err = unwrap(buf[:0], m, magic, left); err != nil {
				yield(message{}, err)
				return
			}
			left -= len(buf)
			if !eachInner(buf, m, magic, yield) {
				return
			}
		}
	}
}

// readMessage reads and checks the message at the start of b, and gives its
// size with the overhead.
func readMessage(b []byte) (m message, size int, err error) {
	if len(b) < messageFixedSize {
		return m, 0, ErrShort
	}
	claimed := int64(int32(binary.BigEndian.Uint32(b[8:])))
	switch magic := int8(b[posMagic]); {
	case magic != 0 && magic != 1:
		return m, 0, fmt.Errorf("%w: magic %d, expected 0 or 1", ErrMagic, magic)
	case claimed < minMessageSize:
		return m, 0, fmt.Errorf("%w: message of %d bytes", ErrCorrupt, claimed)
	case claimed > int64(len(b)-messageOverhead):
		return m, 0, ErrShort
	}
	size = messageOverhead + int(claimed)
	b = b[:size]
	want := binary.BigEndian.Uint32(b[posMessageCRC:])
	if got := crc32.ChecksumIEEE(b[posMagic:]); got != want {
		return m, 0, fmt.Errorf("%w: message has %08x, bytes give %08x", ErrCRC, want, got)
	}
	m = message{
		offset: int64(binary.BigEndian.Uint64(b)), timestamp: noTimestamp,
		codec: Codec(b[posMagic+1] & attrCodec),
	}
	if m.codec > LZ4 {
		return m, 0, fmt.Errorf("%w: %d in a message set", ErrCodec, m.codec)
	}
	rest := b[posMessageBody:]
	if b[posMagic] == 1 {
		if len(rest) < 8 {
			return m, 0, fmt.Errorf("%w: message of %d bytes has no room for its time", ErrCorrupt, claimed)
		}
		m.timestamp = int64(binary.BigEndian.Uint64(rest))
		m.logAppendTime = b[posMagic+1]&attrLogAppendTime != 0
		rest = rest[8:]
	}
	var okKey, okValue bool
	m.key, rest, okKey = bytes32(rest)
	m.value, rest, okValue = bytes32(rest)
	if !okKey || !okValue || len(rest) != 0 {
		return m, 0, fmt.Errorf("%w: key and value do not fill the message", ErrCorrupt)
	}
	return m, size, nil
}

// bytes32 reads an int32 length and that many bytes; -1 is null.
func bytes32(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	size := int(int32(binary.BigEndian.Uint32(b)))
	if b = b[4:]; size < -1 || size > len(b) {
		return nil, nil, false
	}
	if size < 0 {
		return nil, b, true
	}
	return b[:size:size], b[size:], true
}

// unwrap decompresses a wrapper's set. Clients of before Kafka 0.10 wrote lz4
// headers with a wrong checksum, which is put right first.
func unwrap(buf []byte, m message, magic int8, limit int) ([]byte, error) {
	src := m.value
	if m.codec == LZ4 && magic == 0 {
		src = repairLZ4(src)
	}
	return Decompress(buf, src, m.codec, limit)
}

// eachInner yields the messages of a wrapper w, whose set is b. It reports
// whether to go on.
func eachInner(b []byte, w message, magic int8, yield func(message, error) bool) bool {
	first := int64(0) // what the inner offsets count from
	if magic == 1 {
		last, err := lastInner(b)
		if err != nil {
			yield(message{}, err)
			return false
		}
		first = w.offset - last
	}
	for len(b) > 0 {
		m, size, err := readMessage(b)
		switch {
		case err != nil:
		case m.codec != None:
			err = fmt.Errorf("%w: wrapper inside a wrapper", ErrCorrupt)
		case int8(b[posMagic]) != magic:
			err = fmt.Errorf("%w: magic %d inside a wrapper of magic %d", ErrMagic, int8(b[posMagic]), magic)
		}
		if err != nil {
			yield(message{}, err)
			return false
		}
		b = b[size:]
		m.codec = w.codec
		if m.offset += first; w.logAppendTime {
			m.timestamp, m.logAppendTime = w.timestamp, true
		}
		if !yield(m, nil) {
			return false
		}
	}
	return true
}

// lastInner is the offset of the last message of a set, by its lengths alone.
func lastInner(b []byte) (last int64, err error) {
	for len(b) > 0 {
		if len(b) < messageFixedSize {
			return 0, ErrShort
		}
		last = int64(binary.BigEndian.Uint64(b))
		size := int64(int32(binary.BigEndian.Uint32(b[8:])))
		switch {
		case size < minMessageSize:
			return 0, fmt.Errorf("%w: message of %d bytes", ErrCorrupt, size)
		case size > int64(len(b)-messageOverhead):
			return 0, ErrShort
		}
		b = b[messageOverhead+size:]
	}
	return last, nil
}
