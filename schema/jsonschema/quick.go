package jsonschema

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/tarn-io/tarn/schema"
)

// Most values of a record are short texts and whole numbers of which a schema asks
// no more than their type, or a range. They are read here, in one look. What this
// file does not take it leaves untouched to the general way, which takes it or says
// why not: so it refuses nothing, and has to agree with that way only on what it
// accepts.

// quick says which values of a node have a short way.
type quick uint8

const (
	quickNone    quick = iota
	quickText          // strings, perhaps one of an enum
	quickInt           // integers from low to high
	quickFloat         // numbers of any value
	quickDecimal       // numbers that the column's scale holds
	quickBool          // true and false
	quickTime          // strings that a column of times or days takes
)

// maxQuickDigits is how many digits an integer may have: so many always fit.
const maxQuickDigits = 18

// maxQuickFloat is how many digits a float may have: their number is below 2^53,
// and they move the point by less than 22 places.
const maxQuickFloat = 15

// ready sets the short ways of a node and of those below it.
func (n *node) ready(seen map[*node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	n.quick = n.quickly()
	n.quickNull = n.nullable || n.types&isNull != 0 && n.enum == nil
	n.items.ready(seen)
	n.other.ready(seen)
	n.quickItems = n.items != nil && n.items.quick != quickNone && n.maxItems < 0 && n.contains == nil && !n.unique
	n.quickEntries = n.kind == kindMap && len(n.props) == 0 && n.other != nil && n.other.quick != quickNone
	for i := range n.props {
		p := &n.props[i]
		p.node.ready(seen)
		p.quick = p.wire != "" && p.node != nil && p.node.quick != quickNone
	}
	if n.union != nil {
		for _, k := range n.union.fill {
			k.ready(seen)
		}
	}
}

// quickly finds the short way that does all that the node asks for.
func (n *node) quickly() quick {
	if n.checks != nil || n.never {
		return quickNone
	}
	switch n.kind {
	case kindString:
		if n.types&isString != 0 && n.minLen <= 0 && n.maxLen < 0 && n.pattern == nil && n.format == noFormat {
			return quickText
		}
	case kindBool:
		if n.types&isBool != 0 && n.enum == nil {
			return quickBool
		}
	case kindMicros, kindDays:
		if n.types&isString != 0 && n.minLen <= 0 && n.maxLen < 0 && n.pattern == nil && n.enum == nil {
			return quickTime
		}
	case kindInt64:
		if n.types&isInteger != 0 && n.enum == nil && n.above == nil && n.below == nil && n.multiple == nil {
			return n.quickRange()
		}
	case kindFloat64:
		if n.types&isNumber != 0 && n.enum == nil && !n.bounded {
			return quickFloat
		}
	case kindDecimal:
		if n.types&isNumber != 0 && n.enum == nil && n.min == nil && n.max == nil && n.above == nil && n.below == nil && n.places() {
			return quickDecimal
		}
	}
	return quickNone
}

// quickRange notes minimum and maximum if they are integers.
func (n *node) quickRange() quick {
	n.low, n.high = math.MinInt64, math.MaxInt64
	if n.min != nil {
		if !n.min.isInt {
			return quickNone
		}
		n.low = n.min.i
	}
	if n.max != nil {
		if !n.max.isInt {
			return quickNone
		}
		n.high = n.max.i
	}
	return quickInt
}

// places says whether all that multipleOf asks for is a number of places that the
// column has at least.
func (n *node) places() bool {
	m := n.multiple
	return m == nil || m.power && m.dec.exp-1 >= -maxQuickDigits && m.dec.exp-1 <= 0
}

// usual reads the members from pos on as long as they are the properties from next on,
// each in the form that most writers give it, and have a short way. It returns how many
// those are, and leaves pos behind the last of them; if there are none, nothing has
// happened.
func (w *walker) usual(n *node, c *schema.Column, next, base int) int {
	b, first := w.b, next
	at, done := w.pos, w.pos
	for ; next < len(n.props); next++ {
		p := &n.props[next]
		end := at + len(p.wire)
		if !p.quick || w.fuel <= 0 || end >= len(b) || string(b[at:end]) != p.wire {
			break
		}
		seen, bit := &w.bits[base+next>>6], uint64(1)<<(next&63)
		if *seen&bit != 0 {
			break
		}
		var col *schema.Column
		if c != nil && p.col >= 0 {
			col = c.Child(p.col)
		}
		if w.pos = end; !w.short(p.node, col) {
			break
		}
		*seen |= bit
		if done = w.pos; done >= len(b) || b[done] != ',' {
			next++
			break
		}
		at = done + 1
	}
	w.pos = done
	return next - first
}

// usualItems reads the items from pos on as long as they have a short way and no space
// around them. It returns how many those are, and leaves pos behind the last of them; if
// there are none, nothing has happened.
func (w *walker) usualItems(n *node, c *schema.Column) int {
	count, done := 0, w.pos
	for w.fuel > 0 && w.short(n, c) {
		count++
		if done = w.pos; done >= len(w.b) || w.b[done] != ',' {
			break
		}
		w.pos++
	}
	w.pos = done
	return count
}

// usualEntries is usualItems for the entries of a map.
func (w *walker) usualEntries(n *node, c *schema.Column) int {
	var names, values *schema.Column
	if c != nil {
		names, values = c.Key(), c.Value()
	}
	b, count, done := w.b, 0, w.pos
	for w.fuel > 0 {
		end := w.plainText()
		if end == 0 || end+1 >= len(b) || b[end+1] != ':' {
			break
		}
		name := b[w.pos+1 : end]
		cost := fuelKey + len(name)>>textShift
		w.pos = end + 2
		if w.fuel -= cost; w.fuel <= 0 || !w.short(n.other, values) {
			w.fuel += cost
			break
		}
		w.keys = append(w.keys, key{text: name})
		if names != nil {
			names.Bytes(name)
		}
		count++
		if done = w.pos; done >= len(b) || b[done] != ',' {
			break
		}
		w.pos++
	}
	w.pos = done
	return count
}

// short reads the value at pos by the node's short way and appends it to c, if there
// is one. If it returns false, nothing has happened.
func (w *walker) short(n *node, c *schema.Column) bool {
	switch n.quick {
	case quickText:
		if end := w.plainText(); end > 0 {
			text := w.b[w.pos+1 : end]
			if n.enum == nil || n.enum.hasString(text) {
				w.pos = end + 1
				w.fuel -= 1 + len(text)>>textShift
				if c != nil {
					c.Bytes(text)
				}
				return true
			}
		}
	case quickInt:
		if w.shortInt(n, c) {
			return true
		}
	case quickFloat, quickDecimal:
		if w.shortNumber(n, c) {
			return true
		}
	case quickBool:
		if w.shortBool(c) {
			return true
		}
	case quickTime:
		if w.shortTime(n, c) {
			return true
		}
	}
	return n.quickNull && w.shortNull(c)
}

// plainText is where the string at pos ends if it is ASCII without escapes, else 0.
func (w *walker) plainText() int {
	b, i := w.b, w.pos+1
	if i > len(b) || b[i-1] != '"' {
		return 0
	}
	for ; i+8 <= len(b); i += 8 { // as in skipPlain
		if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			if i += bits.TrailingZeros64(m) >> 3; b[i] == '"' {
				return i
			}
			return 0
		}
	}
	if i = skipPlain(b, i); i < len(b) && b[i] == '"' {
		return i
	}
	return 0
}

// shortTime reads a string that is a time.
func (w *walker) shortTime(n *node, c *schema.Column) bool {
	end := w.plainText()
	if end == 0 {
		return false
	}
	text := w.b[w.pos+1 : end]
	v, ok := n.format.parse(text)
	if !ok {
		return false
	}
	w.pos = end + 1
	w.fuel -= 1 + len(text)>>textShift
	switch {
	case c == nil:
	case n.kind == kindDays:
		c.Int32(int32(v))
	default:
		c.Int64(v)
	}
	return true
}

// shortBool reads true or false.
func (w *walker) shortBool(c *schema.Column) bool {
	yes := w.isWord("true")
	switch {
	case yes:
		w.pos += len("true")
	case w.isWord("false"):
		w.pos += len("false")
	default:
		return false
	}
	w.fuel--
	if c != nil {
		c.Bool(yes)
	}
	return true
}

// shortNull reads null.
func (w *walker) shortNull(c *schema.Column) bool {
	if !w.isWord("null") {
		return false
	}
	w.pos += len("null")
	w.fuel--
	if c != nil {
		c.Null()
	}
	return true
}

// isWord says whether a literal is at pos.
func (w *walker) isWord(s string) bool {
	return len(w.b)-w.pos >= len(s) && string(w.b[w.pos:w.pos+len(s)]) == s
}

// shortInt reads an integer that is written without point and exponent.
func (w *walker) shortInt(n *node, c *schema.Column) bool {
	b, i := w.b, w.pos
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	first, v := i, int64(0)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		v = v*10 + int64(b[i]-'0') // may wrap: then there are too many digits
	}
	if digits := i - first; digits == 0 || digits > maxQuickDigits || digits > 1 && b[first] == '0' || goesOn(b, i) {
		return false
	}
	if neg {
		v = -v
	}
	if v < n.low || v > n.high {
		return false
	}
	w.pos = i
	w.fuel--
	if c != nil {
		c.Int64(v)
	}
	return true
}

// goesOn says whether a number goes on behind its whole digits.
func goesOn(b []byte, i int) bool {
	return i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e')
}

// shortNumber reads a number without exponent.
func (w *walker) shortNumber(n *node, c *schema.Column) bool {
	b, i := w.b, w.pos
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	first, mant := i, uint64(0)
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		mant = mant*10 + uint64(b[i]-'0')
	}
	digits, places := i-first, 0
	if digits == 0 || digits > 1 && b[first] == '0' {
		return false
	}
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			mant = mant*10 + uint64(b[i]-'0')
		}
		if places = i - point; places == 0 {
			return false
		}
	}
	if digits += places; goesOn(b, i) {
		return false // also a second point, which the general way refuses
	}
	if n.quick == quickFloat {
		if digits > maxQuickFloat {
			return false
		}
		f := float64(mant) / pow10[places] // both are exact: it rounds once
		if neg {
			f = -f
		}
		if c != nil {
			c.Float64(f)
		}
	} else {
		shift := n.scale - places
		if digits > maxQuickDigits || n.multiple != nil && -places < n.multiple.dec.exp-1 || shift < 0 || shift >= len(tens) {
			return false
		}
		if c != nil {
			hi, lo := bits.Mul64(mant, tens[shift]) // below 10^37
			d := decimal128.New(int64(hi), lo)
			if neg {
				d = d.Negate()
			}
			c.Decimal(d)
		}
	}
	w.pos = i
	w.fuel--
	return true
}
