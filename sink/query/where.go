package query

import (
	"math"
	"slices"
	"strings"
)

// truthOf is a condition's value for a row: no, yes, or null.
type truthOf uint8

const (
	isNo truthOf = iota
	isYes
	isNull
)

// condition is what stands behind WHERE, where it is understood to the last value.
type condition struct {
	op   string // and, or, not, or one of predicates
	of   []*condition
	at   int   // the column of a predicate
	vals []any // what it is compared with
	// bound says that the scan holds to it by itself.
	bound bool
}

// The predicates: comparisons, between, in, like, null.
const (
	opAnd     = "and"
	opOr      = "or"
	opNot     = "not"
	opBetween = "between"
	opIn      = "in"
	opLike    = "like"
	opNull    = "null"
	opUnequal = "!"
)

// columns calls f with each column that is asked for.
func (c *condition) columns(f func(at int)) {
	if c == nil || c.bound {
		return
	}
	if len(c.of) == 0 {
		f(c.at)
	}
	for _, o := range c.of {
		o.columns(f)
	}
}

// conjuncts are the parts all of which must hold.
func (c *condition) conjuncts() []*condition {
	if c == nil {
		return nil
	}
	if c.op != opAnd {
		return []*condition{c}
	}
	var out []*condition
	for _, o := range c.of {
		out = append(out, o.conjuncts()...)
	}
	return out
}

// interval is the comparisons that make up a predicate for whose values the values
// in between count, too: nil if it is another.
func (c *condition) interval() (ops []byte, vals []any) {
	switch c.op {
	case "=", "<", ">", "[", "]":
		return []byte{c.op[0]}, c.vals
	case opBetween:
		return []byte{']', '['}, c.vals
	}
	return nil, nil
}

// holds is the value of a comparison whose sides are in an order.
func holds(op byte, c int) truthOf {
	ok := false
	switch op {
	case '=':
		ok = c == 0
	case '!':
		ok = c != 0
	case '<':
		ok = c < 0
	case '>':
		ok = c > 0
	case '[':
		ok = c <= 0
	case ']':
		ok = c >= 0
	}
	if ok {
		return isYes
	}
	return isNo
}

// value is a predicate's value for a value of the column.
func (c *condition) value(v any) truthOf {
	if c.op == opNull {
		return holds('=', rank(v))
	}
	if v == nil {
		return isNull
	}
	switch c.op {
	case opBetween:
		return min(holds(']', order(v, c.vals[0])), holds('[', order(v, c.vals[1])))
	case opIn:
		if slices.ContainsFunc(c.vals, func(o any) bool { return order(v, o) == 0 }) {
			return isYes
		}
		return isNo
	case opLike:
		ok, err := like(c.vals[0], v, 0)
		if n, _ := ok.(int64); err == nil && n != 0 {
			return isYes
		}
		return isNo
	}
	return holds(c.op[0], order(v, c.vals[0]))
}

// test makes a test of rows of the condition; column gives a chunk's vectors.
func (c *condition) test(column func(at int) *vector) func(i int) truthOf {
	switch c.op {
	case opAnd, opOr:
		of := make([]func(i int) truthOf, len(c.of))
		for k, o := range c.of {
			of[k] = o.test(column)
		}
		ends := isNo // what settles it
		if c.op == opOr {
			ends = isYes
		}
		return func(i int) truthOf {
			out := isYes - ends
			for _, f := range of {
				switch f(i) {
				case ends:
					return ends
				case isNull:
					out = isNull
				}
			}
			return out
		}
	case opNot:
		f := c.of[0].test(column)
		return func(i int) truthOf {
			if v := f(i); v != isNull {
				return isYes - v
			}
			return isNull
		}
	}
	if c.bound {
		return func(int) truthOf { return isYes }
	}
	v := column(c.at)
	if f := c.fast(v); f != nil {
		return func(i int) truthOf {
			if v.isNull(i) {
				return isNull
			}
			return f(i)
		}
	}
	return func(i int) truthOf { return c.value(v.value(i)) }
}

// fast is a test of rows that are not null, nil where values are compared one by one.
func (c *condition) fast(v *vector) func(i int) truthOf {
	if c.op == opNull {
		return nil
	}
	switch v.shape {
	case shapeInts:
		if r, ok := c.whole(); ok {
			return within(v.ints, r)
		}
	case shapeStamps:
		if ops, vals := c.interval(); ops != nil {
			r := [2]int64{v.of.low, v.of.high}
			for k, op := range ops {
				cut := v.of.cut(op, vals[k].(string))
				r[0], r[1] = max(r[0], cut[0]), min(r[1], cut[1])
			}
			return within(v.ints, r)
		}
	case shapeFloats:
		ops, vals := c.interval()
		if ops == nil {
			return nil
		}
		floats := make([]float64, len(vals))
		for k, to := range vals {
			f, ok := to.(float64)
			if n, is := to.(int64); is && n > -1<<53 && n < 1<<53 {
				f, ok = float64(n), true
			}
			if !ok {
				return nil
			}
			floats[k] = f
		}
		return func(i int) truthOf {
			out := isYes
			for k, op := range ops {
				out = min(out, holds(op, compare(v.floats(i), floats[k])))
			}
			return out
		}
	case shapeTexts:
		if c.op == "=" {
			to, _ := c.vals[0].(string) // without a zero byte, since the statement has none
			return func(i int) truthOf {
				if v.texts(i) == to {
					return isYes
				}
				return isNo
			}
		}
	}
	return nil
}

// whole is the range of whole numbers for which the predicate holds.
func (c *condition) whole() (r [2]int64, ok bool) {
	ops, vals := c.interval()
	r = [2]int64{math.MinInt64, math.MaxInt64}
	for k, op := range ops {
		// Near the ends of the range, what is beyond has no number.
		if n, is := vals[k].(int64); !is || n < -1<<62 || n > 1<<62 {
			return r, false
		}
		narrow(&r, op, vals[k])
	}
	return r, ops != nil
}

func within(ints func(i int) int64, r [2]int64) func(i int) truthOf {
	return func(i int) truthOf {
		if n := ints(i); n >= r[0] && n <= r[1] {
			return isYes
		}
		return isNo
	}
}

// cut is the range of numbers whose texts compare as op says with a text. It is found
// by halves, since the texts are in the order of the numbers.
func (s *span) cut(op byte, to string) [2]int64 {
	// first is the first number whose text is at to or above; above to, with more.
	first := func(more bool) int64 {
		low, high := s.low, s.high+1
		for low < high {
			mid := low + (high-low)/2
			if c := strings.Compare(s.text(mid), to); c > 0 || c == 0 && !more {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	switch op {
	case '<':
		return [2]int64{s.low, first(false) - 1}
	case '[':
		return [2]int64{s.low, first(true) - 1}
	case '>':
		return [2]int64{first(true), s.high}
	case ']':
		return [2]int64{first(false), s.high}
	}
	return [2]int64{first(false), first(true) - 1}
}
