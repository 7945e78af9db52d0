package record

import "iter"

// minRecordSize is the size of the smallest record: seven fields of one byte.
// A batch that claims more records than its bytes can hold is refused early.
const minRecordSize = 7

// minHeaderSize is the size of the smallest record header: two lengths.
const minHeaderSize = 2

// Record is one record of a batch. Its slices alias the Reader's buffer or the
// batch, and are valid until the Reader moves on.
//
// Layout (KIP-98; all numbers are zigzag varints but the attributes):
//
//	length | attributes int8 | timestamp delta | offset delta |
//	key length, -1 null | key | value length, -1 null | value |
//	header count | { key length | key | value length, -1 null | value } …
type Record struct {
	Offset         int64
	OffsetDelta    int32
	TimestampDelta int64 // ms after the batch's base timestamp
	Timestamp      int64 // Unix ms; the batch's MaxTimestamp under LogAppendTime
	Attributes     int8  // none are defined
	Key, Value     []byte
	HeaderCount    int

	rawHeaders []byte // as in the batch, checked by the Reader
}

// Headers yields the record's headers in order. A nil value is null; the slices
// alias the record.
func (r *Record) Headers() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b := r.rawHeaders
		for len(b) > 0 {
			var key, value []byte
			if key, value, b = nextHeader(b); !yield(key, value) {
				return
			}
		}
	}
}

// HeaderLast is the value of the last header called name, and whether there is
// one: where a name stands twice, the later one wins, as in Kafka's lastHeader.
func (r *Record) HeaderLast(name string) (value []byte, ok bool) {
	b := r.rawHeaders
	for len(b) > 0 {
		var k, v []byte
		if k, v, b = nextHeader(b); string(k) == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// nextHeader reads one header of bytes that checkHeaders has passed.
func nextHeader(b []byte) (key, value, rest []byte) {
	key, b, _ = varbytes(b)
	value, b, _ = varbytes(b)
	return key, value, b
}

// varbytes reads a varint length and that many bytes; length -1 is null. The
// slices have clipped capacity, so that appending to one cannot hurt the next.
func varbytes(b []byte) (value, rest []byte, ok bool) {
	size, n := varint32(b)
	if n == 0 || size < -1 || int(size) > len(b)-n {
		return nil, nil, false
	}
	b = b[n:]
	if size < 0 {
		return nil, b, true
	}
	return b[:size:size], b[size:], true
}

// checkHeaders reports whether b is exactly count headers with keys that are
// not null.
func checkHeaders(b []byte, count int) bool {
	if count > len(b)/minHeaderSize {
		return false
	}
	for range count {
		key, rest, ok := varbytes(b)
		if !ok || key == nil {
			return false
		}
		if _, b, ok = varbytes(rest); !ok {
			return false
		}
	}
	return len(b) == 0
}
