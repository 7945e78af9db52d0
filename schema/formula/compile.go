package formula

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/tarn-io/tarn/schema"
)

// compiler makes closures of nodes; each knows the kinds of its parts.
type compiler struct{ from Source }

// part is a node that is compiled.
type part struct {
	kind kind
	eval eval
}

func (c compiler) compile(n *node) (kind, eval, error) {
	switch n.op {
	case opName:
		return c.name(n.path)
	case opLong:
		return kindLong, constant(value{i: n.i}), nil
	case opReal:
		return kindDouble, constant(value{f: n.f}), nil
	case opText:
		return kindText, constant(value{s: []byte(n.text)}), nil
	case opBool:
		return kindBool, constant(value{i: n.i}), nil
	case opNull:
		return kindNull, constant(null), nil
	}
	parts := make([]part, len(n.kids))
	for i, kid := range n.kids {
		k, e, err := c.compile(kid)
		if err != nil {
			return 0, nil, err
		}
		parts[i] = part{k, e}
	}
	switch n.op {
	case opIs, opIsNot:
		e, want := parts[0].eval, n.op == opIs
		return kindBool, func(r *room) (value, error) {
			v, err := e(r)
			return truth(v.null == want), err
		}, nil
	case opCast:
		return cast(parts[0], n.text)
	case "coalesce":
		return coalesce(parts)
	case "if":
		return choose(parts)
	}
	if _, binary := binaries[n.op]; binary && len(parts) == 2 {
		return operate(n.op, parts[0], parts[1])
	}
	return call(n.op, parts)
}

func constant(v value) eval { return func(*room) (value, error) { return v, nil } }

func truth(b bool) value {
	if b {
		return value{i: 1}
	}
	return value{}
}

// name reads a column.
func (c compiler) name(path []string) (kind, eval, error) {
	t, col, err := c.from(path)
	if err != nil {
		return 0, nil, err
	}
	k, get, err := reading(strings.Join(path, "."), t, col)
	if err != nil {
		return 0, nil, err
	}
	if col == nil {
		return k, constant(null), nil
	}
	return k, func(r *room) (value, error) {
		if col.IsNull(r.row) {
			return null, nil
		}
		return get(r.row), nil
	}, nil
}

// reading says how values of a column's type are read. t is the table's type, which
// may be wider than the column's.
func reading(name string, t arrow.DataType, col *schema.Column) (kind, func(int) value, error) {
	long := func(i int) value { return value{i: col.IntAt(i)} }
	text := func(i int) value { return value{s: col.BytesAt(i)} }
	switch t := t.(type) {
	case *arrow.BooleanType:
		return kindBool, func(i int) value { return truth(col.BoolAt(i)) }, nil
	case *arrow.Int32Type, *arrow.Int64Type:
		return kindLong, long, nil
	case *arrow.Float32Type, *arrow.Float64Type:
		return kindDouble, func(i int) value { return value{f: col.FloatAt(i)} }, nil
	case *arrow.Decimal128Type:
		return kindDouble, func(i int) value { return value{f: col.DecimalAt(i).ToFloat64(t.Scale)} }, nil
	case *arrow.StringType:
		return kindText, text, nil
	case *arrow.BinaryType, *arrow.FixedSizeBinaryType:
		return kindBytes, text, nil
	case *arrow.Date32Type:
		return kindDate, long, nil
	case *arrow.TimestampType:
		if t.Unit == arrow.Nanosecond {
			return kindTime, func(i int) value { return value{i: floor(col.IntAt(i), 1000)} }, nil
		}
		return kindTime, long, nil
	}
	return 0, nil, fmt.Errorf("column %s is %s, which no expression takes", name, schema.TypeWord(t))
}

// floor is the quotient, rounded down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// binaries are the operators with two sides.
var binaries = map[string]bool{
	"or": true, "and": true, "=": true, "<>": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true,
	"||": true, "+": true, "-": true, "*": true, "/": true, "%": true,
}

// operate compiles an operator with two sides.
func operate(op string, a, b part) (kind, eval, error) {
	misfit := func(want string) (kind, eval, error) {
		return 0, nil, fmt.Errorf("%s takes %s, not %s and %s", op, want, a.kind, b.kind)
	}
	switch op {
	case "and", "or":
		if !is(a, kindBool) || !is(b, kindBool) {
			return misfit("conditions")
		}
		if op == "and" {
			return kindBool, both(a.eval, b.eval, func(_ *room, x, y value) (value, error) { return value{i: x.i & y.i}, nil }), nil
		}
		return kindBool, both(a.eval, b.eval, func(_ *room, x, y value) (value, error) { return value{i: x.i | y.i}, nil }), nil
	case "||":
		if !is(a, kindText) || !is(b, kindText) {
			return misfit("texts")
		}
		return kindText, both(a.eval, b.eval, join), nil
	case "+", "-", "*", "/", "%":
		return arithmetic(op, a, b, misfit)
	}
	k, a, b := alike(a, b)
	if k == kindNull && (a.kind != kindNull || b.kind != kindNull) {
		return misfit("two values of one kind")
	}
	return kindBool, both(a.eval, b.eval, func(_ *room, x, y value) (value, error) {
		return truth(holds(op, compare(k, x, y))), nil
	}), nil
}

// is reports whether a part has the kind, or is null whatever happens.
func is(p part, k kind) bool { return p.kind == k || p.kind == kindNull }

// both computes two sides; null where one is.
func both(a, b eval, do func(*room, value, value) (value, error)) eval {
	return func(r *room) (value, error) {
		x, err := a(r)
		if err != nil || x.null {
			return null, err
		}
		y, err := b(r)
		if err != nil || y.null {
			return null, err
		}
		return do(r, x, y)
	}
}

// alike makes two parts of one kind: whole numbers become doubles beside doubles.
// The kind is null if they cannot be.
func alike(a, b part) (kind, part, part) {
	switch {
	case a.kind == b.kind, b.kind == kindNull:
		return a.kind, a, b
	case a.kind == kindNull:
		return b.kind, a, b
	case a.kind == kindLong && b.kind == kindDouble:
		return kindDouble, part{kindDouble, widened(a.eval)}, b
	case a.kind == kindDouble && b.kind == kindLong:
		return kindDouble, a, part{kindDouble, widened(b.eval)}
	}
	return kindNull, a, b
}

func widened(e eval) eval {
	return func(r *room) (value, error) {
		v, err := e(r)
		v.f = float64(v.i)
		return v, err
	}
}

func compare(k kind, x, y value) int {
	switch k {
	case kindDouble:
		switch {
		case x.f < y.f:
			return -1
		case x.f > y.f:
			return 1
		}
		return 0
	case kindText, kindBytes:
		return bytes.Compare(x.s, y.s)
	}
	switch {
	case x.i < y.i:
		return -1
	case x.i > y.i:
		return 1
	}
	return 0
}

func holds(op string, c int) bool {
	switch op {
	case "=":
		return c == 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	return c != 0
}

// Reasons why a row has no value.
var (
	errZero  = errors.New("a division by zero")
	errRange = errors.New("a number beyond 64 bits")
)

// arithmetic compiles operators on numbers. Whole numbers stay whole, but in a
// division; what is beyond 64 bits is an error, and so is a division by zero.
func arithmetic(op string, a, b part, misfit func(string) (kind, eval, error)) (kind, eval, error) {
	for _, p := range []part{a, b} {
		if !is(p, kindLong) && !is(p, kindDouble) {
			return misfit("numbers")
		}
	}
	if a.kind == kindNull && b.kind == kindNull {
		return kindLong, constant(null), nil
	}
	if op == "/" {
		for _, p := range []*part{&a, &b} {
			if p.kind == kindLong {
				*p = part{kindDouble, widened(p.eval)}
			}
		}
	}
	k, a, b := alike(a, b)
	if k == kindLong {
		return k, both(a.eval, b.eval, whole(op)), nil
	}
	return k, both(a.eval, b.eval, func(_ *room, x, y value) (value, error) {
		switch op {
		case "+":
			return value{f: x.f + y.f}, nil
		case "-":
			return value{f: x.f - y.f}, nil
		case "*":
			return value{f: x.f * y.f}, nil
		}
		if y.f == 0 {
			return null, errZero
		}
		if op == "%" {
			return value{f: math.Mod(x.f, y.f)}, nil
		}
		return value{f: x.f / y.f}, nil
	}), nil
}

// whole is arithmetic on whole numbers.
func whole(op string) func(*room, value, value) (value, error) {
	switch op {
	case "+":
		return func(_ *room, x, y value) (value, error) {
			sum := x.i + y.i
			return checked(sum, (x.i < 0) == (y.i < 0) && (sum < 0) != (x.i < 0))
		}
	case "-":
		return func(_ *room, x, y value) (value, error) {
			rest := x.i - y.i
			return checked(rest, (x.i < 0) != (y.i < 0) && (rest < 0) != (x.i < 0))
		}
	case "*":
		return func(_ *room, x, y value) (value, error) {
			high, low := bits.Mul64(uint64(x.i), uint64(y.i))
			if x.i < 0 {
				high -= uint64(y.i)
			}
			if y.i < 0 {
				high -= uint64(x.i)
			}
			return checked(int64(low), int64(high) != int64(low)>>63)
		}
	}
	return func(_ *room, x, y value) (value, error) {
		switch y.i {
		case 0:
			return null, errZero
		case -1:
			return value{}, nil // the least number has no opposite
		}
		return value{i: x.i % y.i}, nil
	}
}

func checked(i int64, over bool) (value, error) {
	if over {
		return null, errRange
	}
	return value{i: i}, nil
}

// join puts two texts together.
func join(r *room, x, y value) (value, error) {
	if len(x.s)+len(y.s) > maxBytes || len(r.bytes) > maxBytes {
		return null, errLarge
	}
	from := len(r.bytes)
	r.bytes = append(append(r.bytes, x.s...), y.s...)
	return value{s: r.bytes[from:len(r.bytes):len(r.bytes)]}, nil
}

// coalesce is the first value that is not null.
func coalesce(parts []part) (kind, eval, error) {
	k, evals, err := common("coalesce", parts)
	if err != nil {
		return 0, nil, err
	}
	return k, func(r *room) (value, error) {
		for _, e := range evals {
			if v, err := e(r); err != nil || !v.null {
				return v, err
			}
		}
		return null, nil
	}, nil
}

// choose is if(condition, then, else); a condition that is null does not hold.
func choose(parts []part) (kind, eval, error) {
	if len(parts) != 3 || !is(parts[0], kindBool) {
		return 0, nil, errors.New("if takes a condition and two values")
	}
	k, evals, err := common("if", parts[1:])
	if err != nil {
		return 0, nil, err
	}
	return k, func(r *room) (value, error) {
		v, err := parts[0].eval(r)
		if err != nil {
			return null, err
		}
		if !v.null && v.i != 0 {
			return evals[0](r)
		}
		return evals[1](r)
	}, nil
}

// common makes values of one kind.
func common(what string, parts []part) (kind, []eval, error) {
	if len(parts) == 0 {
		return 0, nil, fmt.Errorf("%s takes values", what)
	}
	all := part{kind: kindNull}
	for _, p := range parts {
		k, _, _ := alike(all, p)
		if k == kindNull && p.kind != kindNull {
			return 0, nil, fmt.Errorf("%s takes values of one kind, not %s and %s", what, all.kind, p.kind)
		}
		all.kind = k
	}
	evals := make([]eval, len(parts))
	for i, p := range parts {
		if evals[i] = p.eval; all.kind == kindDouble && p.kind == kindLong {
			evals[i] = widened(p.eval)
		}
	}
	return all.kind, evals, nil
}
