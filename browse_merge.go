package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/topic"
)

// Limits of reading a topic in the order of time.
const (
	// mergeRead is how much is read of a partition at a time.
	mergeRead = 256 << 10
	// firstWindow and lastWindow are how many offsets are looked at backwards at once:
	// few for who wants the newest, more for who searches.
	firstWindow = 64
	lastWindow  = 4096
	// windowRecords and windowBytes bound what all partitions hold ready together.
	windowRecords = 64 << 10
	windowBytes   = 32 << 20
)

// rawRecord is a record of the log in memory of its own.
type rawRecord struct {
	Partition   int32
	Offset      int64
	TimestampMs int64
	Key, Value  []byte
	Headers     []record.RecordHeader
	// Transactional records belong to a transaction that was committed.
	Transactional bool
}

func (r *rawRecord) size() int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}

// merge reads the committed records of a topic's partitions as one sequence by time:
// the newest first, or the oldest. Within a partition the order is that of offsets,
// whatever the timestamps say. One goroutine at a time.
type merge struct {
	parts    []*mergePart
	backward bool
	key      *mergeKey // nil: records of all keys
}

// mergePart is one partition of a merge.
type mergePart struct {
	log       *commitlog.Log
	partition int32
	// pos is the offset below which is read next, or forward the next offset.
	pos        int64
	start, end int64
	window     int64
	maxBytes   int
	maxRecords int
	ready      []rawRecord // the next first
	rd         record.Reader
	// Of a search for a key: front is the time that it has come to, as far as it is known.
	key    *mergeKey
	front  int64
	blocks int64 // that were read at once
}

// newMerge begins with partitions of a topic at their ends, or forward at their
// starts: all of them, or the one that is wanted if that is not below 0.
func (n *node) newMerge(ctx context.Context, t *topic.Topic, only int32, backward bool) (*merge, error) {
	m := &merge{backward: backward}
	for p := range t.Partitions {
		if only >= 0 && p != only {
			continue
		}
		log, err := n.broker.Logs().Log(ctx, storage.TP{Topic: t.ID, Partition: p})
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p, err)
		}
		one := &mergePart{log: log, partition: p, start: log.Start(), end: log.LastStable()}
		one.pos = one.start
		if backward {
			one.pos = one.end
		}
		m.parts = append(m.parts, one)
	}
	if len(m.parts) == 0 {
		return nil, fmt.Errorf("%w: topic %s has partitions 0 to %d", errMissing, t.Name, t.Partitions-1)
	}
	for _, p := range m.parts {
		p.maxBytes = max(windowBytes/len(m.parts), mergeRead)
		p.maxRecords = max(windowRecords/len(m.parts), 1)
		p.window = int64(min(firstWindow, p.maxRecords))
		if p.front = math.MinInt64; backward {
			p.front = math.MaxInt64 // it has come nowhere yet
		}
	}
	return m, nil
}

// next returns the next record; nil at the end. A search for a key may end with
// errMore before there is one.
func (m *merge) next(ctx context.Context) (*rawRecord, error) {
	var begun int64
	if m.key != nil {
		begun = m.key.read
	}
	for {
		best, err := m.first(ctx)
		switch {
		case err != nil || best == nil:
			return nil, err
		case len(best.ready) > 0:
			rec := &best.ready[0]
			best.ready = best.ready[1:]
			return rec, nil
		case m.key.read-begun >= m.key.pause:
			return nil, errMore
		}
		if err := best.look(ctx, m.backward); err != nil {
			return nil, fmt.Errorf("partition %d: %w", best.partition, err)
		}
	}
}

// first is the partition that comes next, by the time of its next record, or that a
// search for a key has come to; nil at the end.
func (m *merge) first(ctx context.Context) (best *mergePart, err error) {
	var at int64
	for _, p := range m.parts {
		ms := p.front
		if m.key == nil {
			if err := p.fill(ctx, m.backward); err != nil {
				return nil, fmt.Errorf("partition %d: %w", p.partition, err)
			}
		}
		switch {
		case len(p.ready) > 0:
			ms = p.ready[0].TimestampMs
		case m.key == nil || p.over(m.backward):
			continue
		}
		if best == nil || m.backward && ms > at || !m.backward && ms < at {
			best, at = p, ms
		}
	}
	return best, nil
}

// fill makes a record ready unless there is none left.
func (p *mergePart) fill(ctx context.Context, backward bool) error {
	for len(p.ready) == 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.start = max(p.start, p.log.Start()); backward && p.pos <= p.start {
			return nil
		}
		if !backward {
			if p.pos = max(p.pos, p.start); p.pos >= p.end {
				return nil
			}
			if err := p.forward(ctx, min(p.end, p.pos+int64(p.maxRecords))); err != nil {
				return err
			}
			continue
		}
		if err := p.backward(ctx, max(p.start, p.pos-p.window)); err != nil {
			return err
		}
	}
	return nil
}

// backward reads from an offset to below pos, or as much of the end of that as there is
// room for.
func (p *mergePart) backward(ctx context.Context, from int64) error {
	got, _, err := p.read(ctx, from, p.pos, func(all []rawRecord, held int) ([]rawRecord, int) {
		// Too much: the older half is read again later.
		for len(all) > 1 && (held > p.maxBytes || len(all) > p.maxRecords) {
			held -= all[0].size()
			all = all[1:]
			from = all[0].Offset
		}
		return all, held
	})
	if err != nil {
		return err
	}
	p.pos = from
	p.window = min(2*p.window, lastWindow, int64(p.maxRecords))
	for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
		got[i], got[j] = got[j], got[i]
	}
	p.ready = got
	return nil
}

// forward reads what comes next, below an offset.
func (p *mergePart) forward(ctx context.Context, to int64) error {
	got, reached, err := p.read(ctx, p.pos, to, nil)
	if err != nil {
		return err
	}
	p.pos, p.ready = reached, got
	return nil
}

// read collects the committed records from an offset to below another. Without trim it
// ends after one read; with it, trim is given what there is after each batch and
// gives back what is kept. reached is the offset to go on at.
func (p *mergePart) read(ctx context.Context, from, to int64, trim func([]rawRecord, int) ([]rawRecord, int)) (all []rawRecord, reached int64, err error) {
	held := 0
	for at := from; at < to; {
		aborted := p.log.Aborted(at).Below(p.end)
		raw, err := p.log.Read(ctx, at, mergeRead, p.end)
		if errors.Is(err, commitlog.ErrRange) && at < p.log.Start() {
			at = p.log.Start() // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, at, fmt.Errorf("read at %d: %w", at, err)
		}
		if len(raw) == 0 {
			return all, to, nil
		}
		for one, err := range record.Batches(raw) {
			if err != nil {
				return nil, at, fmt.Errorf("stored batch: %w", err)
			}
			if p.key != nil && p.key.noting {
				p.key.Batch(one.Header, at)
			}
			if !one.Header.Control() && !aborted.Holds(one.Header) {
				var n int
				if all, n, err = p.batch(all, one, at, to); err != nil {
					return nil, at, err
				}
				held += n
			}
			if at = max(at, min(one.Header.LastOffset()+1, to)); at >= to {
				break
			}
			if trim != nil {
				all, held = trim(all, held)
			}
		}
		if trim == nil {
			return all, at, nil
		}
		all, held = trim(all, held)
	}
	return all, to, nil
}

// batch adds the records of a batch within offsets.
func (p *mergePart) batch(all []rawRecord, one record.Batch, from, to int64) ([]rawRecord, int, error) {
	if err := p.rd.Reset(one.Bytes, maxUnpackedBatch); err != nil {
		return all, 0, fmt.Errorf("stored batch at %d: %w", one.Header.BaseOffset, err)
	}
	added := 0
	for p.rd.Next() {
		rec := p.rd.Record()
		if rec.Offset < from || rec.Offset >= to || p.key != nil && !p.key.saw(rec) {
			continue
		}
		r := rawRecord{
			Partition: p.partition, Offset: rec.Offset, TimestampMs: rec.Timestamp,
			Key: bytes.Clone(rec.Key), Value: bytes.Clone(rec.Value), Transactional: one.Header.Transactional(),
		}
		for k, v := range rec.Headers() {
			r.Headers = append(r.Headers, record.RecordHeader{Key: string(k), Value: bytes.Clone(v)})
		}
		added += r.size()
		all = append(all, r)
	}
	if err := p.rd.Err(); err != nil {
		return all, 0, fmt.Errorf("stored batch at %d: %w", one.Header.BaseOffset, err)
	}
	return all, added, nil
}

// putBack undoes next for records that it has given, in the order it gave them.
func (m *merge) putBack(some []rawRecord) {
	for i := len(some) - 1; i >= 0; i-- {
		for _, p := range m.parts {
			if p.partition == some[i].Partition {
				p.ready = append([]rawRecord{some[i]}, p.ready...)
			}
		}
	}
}

// left counts the offsets that have not been looked at.
func (m *merge) left() int64 {
	var n int64
	for _, p := range m.parts {
		n += int64(len(p.ready))
		if m.backward {
			n += max(0, p.pos-p.start)
		} else {
			n += max(0, p.end-p.pos)
		}
	}
	return n
}

// cursor says where the merge stands, as seek takes it.
func (m *merge) cursor() string {
	words := make([]string, len(m.parts))
	for i, p := range m.parts {
		at := p.pos
		if len(p.ready) > 0 {
			if at = p.ready[0].Offset; m.backward {
				at++
			}
		}
		words[i] = fmt.Sprintf("%d:%d", p.partition, at)
	}
	return strings.Join(words, ",")
}

// seek goes on where a cursor says. Partitions that it does not name begin where they
// are.
func (m *merge) seek(cursor string) error {
	if cursor == "" {
		return nil
	}
	at := map[int32]int64{}
	for word := range strings.SplitSeq(cursor, ",") {
		p, o, ok := strings.Cut(word, ":")
		number, err := strconv.ParseInt(p, 10, 32)
		offset, err2 := strconv.ParseInt(o, 10, 64)
		if !ok || err != nil || err2 != nil || offset < 0 {
			return fmt.Errorf("%w: cursor %q is not PARTITION:OFFSET,…", errInvalid, word)
		}
		at[int32(number)] = offset
	}
	for _, p := range m.parts {
		if o, ok := at[p.partition]; ok {
			p.pos = min(max(o, p.start), p.end)
		}
	}
	return nil
}
