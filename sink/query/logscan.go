package query

import (
	"errors"
	"fmt"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
)

// Limits of reading the log.
const (
	// readBytes is how much is read of a partition at a time.
	readBytes = 1 << 20
	// maxUnpacked bounds what one batch may unpack to; batches were checked against a
	// tighter limit when they came in.
	maxUnpacked = 1 << 30
	// firstChunk and lastChunk are how many records are decoded ahead: few at first,
	// for queries with LIMIT.
	firstChunk = 64
	lastChunk  = 4096
	// chunkBytes ends a chunk of large records.
	chunkBytes = 4 << 20
	// offsetBits of a row's number are its offset, those above its partition.
	offsetBits = 40
)

// logScan reads a range of one partition's log.
type logScan struct {
	r         *relation
	b         *bounds
	partition int32
	log       *commitlog.Log
	to        int64
	yield     func(*chunk, error) bool

	maker  *blockMaker // nil: the scan does not look for few records
	hashes []uint64    // of the keys that are asked for

	rd    record.Reader
	rows  *logRows
	limit int  // rows of the next chunk
	done  bool // yield has returned false
}

// scanLog yields the committed records from an offset to below another. It returns
// false when the scan is over.
func (r *relation) scanLog(partition int32, from, to int64, b *bounds, yield func(*chunk, error) bool) bool {
	log := r.logs[partition]
	if b.offset[0] > from {
		from = b.offset[0]
	}
	if b.offset[1] < to {
		to = b.offset[1] + 1
	}
	if from >= to || log == nil {
		return true
	}
	if b.ms[0] > 0 {
		found, ok, err := log.AtTime(r.s.ctx, b.ms[0], to, maxUnpacked)
		if err != nil {
			return yield(nil, fmt.Errorf("%s partition %d: %w", r.topic.Name, partition, err))
		}
		if !ok {
			return true
		}
		from = max(from, found.Offset)
	}
	s := &logScan{r: r, b: b, partition: partition, log: log, to: to, yield: yield, limit: firstChunk}
	s.rows = newLogRows(s)
	s.remember(from)
	if err := s.read(from); err != nil && !s.done {
		return yield(nil, fmt.Errorf("%s partition %d: %w", r.topic.Name, partition, err))
	}
	if !s.done {
		s.flush()
	}
	return !s.done
}

// errTrimmed says that records were deleted while they were to be read: the table has
// them by now, or nobody.
var errTrimmed = errors.New("records were deleted from the log while they were read: ask again")

// read reads from an offset to the end.
func (s *logScan) read(at int64) error {
	for at < s.to && !s.done {
		next, room := s.ahead(at)
		if next > at {
			at = next
			s.maker.begin(at, false)
			continue
		}
		aborted := s.log.Aborted(at).Below(s.to)
		raw, err := s.log.Read(s.r.s.ctx, at, room, s.to)
		if start := s.log.Start(); at < start && (err == nil || errors.Is(err, commitlog.ErrRange)) {
			if s.r.part == whole && len(s.r.topic.Formats) > 0 {
				return errTrimmed
			}
			at = start // deleted meanwhile
			continue
		}
		if err != nil {
			return fmt.Errorf("read at %d: %w", at, err)
		}
		if len(raw) == 0 {
			return nil
		}
		for one, err := range record.Batches(raw) {
			if err != nil {
				return fmt.Errorf("stored batch: %w", err)
			}
			if at, err = s.next(one, at, aborted); err != nil || s.done {
				return err
			}
		}
	}
	return nil
}

// next takes the batch that comes next, or passes it over, and returns where it ends.
func (s *logScan) next(one record.Batch, at int64, aborted commitlog.AbortedTxns) (end int64, err error) {
	h := one.Header
	end = max(at, h.LastOffset()+1)
	if s.maker != nil {
		s.maker.open(h, at)
		defer func() {
			if err == nil && !s.done {
				s.maker.close(min(end, s.to))
			}
		}()
	}
	switch {
	case h.Control() || aborted.Holds(h):
		s.r.s.out.Read.BatchesPassed++
	case h.MaxTimestamp < s.b.ms[0]:
		s.r.s.out.Read.BatchesPassed++
		if s.maker != nil {
			s.maker.begin(min(end, s.to), false)
		}
	default:
		err = s.batch(one, at)
	}
	return end, err
}

// batch takes the records of one batch, from an offset on.
func (s *logScan) batch(one record.Batch, at int64) error {
	h := one.Header
	// Without a look at records, the header counts them.
	if !s.rows.need.any && !s.b.restricted && h.BaseOffset >= at && h.LastOffset() < s.to {
		s.flush()
		base := h.BaseOffset
		s.done = s.done || !s.yield(&chunk{n: int(h.Count), rowID: func(i int) int64 { return s.rowID(base + int64(i)) }}, nil)
		return nil
	}
	if err := s.rd.Reset(one.Bytes, maxUnpacked); err != nil {
		return fmt.Errorf("stored batch at %d: %w", h.BaseOffset, err)
	}
	s.r.s.out.Read.Batches++
	s.r.s.out.Read.LogBytes += int64(len(one.Bytes))
	for s.rd.Next() {
		rec := s.rd.Record()
		s.rows.looked++
		if rec.Offset < at || rec.Offset >= s.to {
			continue
		}
		if s.maker != nil {
			s.maker.add(rec)
		}
		if rec.Timestamp < s.b.ms[0] || rec.Timestamp > s.b.ms[1] || !s.b.hasKey(rec.Key) {
			continue
		}
		if err := s.rows.add(rec); err != nil {
			return fmt.Errorf("record at %d: %w", rec.Offset, err)
		}
		if len(s.rows.offsets) >= s.limit || s.rows.bytes >= chunkBytes {
			if s.flush(); s.done {
				return nil
			}
		}
	}
	if err := s.rd.Err(); err != nil {
		return fmt.Errorf("stored batch at %d: %w", h.BaseOffset, err)
	}
	return nil
}

func (s *logScan) rowID(offset int64) int64 { return int64(s.partition)<<offsetBits | offset }

// flush yields the records at hand.
func (s *logScan) flush() {
	if len(s.rows.offsets) == 0 {
		s.r.s.scanned += int64(s.rows.looked)
		s.rows.looked = 0
		return
	}
	c := s.rows.chunk()
	c.looked = s.rows.looked
	s.done = s.done || !s.yield(c, nil)
	s.limit = min(2*s.limit, lastChunk)
	s.rows.clear() // who took the chunk is through with it
}
