package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/broker/storage"
	"github.com/tarn-io/tarn/broker/trace"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/schema/formula"
	"github.com/tarn-io/tarn/tables"
)

// offsets are positions by partition.
type offsets map[int32]int64

func (o offsets) sum() (n int64) {
	for _, v := range o {
		n += v
	}
	return n
}

// cut is a range of the log on its way into the tables: what was read and
// decoded since the last one.
type cut struct {
	s        *sink
	from, to offsets // for every partition of the topic
	gaps     []tables.Range
	holes    bool           // offsets have no record any more that had one
	schema   *tables.Schema // of the table, with this cut's changes
	keyed    bool           // keys are decoded: their subject has a schema
	groups   []*group       // in order of first record
	byKey    map[groupKey]*group
	recent   *group       // of the last record
	dead     *schema.Rows // nil: none
	skip     map[int32]*offsetSet
	rows     int64          // dead letters among them
	redriven []tables.Range // offsets of letters that became rows
	skipped  int64          // records whose letters are there already
	bytes    int64          // of records
	most     int64          // rows that it may have
	rd       record.Reader
	traces   trace.Set // of its records, if somebody traces
	unlooked int64     // values decoded since the last look at memory
	looked   int64     // rows at the last look
	held     int64     // bytes of columns then
	breath   breath

	key, value           registry.Reading // which schemas the parts have
	keyPlain, valuePlain schema.Decoder   // how they are read without one; nil: by a schema
	reader               reader           // the version that values are brought to
	unwrapper            *Unwrapper       // what makes rows of envelopes
	known                []*arrow.Schema  // columns of versions, for their aliases
	formulas             []formula.Formula
	lastKey, lastValue   lastFrame
}

// newCut begins a cut. Errors are those of laidOut.
func (s *sink) newCut(from offsets) (*cut, error) {
	c := &cut{s: s, from: from, to: maps.Clone(from), schema: s.schema, byKey: map[groupKey]*group{}, most: s.topic.CommitRows}
	if s.most > 0 {
		c.most = min(c.most, s.most)
	}
	c.key, c.value = s.reading(keyPart), s.reading(valuePart)
	c.keyPlain, _ = s.plain(keyPart)
	c.valuePlain, _ = s.plain(valuePart)
	c.keyed = s.keyDecoder() != nil
	c.reader, c.known, c.unwrapper = s.newReader(), s.knownColumns(), NewUnwrapper(s.topic.Unwrap)
	var err error
	if c.formulas, err = s.topic.formulas(); err != nil {
		return nil, &stopError{WaitingForSchema, err}
	}
	if c.schema, err = s.grown(s.schema, c.known, c.formulas); err != nil {
		return nil, err
	}
	c.schema, err = s.laidOut(c.schema)
	return c, err
}

// grown is the table's schema with the newest version's columns, which are there as
// soon as it is registered, if the table can take them; and with those that are
// computed.
func (s *sink) grown(sch *tables.Schema, known []*arrow.Schema, formulas []formula.Formula) (*tables.Schema, error) {
	if newest, err := s.newestColumns(); err == nil && newest != nil {
		if next, _, err := sch.Merge(schema.Keep(sch.Arrow, newest, known...)); err == nil {
			sch = next
		}
	}
	if len(formulas) == 0 {
		return sch, nil
	}
	columns, err := generated(formulas, sch, arrow.NewSchema(kafkaColumns(), nil))
	if err == nil {
		sch, _, err = sch.Merge(columns)
	}
	if err != nil {
		return nil, &stopError{WaitingForSchema, fmt.Errorf("%s: %w: register a schema that fits, or change it", generatedKey, err)}
	}
	return sch, nil
}

// errEnough ends the reading of a cut that has become large enough.
var errEnough = errors.New("cut is large enough")

// read fills the cut from the log, below limit in each partition, until it is
// large enough. Partitions take turns.
func (c *cut) read(ctx context.Context, limit offsets) error {
	open := slices.Sorted(maps.Keys(c.to))
	for len(open) > 0 {
		var next []int32
		for _, p := range open {
			if c.to[p] >= limit[p] {
				continue
			}
			err := c.readSome(ctx, p, limit[p])
			if errors.Is(err, errEnough) {
				return nil
			}
			if err != nil {
				return err
			}
			next = append(next, p)
		}
		open = next
	}
	return nil
}

// readSome reads one piece of one partition.
func (c *cut) readSome(ctx context.Context, partition int32, limit int64) error {
	log, err := c.s.log(ctx, partition)
	if err != nil {
		return err
	}
	at := c.to[partition]
	aborted := log.Aborted(at).Below(limit)
	b, err := log.Read(ctx, at, readBytes, limit)
	if start := log.Start(); at < start && (err == nil || errors.Is(err, commitlog.ErrRange)) {
		c.gap(partition, min(start, limit))
		return nil
	}
	if err != nil {
		return fmt.Errorf("read partition %d at %d: %w", partition, at, err)
	}
	if len(b) == 0 {
		c.to[partition], c.holes = limit, true // nothing is left below it
		return nil
	}
	for part, err := range record.Batches(b) {
		if err != nil {
			return fmt.Errorf("partition %d: stored batch: %w", partition, err)
		}
		c.holes = c.holes || part.Header.BaseOffset > c.to[partition] || int64(part.Header.Count) <= int64(part.Header.LastOffsetDelta)
		if committed(part.Header, aborted) {
			if err := c.breath.draw(ctx); err != nil {
				return err
			}
			if err := c.addBatch(partition, part.Bytes, limit); err != nil {
				return err
			}
		}
		c.to[partition] = max(c.to[partition], min(limit, part.Header.LastOffset()+1))
		if c.full() {
			return errEnough
		}
	}
	return nil
}

// gap goes on at to: retention or a user took records that the table never
// got. That is written down in the table, where verification finds it.
func (c *cut) gap(partition int32, to int64) {
	gap := tables.Range{Partition: partition, From: c.to[partition], To: to}
	c.s.lg.Error("records were deleted before they reached the table", "partition", partition, "from", gap.From, "to", gap.To)
	c.gaps = append(c.gaps, gap)
	c.to[partition] = to
}

// committed reports whether a batch's records become rows: transaction markers
// and what belongs to aborted transactions do not.
func committed(h record.Header, aborted commitlog.AbortedTxns) bool {
	return !h.Control() && !aborted.Holds(h)
}

// full reports whether the cut is large enough, looking at its memory when much
// was decoded since the last look.
func (c *cut) full() bool {
	t := &c.s.topic
	if c.unlooked >= lookCells || c.rows-c.looked >= lookRows {
		c.weigh()
	}
	return c.bytes >= t.CommitBytes || c.rows >= c.most || c.held >= maxSwell*t.CommitBytes
}

// weigh adds up what the columns hold.
func (c *cut) weigh() {
	c.unlooked, c.looked, c.held = 0, c.rows, 0
	for _, g := range c.groups {
		c.held += g.weigh()
	}
	if c.dead != nil {
		c.held += c.dead.Bytes()
	}
}

// addBatch decodes the records of one batch from the cut's position to limit.
func (c *cut) addBatch(partition int32, b []byte, limit int64) error {
	rd := &c.rd
	if err := rd.Reset(b, maxUnpacked); err != nil {
		return fmt.Errorf("partition %d: stored batch: %w", partition, err)
	}
	skip := c.skip[partition]
	at := c.to[partition]
	defer func() { c.to[partition] = at }()
	for rd.Next() {
		r := rd.Record()
		if r.Offset < at || r.Offset >= limit {
			continue
		}
		if skip == nil || !skip.has(r.Offset) {
			if err := c.addRecord(partition, r); err != nil {
				return err // the position stays before this record
			}
			if c.s.tracer.On() {
				c.traces.Look(r)
			}
			c.rows++
			c.bytes += int64(len(r.Key) + len(r.Value) + recordOverhead)
		} else {
			c.skipped++
		}
		at = r.Offset + 1
		if c.full() {
			return errEnough
		}
	}
	if err := rd.Err(); err != nil {
		return fmt.Errorf("partition %d: stored batch: %w", partition, err)
	}
	return nil
}

// recordOverhead is about what Kafka's own columns take beside key and value.
const recordOverhead = 32

// addRecord puts one record into the rows or among the dead letters. errEnough
// means that it did not fit and belongs to the next cut.
func (c *cut) addRecord(partition int32, r *record.Record) error {
	id, err := c.addRow(partition, r)
	if err == nil || errors.Is(err, errEnough) {
		return err
	}
	if c.dead == nil {
		rows, newErr := schema.NewRows(deadColumns())
		if newErr != nil {
			return fmt.Errorf("dead letter columns: %w", newErr)
		}
		c.dead = rows
	}
	if err := addDead(c.dead, c.s.topic.Name, partition, r, id, err); err != nil {
		if isFull(err) && c.dead.Len() > 0 {
			return errEnough
		}
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

// addRow decodes one record into its group. The error says why it cannot be a
// row of the table, or is errEnough.
func (c *cut) addRow(partition int32, r *record.Record) (schemaID int, err error) {
	if r.Key == nil && c.s.topic.byRecordKey() {
		return 0, errNoKey
	}
	k := groupKey{}
	var keyBytes, valueBytes []byte
	if r.Value != nil {
		header, has := r.HeaderLast(schema.ValueHeader)
		if b, same := c.lastValue.payload(r.Value, has); same {
			schemaID, k.value, valueBytes = c.lastValue.id, c.lastValue.decoder, b
		} else {
			v, err := c.newValue(r.Value, header, has)
			if err != nil {
				return v.ID, err
			}
			schemaID, k.value, valueBytes = v.ID, v.Decoder, v.Bytes
		}
	}
	if r.Key != nil && c.keyed {
		header, has := r.HeaderLast(schema.KeyHeader)
		if b, same := c.lastKey.payload(r.Key, has); same {
			k.key, keyBytes = c.lastKey.decoder, b
		} else {
			v, err := c.newKey(r.Key, header, has)
			if err != nil {
				return schemaID, fmt.Errorf("key: %w", err)
			}
			k.key, keyBytes = v.Decoder, v.Bytes
		}
	}
	g := c.recent
	if g == nil || g.groupKey != k {
		if g, err = c.group(k); err != nil {
			return schemaID, err
		}
		c.recent = g
	}
	err = g.add(partition, r, keyBytes, valueBytes, schemaID)
	if isFull(err) && g.len() > 0 {
		return schemaID, errEnough // in columns that are empty it cannot stand at all
	}
	c.unlooked += g.leaves
	return schemaID, err
}

// lastFrame is a prefix with a schema's id, and what reads the payloads behind it:
// what has the same prefix is decoded alike, as long as the cut lasts.
type lastFrame struct {
	prefix  []byte // empty: none
	id      int
	decoder schema.Decoder
}

// payload is what stands in b behind the prefix, if it begins with that and no header
// names a schema.
func (l *lastFrame) payload(b []byte, has bool) (rest []byte, same bool) {
	if n := len(l.prefix); n > 0 && !has && bytes.HasPrefix(b, l.prefix) {
		return b[n:], true
	}
	return nil, false
}

// keep notes what was made of b. A prefix is whole: Protobuf's says itself how long it
// is. Where payloads are tried out, the same bytes may be no prefix in another.
func (l *lastFrame) keep(b []byte, has bool, how *registry.Reading, p registry.Payload) {
	if n := len(b) - len(p.Bytes); !has && p.Framed && how.Bare != registry.BareAttempt {
		l.prefix, l.id, l.decoder = append(l.prefix[:0], b[:n]...), p.ID, p.Decoder
	}
}

// newValue finds what decodes a value whose prefix is not the last one's.
func (c *cut) newValue(b, header []byte, has bool) (registry.Payload, error) {
	p := registry.Payload{Decoder: c.valuePlain, Bytes: b}
	var err error
	if c.valuePlain == nil {
		p, err = c.s.registry.Read(&c.value, b, header, has)
	}
	if err == nil {
		p, err = c.reader.read(p)
	}
	if err == nil {
		p.Decoder, err = c.unwrapper.Decoder(p.Decoder)
	}
	if err == nil {
		c.lastValue.keep(b, has, &c.value, p)
	}
	return p, err
}

// newKey is newValue for a key, which is read as it was written.
func (c *cut) newKey(b, header []byte, has bool) (registry.Payload, error) {
	if c.keyPlain != nil {
		return registry.Payload{Decoder: c.keyPlain, Bytes: b}, nil
	}
	p, err := c.s.registry.Read(&c.key, b, header, has)
	if err == nil {
		c.lastKey.keep(b, has, &c.key, p)
	}
	return p, err
}

// group returns the group of k; at its first record the table's schema takes
// its columns in. Columns that the table cannot take refuse every record of
// the group.
func (c *cut) group(k groupKey) (*group, error) {
	if g, ok := c.byKey[k]; ok {
		return g, g.refused
	}
	if len(c.byKey) >= maxGroups {
		return nil, errEnough
	}
	g, err := newGroup(k)
	columns := schema.Keep(c.schema.Arrow, c.s.columns(k), c.known...)
	if err != nil {
		g = &group{groupKey: k, refused: err}
	} else if err := c.tellsRows(k, columns); err != nil {
		g.refused = err
	} else if k.value == nil && len(c.s.topic.Upsert) > 0 {
		g.refused = c.fitKeys(g)
		c.groups = append(c.groups, g)
	} else if err := c.admit(g, columns); err != nil {
		g.refused = fmt.Errorf("table cannot take this schema: %w", err)
	} else {
		c.groups = append(c.groups, g)
	}
	c.byKey[k] = g
	return g, g.refused
}

// admit takes a group's columns into the cut's schema, with those that are computed
// of them.
func (c *cut) admit(g *group, columns *arrow.Schema) error {
	next, _, err := c.schema.Merge(columns)
	if err != nil {
		return err
	}
	all := columns
	if len(c.formulas) > 0 {
		if err := g.newGenerator(c.formulas, next, columns, c.s.topic.JSONExtra); err != nil {
			return err
		}
		all = withGenerated(columns, g.gen.programs)
		if next, _, err = next.Merge(all); err != nil {
			return err
		}
	}
	c.schema, g.columns = next, all
	c.watch(g, columns)
	return nil
}

// columns are the table columns that records of a group ask for. The key's
// column stays even where a group has no key.
func (s *sink) columns(k groupKey) *arrow.Schema {
	return tableColumns(k.key, k.value, s.topic.JSONExtra)
}

// batches hands over all rows in the columns of the cut's schema. In a table of
// latest values records without values are none.
func (c *cut) batches() ([]arrow.RecordBatch, error) {
	var out []arrow.RecordBatch
	for _, g := range c.groups {
		if g.len() == 0 || g.value == nil && len(c.s.topic.Upsert) > 0 {
			continue
		}
		b, err := g.batches(c.schema, c.s.topic.JSONExtra)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// ranges are what the cut covers, for the data file.
func (c *cut) ranges() []tables.Range {
	var out []tables.Range
	for _, p := range slices.Sorted(maps.Keys(c.to)) {
		if c.from[p] < c.to[p] {
			out = append(out, tables.Range{Partition: p, From: c.from[p], To: c.to[p]})
		}
	}
	return out
}

// log returns a partition's log.
func (s *sink) log(ctx context.Context, partition int32) (*commitlog.Log, error) {
	return s.logs.Log(ctx, storage.TP{Topic: s.topic.ID, Partition: partition})
}
