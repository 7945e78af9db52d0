package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	js "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tarn-io/tarn/schema"
)

// anything is a node that only asks for well-formed JSON.
func anything() *node {
	n := newNode()
	n.items, n.other = n, n
	return n
}

// check reads the value at pos as often as n's checks ask and steps back.
func (w *walker) check(n *node) bool {
	start := w.pos
	c := n.checks
	if c.slow != nil && !w.slow(n) {
		return false
	}
	w.pos = start
	for _, m := range c.all {
		if !w.value(m, nil) {
			return false
		}
		w.pos = start
	}
	for i := range c.alts {
		if _, ok := w.pick(n, c.alts[i]); !ok {
			return false
		}
		w.pos = start
	}
	for _, m := range c.not {
		ok := w.try(m)
		w.pos = start
		if ok {
			return w.fail(wantNot, n, start)
		}
		if w.fuel < 0 {
			return w.fail(wantLess, n, start)
		}
	}
	for _, k := range c.cond {
		m := k.other
		if w.try(k.test) {
			m = k.then
		}
		w.pos = start
		if w.fuel < 0 {
			return w.fail(wantLess, n, start)
		}
		if m != nil && !w.value(m, nil) {
			return false
		}
		w.pos = start
	}
	return true
}

// try reads the value at pos and says whether it matches; a mismatch is no error.
func (w *walker) try(n *node) bool {
	depth, levels, bits, keys, arena := w.depth, w.levels, len(w.bits), len(w.keys), len(w.arena)
	w.quiet++
	ok := w.value(n, nil)
	w.quiet--
	w.depth, w.levels, w.bits, w.keys, w.arena = depth, levels, w.bits[:bits], w.keys[:keys], w.arena[:arena]
	return ok
}

// pick finds the member of an anyOf or oneOf that the value at pos matches; the
// first one of anyOf. If none does, the error is that of the member which got
// furthest.
func (w *walker) pick(n *node, a alternative) (int, bool) {
	start, outer := w.pos, w.far
	match, best, far := -1, 0, -1
	apt := 0 // members of the value's own type
	for i, m := range a.of {
		if m.types&w.typeAt(start) != 0 {
			apt++
		}
		w.far = -1
		w.pos = start
		ok := w.try(m)
		if w.fuel < 0 {
			return -1, w.fail(wantLess, n, start)
		}
		if !ok {
			if w.far > far {
				best, far = i, w.far
			}
			continue
		}
		if match >= 0 {
			w.pos = start
			return -1, w.fail(wantOne, n, start)
		}
		match = i
		if !a.one {
			break
		}
	}
	w.pos = start
	w.far = max(outer, far)
	if match >= 0 {
		return match, true
	}
	if w.quiet > 0 {
		return -1, false
	}
	w.value(a.of[best], nil)
	if w.bad != nil && apt > 1 && w.fuel >= 0 {
		w.bad.Expected = fmt.Sprintf("one of %d forms, in the closest one %s", apt, w.bad.Expected)
	}
	return -1, false
}

// typeAt tells the type of the value at pos by its first byte.
func (w *walker) typeAt(pos int) mask {
	if pos < len(w.b) {
		switch w.b[pos] {
		case '"':
			return isString
		case '{':
			return isObject
		case '[':
			return isArray
		case 't', 'f':
			return isBool
		case 'n':
			return isNull
		}
	}
	return isInteger | isNumber
}

// library has the library check values of s.
func (c *compiler) library(s *js.Schema) *checks {
	k := &checks{slow: s, any: c.any, levels: c.costs.deepest(s), gauge: c.gauge}
	if !c.slowAll { // such references look for the outermost schema, which must be s
		k.quick = &js.Schema{DraftVersion: s.DraftVersion, Location: s.Location, Not: s}
	}
	return k
}

// built is the value that the library checked last, for the next member of an
// anyOf that wants the same one.
type built struct {
	any        *node // what read it; nil: there is none
	start, end int
	levels     int
	value      any
}

// slow has the library check the value at pos.
func (w *walker) slow(n *node) bool {
	c := n.checks
	if !w.build(c) {
		return false
	}
	start, v := w.built.start, w.built.value
	g := *c.gauge
	g.fuel = w.fuel
	g.apply(c.slow, v, false)
	cost := w.fuel - g.fuel
	if w.fuel = g.fuel; w.fuel < 0 {
		return w.fail(wantLess, n, start)
	}
	if c.quick != nil {
		// Under not the library keeps no errors, which take most of its time.
		if c.quick.Validate(v) != nil {
			return true
		}
		if w.quiet > 0 || cost > maxExplained {
			return w.fail(wantSlow, n, start)
		}
	}
	err := c.slow.Validate(v)
	if err == nil {
		return true
	}
	if w.quiet > 0 {
		return w.fail(wantSlow, n, w.pos)
	}
	w.bad = refuse(err, v, start)
	return false
}

// build reads the value at pos for the library and steps behind it.
func (w *walker) build(c *checks) bool {
	start, levels := w.pos, w.levels
	// First our own look, which refuses what the library does not expect: equal
	// keys, numbers too large to compute with, depth.
	limit := min(levels, w.depth+c.levels)
	if o := &w.built; o.any == c.any && o.start == start && o.levels <= limit {
		w.pos = o.end
		return true
	}
	w.levels = limit
	if !w.value(c.any, nil) {
		return false
	}
	w.levels = levels
	if w.fuel -= fuelBuild * (w.pos - start); w.fuel < 0 {
		return w.fail(wantLess, c.any, start)
	}
	v, _ := decode(w.b[start:w.pos])
	w.built = built{any: c.any, start: start, end: w.pos, levels: limit, value: v}
	return true
}

// refuse puts the library's verdict into our words.
func refuse(err error, v any, pos int) *schema.Invalid {
	var verr *js.ValidationError
	if !errors.As(err, &verr) {
		return schema.Refuse(pos, "a value of this schema", err.Error())
	}
	path, msg := leaf(verr)
	values := []any{v}
	for _, token := range path {
		switch at := values[len(values)-1].(type) {
		case map[string]any:
			values = append(values, at[token])
		case []any:
			if i, err := strconv.Atoi(token); err == nil && i < len(at) {
				values = append(values, at[i])
			}
		}
	}
	found, _ := json.Marshal(values[len(values)-1])
	bad := schema.Refuse(pos, "the schema to hold ("+msg+")", preview(found))
	for i := len(values) - 2; i >= 0; i-- {
		if _, ok := values[i].([]any); ok {
			k, _ := strconv.Atoi(path[i])
			bad.At(k)
		} else {
			bad.In(path[i])
		}
	}
	return bad
}

// decode turns JSON that a walker accepted into what the library takes.
func decode(b []byte) (v any, rest []byte) {
	b = b[skipSpace(b, 0):]
	switch b[0] {
	case '{':
		m := map[string]any{}
		for b = b[1:]; ; {
			b = b[skipSpace(b, 0):]
			if b[0] == '}' {
				return m, b[1:]
			}
			if b[0] == ',' {
				b = b[1:]
				continue
			}
			var k, v any
			k, b = decode(b)
			b = b[skipSpace(b, 0)+1:] // the colon
			v, b = decode(b)
			m[k.(string)] = v
		}
	case '[':
		a := []any{}
		for b = b[1:]; ; {
			b = b[skipSpace(b, 0):]
			if b[0] == ']' {
				return a, b[1:]
			}
			if b[0] == ',' {
				b = b[1:]
				continue
			}
			var v any
			v, b = decode(b)
			a = append(a, v)
		}
	case '"':
		end, escaped := scanString(b, 0)
		raw := b[1 : end-1]
		if escaped {
			raw = unescape(nil, raw)
		}
		return string(raw), b[end:]
	case 't':
		return true, b[4:]
	case 'f':
		return false, b[5:]
	case 'n':
		return nil, b[4:]
	}
	num, end, _ := scanNumber(b, 0)
	return json.Number(num.text), b[end:]
}
