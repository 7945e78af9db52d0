package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// RecordHeader is a header of a record to be built. A nil value is null.
type RecordHeader struct {
	Key   string
	Value []byte
}

// Producer is what an idempotent batch says of its producer.
type Producer struct {
	ID           int64
	Epoch        int16
	BaseSequence int32
}

// Options says what a batch to be built is like. The zero value is a plain batch
// at offset 0 of no particular producer.
type Options struct {
	Codec         Codec
	BaseOffset    int64
	LeaderEpoch   int32
	Producer      *Producer // nil: none
	Transactional bool
	Control       bool
	// AppendTimeMs, if not 0, stamps all records with this time (Unix ms) and
	// sets the LogAppendTime bit.
	AppendTimeMs int64
}

// Builder builds v2 batches. Reset begins the next one with the same memory.
// The zero value is a Builder of plain batches. One goroutine at a time.
type Builder struct {
	h        Header // fields as they will be; offsets and sizes are set by Bytes
	records  []byte // encoded, not compressed
	started  bool   // h holds defaults and the base timestamp is known
	keepLast bool   // LastOffsetDelta stands, whatever is appended
	last     int32  // offset delta of the last record, -1 before the first
	maxMs    int64
	err      error
}

// NewBuilder returns a Builder for one batch.
func NewBuilder(o Options) *Builder {
	b := new(Builder)
	b.Reset(o)
	return b
}

// Reset forgets all records and begins a new batch.
func (b *Builder) Reset(o Options) {
	h := Header{
		BaseOffset: o.BaseOffset, LeaderEpoch: o.LeaderEpoch, Magic: 2,
		Attributes: int16(o.Codec), ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1,
		BaseTimestamp: -1, MaxTimestamp: -1,
	}
	if p := o.Producer; p != nil {
		h.ProducerID, h.ProducerEpoch, h.BaseSequence = p.ID, p.Epoch, p.BaseSequence
	}
	if o.Transactional {
		h.Attributes |= attrTransactional
	}
	if o.Control {
		h.Attributes |= attrControl
	}
	if o.AppendTimeMs != 0 {
		h.Attributes |= attrLogAppendTime
		h.MaxTimestamp = o.AppendTimeMs
	}
	*b = Builder{h: h, records: b.records[:0], last: -1}
	b.checkCodec(o.Codec)
}

// ResetLike begins a batch that takes the place of one with header h, as
// compaction and dead-lettering do: offsets, sequences, producer, base timestamp
// and last offset delta stay, so that fewer records leave gaps and a retry is
// still seen as a duplicate. Records come by AppendRecord. If none come, the
// batch is empty and keeps h's MaxTimestamp.
func (b *Builder) ResetLike(h Header, c Codec) {
	h.Attributes = h.Attributes&^attrCodec | int16(c)
	h.Count = 0
	*b = Builder{h: h, records: b.records[:0], last: -1, started: true, keepLast: true, maxMs: h.MaxTimestamp}
	b.checkCodec(c)
}

// SetDeleteHorizon notes when compaction may remove the batch's tombstones, or
// the marker it is (Unix ms, KIP-534). It is called after ResetLike and before
// the first record.
func (b *Builder) SetDeleteHorizon(ms int64) {
	b.h.Attributes |= attrDeleteHorizon
	b.h.BaseTimestamp = ms
}

func (b *Builder) checkCodec(c Codec) {
	if c < None || c > Zstd {
		b.err = fmt.Errorf("%w: %d", ErrCodec, c)
	}
}

// Append adds a record at the next offset. ms is its time in Unix ms, nil key
// and value are null. Nothing is kept. An error shows in Bytes.
func (b *Builder) Append(ms int64, key, value []byte, headers ...RecordHeader) {
	b.init()
	b.AppendAt(b.last+1, ms, key, value, headers...)
}

// AppendAt is Append at an offset delta of the caller's, above the last one.
func (b *Builder) AppendAt(delta int32, ms int64, key, value []byte, headers ...RecordHeader) {
	size := 0
	for _, h := range headers {
		size += varbytesSize(len(h.Key), false) + varbytesSize(len(h.Value), h.Value == nil)
	}
	if b.begin(0, delta, ms, key, value, len(headers), size) {
		b.appendHeaders(headers)
	}
}

// AppendRecord adds a record of another batch at its own offset delta, with its
// headers as they are.
func (b *Builder) AppendRecord(r *Record) {
	if b.begin(r.Attributes, r.OffsetDelta, r.Timestamp, r.Key, r.Value, r.HeaderCount, len(r.rawHeaders)) {
		b.records = append(b.records, r.rawHeaders...)
	}
}

// AppendRecordWith is AppendRecord with headers more, behind the record's own.
func (b *Builder) AppendRecordWith(r *Record, more ...RecordHeader) {
	size := len(r.rawHeaders)
	for _, h := range more {
		size += varbytesSize(len(h.Key), false) + varbytesSize(len(h.Value), h.Value == nil)
	}
	if b.begin(r.Attributes, r.OffsetDelta, r.Timestamp, r.Key, r.Value, r.HeaderCount+len(more), size) {
		b.records = append(b.records, r.rawHeaders...)
		b.appendHeaders(more)
	}
}

func (b *Builder) appendHeaders(headers []RecordHeader) {
	for _, h := range headers {
		b.records = binary.AppendVarint(b.records, int64(len(h.Key)))
		b.records = append(b.records, h.Key...)
		b.records = appendVarbytes(b.records, h.Value)
	}
}

// begin writes a record up to its header count, of headers that will take size
// bytes.
func (b *Builder) begin(attributes int8, delta int32, ms int64, key, value []byte, headers, size int) bool {
	b.start(ms)
	if b.err == nil && (delta <= b.last || b.keepLast && delta > b.h.LastOffsetDelta) {
		b.err = fmt.Errorf("%w: offset delta %d after %d", ErrCorrupt, delta, b.last)
	}
	if b.err != nil {
		return false
	}
	msDelta := ms - b.h.BaseTimestamp
	size += 1 + varintSize(msDelta) + varintSize(int64(delta)) + varintSize(int64(headers)) +
		varbytesSize(len(key), key == nil) + varbytesSize(len(value), value == nil)
	if int64(len(b.records))+int64(size) > math.MaxInt32-HeaderSize-maxVarint32 {
		b.err = fmt.Errorf("build batch: %w", ErrTooLarge)
		return false
	}
	b.records = binary.AppendVarint(b.records, int64(size))
	b.records = append(b.records, byte(attributes))
	b.records = binary.AppendVarint(b.records, msDelta)
	b.records = binary.AppendVarint(b.records, int64(delta))
	b.records = appendVarbytes(b.records, key)
	b.records = appendVarbytes(b.records, value)
	b.records = binary.AppendVarint(b.records, int64(headers))
	b.last = delta
	b.h.Count++
	return true
}

// init makes the zero Builder what NewBuilder(Options{}) is.
func (b *Builder) init() {
	if b.h.Magic == 0 {
		b.Reset(Options{})
	}
}

// start notes a record's time; the first record's is the base.
func (b *Builder) start(ms int64) {
	b.init()
	if !b.started {
		b.started = true
		b.h.BaseTimestamp = ms
	}
	if b.h.Count == 0 || ms > b.maxMs {
		b.maxMs = ms
	}
}

// Len is the number of records appended.
func (b *Builder) Len() int { return int(b.h.Count) }

// Size is the size of the batch in bytes if it were not compressed.
func (b *Builder) Size() int { return HeaderSize + len(b.records) }

// Bytes returns the batch in memory of its own. The Builder can go on with
// Append, and will then give a longer batch. Errors: ErrCorrupt for offset deltas
// out of order, ErrTooLarge above 2 GiB, ErrCodec.
func (b *Builder) Bytes() ([]byte, error) {
	b.init()
	if b.err != nil {
		return nil, b.err
	}
	h := b.h
	if !b.keepLast {
		h.LastOffsetDelta = max(b.last, 0)
	}
	if !h.LogAppendTime() && b.started {
		h.MaxTimestamp = b.maxMs
	}
	return seal(h, b.records, 0)
}

// seal compresses records at a level and puts a header with its sizes and checksum before
// them. An empty batch is never compressed.
func seal(h Header, records []byte, l Level) ([]byte, error) {
	if len(records) == 0 {
		h.Attributes &^= attrCodec
	}
	room := HeaderSize + len(records)
	if h.Codec() != None {
		room = HeaderSize + len(records)/2
	}
	out, err := CompressLevel(make([]byte, HeaderSize, room), records, h.Codec(), l)
	if err != nil {
		return nil, err
	}
	if len(out) > math.MaxInt32 {
		return nil, fmt.Errorf("build batch: %w", ErrTooLarge)
	}
	h.Length = int32(len(out) - lengthOverhead)
	putHeader(out, h)
	binary.BigEndian.PutUint32(out[posCRC:], crc32.Checksum(out[posAttributes:], castagnoli))
	return out, nil
}

// putHeader writes all fields of h but the checksum.
func putHeader(b []byte, h Header) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(h.BaseOffset))
	binary.BigEndian.PutUint32(b[posLength:], uint32(h.Length))
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(h.LeaderEpoch))
	b[posMagic] = byte(h.Magic)
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(h.Attributes))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(h.LastOffsetDelta))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(h.BaseTimestamp))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(h.MaxTimestamp))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(h.ProducerID))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(h.ProducerEpoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(h.BaseSequence))
	binary.BigEndian.PutUint32(b[posCount:], uint32(h.Count))
}

func varbytesSize(size int, null bool) int {
	if null {
		return 1
	}
	return varintSize(int64(size)) + size
}

func appendVarbytes(b, value []byte) []byte {
	if value == nil {
		return binary.AppendVarint(b, -1)
	}
	b = binary.AppendVarint(b, int64(len(value)))
	return append(b, value...)
}
