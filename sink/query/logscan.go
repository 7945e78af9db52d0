package query

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/commitlog"
	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
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

	rd     record.Reader
	rows   *logRows
	limit  int  // rows of the next chunk
	needed need // of each record
	done   bool // yield has returned false
}

// need is what a scan has to know of records.
type need struct {
	any     bool // any column at all
	decode  bool // key and value
	schema  bool // the schema's id
	headers bool
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
	for i, c := range r.columns {
		if !b.used[i] || b.filesOnly != nil && b.filesOnly[i] {
			continue
		}
		s.needed.any = true
		switch c.from {
		case fromField, fromKeyDecoded, fromError:
			s.needed.decode = true
		case fromSchemaID, fromPlain:
			s.needed.schema = true
		case fromHeaders:
			s.needed.headers = true
		}
	}
	s.rows = newLogRows(s)
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
		aborted := s.log.Aborted(at).Below(s.to)
		raw, err := s.log.Read(s.r.s.ctx, at, readBytes, s.to)
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
			h := one.Header
			if !h.Control() && !aborted.Holds(h) && h.MaxTimestamp >= s.b.ms[0] {
				if err := s.batch(one, at); err != nil {
					return err
				}
			} else {
				s.r.s.out.Read.BatchesPassed++
			}
			if s.done {
				return nil
			}
			at = max(at, h.LastOffset()+1)
		}
	}
	return nil
}

// batch takes the records of one batch, from an offset on.
func (s *logScan) batch(one record.Batch, at int64) error {
	h := one.Header
	// Without a look at records, the header counts them.
	if !s.needed.any && !s.b.restricted && h.BaseOffset >= at && h.LastOffset() < s.to {
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
		if rec.Offset < at || rec.Offset >= s.to || rec.Timestamp < s.b.ms[0] || rec.Timestamp > s.b.ms[1] ||
			s.b.key != nil && (rec.Key == nil || !bytes.Equal(rec.Key, s.b.key)) {
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
	s.limit = min(2*s.limit, lastChunk)
	s.rows = newLogRows(s)
	s.done = s.done || !s.yield(c, nil)
}

// logRows are records on their way into a chunk.
type logRows struct {
	s       *logScan
	offsets []int64
	stamps  []int64
	keys    []any
	headers []string
	ids     []int64
	raw     [][]byte
	plain   []any
	errs    []any
	keyAt   []place
	valueAt []place
	bytes   int
	looked  int // records, those that were passed over too

	groups map[schema.Decoder]*group
	all    []*group

	deriver   *sink.Deriver // of columns that are computed; nil: none
	derived   place         // of the record at hand
	derivedAt []place
}

// place is where a decoded part stands; group -1: nowhere.
type place struct{ group, row int32 }

// group are the rows of one decoder.
type group struct {
	rows    *schema.Rows
	decoder schema.Decoder
	batch   arrow.RecordBatch
	n       int32
	index   int32
}

func newLogRows(s *logScan) *logRows {
	l := &logRows{s: s, groups: map[schema.Decoder]*group{}}
	if r := s.r; r.part == whole && r.src.hasLake {
		l.deriver = sink.NewDeriver(r.topic, r.src.lake.Schema, r.known)
	}
	return l
}

// add takes one record.
func (l *logRows) add(rec *record.Record) error {
	need := &l.s.needed
	l.offsets = append(l.offsets, rec.Offset)
	if !need.any {
		return nil
	}
	r, used := l.s.r, l.s.b.used
	l.bytes += len(rec.Key) + len(rec.Value)
	l.stamps = append(l.stamps, rec.Timestamp)
	var id int64
	var why error
	keyAt, valueAt := place{-1, 0}, place{-1, 0}
	var whole any
	if need.decode || need.schema {
		valueAt, keyAt, id, whole, why = l.decode(rec)
	}
	for i := range r.columns {
		if !used[i] {
			continue
		}
		switch r.columns[i].from {
		case fromKey:
			l.keys = append(l.keys, utf8OrBytes(bytes.Clone(rec.Key)))
		case fromRaw:
			l.raw = append(l.raw, bytes.Clone(rec.Value))
		}
	}
	if need.headers {
		l.headers = append(l.headers, headersText(rec))
	}
	l.ids = append(l.ids, id)
	l.plain = append(l.plain, whole)
	l.keyAt, l.valueAt, l.derivedAt = append(l.keyAt, keyAt), append(l.valueAt, valueAt), append(l.derivedAt, l.derived)
	if why != nil {
		l.errs = append(l.errs, strings.ToValidUTF8(why.Error(), "\uFFFD"))
	} else {
		l.errs = append(l.errs, nil)
	}
	return nil
}

func headersText(rec *record.Record) string {
	b := []byte{'['}
	for k, v := range rec.Headers() {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendHeader(b, k, v)
	}
	return string(append(b, ']'))
}

// decode decodes key and value, as a sink does. Of a record that cannot be decoded,
// neither stands anywhere, and why says why.
func (l *logRows) decode(rec *record.Record) (value, key place, id int64, whole any, why error) {
	r := l.s.r
	value, key, l.derived = place{-1, 0}, place{-1, 0}, place{-1, 0}
	var vp, kp registry.Payload
	if rec.Value != nil {
		header, has := rec.HeaderLast(schema.ValueHeader)
		var err error
		vp, err = payload(r, r.valuePlain, &r.value, rec.Value, header, has)
		id = int64(vp.ID)
		if err == nil {
			vp, err = r.resolve(vp)
		}
		if err == nil {
			vp.Decoder, err = r.rows.Decoder(vp.Decoder)
		}
		if err != nil {
			whole = utf8OrBytes(bytes.Clone(rec.Value))
			if !vp.Framed && !r.hasValues() {
				err = nil // a topic without a schema has values all the same
			}
			return value, key, id, whole, err
		}
	}
	if !l.s.needed.decode && !l.s.wantsWhole() {
		return value, key, id, nil, nil
	}
	if rec.Key != nil && r.keyed {
		header, has := rec.HeaderLast(schema.KeyHeader)
		var err error
		if kp, err = payload(r, r.keyPlain, &r.key, rec.Key, header, has); err != nil {
			return value, key, id, nil, fmt.Errorf("key: %w", err)
		}
	}
	if vp.Decoder != nil {
		if value, why = l.put(vp); why != nil {
			return place{-1, 0}, key, id, nil, why
		}
	}
	if kp.Decoder != nil {
		if key, why = l.put(kp); why != nil {
			return place{-1, 0}, place{-1, 0}, id, nil, fmt.Errorf("key: %w", why)
		}
	}
	if l.deriver != nil {
		batch, row, why := l.deriver.Add(l.s.partition, rec, int(id), kp, vp)
		if why != nil {
			return place{-1, 0}, place{-1, 0}, id, nil, why
		}
		l.derived = place{int32(batch), int32(row)}
	}
	return value, key, id, nil, nil
}

// hasValues reports whether the topic's values have a schema of their own.
func (r *relation) hasValues() bool {
	for i := range r.columns {
		if r.columns[i].from == fromPlain {
			return false
		}
	}
	return true
}

// wantsWhole reports whether the whole value is a column that is used.
func (s *logScan) wantsWhole() bool {
	for i, c := range s.r.columns {
		if c.from == fromPlain && s.b.used[i] {
			return true
		}
	}
	return false
}

// payload finds the decoder of a key or value.
func payload(r *relation, without schema.Decoder, how *registry.Reading, b, header []byte, has bool) (registry.Payload, error) {
	if without != nil {
		return registry.Payload{Decoder: without, Bytes: b}, nil
	}
	return r.s.engine.cfg.Registry.Read(how, b, header, has)
}

// resolve puts the decoder that brings a value to the table's version in place of its
// own, if the topic asks for one.
func (r *relation) resolve(p registry.Payload) (registry.Payload, error) {
	if r.to == nil || p.Schema == nil {
		return p, nil
	}
	d := r.made[p.Schema]
	if d == nil {
		var err error
		if d, err = r.to.Resolve(p.Schema); err != nil {
			return p, fmt.Errorf("schema %d cannot be read as the version of the table (tarn.table.value.version): %w", p.ID, err)
		}
		r.made[p.Schema] = d
	}
	p.Decoder = d
	return p, nil
}

// put decodes a payload into the rows of its decoder.
func (l *logRows) put(p registry.Payload) (place, error) {
	g := l.groups[p.Decoder]
	if g == nil {
		rows, err := schema.NewRows(p.Decoder.Columns())
		if err != nil {
			return place{-1, 0}, err
		}
		g = &group{rows: rows, decoder: p.Decoder, index: int32(len(l.all))}
		l.groups[p.Decoder], l.all = g, append(l.all, g)
	}
	if err := p.Decoder.Decode(p.Bytes, g.rows); err != nil {
		return place{-1, 0}, err
	}
	g.n++
	return place{g.index, g.n - 1}, nil
}

// chunk hands the records over.
func (l *logRows) chunk() *chunk {
	r, used := l.s.r, l.s.b.used
	for _, g := range l.all {
		g.batch = g.rows.Batch()
	}
	c := &chunk{n: len(l.offsets), cols: make([]reader, len(r.columns))}
	var derived []arrow.RecordBatch
	if l.deriver != nil {
		derived = l.deriver.Batches()
	}
	offsets, stamps, keys, headers, ids, raw, errs := l.offsets, l.stamps, l.keys, l.headers, l.ids, l.raw, l.errs
	partition := int64(l.s.partition)
	scan := l.s
	c.rowID = func(i int) int64 { return scan.rowID(offsets[i]) }
	for i := range r.columns {
		if !used[i] {
			continue
		}
		col := &r.columns[i]
		switch col.from {
		case fromPartition:
			c.cols[i] = func(int) any { return partition }
		case fromOffset:
			c.cols[i] = func(k int) any { return offsets[k] }
		case fromTimestamp:
			c.cols[i] = func(k int) any { return stampText(time.UnixMilli(stamps[k])) }
		case fromKey:
			c.cols[i] = func(k int) any { return keys[k] }
		case fromHeaders:
			c.cols[i] = func(k int) any { return headers[k] }
		case fromSchemaID:
			c.cols[i] = func(k int) any {
				if ids[k] == 0 {
					return nil
				}
				return ids[k]
			}
		case fromRaw:
			c.cols[i] = func(k int) any {
				if raw[k] == nil {
					return nil
				}
				return raw[k]
			}
		case fromError:
			c.cols[i] = func(k int) any { return errs[k] }
		case fromField:
			if l.deriver.Has(col.field) {
				c.cols[i] = l.computed(col, derived)
				continue
			}
			c.cols[i] = l.field(col)
		case fromKeyDecoded:
			c.cols[i] = l.json(l.keyAt, nil)
		case fromPlain:
			c.cols[i] = l.json(l.valueAt, l.plain)
		}
	}
	c.sel = sift(c.n, nil, l.tests())
	c.vec = func(at int) *vector { return l.vector(c, at) }
	return c
}

// vector is a column of the records at hand in the form for sums.
func (l *logRows) vector(c *chunk, at int) *vector {
	offsets, ms, ids := l.offsets, l.stamps, l.ids
	switch col := &l.s.r.columns[at]; col.from {
	case fromPartition:
		partition := int64(l.s.partition)
		return &vector{shape: shapeInts, any: c.cols[at], ints: func(int) int64 { return partition }}
	case fromOffset:
		return &vector{shape: shapeInts, any: c.cols[at], ints: func(i int) int64 { return offsets[i] }}
	case fromSchemaID:
		return &vector{shape: shapeInts, any: c.cols[at], ints: func(i int) int64 { return ids[i] }, null: func(i int) bool { return ids[i] == 0 }}
	case fromTimestamp:
		of := stamps()
		for _, n := range ms {
			if us := micros(n); us < of.low || us > of.high {
				return vectorBy(c.cols[at])
			}
		}
		return &vector{shape: shapeStamps, any: c.cols[at], ints: func(i int) int64 { return micros(ms[i]) }, of: of}
	case fromField:
		if l.deriver.Has(col.field) {
			break
		}
		by := make([]*vector, len(l.all))
		for k, g := range l.all {
			if a := l.columnOf(g, col.field); a != nil {
				by[k] = vectorOf(a, col.logical, spanOf(col.logical))
			} else {
				by[k] = &vector{}
			}
		}
		return scattered(l.valueAt, by)
	}
	return vectorBy(c.cols[at])
}

// columnOf is a field of the value in the rows of one decoder, nil if those lack it.
func (l *logRows) columnOf(g *group, field string) arrow.Array {
	columns := l.s.r.columnsOf(g.decoder)
	at := columns.FieldIndices(field)
	if len(at) != 1 {
		return nil
	}
	return array.MakeFromData(sink.Renamed(g.batch.Column(at[0]).Data(), columns.Field(at[0]).Type))
}

// tests are those of the records at hand, by the comparisons on fields: on all else,
// records were tested before they were decoded.
func (l *logRows) tests() []test {
	var out []test
	for _, t := range l.s.b.terms {
		if !l.s.b.used[t.at] || l.deriver.Has(t.column.field) {
			continue
		}
		by := make([]test, len(l.all))
		known := true
		for i, g := range l.all {
			if a := l.columnOf(g, t.column.field); a == nil {
				by[i] = never
			} else if by[i] = t.test(a); by[i] == nil {
				known = false
			}
		}
		if known {
			at := l.valueAt
			out = append(out, func(i int) bool { p := at[i]; return p.group >= 0 && by[p.group](int(p.row)) })
		}
	}
	return out
}

// field reads a field of the value, from the rows of whichever decoder has it.
func (l *logRows) field(col *column) reader {
	by := make([]reader, len(l.all))
	for i, g := range l.all {
		if a := l.columnOf(g, col.field); a != nil {
			by[i] = readerOf(a, col.logical)
		}
	}
	at := l.valueAt
	return func(i int) any {
		p := at[i]
		if p.group < 0 || by[p.group] == nil {
			return nil
		}
		return by[p.group](int(p.row))
	}
}

// computed reads a column that is computed of others.
func (l *logRows) computed(col *column, derived []arrow.RecordBatch) reader {
	by := make([]reader, len(derived))
	for i, b := range derived {
		if b == nil {
			continue
		}
		if at := b.Schema().FieldIndices(col.field); len(at) == 1 {
			by[i] = readerOf(b.Column(at[0]), col.logical)
		}
	}
	at := l.derivedAt
	return func(i int) any {
		p := at[i]
		if p.group < 0 || by[p.group] == nil {
			return nil
		}
		return by[p.group](int(p.row))
	}
}

// json reads a whole part as JSON, or what otherwise holds where it was not decoded.
func (l *logRows) json(at []place, otherwise []any) reader {
	by := make([]arrow.Array, len(l.all))
	for i, g := range l.all {
		by[i] = array.RecordToStructArray(g.batch)
	}
	return func(i int) any {
		p := at[i]
		if p.group < 0 {
			if otherwise == nil {
				return nil
			}
			return otherwise[i]
		}
		return string(appendJSON(nil, by[p.group], int(p.row)))
	}
}
