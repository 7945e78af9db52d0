package query

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
)

// need is what a scan has to know of records.
type need struct {
	any    bool // any column at all
	decode bool // key and value, be it only to tell whether they can be
	whole  bool // the whole value

	stamps, keys, headers, ids, raw, errs, keyed bool
	fields                                       map[string]bool // of the value
}

// needOf is what the columns that are used need.
func (r *relation) needOf(b *bounds) need {
	n := need{fields: map[string]bool{}}
	for i, c := range r.columns {
		if !b.used[i] || b.filesOnly != nil && b.filesOnly[i] {
			continue
		}
		n.any = true
		switch c.from {
		case fromTimestamp:
			n.stamps = true
		case fromKey:
			n.keys = true
		case fromHeaders:
			n.headers = true
		case fromSchemaID:
			n.ids = true
		case fromRaw:
			n.raw = true
		case fromError:
			n.errs, n.decode = true, true
		case fromKeyDecoded:
			n.keyed, n.decode = true, true
		case fromPlain:
			n.whole = true
		case fromField:
			n.fields[c.field], n.decode = true, true
		}
	}
	return n
}

// logRows are records on their way into a chunk, and then into the next one. Slices of
// what is not needed stay empty.
type logRows struct {
	s       *logScan
	need    need
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
	dense   bool // valueAt are the rows of the first group, in order
	bytes   int
	looked  int // records, those that were passed over too

	value, key       reading
	values, keyParts groups

	deriver   *sink.Deriver // of columns that are computed; nil: none
	derived   place         // of the record at hand
	derivedAt []place
}

// place is where a decoded part stands; group -1: nowhere.
type place struct{ group, row int32 }

var nowhere = place{-1, 0}

func newLogRows(s *logScan) *logRows {
	r := s.r
	l := &logRows{s: s, need: r.needOf(s.b)}
	l.value = reading{r: r, without: r.valuePlain, how: &r.value, header: schema.ValueHeader, isValue: true}
	l.key = reading{r: r, without: r.keyPlain, how: &r.key, header: schema.KeyHeader}
	l.values.wants = func(d schema.Decoder) func(i int) bool {
		columns := r.columnsOf(d)
		return func(i int) bool { return l.need.whole || l.need.fields[columns.Field(i).Name] }
	}
	l.keyParts.wants = func(schema.Decoder) func(i int) bool { return func(int) bool { return l.need.keyed } }
	l.clear()
	return l
}

// clear makes room for the next chunk.
func (l *logRows) clear() {
	l.offsets, l.stamps, l.ids = l.offsets[:0], l.stamps[:0], l.ids[:0]
	l.keys, l.headers, l.raw, l.plain, l.errs = l.keys[:0], l.headers[:0], l.raw[:0], l.plain[:0], l.errs[:0]
	l.keyAt, l.valueAt, l.derivedAt = l.keyAt[:0], l.valueAt[:0], l.derivedAt[:0]
	l.dense, l.bytes, l.looked = true, 0, 0
	if r := l.s.r; r.part == whole && r.src.hasLake {
		l.deriver = sink.NewDeriver(r.topic, r.src.lake.Schema, r.known)
	}
}

// add takes one record.
func (l *logRows) add(rec *record.Record) error {
	need := &l.need
	l.offsets = append(l.offsets, rec.Offset)
	if !need.any {
		return nil
	}
	l.bytes += len(rec.Key) + len(rec.Value)
	if need.decode || need.ids || need.whole {
		l.part(rec)
	}
	if need.stamps {
		l.stamps = append(l.stamps, rec.Timestamp)
	}
	if need.keys {
		l.keys = append(l.keys, utf8OrBytes(bytes.Clone(rec.Key)))
	}
	if need.raw {
		l.raw = append(l.raw, bytes.Clone(rec.Value))
	}
	if need.headers {
		l.headers = append(l.headers, headersText(rec))
	}
	return nil
}

// part takes what key and value are, or why they cannot be read.
func (l *logRows) part(rec *record.Record) {
	need := &l.need
	value, key, id, whole, why := l.decode(rec)
	if value.group != 0 || int(value.row) != len(l.valueAt) {
		l.dense = false
	}
	l.valueAt = append(l.valueAt, value)
	if need.keyed {
		l.keyAt = append(l.keyAt, key)
	}
	if need.ids {
		l.ids = append(l.ids, id)
	}
	if need.whole {
		l.plain = append(l.plain, whole)
	}
	if l.deriver != nil {
		l.derivedAt = append(l.derivedAt, l.derived)
	}
	if !need.errs {
		return
	}
	if why != nil {
		l.errs = append(l.errs, strings.ToValidUTF8(why.Error(), "\uFFFD"))
	} else {
		l.errs = append(l.errs, nil)
	}
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
	value, key, l.derived = nowhere, nowhere, nowhere
	var vp, kp *payload
	if rec.Value != nil {
		err := l.value.read(rec, rec.Value)
		vp = &l.value.at
		id = int64(vp.ID)
		if err != nil {
			if l.need.whole {
				whole = utf8OrBytes(bytes.Clone(rec.Value))
			}
			if vp.Framed || l.s.r.hasValues() {
				return nowhere, nowhere, id, whole, err
			}
			vp = nil // a topic without a schema has values all the same
		}
	}
	if !l.need.decode && !l.need.whole {
		return nowhere, nowhere, id, nil, nil
	}
	if rec.Key != nil && l.s.r.keyed {
		if err := l.key.read(rec, rec.Key); err != nil {
			return nowhere, nowhere, id, whole, fmt.Errorf("key: %w", err)
		}
		kp = &l.key.at
	}
	if vp != nil && vp.Decoder != nil {
		if value, why = l.values.put(vp); why != nil {
			return nowhere, nowhere, id, nil, why
		}
	}
	if kp != nil && kp.Decoder != nil {
		if key, why = l.keyParts.put(kp); why != nil {
			return nowhere, nowhere, id, whole, fmt.Errorf("key: %w", why)
		}
	}
	if l.deriver != nil {
		var none payload
		batch, row, why := l.deriver.Add(l.s.partition, rec, int(id), *cmp.Or(kp, &none), *cmp.Or(vp, &none))
		if why != nil {
			return nowhere, nowhere, id, nil, why
		}
		l.derived = place{int32(batch), int32(row)}
	}
	return value, key, id, whole, nil
}

// chunk hands the records over.
func (l *logRows) chunk() *chunk {
	r, used := l.s.r, l.s.b.used
	l.values.take()
	l.keyParts.take()
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
			c.cols[i] = l.keyParts.json(l.keyAt, nil)
		case fromPlain:
			c.cols[i] = l.values.json(l.valueAt, l.plain)
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
		by := make([]*vector, len(l.values.all))
		for k, g := range l.values.all {
			if a := l.columnOf(g, col.field); a != nil {
				by[k] = vectorOf(a, col.logical, spanOf(col.logical))
			} else {
				by[k] = &vector{}
			}
		}
		if len(by) == 1 && l.dense {
			return by[0]
		}
		return scattered(l.valueAt, by)
	}
	return vectorBy(c.cols[at])
}

// tests are those of the records at hand, by the comparisons on fields: on all else,
// records were tested before they were decoded.
func (l *logRows) tests() []test {
	var out []test
	for _, t := range l.s.b.terms {
		if !l.s.b.used[t.at] || l.deriver.Has(t.column.field) {
			continue
		}
		by := make([]test, len(l.values.all))
		known := true
		for i, g := range l.values.all {
			if a := l.columnOf(g, t.column.field); a == nil {
				by[i] = never
			} else if by[i] = t.test(a); by[i] == nil {
				known = false
			}
		}
		switch {
		case !known:
		case len(by) == 1 && l.dense:
			out = append(out, by[0])
		default:
			at := l.valueAt
			out = append(out, func(i int) bool { p := at[i]; return p.group >= 0 && by[p.group](int(p.row)) })
		}
	}
	return out
}

// field reads a field of the value, from the rows of whichever decoder has it.
func (l *logRows) field(col *column) reader {
	by := make([]reader, len(l.values.all))
	for i, g := range l.values.all {
		if a := l.columnOf(g, col.field); a != nil {
			by[i] = readerOf(a, col.logical)
		}
	}
	if len(by) == 1 && l.dense && by[0] != nil {
		return by[0]
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
func (s *groups) json(at []place, otherwise []any) reader {
	by := make([]arrow.Array, len(s.all))
	for i, g := range s.all {
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
