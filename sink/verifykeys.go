package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/tables"
	"github.com/tarn-io/tarn/tables/parquet"
	"github.com/tarn-io/tarn/tables/upsert"
)

// maxVerifyKeys bounds the keys that are compared, some 150 bytes each.
const maxVerifyKeys = 20 << 20

// errManyKeys says that a table of latest values is too large to be compared.
var errManyKeys = fmt.Errorf("more than %d keys are not compared", maxVerifyKeys)

// newest is the last record of a key in one partition.
type newest struct {
	tables.RowID
	ms   int64 // Unix ms
	gone bool  // it has no value
}

// keyAudit holds a table of latest values against the log.
type keyAudit struct {
	s    *sink
	h    upsert.Hasher
	log  map[upsert.Hash]newest
	more map[upsert.Hash]map[int32]newest // keys that stand in several partitions
	rows map[upsert.Hash]tables.RowID     // of the table
	over map[upsert.Hash][]tables.RowID   // further rows of the same key
}

// verifyLatest compares one state of a table of latest values with the log up to
// that state's progress: for each key the table has the row of its last record,
// and none where that has no value. Where a key stands in several partitions any
// of its last records will do. Rows whose key the log does not have any more are
// counted, and taken for right.
func (s *sink) verifyLatest(ctx context.Context, r FormatReport, t tables.Table) FormatReport {
	replacer, ok := t.(tables.Replacer)
	if !ok {
		return r.failed(tables.ErrUnsupported)
	}
	if _, err := s.mainProgress(ctx, t); err != nil {
		return r.failed(err)
	}
	now, err := replacer.Files(ctx)
	if err != nil {
		return r.failed(err)
	}
	if busy, err := s.rebuildUnderWay(ctx, r.Format, now.Progress); busy || err != nil {
		return r.failed(cmp.Or(err, errRebuilding))
	}
	r.Deleted = gaps(now.Progress)
	a := &keyAudit{
		s: s, h: upsert.NewHasher(), log: map[upsert.Hash]newest{},
		more: map[upsert.Hash]map[int32]newest{}, rows: map[upsert.Hash]tables.RowID{},
		over: map[upsert.Hash][]tables.RowID{},
	}
	if err := a.readTable(ctx, &r, now); err != nil {
		return r.failed(err)
	}
	letters := map[int32]*offsetSet{}
	dead, err := s.reopen(ctx, r.Format, s.topic.Table+deadSuffix)
	if err != nil && !isAbsent(err) {
		return r.failed(err)
	}
	if err == nil {
		if r.DeadLetters, err = collect(ctx, dead, letters, nil); err != nil {
			return r.failed(fmt.Errorf("dead letters: %w", err))
		}
	}
	for _, part := range slices.Sorted(maps.Keys(letters)) {
		r.addDuplicates(part, letters[part])
	}
	gone, _, err := s.readDropped(ctx, r.Format) // before rows go it is stored
	if err != nil {
		return r.failed(err)
	}
	r.expiredMs = gone.BeforeMs
	physical, err := t.Physical(t.Schema())
	if err == nil {
		err = a.readLog(ctx, &r, t.Schema(), physical, now.Progress, letters)
	}
	if err != nil {
		return r.failed(err)
	}
	a.compare(&r)
	r.Verdict = VerdictOK
	if len(r.Gaps)+len(r.Duplicates)+len(r.Stale) > 0 {
		r.Verdict = VerdictBad
	}
	return r
}

// readTable reads the keys of all live rows.
func (a *keyAudit) readTable(ctx context.Context, r *FormatReport, now tables.Files) error {
	for _, f := range now.Live {
		if f.Deletes {
			return fmt.Errorf("delete files of another writer are not understood here: %w", tables.ErrUnsupported)
		}
		n, err := a.readFile(ctx, r, f.Key, now.Progress)
		if err != nil {
			return fmt.Errorf("read the table's rows: %s: %w", f.Key, err)
		}
		if f.Rows >= 0 && n != f.Rows {
			return fmt.Errorf("%s holds %d rows, by the table's count %d: %w", f.Key, n, f.Rows, tables.ErrBroken)
		}
		r.Rows += n
	}
	return nil
}

func (a *keyAudit) readFile(ctx context.Context, r *FormatReport, key string, p tables.Progress) (rows int64, err error) {
	err = a.s.eachKey(ctx, a.h, key, func(hashes []upsert.Hash, ids []tables.RowID) error {
		rows += int64(len(ids))
		for i, id := range ids {
			if id.Offset >= p.Offsets[id.Partition] {
				return fmt.Errorf("partition %d offset %d: %w", id.Partition, id.Offset, errBeyond)
			}
			if _, twice := a.rows[hashes[i]]; twice {
				a.over[hashes[i]] = append(a.over[hashes[i]], id)
			} else {
				a.rows[hashes[i]] = id
			}
		}
		if len(a.rows) > maxVerifyKeys {
			return errManyKeys
		}
		return nil
	})
	return rows, err
}

// eachKey visits the rows of a file in their order, a batch at a time: the hashes of
// their keys, and where they come from.
func (s *sink) eachKey(ctx context.Context, h upsert.Hasher, key string, visit func([]upsert.Hash, []tables.RowID) error) error {
	f, err := s.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := parquet.Columns(ctx, f, append([]string{parquet.PartitionColumn, parquet.OffsetColumn}, s.topic.Upsert...))
	if err != nil {
		return err
	}
	for b, err := range parquet.ReadRows(ctx, f, names) {
		if err != nil {
			return err
		}
		ids, err := placesOf(b)
		if err != nil {
			return err
		}
		hashes, err := h.Batch(b, s.topic.Upsert)
		if err != nil {
			return err
		}
		if err := visit(hashes, ids); err != nil {
			return err
		}
	}
	return nil
}

// readLog decodes the log up to p as a sink does that begins now, with all that
// the table's schema has. Records that are dead letters are passed over.
func (a *keyAudit) readLog(
	ctx context.Context, r *FormatReport, schema, physical *tables.Schema, p tables.Progress, letters map[int32]*offsetSet,
) error {
	s := a.s
	reader := &sink{
		topic: s.topic, logs: s.logs, registry: s.registry, schema: schema, now: s.now,
		lg: slog.New(slog.DiscardHandler), // what was deleted before is no news
	}
	from := offsets{}
	for part := range p.Offsets {
		log, err := s.log(ctx, part)
		if err != nil {
			return err
		}
		from[part] = min(max(started(p, part), log.Start()), p.Offsets[part])
	}
	for from.until(p.Offsets) > 0 {
		c, err := reader.newCut(from)
		if err != nil {
			return err
		}
		c.skip = letters
		if err := c.read(ctx, p.Offsets); err != nil {
			return err
		}
		if err := a.takeCut(ctx, r, c, physical); err != nil {
			return err
		}
		if c.to.sum() == from.sum() {
			return errors.New("a record of the log does not fit into memory")
		}
		from = c.to
	}
	return nil
}

// takeCut notes the records of one piece of the log.
func (a *keyAudit) takeCut(ctx context.Context, r *FormatReport, c *cut, physical *tables.Schema) error {
	rows, gone, err := c.all(ctx)
	if err != nil {
		return err
	}
	for i, b := range slices.Concat(rows, gone) {
		keys, err := a.keysOf(b, physical)
		if err != nil {
			return err
		}
		if err := a.take(r, keys, i >= len(rows)); err != nil {
			return err
		}
	}
	r.Records += c.skipped
	if c.dead == nil {
		return nil
	}
	dead := c.dead.Batch()
	lost, err := placesOf(dead)
	if err != nil {
		return err
	}
	times, ok := columnOf(dead, parquet.TimestampColumn).(*array.Timestamp)
	if !ok {
		return fmt.Errorf("dead letters do not say when they were made: %w", tables.ErrSchema)
	}
	for i, id := range lost {
		r.look(id.Partition, id.Offset, int64(times.Value(i))/1000, nil)
	}
	return nil
}

// keysOf picks the columns of a batch that matter, in the format's types.
func (a *keyAudit) keysOf(b arrow.RecordBatch, physical *tables.Schema) (arrow.RecordBatch, error) {
	to := goneSchema(physical, append(slices.Clone(a.s.topic.Upsert), parquet.TimestampColumn))
	var fields []arrow.Field
	var cols []arrow.Array
	for _, f := range to.Arrow.Fields() {
		if at := b.Schema().FieldIndices(f.Name); len(at) == 1 {
			fields, cols = append(fields, b.Schema().Field(at[0])), append(cols, b.Column(at[0]))
		}
	}
	have := make([]arrow.Field, len(fields))
	for i, f := range fields {
		at := to.Arrow.FieldIndices(f.Name)[0]
		have[i] = to.Arrow.Field(at)
	}
	return tables.Convert(array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, b.NumRows()),
		&tables.Schema{Arrow: arrow.NewSchema(have, nil)})
}

// take notes records, of which gone have no value.
func (a *keyAudit) take(r *FormatReport, b arrow.RecordBatch, gone bool) error {
	hashes, err := a.h.Batch(b, a.s.topic.Upsert)
	if err != nil {
		return err
	}
	ids, err := placesOf(b)
	if err != nil {
		return err
	}
	times, _ := columnOf(b, parquet.TimestampColumn).(*array.Timestamp)
	r.Records += int64(len(ids))
	for i, k := range hashes {
		n := newest{RowID: ids[i], gone: gone}
		if times != nil {
			n.ms = int64(times.Value(i)) / 1000
		}
		a.note(k, n)
	}
	if len(a.log) > maxVerifyKeys {
		return errManyKeys
	}
	return nil
}

// note keeps the last record of a key for each partition.
func (a *keyAudit) note(k upsert.Hash, n newest) {
	have, known := a.log[k]
	if !known || have.Partition == n.Partition && len(a.more[k]) == 0 {
		if !known || n.Offset > have.Offset {
			a.log[k] = n
		}
		return
	}
	all := a.more[k]
	if all == nil {
		all = map[int32]newest{have.Partition: have}
		a.more[k] = all
	}
	if old, ok := all[n.Partition]; !ok || n.Offset > old.Offset {
		all[n.Partition] = n
	}
}

// compare holds the rows against the last records.
func (a *keyAudit) compare(r *FormatReport) {
	for k, n := range a.log {
		last := a.more[k]
		if last == nil {
			last = map[int32]newest{n.Partition: n}
		}
		mayLack, expired := false, false
		for _, n := range last {
			mayLack = mayLack || n.gone
			expired = expired || n.ms < r.expiredMs
		}
		right := a.judge(r, k, last)
		switch {
		case right || mayLack:
		case expired:
			r.Expired++
		default:
			r.addGap(n.Partition, n.Offset)
		}
	}
	for k := range a.rows {
		if _, ok := a.log[k]; !ok {
			r.Unchecked++
			for _, row := range a.over[k] {
				r.addStale(row)
			}
		}
	}
	slices.SortFunc(r.Gaps, byPlace)
	slices.SortFunc(r.Stale, byPlace)
}

// judge reports whether the table has the row of one of a key's last records;
// whatever else it has of the key is stale.
func (a *keyAudit) judge(r *FormatReport, k upsert.Hash, last map[int32]newest) (right bool) {
	row, there := a.rows[k]
	if !there {
		return false
	}
	for _, row := range append([]tables.RowID{row}, a.over[k]...) {
		n, ok := last[row.Partition]
		if right || !ok || n.gone || n.RowID != row {
			r.addStale(row)
			continue
		}
		right = true
	}
	return right
}

func byPlace(a, b tables.Range) int {
	if a.Partition != b.Partition {
		return int(a.Partition) - int(b.Partition)
	}
	return int(min(1, max(-1, a.From-b.From)))
}
