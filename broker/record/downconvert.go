package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// ToMessageSet converts concatenated v2 batches to a message set of magic 0 or 1
// for Fetch v0 to v3. Offsets stay; record headers are lost, as are times in
// magic 0; control batches are left out. Messages are not compressed, so that no
// old reader's codec is in question.
//
// limit bounds each batch's decompression, and the set ends after the batch with
// which it passes limit: the client asks for the rest. Errors are Split's and
// Reader's, and ErrMagic for another magic.
func ToMessageSet(batches []byte, magic int8, limit int) ([]byte, error) {
	if magic != 0 && magic != 1 {
		return nil, fmt.Errorf("%w: magic %d, expected 0 or 1", ErrMagic, magic)
	}
	var out []byte
	var r Reader
	for batch, err := range Split(batches) {
		if err != nil {
			return nil, err
		}
		if err := r.Reset(batch, limit); err != nil {
			return nil, err
		}
		if r.Header().Control() {
			continue
		}
		for r.Next() {
			out = appendMessage(out, magic, r.Record(), r.Header().LogAppendTime())
		}
		if r.Err() != nil {
			return nil, r.Err()
		}
		if len(out) > limit {
			break
		}
	}
	return out, nil
}

// appendMessage writes one message that is not compressed.
func appendMessage(b []byte, magic int8, r *Record, logAppendTime bool) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Offset))
	b = append(b, make([]byte, 4+4)...) // size and checksum
	attributes := byte(0)
	if magic == 1 && logAppendTime {
		attributes = attrLogAppendTime
	}
	b = append(b, byte(magic), attributes)
	if magic == 1 {
		b = binary.BigEndian.AppendUint64(b, uint64(r.Timestamp))
	}
	b = appendBytes32(b, r.Key)
	b = appendBytes32(b, r.Value)
	m := b[start:]
	binary.BigEndian.PutUint32(m[8:], uint32(len(m)-messageOverhead))
	binary.BigEndian.PutUint32(m[posMessageCRC:], crc32.ChecksumIEEE(m[posMagic:]))
	return b
}

func appendBytes32(b, value []byte) []byte {
	if value == nil {
		return binary.BigEndian.AppendUint32(b, 1<<32-1)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}
