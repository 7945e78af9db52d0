package protobuf

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tarn-io/tarn/schema"
)

// maxCells bounds the values that the lists of one payload may make: an empty
// message takes two bytes in a list, but a value in every column below it.
const maxCells = 4 << 20

// maxJSONBytes bounds the JSON text that one payload may make.
const maxJSONBytes = 64 << 20

// maxPayload bounds a payload: positions are 32 bits.
const maxPayload = math.MaxInt32

// plan is a compiled message type with the scratch to walk its payloads.
type plan struct {
	m       *message
	walkers sync.Pool // of *walker
}

// decoder decodes payloads of one message type.
type decoder struct {
	*plan
	cols    []column
	columns *arrow.Schema
}

// Decoder compiles the decoder of the message that index selects; see Message.
// A message that has no table form (it or a message in it has no fields, or
// names differ only in case) is refused.
func (s *Schema) Decoder(index []int) (schema.Decoder, error) {
	md, err := s.Message(index)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.decoders[md.FullName()]; ok {
		return d, nil
	}
	p, err := s.plan(md)
	if err != nil {
		return nil, err
	}
	d, err := newDecoder(p)
	if err != nil {
		return nil, err
	}
	s.decoders[md.FullName()] = d
	return d, nil
}

// Validator checks messages with or without a table form.
func (s *Schema) Validator(index []int) (schema.Validator, error) {
	md, err := s.Message(index)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.plan(md)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// strict validates as a plan does, and refuses fields that the schema does not
// have.
type strict struct{ *plan }

// Validate checks one payload.
func (s strict) Validate(payload []byte) error { return s.validate(payload, true) }

// StrictValidator is Validator, and refuses fields at any depth whose number the
// message does not have, or not with that wire type. Numbers in a message's
// extension ranges are taken, whoever extends it.
func (s *Schema) StrictValidator(index []int) (schema.Validator, error) {
	v, err := s.Validator(index)
	if err != nil {
		return nil, err
	}
	return strict{v.(*plan)}, nil
}

// plan makes the message's plan once. The caller holds mu.
func (s *Schema) plan(md protoreflect.MessageDescriptor) (*plan, error) {
	if p, ok := s.plans[md.FullName()]; ok {
		return p, nil
	}
	m, err := newPlan(md, s.file)
	if err != nil {
		return nil, err
	}
	p := &plan{m: m}
	p.walkers.New = func() any { return new(walker) }
	s.plans[md.FullName()] = p
	return p, nil
}

// AppendJSON appends a payload of the message that index selects as JSON, by
// Protobuf's JSON mapping. It checks what Validate checks, and works for
// messages without a table form too. The error of a refused payload is a
// *schema.Invalid.
func (s *Schema) AppendJSON(out []byte, index []int, payload []byte) ([]byte, error) {
	md, err := s.Message(index)
	if err != nil {
		return out, err
	}
	s.mu.Lock()
	p, err := s.plan(md)
	s.mu.Unlock()
	if err != nil {
		return out, err
	}
	w, err := p.walker(payload)
	if err != nil {
		return out, err
	}
	defer p.done(w)
	if err := w.jsonMessage(&field{msg: p.m}, 0, len(payload), 1); err != nil {
		return out, err
	}
	return append(out, w.text...), nil
}

func newDecoder(p *plan) (*decoder, error) {
	cols, fields, err := new(columnPlanner).fields(p.m)
	if err != nil {
		return nil, err
	}
	d := &decoder{plan: p, cols: cols, columns: arrow.NewSchema(fields, nil)}
	if err := schema.CheckColumns(d.columns); err != nil {
		return nil, err
	}
	return d, nil
}

// Columns are the message's fields in the order of the schema.
func (d *decoder) Columns() *arrow.Schema { return d.columns }

// Validate checks one payload. Extensions that the file or one that it imports
// declares are checked as fields are. It accepts what Decode accepts; Decode refuses
// besides what columns cannot hold: a proto2 string that is not UTF-8, and more
// than maxCells, maxSlots or maxJSONBytes allow.
func (p *plan) Validate(payload []byte) error { return p.validate(payload, false) }

func (p *plan) validate(payload []byte, strict bool) error {
	w, err := p.walker(payload)
	if err != nil {
		return err
	}
	w.strict = strict
	refused := w.check(p.m, 0, len(payload), 1, false)
	p.done(w)
	if refused != nil {
		return refused
	}
	return nil
}

// Decode checks one payload and appends it to rows.
func (d *decoder) Decode(payload []byte, rows *schema.Rows) error {
	if rows.Columns() != d.columns && !rows.Columns().Equal(d.columns) {
		return errors.New("the rows were made from other columns")
	}
	w, err := d.walker(payload)
	if err != nil {
		return err
	}
	refused := d.row(w, rows)
	d.done(w)
	if refused != nil {
		rows.Undo()
		return refused
	}
	if err := rows.EndRow(); err != nil {
		rows.Undo()
		return fmt.Errorf("end the row: %w", err)
	}
	return nil
}

func (d *decoder) row(w *walker, rows *schema.Rows) *schema.Invalid {
	base, err := w.scan(d.m, 0, len(w.buf), 1)
	if err != nil {
		return err
	}
	for i := range d.cols {
		if err := w.emit(&d.cols[i], base, rows.Column(i), 1); err != nil {
			return err.In(d.cols[i].f.name)
		}
	}
	return nil
}

func (p *plan) walker(payload []byte) (*walker, error) {
	if len(payload) > maxPayload {
		return nil, schema.Refuse(-1, fmt.Sprintf("at most %d bytes", maxPayload), fmt.Sprintf("%d bytes", len(payload)))
	}
	w := p.walkers.Get().(*walker)
	w.reset(payload)
	return w, nil
}

func (p *plan) done(w *walker) {
	w.buf = nil
	if !w.oversized() {
		p.walkers.Put(w)
	}
}

// emit writes one field of a scanned message to its column. The error's path
// begins at the field's value.
func (w *walker) emit(c *column, base int, to *schema.Column, depth int) *schema.Invalid {
	f := c.f
	s := w.slots[base+f.slot]
	switch {
	case f.mapped:
		return w.emitMap(c, s, to, depth)
	case f.repeated:
		return w.emitList(c, s, to, depth)
	case s.n > 0 && f.msg != nil:
		return w.emitMessage(c, s, to, depth)
	case s.n > 0:
		return w.scalar(f, s.bits, to)
	case f.required:
		return w.refuse(-1, "a value, since the field is required", "none")
	case f.presence:
		to.Null()
		return nil
	}
	return w.scalar(f, 0, to) // the zero of every kind, the empty string too
}

// emitMessage writes a message from all its parts.
func (w *walker) emitMessage(c *column, s slot, to *schema.Column, depth int) *schema.Invalid {
	if s.head == 0 {
		start, end := unspan(s.bits)
		return w.nest(c, start, end, to, depth)
	}
	end, undo, err := w.join(c.f, s, depth)
	if err == nil {
		err = w.nest(c, 0, end, to, depth)
	}
	undo()
	return err
}

// nest writes the message at buf[pos:end] as the column's form says.
func (w *walker) nest(c *column, pos, end int, to *schema.Column, depth int) *schema.Invalid {
	if depth >= schema.MaxDepth {
		return w.tooDeep(pos)
	}
	switch c.form {
	case formStruct:
		return w.record(c, pos, end, to, depth+1)
	case formWrapper:
		return w.wrapper(c.f.msg, pos, end, to, depth+1)
	case formMoment, formDate:
		v, err := w.moment(c.f.msg, pos, end, depth+1)
		if err != nil {
			return err
		}
		if c.form == formDate {
			to.Int32(int32(v))
		} else {
			to.Int64(v)
		}
		return nil
	case formDecimal, formDecimalText:
		d, err := w.decimal(c.f, pos, end, depth+1)
		if err != nil {
			return err
		}
		if c.form == formDecimal {
			to.Decimal(d.num)
			return nil
		}
		w.text = w.decimalText(w.text[:0], d)
	default:
		w.text = w.text[:0]
		if err := w.jsonMessage(c.f, pos, end, depth+1); err != nil {
			return err
		}
	}
	if err := w.spend(len(w.text)/8, pos); err != nil {
		return err
	}
	to.Bytes(w.text)
	return nil
}

func (w *walker) record(c *column, pos, end int, to *schema.Column, depth int) *schema.Invalid {
	items := len(w.items)
	base, err := w.scan(c.f.msg, pos, end, depth)
	if err != nil {
		return err
	}
	for i := range c.kids {
		if err := w.emit(&c.kids[i], base, to.Child(i), depth); err != nil {
			return err.In(c.kids[i].f.name)
		}
	}
	w.release(base, items)
	to.Struct()
	return nil
}

func (w *walker) wrapper(m *message, pos, end int, to *schema.Column, depth int) *schema.Invalid {
	items := len(w.items)
	base, err := w.scan(m, pos, end, depth)
	if err != nil {
		return err
	}
	bits := w.slots[base].bits
	w.release(base, items)
	if err := w.scalar(&m.fields[0], bits, to); err != nil {
		return err.In(m.fields[0].name)
	}
	return nil
}

// spend counts values made; n may be 0.
func (w *walker) spend(n, pos int) *schema.Invalid {
	if w.cells += n; w.cells > maxCells {
		return w.refuse(pos, fmt.Sprintf("lists of at most %d values in all columns", maxCells), "more")
	}
	return nil
}

// emitList writes a repeated field.
func (w *walker) emitList(c *column, s slot, to *schema.Column, depth int) *schema.Invalid {
	elem, n := to.Elem(), 0
	for i := s.head; i != 0; {
		it := w.items[i-1]
		i = it.next
		start, end := unspan(it.bits)
		var err *schema.Invalid
		switch {
		case it.packed:
			n, err = w.unpack(c, start, end, n, elem)
		case c.f.msg != nil:
			if err = w.spend(c.leafs, start); err == nil {
				err = w.nest(c, start, end, elem, depth)
			}
			n++
		default:
			err = w.scalar(c.f, it.bits, elem)
			n++
		}
		if err != nil {
			if it.packed {
				return err.At(n)
			}
			return err.At(n - 1)
		}
	}
	to.List(n)
	return nil
}

// unpack appends the numbers in buf[pos:end] and returns the new count.
func (w *walker) unpack(c *column, pos, end, n int, to *schema.Column) (int, *schema.Invalid) {
	f := c.f
	for b := w.buf[:end]; pos < end; {
		bits, next := value(b, pos, f, f.wire, 0)
		if next < 0 {
			return n, w.notPacked(f, pos)
		}
		pos = next
		if f.enum != nil && f.enum.closed && !f.known(bits) {
			continue
		}
		if err := w.scalar(f, bits, to); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// scalar writes a value that is no message.
func (w *walker) scalar(f *field, bits uint64, to *schema.Column) *schema.Invalid {
	switch f.kind {
	case protoreflect.BoolKind:
		to.Bool(bits != 0)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		to.Int32(int32(signed(f.kind, bits)))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		to.Int64(signed(f.kind, bits))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		to.Int64(int64(uint32(bits)))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		to.Decimal(decimal128.New(0, bits))
	case protoreflect.FloatKind:
		to.Float32(math.Float32frombits(uint32(bits)))
	case protoreflect.DoubleKind:
		to.Float64(math.Float64frombits(bits))
	case protoreflect.EnumKind:
		return w.constant(f, int32(bits), to)
	default:
		start, end := unspan(bits)
		b := w.buf[start:end]
		if f.kind == protoreflect.StringKind && !f.utf8 && !utf8.Valid(b) {
			return w.refuse(start, "a string in UTF-8", "bytes "+schema.Preview(b))
		}
		to.Bytes(b)
	}
	return nil
}

// constant writes an enum's constant by name, or the number it does not know.
func (w *walker) constant(f *field, n int32, to *schema.Column) *schema.Invalid {
	if name, ok := f.enum.name(n); ok {
		if err := w.spend(len(name)/16, 0); err != nil {
			return err
		}
		to.String(name)
		return nil
	}
	var digits [12]byte
	to.Bytes(strconv.AppendInt(digits[:0], int64(n), 10))
	return nil
}
