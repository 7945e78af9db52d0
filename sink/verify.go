package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/tables"
)

// maxReported bounds the gaps and duplicates of a report: it is for people and
// scripts, not a dump.
const maxReported = 100

// Verdict says how a verification ended.
type Verdict string

// Verdicts.
const (
	// VerdictOK: every record of the log below the table's progress is in the
	// table, or among its dead letters, once.
	VerdictOK Verdict = "ok"
	// VerdictBad: there are gaps or duplicates.
	VerdictBad Verdict = "bad"
	// VerdictUnknown: it could not be told.
	VerdictUnknown Verdict = "unknown"
)

// Report is the outcome of a verification.
type Report struct {
	Topic   string         `json:"topic"`
	Verdict Verdict        `json:"verdict"`
	Formats []FormatReport `json:"formats"`
}

// FormatReport is the outcome for one format's table.
type FormatReport struct {
	Format  string  `json:"format"`
	Verdict Verdict `json:"verdict"`
	Message string  `json:"message,omitempty"`
	// Records is how many records the log holds below the table's progress.
	Records int64 `json:"records"`
	// Rows and DeadLetters are what the two tables hold.
	Rows        int64 `json:"rows"`
	DeadLetters int64 `json:"dead_letters"`
	// Gaps are records that are in the log and not in the table, Duplicates
	// those that are there more than once; the first hundred of each.
	Gaps       []tables.Range `json:"gaps"`
	Duplicates []Duplicate    `json:"duplicates"`
	// Stale are rows of a table of latest values that should not be there: of
	// records that are not the last of their key; the first hundred.
	Stale []tables.Range `json:"stale,omitempty"`
	// Unchecked counts rows of such a table whose key the log does not have any
	// more.
	Unchecked int64 `json:"unchecked,omitempty"`
	// Expired counts records whose rows were past tarn.table.retention.ms and
	// are gone.
	Expired int64 `json:"expired,omitempty"`
	// Deleted are ranges that were deleted from the log before they reached
	// the table, as the table itself has it written down. They are no fault of
	// the table's.
	Deleted []tables.Range `json:"deleted"`

	expiredMs int64 // rows of older records may be gone
}

// Duplicate is a record that stands more than once.
type Duplicate struct {
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Count     int   `json:"count"`
}

// Verify compares the tables of a topic with its log, offset by offset, by
// reading the data files back that the tables' own metadata names. Records that
// the log no longer holds are looked at for duplicates only. Error: ErrNoTable.
func (m *Manager) Verify(ctx context.Context, topic string) (Report, error) {
	s, err := m.find(ctx, topic)
	if err != nil {
		return Report{}, err
	}
	// Rewriting the files that are being read would only confuse.
	if err := s.upkeep.enter(ctx); err != nil {
		return Report{}, err
	}
	defer s.upkeep.leave()
	out := Report{Topic: topic, Verdict: VerdictOK, Formats: []FormatReport{}}
	for _, name := range s.topic.Formats {
		f := s.verify(ctx, name)
		out.Formats = append(out.Formats, f)
		if f.Verdict == VerdictBad || f.Verdict == VerdictUnknown && out.Verdict == VerdictOK {
			out.Verdict = f.Verdict
		}
	}
	return out, nil
}

// noTableYet says why a topic's tables are not there.
func (s *sink) noTableYet() error {
	all, _, _ := s.status.get()
	if all.state == Running {
		return errors.New("there is no table yet: the sink makes it when it begins")
	}
	return fmt.Errorf("there is no table yet: %s", all.message)
}

// verify compares one format's table. The sink may be at work meanwhile: what
// is there before the rows are read must be among them, and what is there
// afterwards bounds them.
func (s *sink) verify(ctx context.Context, format string) FormatReport {
	r := FormatReport{
		Format: format, Verdict: VerdictUnknown,
		Gaps: []tables.Range{}, Duplicates: []Duplicate{}, Deleted: []tables.Range{},
	}
	t, err := s.reopen(ctx, format, s.topic.Table)
	if isAbsent(err) {
		err = s.noTableYet()
	}
	if err != nil {
		return r.failed(err)
	}
	if len(s.topic.Upsert) > 0 {
		return s.verifyLatest(ctx, r, t)
	}
	if busy, err := s.redriveUnderWay(ctx, format); busy || err != nil {
		return r.failed(cmp.Or(err, errRedriving))
	}
	before, err := s.mainProgress(ctx, t)
	if err != nil {
		return r.failed(err)
	}
	if busy, err := s.rebuildUnderWay(ctx, format, before); busy || err != nil {
		return r.failed(cmp.Or(err, errRebuilding))
	}
	r.Deleted = gaps(before)
	counted, err := t.Status(ctx)
	if err != nil {
		return r.failed(err)
	}
	seen := map[int32]*offsetSet{}
	last := map[int32]int64{} // the highest offsets of rows
	if r.Rows, err = collect(ctx, t, seen, last); err != nil {
		return r.failed(err)
	}
	after, err := s.mainProgress(ctx, t)
	if err != nil {
		return r.failed(err)
	}
	for part, off := range last {
		if off >= after.Offsets[part] {
			return r.failed(fmt.Errorf("partition %d offset %d: %w", part, off, errBeyond))
		}
	}
	// What the log no longer holds can only be counted.
	recounted, err := t.Status(ctx)
	if err != nil {
		return r.failed(err)
	}
	if r.Rows < counted.Rows || r.Rows > recounted.Rows && recounted.Rows > 0 {
		return r.failed(fmt.Errorf("its files hold %d rows, by its own count it has %d: %w", r.Rows, recounted.Rows, tables.ErrBroken))
	}
	// Dead letters are committed first: a crash may leave some beyond the main
	// table's progress, which is no fault.
	dead, err := s.reopen(ctx, format, s.topic.Table+deadSuffix)
	if err != nil && !isAbsent(err) {
		return r.failed(err)
	}
	if err == nil {
		if r.DeadLetters, err = collect(ctx, dead, seen, nil); err != nil {
			return r.failed(fmt.Errorf("dead letters: %w", err))
		}
	}
	for _, part := range slices.Sorted(maps.Keys(seen)) {
		r.addDuplicates(part, seen[part])
	}
	gone, _, err := s.readDropped(ctx, format)
	if err != nil {
		return r.failed(err)
	}
	r.expiredMs = gone.BeforeMs
	if before.Equal(after) {
		if err := r.recount(before, seen); err != nil {
			return r.failed(err)
		}
	}
	for _, part := range slices.Sorted(maps.Keys(before.Offsets)) {
		if err := s.compare(ctx, &r, part, started(before, part), before.Offsets[part], seen[part]); err != nil {
			return r.failed(err)
		}
	}
	r.Verdict = VerdictOK
	if len(r.Gaps)+len(r.Duplicates) > 0 {
		r.Verdict = VerdictBad
	}
	return r
}

// failed says why a comparison ended early: unknown, or bad if the table is
// known to be.
func (r FormatReport) failed(err error) FormatReport {
	r.Verdict, r.Message = VerdictUnknown, err.Error()
	if errors.Is(err, errBeyond) || errors.Is(err, tables.ErrBroken) {
		r.Verdict = VerdictBad
	}
	return r
}

// errRedriving says that letters may stand twice for the moment.
var errRedriving = errors.New("a redrive was cut off and is being finished: ask again")

// errRebuilding says that letters are not those of the rows for the moment.
var errRebuilding = errors.New("a rebuild was cut off and is being finished: ask again")

// errBeyond says that a table holds rows that its progress does not cover.
var errBeyond = errors.New("the table holds rows beyond its own progress")

// collect reads a table's rows into seen, and the highest offsets into last,
// unless that is nil.
func collect(ctx context.Context, t tables.Table, seen map[int32]*offsetSet, last map[int32]int64) (rows int64, err error) {
	for id, err := range t.Rows(ctx) {
		if err != nil {
			return rows, fmt.Errorf("read the table's rows: %w", err)
		}
		if err := addTo(seen, id); err != nil {
			return rows, err
		}
		if last != nil {
			last[id.Partition] = max(last[id.Partition], id.Offset)
		}
		rows++
	}
	return rows, nil
}

func (r *FormatReport) addDuplicates(part int32, set *offsetSet) {
	for _, off := range slices.Sorted(maps.Keys(set.more)) {
		if len(r.Duplicates) == maxReported {
			return
		}
		r.Duplicates = append(r.Duplicates, Duplicate{Partition: part, Offset: off, Count: set.more[off]})
	}
}

// compare walks one partition's log from where the table begins up to its
// progress and looks for every record in set.
func (s *sink) compare(ctx context.Context, r *FormatReport, part int32, from, to int64, set *offsetSet) error {
	return s.eachRecord(ctx, part, from, to, r.expiredMs != 0, func(off, ms int64) error {
		r.look(part, off, ms, set)
		return nil
	})
}

// eachRecord visits the committed records of a partition from where the log begins,
// or later, up to to. Batches without holes are not unpacked, unless times are asked
// for (Unix ms); else every time may be the greatest there is.
func (s *sink) eachRecord(ctx context.Context, part int32, from, to int64, times bool, visit func(off, ms int64) error) error {
	log, err := s.log(ctx, part)
	if err != nil {
		return err
	}
	var rd record.Reader
	for at := max(from, log.Start()); at < to; {
		aborted := log.Aborted(at).Below(to)
		b, err := log.Read(ctx, at, readBytes, to)
		if errors.Is(err, commitlog.ErrRange) && at < log.Start() {
			at = log.Start() // retention went on meanwhile
			continue
		}
		if err != nil {
			return fmt.Errorf("read partition %d at %d: %w", part, at, err)
		}
		if len(b) == 0 {
			break
		}
		for one, err := range record.Batches(b) {
			if err != nil {
				return fmt.Errorf("partition %d: %w", part, err)
			}
			if committed(one.Header, aborted) {
				if err := eachOf(&rd, one, at, to, times, visit); err != nil {
					return fmt.Errorf("partition %d: batch at %d: %w", part, one.Header.BaseOffset, err)
				}
			}
			at = max(at, one.Header.LastOffset()+1)
		}
	}
	return nil
}

// eachOf visits the records of one batch that lie from at to to.
func eachOf(rd *record.Reader, b record.Batch, at, to int64, times bool, visit func(off, ms int64) error) error {
	h := b.Header
	if int64(h.Count) == int64(h.LastOffsetDelta)+1 && !times {
		for off := max(at, h.BaseOffset); off < min(to, h.LastOffset()+1); off++ {
			if err := visit(off, math.MaxInt64); err != nil {
				return err
			}
		}
		return nil
	}
	if err := rd.Reset(b.Bytes, maxUnpacked); err != nil {
		return err
	}
	for rd.Next() {
		if off := rd.Record().Offset; off >= at && off < to {
			if err := visit(off, rd.Record().Timestamp); err != nil {
				return err
			}
		}
	}
	return rd.Err()
}

// look checks one record of the log, made at atMs.
func (r *FormatReport) look(part int32, off, atMs int64, set *offsetSet) {
	r.Records++
	if set != nil && set.has(off) {
		return
	}
	if atMs < r.expiredMs {
		r.Expired++
		return
	}
	r.addGap(part, off)
}

func (r *FormatReport) addGap(part int32, off int64) {
	if n := len(r.Gaps); n > 0 && r.Gaps[n-1].Partition == part && r.Gaps[n-1].To == off {
		r.Gaps[n-1].To = off + 1
	} else if n < maxReported {
		r.Gaps = append(r.Gaps, tables.Range{Partition: part, From: off, To: off + 1})
	}
}

func (r *FormatReport) addStale(id tables.RowID) {
	if len(r.Stale) < maxReported {
		r.Stale = append(r.Stale, tables.Range{Partition: id.Partition, From: id.Offset, To: id.Offset + 1})
	}
}
