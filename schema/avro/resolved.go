package avro

import (
	"encoding/binary"
	"math"

	"github.com/tarn-io/tarn/schema"
)

// one reads one value into its own column: what run does for the kids of a
// node, which stand in the columns below their parent's in order.
func (r *reader) one(n *node, c *schema.Column) *schema.Invalid {
	switch n.op {
	case opNullable:
		v, ok := r.index()
		if !ok || v >= n.size {
			return r.refuseIndex("union", n.size, v, ok)
		}
		if v != n.null {
			return r.one(n.kids[0], c)
		}
		if c != nil {
			c.Null()
		}
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
		b, bad := r.utf8()
		if bad == nil && c != nil {
			c.Bytes(b)
		}
		return bad
	case opDouble:
		b, ok := r.fixed(8)
		if !ok {
			return r.refuse("double")
		}
		if c != nil {
			c.Float64(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case opBool:
		b, ok := r.fixed(1)
		if !ok || b[0] > 1 {
			r.pos -= len(b)
			return r.refuse("boolean")
		}
		if c != nil {
			c.Bool(b[0] == 1)
		}
	case opEnum:
		v, ok := r.index()
		if !ok || v >= len(n.names) {
			return r.refuseIndex("enum "+n.typ.name.String(), len(n.names), v, ok)
		}
		if c != nil {
			c.String(n.names[v])
		}
	case opRecord, opArray, opMap:
		return r.nested(n, c)
	default:
		return r.rare(n, c)
	}
	return nil
}

func (r *reader) utf8() ([]byte, *schema.Invalid) {
	b, ok := r.take()
	if !ok {
		return nil, r.refuseLength("string")
	}
	if !schema.ValidUTF8(b) {
		return nil, schema.Refuse(r.pos-len(b), "string in UTF-8", schema.Preview(b))
	}
	return b, nil
}

// resolved reads what only programs for a writer and a reader have.
func (r *reader) resolved(n *node, c *schema.Column) *schema.Invalid {
	switch n.op {
	case opTo:
		return r.to(n, c)
	case opFrom:
		v, ok := r.index()
		if !ok || v >= len(n.kids) {
			return r.refuseIndex("union", len(n.kids), v, ok)
		}
		return r.one(n.kids[v], c)
	case opInto:
		return r.into(n, c)
	case opPromote:
		return r.promote(n, c)
	case opSymbols:
		v, ok := r.index()
		switch {
		case !ok || v >= len(n.names):
			return r.refuseIndex("enum "+n.typ.name.String(), len(n.names), v, ok)
		case !n.known[v]:
			return schema.Refuse(r.pos, "a symbol that the reader's enum has", n.names[v])
		case c != nil:
			c.String(n.names[v])
		}
		return nil
	}
	return schema.Refuse(r.pos, "a type that the reader's schema reads", n.names[0])
}

// to reads a writer's record into the reader's: the fields where they belong,
// defaults where the writer has none.
func (r *reader) to(n *node, c *schema.Column) *schema.Invalid {
	at := r.pos
	for i, s := range n.steps {
		var kid *schema.Column
		if c != nil && s.column >= 0 {
			kid = c.Child(s.column)
		}
		if s.again {
			r.pos = at
		}
		at = r.pos
		if e := r.one(n.kids[i], kid); e != nil {
			return e.In(s.name)
		}
	}
	if c == nil {
		return nil
	}
	for i := range n.fillings {
		f := &n.fillings[i]
		filler := reader{b: f.bytes}
		if e := filler.one(f.shape, c.Child(f.column)); e != nil {
			return e.In(f.name)
		}
	}
	if !n.top {
		c.Struct()
	}
	return nil
}

// into reads a value into a branch of the reader's union, and nulls the others.
func (r *reader) into(n *node, c *schema.Column) *schema.Invalid {
	if c == nil {
		return r.one(n.kids[0], nil)
	}
	for i := range c.Children() {
		if i != n.first {
			c.Child(i).Null()
		}
	}
	e := r.one(n.kids[0], c.Child(n.first))
	if e == nil {
		c.Struct()
	}
	return e
}

// promote reads a value of a narrower type as the reader's. What is written
// alike is looked at twice: as the writer's first, which has a smaller range.
func (r *reader) promote(n *node, c *schema.Column) *schema.Invalid {
	to, start := n.kids[0], r.pos
	if n.from == kindString {
		if _, bad := r.utf8(); bad != nil {
			return bad
		}
		r.pos = start
		return r.one(to, c)
	}
	if to.typ.kind == kindLong {
		if _, ok := r.int(); !ok {
			return r.refuse("int")
		}
		r.pos = start
		return r.one(to, c)
	}
	x, bad := r.number(n.from)
	if bad != nil || c == nil {
		return bad
	}
	if to.typ.kind == kindFloat {
		c.Float32(x.single)
	} else {
		c.Float64(x.double)
	}
	return nil
}

// widened is a number as both floating types: 64 bits of an integer are rounded
// once only.
type widened struct {
	single float32
	double float64
}

func (r *reader) number(from kind) (x widened, bad *schema.Invalid) {
	switch from {
	case kindInt:
		v, ok := r.int()
		if !ok {
			return x, r.refuse("int")
		}
		return widened{float32(v), float64(v)}, nil
	case kindLong:
		v, ok := r.long()
		if !ok {
			return x, r.refuse("long")
		}
		return widened{float32(v), float64(v)}, nil
	}
	b, ok := r.fixed(4)
	if !ok {
		return x, r.refuse("float")
	}
	v := math.Float32frombits(binary.LittleEndian.Uint32(b))
	return widened{v, float64(v)}, nil
}
