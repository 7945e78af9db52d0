package avro

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/tarn-io/tarn/schema"
)

// Arrays and maps come in blocks: a count of items and the items, until a count
// of 0. A negative count says that the block's size in bytes follows. What a
// count may cost is known before any item is read: each takes at least its
// least size, so the bytes left bound the count.

// block reads a block's head. count is 0 at the end; end is where the block must
// end, or -1 if it does not say. minimum is the least size of an item.
func (r *reader) block(minimum int, of *node) (count int64, end int, bad *schema.Invalid) {
	start := r.pos
	count, ok := r.long()
	if !ok || count == math.MinInt64 {
		r.pos = start
		return 0, 0, r.refuse("count of items")
	}
	end = -1
	if count < 0 {
		count = -count
		at := r.pos
		size, ok := r.long()
		if !ok || size < 0 || size > int64(len(r.b)-r.pos) {
			r.pos = at
			return 0, 0, r.refuseLength("size of a block")
		}
		end = r.pos + int(size)
	}
	left := len(r.b) - r.pos
	if minimum > 0 && count > int64(left/minimum) {
		return 0, 0, schema.Refuse(start, fmt.Sprintf("at most %d items of %d bytes or more", left/minimum, minimum), fmt.Sprintf("a count of %d", count))
	}
	if minimum == 0 {
		if count > int64(schema.MaxEmptyItems-r.empty) {
			return 0, 0, schema.Refuse(start, fmt.Sprintf("at most %d items without bytes", schema.MaxEmptyItems), fmt.Sprintf("a count of %d", count))
		}
		r.empty += int(count)
	}
	if !r.fill(count, of) {
		return 0, 0, schema.Refuse(start, fmt.Sprintf("items that fill at most %d bytes", maxRowBytes), fmt.Sprintf("a count of %d", count))
	}
	return count, end, nil
}

// closeBlock checks the size that a block's head gave.
func (r *reader) closeBlock(end int) *schema.Invalid {
	if end >= 0 && r.pos != end {
		return schema.Refuse(r.pos, fmt.Sprintf("end of the block at byte %d", end), fmt.Sprintf("items up to byte %d", r.pos))
	}
	return nil
}

func (r *reader) array(n *node, c *schema.Column) *schema.Invalid {
	item := n.kids[0]
	var elem *schema.Column
	if c != nil {
		elem = c.Elem()
	}
	for items := 0; ; {
		count, end, bad := r.block(item.min, item)
		if bad != nil {
			return bad
		}
		if count == 0 {
			if c != nil {
				c.List(items)
			}
			return r.closeBlock(end)
		}
		for range count {
			if e := r.value(item, elem); e != nil {
				return e.At(items)
			}
			items++
		}
		if e := r.closeBlock(end); e != nil {
			return e
		}
	}
}

func (r *reader) mapOf(n *node, c *schema.Column) *schema.Invalid {
	item := n.kids[0]
	var keys, values *schema.Column
	if c != nil {
		keys, values = c.Key(), c.Value()
	}
	for items := 0; ; {
		count, end, bad := r.block(item.min+1, item)
		if bad != nil {
			return bad
		}
		if count == 0 {
			if c != nil {
				c.Map(items)
			}
			return r.closeBlock(end)
		}
		for range count {
			key, ok := r.take()
			if !ok {
				return r.refuseLength("map key")
			}
			if !utf8.Valid(key) {
				return schema.Refuse(r.pos-len(key), "map key in UTF-8", schema.Preview(key))
			}
			if c != nil {
				keys.Bytes(key)
			}
			if e := r.value(item, values); e != nil {
				return e.Key(key)
			}
			items++
		}
		if e := r.closeBlock(end); e != nil {
			return e
		}
	}
}

// back reads a type inside itself. It is validated first and then, in a second
// look at the same bytes, written as JSON text.
func (r *reader) back(n *node, c *schema.Column) *schema.Invalid {
	outer, start := r.text, r.pos
	r.text = true
	r.depth += n.levels
	if r.depth > schema.MaxDepth {
		return schema.Refuse(r.pos, fmt.Sprintf("at most %d levels", schema.MaxDepth), "a deeper payload")
	}
	if !r.fill(1, n.kids[0]) {
		return schema.Refuse(r.pos, fmt.Sprintf("items that fill at most %d bytes", maxRowBytes), "more")
	}
	e := r.value(n.kids[0], nil)
	r.depth -= n.levels
	r.text = outer
	if e != nil || c == nil {
		return e
	}
	w := textWriter{reader: reader{b: r.b, pos: start}}
	w.value(n.kids[0])
	c.Bytes(w.out)
	return nil
}
