package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// decoder is a compiled schema. It implements schema.Decoder.
type decoder struct {
	root    *node
	columns *arrow.Schema
	record  bool // root is a record: its fields are the columns
}

func (d *decoder) Columns() *arrow.Schema { return d.columns }

func (d *decoder) Validate(payload []byte) error {
	r := reader{b: payload}
	if e := r.value(d.root, nil); e != nil {
		return e
	}
	return r.end()
}

func (d *decoder) Decode(payload []byte, rows *schema.Rows) error {
	if rows.Columns() != d.columns && !rows.Columns().Equal(d.columns) {
		return errors.New("rows were made from other columns than the decoder's")
	}
	if err := d.row(payload, rows); err != nil {
		rows.Undo()
		return err
	}
	return nil
}

func (d *decoder) row(payload []byte, rows *schema.Rows) error {
	r := reader{b: payload}
	if !d.record {
		if e := r.value(d.root, rows.Column(0)); e != nil {
			return e
		}
	} else {
		for i, k := range d.root.kids {
			if e := r.value(k, rows.Column(i)); e != nil {
				return e.In(d.root.names[i])
			}
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	return rows.EndRow()
}

// end refuses bytes behind the value.
func (r *reader) end() error {
	if r.pos < len(r.b) {
		return r.refuse("the end of the payload")
	}
	return nil
}

// value reads one value and appends it to c. Validation is the same walk with
// no column, so that the two cannot disagree.
func (r *reader) value(n *node, c *schema.Column) *schema.Invalid {
	switch n.op {
	case opLong:
		v, ok := r.long()
		if !ok {
			return r.refuse("long")
		}
		if c != nil {
			c.Int64(v)
		}
	case opInt:
		v, ok := r.int()
		if !ok {
			return r.refuse("int")
		}
		if c != nil {
			c.Int32(v)
		}
	case opString:
		b, ok := r.take()
		if !ok {
			return r.refuseLength("string")
		}
		if !utf8.Valid(b) {
			return schema.Refuse(r.pos-len(b), "string in UTF-8", schema.Preview(b))
		}
		if c != nil {
			c.Bytes(b)
		}
	case opDouble:
		if len(r.b)-r.pos < 8 {
			return r.refuse("double")
		}
		if c != nil {
			c.Float64(math.Float64frombits(binary.LittleEndian.Uint64(r.b[r.pos:])))
		}
		r.pos += 8
	case opBool:
		if r.pos >= len(r.b) || r.b[r.pos] > 1 {
			return r.refuse("boolean")
		}
		if c != nil {
			c.Bool(r.b[r.pos] == 1)
		}
		r.pos++
	case opNullable:
		return r.nullable(n, c)
	case opRecord:
		return r.record(n, c)
	case opArray:
		return r.array(n, c)
	case opMap:
		return r.mapOf(n, c)
	case opEnum:
		v, ok := r.int()
		if !ok || v < 0 || int(v) >= len(n.names) {
			return r.refuseIndex("enum "+n.typ.name.String(), int64(v), ok, len(n.names))
		}
		if c != nil {
			c.String(n.names[v])
		}
	default:
		return r.rare(n, c)
	}
	return nil
}

// rare is value for the steps that few schemas have.
func (r *reader) rare(n *node, c *schema.Column) *schema.Invalid {
	switch n.op {
	case opNull:
		if c != nil {
			c.Null()
		}
	case opFloat:
		b, ok := r.fixed(4)
		if !ok {
			return r.refuse("float")
		}
		if c != nil {
			c.Float32(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
	case opBytes:
		b, ok := r.take()
		if !ok {
			return r.refuseLength("bytes")
		}
		if c != nil {
			c.Bytes(b)
		}
	case opFixed:
		b, ok := r.fixed(n.size)
		if !ok {
			return r.refuse(fmt.Sprintf("fixed of %d bytes", n.size))
		}
		if c != nil {
			c.Fixed(b)
		}
	case opMillis, opNanos, opTimeMilli, opTimeMicro:
		v, e := r.time(n)
		if e == nil && c != nil {
			c.Int64(v)
		}
		return e
	case opDuration:
		return r.duration(n, c)
	case opDecimal:
		return r.decimal(n, c)
	case opBigDecimal:
		text, e := r.bigDecimal(n, c != nil)
		if e == nil && c != nil {
			c.String(text)
		}
		return e
	case opOnly:
		if v, ok := r.int(); !ok || v != 0 {
			return r.refuseIndex("union", int64(v), ok, 1)
		}
		return r.value(n.kids[0], c)
	case opUnion:
		return r.union(n, c)
	case opBack:
		return r.back(n, c)
	}
	return nil
}

func (r *reader) nullable(n *node, c *schema.Column) *schema.Invalid {
	v, ok := r.int()
	if !ok || v < 0 || v > 1 {
		return r.refuseIndex("union", int64(v), ok, 2)
	}
	if int64(v) != n.null {
		return r.value(n.kids[0], c)
	}
	if c != nil {
		c.Null()
	}
	return nil
}

func (r *reader) record(n *node, c *schema.Column) *schema.Invalid {
	if c == nil {
		for i, k := range n.kids {
			if e := r.value(k, nil); e != nil {
				return e.In(n.names[i])
			}
		}
		return nil
	}
	for i, k := range n.kids {
		if e := r.value(k, c.Child(i)); e != nil {
			return e.In(n.names[i])
		}
	}
	c.Struct()
	return nil
}

// union fills the struct's child of the branch taken, nulls the others.
func (r *reader) union(n *node, c *schema.Column) *schema.Invalid {
	v, ok := r.int()
	if !ok || v < 0 || int(v) >= len(n.kids) {
		return r.refuseIndex("union", int64(v), ok, len(n.kids))
	}
	if int64(v) == n.null {
		if c != nil {
			c.Null()
		}
		return nil
	}
	if c == nil {
		if e := r.value(n.kids[v], nil); e != nil {
			return e.In(n.names[v])
		}
		return nil
	}
	for i := range c.Children() {
		if i != n.col[v] {
			c.Child(i).Null()
		}
	}
	if e := r.value(n.kids[v], c.Child(n.col[v])); e != nil {
		return e.In(n.names[v])
	}
	c.Struct()
	return nil
}

// refuseIndex is the error of an enum or union index; r.pos is behind it if ok.
func (r *reader) refuseIndex(what string, v int64, ok bool, n int) *schema.Invalid {
	if !ok {
		return r.refuse("index of " + what)
	}
	return schema.Refuse(r.pos, fmt.Sprintf("index of %s below %d", what, n), fmt.Sprint(v))
}
