package sqlite

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"

	"github.com/tarn-io/tarn/broker/record"
)

// A chunk's directory says what lies in its data, so that start-up and Index
// never read record bytes. v is an unsigned varint, s a zigzag varint (both as
// in encoding/binary, least significant group first). README.md has the same
// table with examples.
//
//	crc      4  CRC-32C of all that follows, big endian
//	format   1  1
//	runs     v  number of runs
//	per run, in the order of their bytes in data:
//	  log         v  id in table log
//	  base        v  base offset of the first batch
//	  span        v  last offset of the last batch less base
//	  batches     v  number of batches
//	  bytes       v  their bytes in data; runs lie there one after another
//	  entries     v  bytes of their entries below
//	  timestamp   s  base timestamp of the first batch, Unix ms
//	  newest      s  highest max timestamp less timestamp
//	per run, per batch:
//	  size        v  bytes in data
//	  gap         v  base offset less the offset after the previous batch
//	  delta       v  last offset delta
//	  missing     v  delta + 1 less the number of records
//	  crc         4  the batch's CRC, big endian
//	  attributes  v  as an unsigned 16 bit number
//	  epoch       s  leader epoch
//	  timestamp   s  base timestamp less that of the previous batch (the first: of the run)
//	  newest      s  max timestamp less base timestamp
//	  producer    s  producer id
//	  generation  s  producer epoch
//	  sequence    s  base sequence
const (
	dirFormat = 1
	dirPrefix = 5 // crc and format
	// maxSpan bounds a run's span, so that the index may keep it in 32 bits.
	maxSpan = math.MaxUint32
)

// errDir says that a directory contradicts itself.
var errDir = errors.New("malformed directory")

// head describes a run in a directory.
type head struct {
	log       int64
	base      int64
	span      int64
	batches   uint32
	bytes     uint32
	entries   uint32
	timestamp int64
	newest    int64
}

// dirBuilder collects runs for one directory. The zero value is empty.
type dirBuilder struct {
	heads   []head
	entries []byte
	next    int64 // offset after the last batch added
	lastTS  int64 // base timestamp of the last batch added
}

// reset forgets everything and keeps the memory.
func (d *dirBuilder) reset() {
	d.heads, d.entries = d.heads[:0], d.entries[:0]
}

// fits reports whether a batch may go into the last run instead of a new one.
func (d *dirBuilder) fits(log int64, h record.Header) bool {
	n := len(d.heads)
	return n > 0 && d.heads[n-1].log == log && h.BaseOffset >= d.next &&
		h.LastOffset()-d.heads[n-1].base <= maxSpan
}

// start begins a run with the batch of header h.
func (d *dirBuilder) start(log int64, h record.Header) {
	d.heads = append(d.heads, head{log: log, base: h.BaseOffset,
		timestamp: h.BaseTimestamp, newest: h.MaxTimestamp})
	d.next, d.lastTS = h.BaseOffset, h.BaseTimestamp
}

// add adds a batch to the last run. Timestamps are any 64 bits: differences
// wrap around and come back.
func (d *dirBuilder) add(h record.Header) {
	r := &d.heads[len(d.heads)-1]
	before := len(d.entries)
	b := binary.AppendUvarint(d.entries, uint64(h.Size()))
	b = binary.AppendUvarint(b, uint64(h.BaseOffset-d.next))
	b = binary.AppendUvarint(b, uint64(h.LastOffsetDelta))
	b = binary.AppendUvarint(b, uint64(int64(h.LastOffsetDelta)+1-int64(h.Count)))
	b = binary.BigEndian.AppendUint32(b, h.CRC)
	b = binary.AppendUvarint(b, uint64(uint16(h.Attributes)))
	b = binary.AppendVarint(b, int64(h.LeaderEpoch))
	b = binary.AppendVarint(b, h.BaseTimestamp-d.lastTS)
	b = binary.AppendVarint(b, h.MaxTimestamp-h.BaseTimestamp)
	b = binary.AppendVarint(b, h.ProducerID)
	b = binary.AppendVarint(b, int64(h.ProducerEpoch))
	b = binary.AppendVarint(b, int64(h.BaseSequence))
	d.entries = b
	r.entries += uint32(len(b) - before)
	r.batches++
	r.bytes += uint32(h.Size())
	r.span = h.LastOffset() - r.base
	r.newest = max(r.newest, h.MaxTimestamp)
	d.next, d.lastTS = h.LastOffset()+1, h.BaseTimestamp
}

// encode appends the directory to b, which must be empty.
func (d *dirBuilder) encode(b []byte) []byte {
	b = append(b, 0, 0, 0, 0, dirFormat)
	b = binary.AppendUvarint(b, uint64(len(d.heads)))
	for i := range d.heads {
		r := &d.heads[i]
		b = binary.AppendUvarint(b, uint64(r.log))
		b = binary.AppendUvarint(b, uint64(r.base))
		b = binary.AppendUvarint(b, uint64(r.span))
		b = binary.AppendUvarint(b, uint64(r.batches))
		b = binary.AppendUvarint(b, uint64(r.bytes))
		b = binary.AppendUvarint(b, uint64(r.entries))
		b = binary.AppendVarint(b, r.timestamp)
		b = binary.AppendVarint(b, r.newest-r.timestamp)
	}
	b = append(b, d.entries...)
	binary.BigEndian.PutUint32(b, checksum(b[4:]))
	return b
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// decoder reads varints and remembers the first thing that went wrong.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	if len(d.b) < 4 {
		d.bad = true
		return 0
	}
	v := binary.BigEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

// small reads a signed number of at most 32 bits.
func (d *decoder) small() int32 {
	v := d.varint()
	if v != int64(int32(v)) {
		d.bad = true
	}
	return int32(v)
}

// parseDir appends the runs of a directory to heads and returns them and the
// entries of all runs. The entries alias b; they are not looked at.
func parseDir(b []byte, heads []head) ([]head, []byte, error) {
	if len(b) < dirPrefix || b[4] != dirFormat || binary.BigEndian.Uint32(b) != checksum(b[4:]) {
		return heads, nil, errDir
	}
	d := decoder{b: b[dirPrefix:]}
	n := d.uvarint(uint64(len(b)))
	var entries uint64
	for ; n > 0 && !d.bad; n-- {
		r := head{
			log:     int64(d.uvarint(math.MaxInt64)),
			base:    int64(d.uvarint(math.MaxInt64)),
			span:    int64(d.uvarint(maxSpan)),
			batches: uint32(d.uvarint(math.MaxUint32)),
			bytes:   uint32(d.uvarint(math.MaxUint32)),
			entries: uint32(d.uvarint(math.MaxUint32)),
		}
		r.timestamp = d.varint()
		r.newest = r.timestamp + d.varint()
		if r.batches == 0 || r.bytes == 0 || r.base > math.MaxInt64-1-r.span {
			d.bad = true
		}
		entries += uint64(r.entries)
		heads = append(heads, r)
	}
	if d.bad || entries != uint64(len(d.b)) {
		return heads, nil, errDir
	}
	return heads, d.b, nil
}

// decodeRun yields pos and header of each batch of the run r, whose entries are
// b and whose first byte lies at pos in the chunk's data.
func decodeRun(r head, pos uint32, b []byte, yield func(pos uint32, h record.Header) bool) error {
	d := decoder{b: b}
	next, ts, end, last := r.base, r.timestamp, int64(pos)+int64(r.bytes), r.base+r.span
	at := int64(pos)
	for range r.batches {
		size := int64(d.uvarint(math.MaxInt32))
		h := record.Header{Magic: 2, Length: int32(size - 12)}
		h.BaseOffset = next + int64(d.uvarint(maxSpan))
		h.LastOffsetDelta = int32(d.uvarint(math.MaxInt32))
		h.Count = int32(int64(h.LastOffsetDelta) + 1 - int64(d.uvarint(uint64(h.LastOffsetDelta)+1)))
		h.CRC = d.uint32()
		h.Attributes = int16(uint16(d.uvarint(math.MaxUint16)))
		h.LeaderEpoch = d.small()
		h.BaseTimestamp = ts + d.varint()
		h.MaxTimestamp = h.BaseTimestamp + d.varint()
		h.ProducerID = d.varint()
		h.ProducerEpoch = int16(d.small())
		h.BaseSequence = d.small()
		if d.bad || size < record.HeaderSize || at+size > end || h.LastOffset() > last {
			return errDir
		}
		if !yield(uint32(at), h) {
			return nil
		}
		at, next, ts = at+size, h.LastOffset()+1, h.BaseTimestamp
	}
	if at != end || next != last+1 || len(d.b) != 0 {
		return errDir
	}
	return nil
}

// entriesOf yields the batches of r, which is a run of the directory's chunk or
// a piece of one.
func entriesOf(dir []byte, r run, yield func(pos uint32, h record.Header) bool) error {
	heads, entries, err := parseDir(dir, nil)
	if err != nil {
		return err
	}
	pos := uint32(0)
	for _, h := range heads {
		if r.pos >= pos && uint64(r.pos)+uint64(r.bytes) <= uint64(pos)+uint64(h.bytes) {
			return decodeRun(h, pos, entries[:h.entries], func(at uint32, h record.Header) bool {
				return at < r.pos || at < r.pos+r.bytes && yield(at, h)
			})
		}
		pos, entries = pos+h.bytes, entries[h.entries:]
	}
	return errDir
}
