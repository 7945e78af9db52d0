package query

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/tarn-io/tarn/broker/record"
	"github.com/tarn-io/tarn/registry"
	"github.com/tarn-io/tarn/schema"
	"github.com/tarn-io/tarn/sink"
)

// payload is a key or a value with what reads it.
type payload = registry.Payload

// reading reads the keys of a topic, or its values. Records that follow one another
// mostly name the same schema, so what was found for one is kept for the next: finding
// it took longer than decoding.
type reading struct {
	r       *relation
	without schema.Decoder // nil: by a schema
	how     *registry.Reading
	header  string // of records that may name the schema
	isValue bool

	at payload // the part at hand; with an error, as far as it came
	// What holds for the next record: any part; one that begins with these bytes, which
	// are all of its frame; one without a frame.
	always bool
	frame  []byte
	bare   bool
}

// read finds what reads a part of a record.
func (f *reading) read(rec *record.Record, b []byte) error {
	if f.holds(rec, b) {
		f.at.Bytes = b[len(f.frame):]
		return nil
	}
	f.always, f.frame, f.bare = false, f.frame[:0], false
	header, has := rec.HeaderLast(f.header)
	var err error
	if f.without != nil {
		f.at = payload{Decoder: f.without, Bytes: b}
	} else if f.at, err = f.r.s.engine.cfg.Registry.Read(f.how, b, header, has); err != nil {
		return err
	}
	if f.isValue {
		if f.at, err = f.r.resolve(f.at); err != nil {
			return err
		}
		if f.at.Decoder, err = f.r.rows.Decoder(f.at.Decoder); err != nil {
			return err
		}
	}
	switch {
	case f.without != nil:
		f.always = true
	case has || f.how.Bare == registry.BareAttempt: // what stands in the payload counts, too
	case f.at.Framed:
		f.frame = append(f.frame, b[:len(b)-len(f.at.Bytes)]...)
	default:
		f.bare = true
	}
	return nil
}

// holds reports whether a part is read as the one before.
func (f *reading) holds(rec *record.Record, b []byte) bool {
	if f.always {
		return true
	}
	if rec.HeaderCount > 0 {
		if _, has := rec.HeaderLast(f.header); has {
			return false
		}
	}
	if f.bare {
		return len(b) > 0 && b[0] != 0 // a frame begins with a zero
	}
	return len(f.frame) > 0 && bytes.HasPrefix(b, f.frame)
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

// groups are keys, or values, in the rows of their decoders.
type groups struct {
	all []*group
	by  map[schema.Decoder]*group
	// last is the group of the record before.
	last *group
	// wants says which columns of a decoder are used.
	wants func(d schema.Decoder) func(i int) bool
}

// group are the rows of one decoder.
type group struct {
	rows    *schema.Rows
	decoder schema.Decoder
	batch   arrow.RecordBatch
	at      []int // by the decoder's column: the batch's; -1: it is not used
	n       int32
	index   int32
}

// put decodes a payload into the rows of its decoder. Columns that are not used are
// checked all the same: what cannot be decoded is told, whatever is asked for.
func (s *groups) put(p *payload) (place, error) {
	g := s.last
	if g == nil || g.decoder != p.Decoder {
		var err error
		if g, err = s.group(p.Decoder); err != nil {
			return nowhere, err
		}
		s.last = g
	}
	if err := p.Decoder.Decode(p.Bytes, g.rows); err != nil {
		return nowhere, err
	}
	g.n++
	return place{g.index, g.n - 1}, nil
}

// group is the one of a decoder.
func (s *groups) group(d schema.Decoder) (*group, error) {
	if g := s.by[d]; g != nil {
		return g, nil
	}
	wanted := s.wants(d)
	rows, err := schema.NewSomeRows(d.Columns(), wanted)
	if err != nil {
		return nil, err
	}
	g := &group{rows: rows, decoder: d, index: int32(len(s.all))}
	n := 0
	for i := range d.Columns().NumFields() {
		if g.at = append(g.at, -1); wanted(i) {
			g.at[i] = n
			n++
		}
	}
	if s.by == nil {
		s.by = map[schema.Decoder]*group{}
	}
	s.by[d], s.all = g, append(s.all, g)
	return g, nil
}

// take hands over what was decoded since the last time.
func (s *groups) take() {
	for _, g := range s.all {
		g.batch, g.n = g.rows.Batch(), 0
	}
}

// columnOf is a field of the value in the rows of one decoder, nil if those lack it.
func (l *logRows) columnOf(g *group, field string) arrow.Array {
	columns := l.s.r.columnsOf(g.decoder)
	at := columns.FieldIndices(field)
	if len(at) != 1 || g.at[at[0]] < 0 {
		return nil
	}
	return array.MakeFromData(sink.Renamed(g.batch.Column(g.at[at[0]]).Data(), columns.Field(at[0]).Type))
}
