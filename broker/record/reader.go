package record

import "fmt"

// maxKeptBuffer is the largest decompression buffer that a Reader keeps between
// batches, so that one huge batch does not pin its memory in a pool of Readers.
const maxKeptBuffer = 16 << 20

// MaxDecompressRatio bounds decompression: callers pass this many times the
// largest batch they accept as the limit. Real batches compress 2–20 times, and
// a bomb of 1000 times stops here.
const MaxDecompressRatio = 64

// Reader reads the records of a batch one after the other. It is reused with
// Reset, and then allocates nothing per record and, after the first batches,
// nothing per batch but what a codec needs. The zero value is ready for Reset.
// One goroutine at a time.
type Reader struct {
	h     Header
	buf   []byte // decompressed records, reused
	all   []byte // all records
	b     []byte // records not read yet
	left  int32  // how many they are
	prev  int32  // offset delta of the last record read, -1 before the first
	dense bool
	rec   Record
	err   error
}

// Reset begins with a batch, which must be exactly one v2 batch. Records are
// decompressed here, into at most limit bytes (a batch that is not compressed
// is read where it lies). The checksum is not looked at: see CheckCRC. Errors
// are ErrShort, ErrMagic, ErrCorrupt, ErrCodec and ErrTooLarge; Next is false
// after one.
func (r *Reader) Reset(batch []byte, limit int) error {
	r.Release()
	r.prev, r.dense = -1, true
	r.err = r.open(batch, limit)
	return r.err
}

// Release lets the batch go, and the memory of a large one, before the Reader is
// kept for later. Reset does it, too.
func (r *Reader) Release() {
	if cap(r.buf) > maxKeptBuffer {
		r.buf = nil
	}
	*r = Reader{buf: r.buf[:0]}
}

func (r *Reader) open(batch []byte, limit int) error {
	h, err := ParseHeader(batch)
	if err != nil {
		return err
	}
	if len(batch) != h.Size() {
		return fmt.Errorf("%w: %d bytes after the batch", ErrCorrupt, len(batch)-h.Size())
	}
	body := batch[HeaderSize:]
	if h.Codec() != None && len(body) > 0 {
		if r.buf, err = Decompress(r.buf[:0], body, h.Codec(), limit); err != nil {
			return err
		}
		body = r.buf
	}
	if h.Count < 0 || int(h.Count) > len(body)/minRecordSize {
		return fmt.Errorf("%w: %d records in %d bytes", ErrCorrupt, h.Count, len(body))
	}
	r.h, r.all, r.b, r.left = h, body, body, h.Count
	return nil
}

// Rewind goes back to before the first record of the batch, without unpacking
// it again. After a Reset that failed it does nothing.
func (r *Reader) Rewind() {
	if r.all != nil {
		r.b, r.left, r.prev, r.dense, r.err = r.all, r.h.Count, -1, true, nil
	}
}

// Header is the header of the batch being read.
func (r *Reader) Header() Header { return r.h }

// Record is the record that Next found. The next call of Next or Reset
// overwrites it.
func (r *Reader) Record() *Record { return &r.rec }

// Err is what stopped Next: nil at the proper end of the batch.
func (r *Reader) Err() error { return r.err }

// Dense reports whether the records read so far have offset deltas 0, 1, 2 ….
// Producers must send dense batches, compaction leaves others.
func (r *Reader) Dense() bool { return r.dense }

// Next reads one record, and reports whether there was one. A batch is read to
// its end only when Next is false and Err is nil: then the records are exactly
// as many as the header says, and no bytes are left.
func (r *Reader) Next() bool {
	if r.err != nil {
		return false
	}
	if r.left == 0 {
		if len(r.b) > 0 {
			r.err = fmt.Errorf("%w: %d bytes after the last of %d records", ErrCorrupt, len(r.b), r.h.Count)
			r.b = nil
		}
		return false
	}
	if what := r.read(); what != "" {
		r.err = fmt.Errorf("%w: record %d: %s", ErrCorrupt, r.h.Count-r.left, what)
		return false
	}
	r.left--
	return true
}

// read parses one record into r.rec. It returns what is wrong with it.
func (r *Reader) read() (what string) {
	size, n := varint32(r.b)
	if n == 0 || size < 0 || int(size) > len(r.b)-n {
		return "length passes the end of the batch"
	}
	b := r.b[n : n+int(size)]
	r.b = r.b[n+int(size):]

	rec := &r.rec
	if len(b) == 0 {
		return "no attributes"
	}
	rec.Attributes = int8(b[0])
	b = b[1:]
	if rec.TimestampDelta, n = varint(b); n == 0 {
		return "timestamp is no varint"
	}
	b = b[n:]
	if rec.OffsetDelta, n = varint32(b); n == 0 {
		return "offset delta is no varint"
	}
	b = b[n:]
	if rec.OffsetDelta <= r.prev || rec.OffsetDelta > r.h.LastOffsetDelta {
		return "offset delta is not between its neighbours"
	}
	r.dense = r.dense && rec.OffsetDelta == r.prev+1
	r.prev = rec.OffsetDelta
	rec.Offset = r.h.BaseOffset + int64(rec.OffsetDelta)
	if rec.Timestamp = r.h.BaseTimestamp + rec.TimestampDelta; r.h.LogAppendTime() {
		rec.Timestamp = r.h.MaxTimestamp
	}
	var ok bool
	if rec.Key, b, ok = varbytes(b); !ok {
		return "key passes the end of the record"
	}
	if rec.Value, b, ok = varbytes(b); !ok {
		return "value passes the end of the record"
	}
	count, n := varint32(b)
	if n == 0 || count < 0 || !checkHeaders(b[n:], int(count)) {
		return "headers are not as many as counted"
	}
	rec.HeaderCount, rec.rawHeaders = int(count), b[n:]
	return ""
}
