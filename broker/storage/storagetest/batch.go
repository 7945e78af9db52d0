package storagetest

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/tarn-io/tarn/broker/record"
)

// Batch makes a record batch of n records at base whose size is size bytes, or
// the smallest possible. The payload is noise that depends on base and size:
// engines read headers only, so that it need not be records.
func Batch(base int64, n, size int) []byte {
	return MakeBatch(record.Header{
		BaseOffset: base, LastOffsetDelta: int32(n - 1), Count: int32(n),
		BaseTimestamp: 1_700_000_000_000 + base, MaxTimestamp: 1_700_000_000_000 + base + int64(n-1),
		ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1,
	}, noise(uint64(base), size-record.HeaderSize))
}

// MakeBatch makes a record batch of format v2 with the fields of h and a
// payload. Length, magic and CRC are worked out, those of h are ignored.
func MakeBatch(h record.Header, payload []byte) []byte {
	b := make([]byte, 0, record.HeaderSize+len(payload))
	be := binary.BigEndian
	b = be.AppendUint64(b, uint64(h.BaseOffset))
	b = be.AppendUint32(b, uint32(record.HeaderSize-12+len(payload)))
	b = be.AppendUint32(b, uint32(h.LeaderEpoch))
	b = append(b, 2, 0, 0, 0, 0)
	b = be.AppendUint16(b, uint16(h.Attributes))
	b = be.AppendUint32(b, uint32(h.LastOffsetDelta))
	b = be.AppendUint64(b, uint64(h.BaseTimestamp))
	b = be.AppendUint64(b, uint64(h.MaxTimestamp))
	b = be.AppendUint64(b, uint64(h.ProducerID))
	b = be.AppendUint16(b, uint16(h.ProducerEpoch))
	b = be.AppendUint32(b, uint32(h.BaseSequence))
	b = be.AppendUint32(b, uint32(h.Count))
	b = append(b, payload...)
	be.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// noise is n bytes that do not compress and depend on seed (xorshift64).
func noise(seed uint64, n int) []byte {
	if n <= 0 {
		return nil
	}
	x := seed*0x9E3779B97F4A7C15 + uint64(n) + 1
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(b[i:], x)
	}
	return b[:n]
}
