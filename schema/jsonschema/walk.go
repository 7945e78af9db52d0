package jsonschema

import (
	"hash/maphash"

	"github.com/tarn-io/tarn/schema"
)

// walker reads one payload along the nodes of a schema. It is reused: nothing in
// it outlives a payload but its buffers.
//
// All methods that read a value start at its first byte and end behind its last
// one. They return false after fail; only the first failure counts.
type walker struct {
	b     []byte
	pos   int
	depth int
	fuel  int // steps left, see steps

	levels int // how deep values may nest here

	// Members of anyOf and the like are tried quietly: a failure is no error yet,
	// and only how far the reading got is kept.
	quiet int
	far   int
	bad   *schema.Invalid

	row    *schema.Column // the row: its children are the top-level columns
	extra  *schema.Column // kafka_extra, nil without one
	extras int            // entries of this row
	trail  []step         // where we are, kept only above open objects

	bits  []uint64 // properties seen, for each object we are in
	keys  []key    // members seen that are no properties, likewise
	arena []byte   // unescaped keys of this payload
	text  []byte   // an unescaped string, until the next one
	slots []int32  // distinct's table
	seed  maphash.Seed
	built built
}

// step is one level of the path for kafka_extra: a name, or an index if name is
// nil.
type step struct {
	name  []byte
	index int
}

// run reads a whole payload.
func (w *walker) run(n *node, b []byte, c *schema.Column) *schema.Invalid {
	w.b, w.pos, w.depth, w.levels, w.quiet, w.bad = b, 0, 0, schema.MaxDepth, 0, nil
	w.fuel = steps(len(b))
	w.bits, w.keys, w.arena, w.trail, w.extras = w.bits[:0], w.keys[:0], w.arena[:0], w.trail[:0], 0
	w.space()
	if w.value(n, c) {
		w.space()
		if w.pos < len(b) {
			w.fail(wantEnd, nil, w.pos)
		}
	}
	w.b, w.built = nil, built{}
	return w.bad
}

func (w *walker) space() {
	if w.pos < len(w.b) && w.b[w.pos] <= ' ' {
		w.skip()
	}
}

// skip goes over white space and charges it.
func (w *walker) skip() {
	start := w.pos
	w.pos = skipSpace(w.b, start)
	w.fuel -= (w.pos - start) >> spaceShift
}

// value checks the value at pos against n and appends it to c, if there is one.
func (w *walker) value(n *node, c *schema.Column) bool {
	if n.quick != quickNone && w.fuel > 0 && w.short(n, c) {
		return true
	}
	if w.fuel--; w.fuel < 0 {
		return w.fail(wantLess, n, w.pos)
	}
	if n.nullable && w.pos < len(w.b) && w.b[w.pos] == 'n' {
		if n.guarded && !w.check(n) {
			return false
		}
		return w.null(n, c)
	}
	if n.checks != nil && !w.check(n) {
		return false
	}
	if n.kind >= kindText {
		if n.kind == kindUnion {
			return w.unionValue(n, c)
		}
		return w.textValue(n, c)
	}
	return w.plain(n, c)
}

// plain is value for what takes no more than one look.
func (w *walker) plain(n *node, c *schema.Column) bool {
	if w.pos >= len(w.b) {
		return w.fail(wantValue, n, w.pos)
	}
	if n.never {
		return w.fail(wantNothing, n, w.pos)
	}
	switch ch := w.b[w.pos]; ch {
	case '"':
		return w.stringValue(n, c)
	case '{':
		if n.types&isObject == 0 || n.enum != nil {
			return w.failContainer(n, isObject)
		}
		return w.object(n, c)
	case '[':
		if n.types&isArray == 0 || n.enum != nil {
			return w.failContainer(n, isArray)
		}
		return w.array(n, c)
	case 't':
		return w.boolValue(n, c, "true", true)
	case 'f':
		return w.boolValue(n, c, "false", false)
	case 'n':
		return w.null(n, c)
	default:
		if ch == '-' || ch-'0' <= 9 {
			return w.number(n, c)
		}
		return w.fail(wantValue, n, w.pos)
	}
}

// failContainer refuses an object or array that a node does not take.
func (w *walker) failContainer(n *node, m mask) bool {
	if n.types&m == 0 {
		return w.fail(wantType, n, w.pos)
	}
	return w.fail(wantEnum, n, w.pos)
}

// word reads a literal.
func (w *walker) word(n *node, s string) bool {
	if end := w.pos + len(s); end > len(w.b) || string(w.b[w.pos:end]) != s {
		return w.fail(wantValue, n, w.pos)
	}
	w.pos += len(s)
	return true
}

func (w *walker) null(n *node, c *schema.Column) bool {
	start := w.pos
	w.fuel -= fuelColumn * n.width
	switch {
	case !w.word(n, "null"):
		return false
	case n.nullable: // null beside the schema: [null, T]
	case n.types&isNull == 0:
		return w.fail(wantType, n, start)
	case n.enum != nil && !n.enum.null:
		return w.fail(wantEnum, n, start)
	}
	if c != nil {
		w.appendNull(n, c)
	}
	return true
}

// appendNull puts null into a column; the row itself becomes nulls all over.
func (w *walker) appendNull(n *node, c *schema.Column) {
	if c != w.row {
		c.Null()
		return
	}
	for i := range n.props {
		if col := n.props[i].col; col >= 0 {
			c.Child(col).Null()
		}
	}
}

func (w *walker) boolValue(n *node, c *schema.Column, word string, v bool) bool {
	start := w.pos
	switch {
	case !w.word(n, word):
		return false
	case n.types&isBool == 0:
		return w.fail(wantType, n, start)
	case n.enum != nil && (v && !n.enum.yes || !v && !n.enum.no):
		return w.fail(wantEnum, n, start)
	}
	if c != nil {
		c.Bool(v)
	}
	return true
}

// textValue keeps a value as its JSON text; null is null.
func (w *walker) textValue(n *node, c *schema.Column) bool {
	start := w.pos
	if !w.plain(n, nil) {
		return false
	}
	if c != nil {
		if w.b[start] == 'n' {
			c.Null()
		} else {
			c.Bytes(w.b[start:w.pos])
		}
	}
	return true
}

// unionValue appends to the child column of the first member that the value
// matches and null to the others.
func (w *walker) unionValue(n *node, c *schema.Column) bool {
	u := n.union
	start := w.pos
	w.fuel -= fuelColumn * n.width
	at, ok := w.pick(n, u.alt)
	if !ok {
		return false
	}
	w.pos = start
	if u.fill[at] == nil || w.b[start] == 'n' { // no member says more than null
		return w.null(n, c)
	}
	if c == nil {
		return w.value(u.fill[at], nil)
	}
	if !w.value(u.fill[at], c.Child(u.cols[at])) {
		return false
	}
	for i, col := range u.cols {
		if i != at && col >= 0 {
			c.Child(col).Null()
		}
	}
	c.Struct()
	return true
}

// array reads a JSON array.
func (w *walker) array(n *node, c *schema.Column) bool {
	start, count, matched := w.pos, 0, 0
	if w.depth++; w.depth > w.levels {
		return w.fail(wantFlat, n, start)
	}
	var elem *schema.Column
	if c != nil {
		elem = c.Elem()
	}
	mark := len(w.keys)
	trailed := n.open && c != nil && w.extra != nil
	if trailed {
		w.trail = append(w.trail, step{})
	}
	w.pos++
	w.space()
	if w.pos < len(w.b) && w.b[w.pos] == ']' {
		w.pos++
	} else {
		for {
			if trailed {
				w.trail[len(w.trail)-1].index = count
			}
			at, some := w.pos, 0
			if n.quickItems {
				some = w.usualItems(n.items, elem)
			}
			if n.maxItems >= 0 && count >= n.maxItems {
				return w.fail(wantMaxItems, n, start)
			}
			if n.contains != nil {
				if w.try(n.contains.of) {
					matched++
				}
				w.pos = at
			}
			if some == 0 {
				if !w.value(n.items, elem) {
					return w.at(count)
				}
				some = 1
			}
			if n.unique {
				w.item(at)
			}
			count += some
			w.space()
			if w.pos < len(w.b) && w.b[w.pos] == ',' {
				w.pos++
				w.space()
				continue
			}
			if w.pos < len(w.b) && w.b[w.pos] == ']' {
				w.pos++
				break
			}
			return w.fail(wantComma, n, w.pos)
		}
	}
	if trailed {
		w.trail = w.trail[:len(w.trail)-1]
	}
	if n.unique && !w.distinct(mark) {
		return w.fail(wantUnique, n, start)
	}
	w.keys = w.keys[:mark]
	w.depth--
	if count < n.minItems {
		return w.fail(wantMinItems, n, start)
	}
	if k := n.contains; k != nil && (matched < k.min || k.max >= 0 && matched > k.max) {
		return w.fail(wantContains, n, start)
	}
	if c != nil {
		c.List(count)
	}
	return true
}
