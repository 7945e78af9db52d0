package avro

import (
	"fmt"
	"math"

	"github.com/tarn-io/tarn/schema"
)

// Arrays and maps come in blocks: a count of items and the items, until a count
// of 0. A negative count says that the block's size in bytes follows. What a
// count may cost is known before any item is read: each takes at least its
// least size, so the bytes left bound the count.

// block reads a block's head. count is 0 at the end; end is where the block must
// end, or -1 if it does not say.
func (r *reader) block(n *node) (count, end int, bad *schema.Invalid) {
	start := r.pos
	if start < len(r.b) && r.b[start] == 0 {
		r.pos++
		return 0, -1, nil
	}
	items, ok := r.long()
	if !ok || items == math.MinInt64 {
		r.pos = start
		return 0, 0, r.refuse("count of items")
	}
	end = -1
	if items < 0 {
		items = -items
		at := r.pos
		size, ok := r.long()
		if !ok || size < 0 || size > int64(len(r.b)-r.pos) {
			r.pos = at
			return 0, 0, r.refuseLength("size of a block")
		}
		end = r.pos + int(size)
	}
	if bad := r.afford(start, items, n); bad != nil {
		return 0, 0, bad
	}
	return int(items), end, nil
}

// afford refuses a count that the bytes left cannot hold, or that would fill
// too much.
func (r *reader) afford(start int, items int64, n *node) *schema.Invalid {
	left := len(r.b) - r.pos
	if n.item > 0 {
		if items*int64(n.item) > int64(left) || items > int64(left) {
			return schema.Refuse(start, fmt.Sprintf("at most %d items of %d bytes or more", left/n.item, n.item), fmt.Sprintf("a count of %d", items))
		}
	} else if items > int64(schema.MaxEmptyItems-r.empty) {
		return schema.Refuse(start, fmt.Sprintf("at most %d items without bytes", schema.MaxEmptyItems), fmt.Sprintf("a count of %d", items))
	} else {
		r.empty += int(items)
	}
	if !r.fill(items, n.kids[len(n.kids)-1]) {
		return schema.Refuse(start, fmt.Sprintf("items that fill at most %d bytes", maxRowBytes), fmt.Sprintf("a count of %d", items))
	}
	return nil
}

// items reads an array's or map's blocks.
func (r *reader) items(n *node, c *schema.Column) *schema.Invalid {
	for items := 0; ; {
		count, end, bad := r.block(n)
		if bad != nil {
			return bad
		}
		if e := r.run(n, c, items, count); e != nil {
			return e
		}
		items += count
		if end >= 0 && r.pos != end {
			return schema.Refuse(r.pos, fmt.Sprintf("end of the block at byte %d", end), fmt.Sprintf("items up to byte %d", r.pos))
		}
		if count > 0 {
			continue
		}
		if c == nil {
			return nil
		}
		if n.op == opArray {
			c.List(items)
		} else {
			c.Map(items)
		}
		return nil
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
	e := r.run(n, nil, 0, 1)
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
