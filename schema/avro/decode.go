package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// decoder is a compiled schema. It implements schema.Decoder.
type decoder struct {
	root    *node // a record, or opTop around another type
	columns *arrow.Schema
	named   *arrow.Schema // columns with their aliases
	direct  bool          // root is opTo or opFrom: it fills the row itself
}

func (d *decoder) Columns() *arrow.Schema { return d.columns }

// Aliased are the columns with the aliases of fields and of branches of unions.
// It implements schema.Aliased.
func (d *decoder) Aliased() *arrow.Schema { return d.named }

func (d *decoder) Validate(payload []byte) error {
	r := reader{b: payload}
	if e := r.whole(d, nil); e != nil {
		return e
	}
	if r.pos < len(r.b) {
		return r.refuse("the end of the payload")
	}
	return nil
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
	if e := r.whole(d, rows.Top()); e != nil {
		return e
	}
	if r.pos < len(r.b) {
		return r.refuse("the end of the payload")
	}
	return rows.EndRow()
}

func (r *reader) whole(d *decoder, top *schema.Column) *schema.Invalid {
	if d.direct {
		return r.one(d.root, top)
	}
	return r.run(d.root, top, 0, 1)
}

// run reads the values of n's kids, count times over, and appends each to the
// column below parent that stands at its place: a record's fields once, an
// array's item count times. base is how many items came before. Validation is
// the same walk without a parent, so that the two cannot disagree.
func (r *reader) run(n *node, parent *schema.Column, base, count int) *schema.Invalid {
	var c *schema.Column
	var key []byte
	for j := range count {
		for i, k := range n.kids {
			if parent != nil {
				c = parent.Child(n.first + i)
			}
			if k.op == opNullable {
				v, ok := r.index()
				if !ok || v >= k.size {
					return n.in(r.refuseIndex("union", k.size, v, ok), i, base+j, key)
				}
				if v == k.null {
					if c != nil {
						c.Null()
					}
					continue
				}
				k = k.kids[0]
			}
			var e *schema.Invalid
			switch k.op {
			case opLong:
				if v, ok := r.long(); !ok {
					e = r.refuse("long")
				} else if c != nil {
					c.Int64(v)
				}
			case opInt:
				if v, ok := r.int(); !ok {
					e = r.refuse("int")
				} else if c != nil {
					c.Int32(v)
				}
			case opString, opKey:
				b, ok := r.take()
				if !ok {
					e = r.refuseLength("string")
				} else if !schema.ValidUTF8(b) {
					e = schema.Refuse(r.pos-len(b), "string in UTF-8", schema.Preview(b))
				} else if c != nil {
					c.Bytes(b)
				}
				if k.op == opKey {
					key = b
				}
			case opDouble:
				if b, ok := r.fixed(8); !ok {
					e = r.refuse("double")
				} else if c != nil {
					c.Float64(math.Float64frombits(binary.LittleEndian.Uint64(b)))
				}
			case opBool:
				if b, ok := r.fixed(1); !ok || b[0] > 1 {
					r.pos -= len(b)
					e = r.refuse("boolean")
				} else if c != nil {
					c.Bool(b[0] == 1)
				}
			case opEnum:
				if v, ok := r.index(); !ok || v >= len(k.names) {
					e = r.refuseIndex("enum "+k.typ.name.String(), len(k.names), v, ok)
				} else if c != nil {
					c.String(k.names[v])
				}
			case opRecord, opArray, opMap:
				e = r.nested(k, c)
			default:
				e = r.rare(k, c)
			}
			if e != nil {
				return n.in(e, i, base+j, key)
			}
		}
	}
	return nil
}

// in adds the place of kid i in the item'th run to an error.
func (n *node) in(e *schema.Invalid, i, item int, key []byte) *schema.Invalid {
	switch {
	case n.op == opArray:
		return e.At(item)
	case n.op == opMap && i > 0:
		return e.Key(key)
	case n.op == opMap:
		return e.In("key")
	case len(n.names) > 0:
		return e.In(n.names[i])
	}
	return e
}

// nested reads a record, array or map.
func (r *reader) nested(n *node, c *schema.Column) *schema.Invalid {
	if n.op != opRecord {
		return r.items(n, c)
	}
	e := r.run(n, c, 0, 1)
	if e == nil && c != nil {
		c.Struct()
	}
	return e
}

// rare reads what few schemas have.
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
	case opUnion:
		return r.union(n, c)
	case opBack:
		return r.back(n, c)
	default:
		return r.resolved(n, c)
	}
	return nil
}

// union fills the struct's child of the branch taken, nulls the others.
func (r *reader) union(n *node, c *schema.Column) *schema.Invalid {
	v, ok := r.index()
	if !ok || v >= len(n.kids) {
		return r.refuseIndex("union", len(n.kids), v, ok)
	}
	branch := n.kids[v]
	if c == nil {
		return r.run(branch, nil, 0, 1)
	}
	if v == n.null {
		c.Null()
		return nil
	}
	for i := range c.Children() {
		if i != branch.first {
			c.Child(i).Null()
		}
	}
	e := r.run(branch, c, 0, 1)
	if e == nil {
		c.Struct()
	}
	return e
}
