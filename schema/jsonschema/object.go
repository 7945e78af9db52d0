package jsonschema

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"slices"
	"strings"

	"github.com/tarn-io/tarn/schema"
)

// manyKeys is how many names an object may have beyond its properties before
// equal ones are looked for by their hashes instead of pair by pair.
const manyKeys = 16

// key is a name met in an object, or an item of an array with uniqueItems. The
// hash is made only when there are many.
type key struct {
	text []byte
	hash uint64
}

// object reads a JSON object: a record's fields, a map's entries, or members
// that are only checked.
func (w *walker) object(n *node, c *schema.Column) bool {
	start := w.pos
	if w.depth++; w.depth > w.levels {
		return w.fail(wantFlat, n, start)
	}
	mark, base := len(w.keys), len(w.bits)
	w.fuel -= fuelColumn * n.width
	for range (len(n.props) + 63) / 64 {
		w.bits = append(w.bits, 0)
	}
	count, next := 0, 0
	w.pos++
	w.space()
	if w.pos < len(w.b) && w.b[w.pos] == '}' {
		w.pos++
	} else {
		for {
			var some int
			if n.quickEntries {
				some = w.usualEntries(n, c)
			} else {
				some = w.usual(n, c, next, base)
				next += some
			}
			if some == 0 {
				i, ok := w.member(n, c, next, base)
				if !ok {
					return false
				}
				if i >= 0 {
					next = i + 1
				}
				some = 1
			}
			count += some
			w.space()
			if w.pos < len(w.b) && w.b[w.pos] == ',' {
				w.pos++
				w.space()
				continue
			}
			if w.pos < len(w.b) && w.b[w.pos] == '}' {
				w.pos++
				break
			}
			return w.fail(wantBrace, n, w.pos)
		}
	}
	w.depth--
	if len(w.keys) > mark+1 && !w.distinct(mark) {
		return w.fail(wantDistinct, n, start)
	}
	for i, want := range n.required {
		if want&^w.bits[base+i] != 0 {
			w.fail(wantRequired, n, start)
			return w.missing(n, base)
		}
	}
	if count < n.minProps {
		return w.fail(wantMinProps, n, start)
	}
	if n.maxProps >= 0 && count > n.maxProps {
		return w.fail(wantMaxProps, n, start)
	}
	if c != nil {
		w.endObject(n, c, base, count)
	}
	w.keys, w.bits = w.keys[:mark], w.bits[:base]
	return true
}

// endObject closes the object's column: nulls for what was not there.
func (w *walker) endObject(n *node, c *schema.Column, base, entries int) {
	if n.kind == kindMap {
		c.Map(entries)
		return
	}
	for word, filled := range n.filled {
		for absent := filled &^ w.bits[base+word]; absent != 0; absent &= absent - 1 {
			c.Child(n.props[word<<6+bits.TrailingZeros64(absent)].col).Null()
		}
	}
	if c != w.row {
		c.Struct()
	}
}

// member reads one name and its value. next is the property that follows the one
// before: most writers keep to one order, so it is looked at first. It returns
// the property, or -1 for another name.
func (w *walker) member(n *node, c *schema.Column, next, base int) (int, bool) {
	start := w.pos
	if next < len(n.props) {
		wire := n.props[next].wire
		if end := start + len(wire); end < len(w.b) && wire != "" && string(w.b[start:end]) == wire {
			w.pos = end
			return next, w.property(n, c, next, base, start)
		}
	}
	if start >= len(w.b) || w.b[start] != '"' {
		return -1, w.fail(wantKey, n, start)
	}
	end, escaped := scanString(w.b, start)
	if end < 0 {
		return -1, w.fail(wantText, n, -end-1)
	}
	name := w.b[start+1 : end-1]
	w.fuel -= fuelKey + len(name)>>textShift
	if escaped {
		from := len(w.arena)
		w.arena = unescape(w.arena, name)
		name = w.arena[from:]
	}
	w.pos = end
	w.space()
	if w.pos >= len(w.b) || w.b[w.pos] != ':' {
		return -1, w.fail(wantColon, n, w.pos)
	}
	w.pos++
	if len(n.props) > 0 {
		if i, ok := n.index[string(name)]; ok {
			return i, w.property(n, c, i, base, start)
		}
	}
	w.keys = append(w.keys, key{text: name})
	return -1, w.otherMember(n, c, name, start)
}

// property reads the value of a member that the schema names.
func (w *walker) property(n *node, c *schema.Column, i, base, start int) bool {
	w.space()
	p := &n.props[i]
	word, bit := base+i>>6, uint64(1)<<(i&63)
	if w.bits[word]&bit != 0 {
		w.fail(wantOnce, n, start)
		return w.in(p.name)
	}
	w.bits[word] |= bit
	if p.node == nil {
		return w.otherMember(n, c, p.bytes, start)
	}
	var col *schema.Column
	if c != nil && p.col >= 0 {
		col = c.Child(p.col)
	}
	if p.node.open && col != nil && w.extra != nil {
		w.trail = append(w.trail, step{name: p.bytes})
		if !w.value(p.node, col) {
			return w.in(p.name)
		}
		w.trail = w.trail[:len(w.trail)-1]
		return true
	}
	if !w.value(p.node, col) {
		return w.in(p.name)
	}
	return true
}

// otherMember reads the value of a member that the schema does not name: a map's
// entry, or something for kafka_extra.
func (w *walker) otherMember(n *node, c *schema.Column, name []byte, start int) bool {
	w.space()
	at := w.pos
	if n.other.never {
		w.fail(wantNamed, n, start)
		return w.key(name)
	}
	if c != nil && n.kind == kindMap {
		c.Key().Bytes(name)
		trailed := n.other.open && w.extra != nil
		if trailed {
			w.trail = append(w.trail, step{name: name})
		}
		if !w.value(n.other, c.Value()) {
			return w.key(name)
		}
		if trailed {
			w.trail = w.trail[:len(w.trail)-1]
		}
		return true
	}
	if !w.value(n.other, nil) {
		return w.key(name)
	}
	if c != nil && n.free && w.extra != nil {
		w.text = w.pointer(w.text[:0], name)
		w.extra.Key().Bytes(w.text)
		w.extra.Value().Bytes(w.b[at:w.pos])
		w.extras++
	}
	return true
}

// pointer appends the JSON pointer (RFC 6901) of the member called name.
func (w *walker) pointer(b, name []byte) []byte {
	for _, s := range w.trail {
		if s.name == nil {
			b = append(b, '/')
			b = appendInt(b, s.index)
		} else {
			b = appendToken(b, s.name)
		}
	}
	return appendToken(b, name)
}

func appendToken(b, name []byte) []byte {
	b = append(b, '/')
	for _, c := range name {
		switch c {
		case '~':
			b = append(b, '~', '0')
		case '/':
			b = append(b, '~', '1')
		default:
			b = append(b, c)
		}
	}
	return b
}

// distinct says whether the keys from mark on all differ.
func (w *walker) distinct(mark int) bool {
	keys := w.keys[mark:]
	if len(keys) > manyKeys {
		return w.hashed(keys)
	}
	for i := range keys {
		for j := range keys[:i] {
			if bytes.Equal(keys[i].text, keys[j].text) {
				return false
			}
		}
	}
	return true
}

// hashed is distinct by a table with a place for every key and one more, which
// holds a key's index plus one. Hashes are seeded, so that nobody can write keys
// that fall together.
func (w *walker) hashed(keys []key) bool {
	size := 1 << bits.Len(uint(2*len(keys)))
	w.slots = slices.Grow(w.slots[:0], size)[:size]
	clear(w.slots)
	for i := range keys {
		k := &keys[i]
		k.hash = maphash.Bytes(w.seed, k.text)
		at := int(k.hash) & (size - 1)
		for ; w.slots[at] != 0; at = (at + 1) & (size - 1) {
			if o := &keys[w.slots[at]-1]; o.hash == k.hash && bytes.Equal(o.text, k.text) {
				return false
			}
		}
		w.slots[at] = int32(i + 1)
	}
	return true
}

// wireOf is a property's name as most writers put it, with its colon; "" if they
// might differ about escapes.
func wireOf(name string) string {
	if strings.ContainsAny(name, "\"\\/<>&\u2028\u2029") {
		return ""
	}
	for i := range len(name) {
		if name[i] < 0x20 {
			return ""
		}
	}
	return `"` + name + `":`
}
