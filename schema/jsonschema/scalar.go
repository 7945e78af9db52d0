package jsonschema

import (
	"strconv"

	"github.com/tarn-io/tarn/schema"
)

// stringValue reads a string.
func (w *walker) stringValue(n *node, c *schema.Column) bool {
	start := w.pos
	end, escaped := scanString(w.b, start)
	if end < 0 {
		return w.fail(wantText, n, -end-1)
	}
	w.pos = end
	if n.types&isString == 0 {
		return w.fail(wantType, n, start)
	}
	text := w.b[start+1 : end-1]
	w.fuel -= len(text) >> textShift
	if n.minLen > 0 || n.maxLen >= 0 {
		chars := runeLen(text, escaped)
		if chars < n.minLen {
			return w.fail(wantMinLen, n, start)
		}
		if n.maxLen >= 0 && chars > n.maxLen {
			return w.fail(wantMaxLen, n, start)
		}
	}
	if escaped {
		w.text = unescape(w.text[:0], text)
		text = w.text
	}
	if n.enum != nil && !n.enum.hasString(text) {
		return w.fail(wantEnum, n, start)
	}
	if n.pattern != nil {
		if w.fuel -= matching(n.program, len(text)); w.fuel < 0 {
			return w.fail(wantLess, n, start)
		}
		if !n.pattern.Match(text) {
			return w.fail(wantPattern, n, start)
		}
	}
	var v int64
	if n.format != noFormat {
		var ok bool
		if v, ok = n.format.parse(text); !ok {
			return w.fail(wantFormat, n, start)
		}
	}
	if c != nil {
		switch n.kind {
		case kindMicros:
			c.Int64(v)
		case kindDays:
			c.Int32(int32(v))
		default:
			c.Bytes(text)
		}
	}
	return true
}

func (e *enum) hasString(text []byte) bool {
	if e.byText != nil {
		return e.byText[string(text)]
	}
	for _, s := range e.strings {
		if string(text) == s {
			return true
		}
	}
	return false
}

func (e *enum) hasNumber(v *number) bool {
	if e.sorted != nil {
		low, high := 0, len(e.sorted)
		for low < high { // slices.BinarySearchFunc would move v to the heap
			mid := (low + high) / 2
			c := e.sorted[mid].compare(v)
			if c == 0 {
				return true
			}
			if c < 0 {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return false
	}
	for _, l := range e.numbers {
		if l.compare(v) == 0 {
			return true
		}
	}
	return false
}

// number reads a number: exactly, as the column needs it.
func (w *walker) number(n *node, c *schema.Column) bool {
	start := w.pos
	v, end, ok := scanNumber(w.b, start)
	if !ok {
		return w.fail(wantNumber, n, end)
	}
	w.pos = end
	if v.tooBig() {
		return w.fail(wantSmall, n, start)
	}
	if n.types&isNumber == 0 {
		if n.types&isInteger == 0 {
			return w.fail(wantType, n, start)
		}
		if v.exp != 0 || !v.exact {
			if _, integer, _ := v.int64(); !integer {
				return w.fail(wantType, n, start)
			}
		}
	}
	if n.enum != nil && !n.enum.hasNumber(&v) {
		return w.fail(wantEnum, n, start)
	}
	if n.bounded && !w.limits(n, &v, start) {
		return false
	}
	switch n.kind {
	case kindInt64:
		i, integer, fits := v.int64()
		if !integer || !fits {
			return w.fail(wantInt64, n, start)
		}
		if c != nil {
			c.Int64(i)
		}
	case kindFloat64:
		f, ok := v.float64()
		if !ok {
			return w.fail(wantFloat64, n, start)
		}
		if c != nil {
			c.Float64(f)
		}
	case kindDecimal:
		d, ok := v.decimal128(n.scale)
		if !ok {
			return w.fail(wantDecimal, n, start)
		}
		if c != nil {
			c.Decimal(d)
		}
	}
	return true
}

// limits compares a number with what the schema says of it.
func (w *walker) limits(n *node, v *number, start int) bool {
	switch {
	case n.min != nil && n.min.compare(v) < 0:
		return w.fail(wantMin, n, start)
	case n.max != nil && n.max.compare(v) > 0:
		return w.fail(wantMax, n, start)
	case n.above != nil && n.above.compare(v) <= 0:
		return w.fail(wantAbove, n, start)
	case n.below != nil && n.below.compare(v) >= 0:
		return w.fail(wantBelow, n, start)
	case n.multiple != nil:
		if !n.multiple.isInt && !n.multiple.power || !v.exact {
			w.fuel -= exact(v)
		}
		if !n.multiple.divides(v) {
			return w.fail(wantMultiple, n, start)
		}
	}
	return true
}

// item notes the scalar at b[at:pos] for uniqueItems, in a form in which equal
// values have equal bytes: strings begin with a quote, numbers with '#'.
func (w *walker) item(at int) {
	text := w.b[at:w.pos]
	w.fuel -= fuelKey + len(text)>>textShift
	from := len(w.arena)
	switch text[0] {
	case '"':
		w.arena = append(w.arena, '"')
		w.arena = unescape(w.arena, text[1:len(text)-1])
		text = w.arena[from:]
	case 't', 'f', 'n':
	default:
		var d decimal
		d.set(text)
		w.arena = append(w.arena, '#')
		if d.neg {
			w.arena = append(w.arena, '-')
		}
		w.arena = append(w.arena, d.digits[:d.n]...)
		w.arena = append(w.arena, 'e')
		w.arena = appendInt(w.arena, d.exp)
		text = w.arena[from:]
	}
	w.keys = append(w.keys, key{text: text})
}

func appendInt(b []byte, i int) []byte { return strconv.AppendInt(b, int64(i), 10) }
