package query

import (
	"slices"
	"strings"
)

// whereClause reads what stands behind WHERE. What is not understood to the last
// token, or compares what has to be converted first, is left to SQLite.
func (p *folder) whereClause() (ok bool, err error) {
	t, there := p.parts["where"]
	if !there {
		return true, nil
	}
	w := &whereReader{p: p, t: t}
	c := w.either()
	if w.err != nil || c == nil || len(w.t) > 0 {
		return false, w.err
	}
	for _, one := range c.conjuncts() {
		if from := p.r.columns[one.at].from; len(one.of) == 0 && (from == fromPartition || from == fromOffset) {
			_, one.bound = one.whole()
		}
	}
	p.where = c
	return true, nil
}

// whereReader reads a condition from the left; nil is none that it understands.
type whereReader struct {
	p     *folder
	t     []token
	depth int
	err   error // of the connection
}

// maxNested bounds conditions in brackets.
const maxNested = 50

func (w *whereReader) word(keyword string) bool {
	if len(w.t) > 0 && w.t[0].is(keyword) {
		w.t = w.t[1:]
		return true
	}
	return false
}

func (w *whereReader) sign(text string) bool {
	if len(w.t) > 0 && w.t[0].op(text) {
		w.t = w.t[1:]
		return true
	}
	return false
}

func (w *whereReader) either() *condition {
	return w.chain(opOr, func() *condition { return w.both() })
}

func (w *whereReader) both() *condition { return w.chain(opAnd, func() *condition { return w.not() }) }

func (w *whereReader) chain(op string, next func() *condition) *condition {
	c := next()
	if c == nil || len(w.t) == 0 || !w.t[0].is(op) {
		return c
	}
	out := &condition{op: op, of: []*condition{c}}
	for w.word(op) {
		if c = next(); c == nil {
			return nil
		}
		out.of = append(out.of, c)
	}
	return out
}

func (w *whereReader) not() *condition {
	if w.depth++; w.depth > maxNested {
		return nil
	}
	defer func() { w.depth-- }()
	if w.word("NOT") {
		c := w.not()
		if c == nil {
			return nil
		}
		return &condition{op: opNot, of: []*condition{c}}
	}
	if w.sign("(") {
		c := w.either()
		if c == nil || !w.sign(")") {
			return nil
		}
		return c
	}
	return w.predicate()
}

// predicate reads a comparison of a column with values.
func (w *whereReader) predicate() *condition {
	at, n := w.p.column(w.t)
	if at < 0 || w.t[0].keyword() {
		return nil
	}
	w.t = w.t[n:]
	c := &condition{at: at}
	negated := w.word("NOT")
	switch {
	case negated && w.word("NULL"), w.word("NOTNULL"):
		return &condition{op: opNot, of: []*condition{{op: opNull, at: at}}}
	case w.word("ISNULL"):
		c.op = opNull
		return c
	case w.word("IS"):
		not := w.word("NOT")
		if c.op = opNull; negated || !w.word("NULL") {
			return nil
		}
		if not {
			return &condition{op: opNot, of: []*condition{c}}
		}
		return c
	case w.word("BETWEEN"):
		c.op = opBetween
		if !w.value(c) || !w.word("AND") || !w.value(c) {
			return nil
		}
	case w.word("IN"):
		c.op = opIn
		if !w.sign("(") || !w.value(c) {
			return nil
		}
		for w.sign(",") {
			if !w.value(c) {
				return nil
			}
		}
		if !w.sign(")") {
			return nil
		}
	case w.word("LIKE"):
		c.op = opLike
		if !w.p.r.columns[at].isText() || !w.value(c) || len(c.vals[0].(string)) > maxPattern {
			return nil
		}
	case negated:
		return nil
	default:
		if c.op = w.comparison(); c.op == "" || !w.value(c) {
			return nil
		}
	}
	if negated {
		return &condition{op: opNot, of: []*condition{c}}
	}
	return c
}

// comparison reads an operator: = == <> != < <= > >=.
func (w *whereReader) comparison() string {
	text := ""
	for len(w.t) > 0 && w.t[0].kind == other && strings.Contains("=<>!", w.t[0].text) && len(text) < 2 {
		text += w.t[0].text
		w.t = w.t[1:]
	}
	switch text {
	case "=", "==":
		return "="
	case "<>", "!=":
		return opUnequal
	case "<", ">":
		return text
	case "<=":
		return "["
	case ">=":
		return "]"
	}
	return ""
}

// timely are functions that may stand where a value does: of their arguments alone.
var timely = [...]string{"datetime", "date", "time", "strftime", "unixepoch", "julianday", "lower", "upper", "abs"}

// value reads a value, and works it out. Its kind must be the column's, so that
// nothing is converted.
func (w *whereReader) value(c *condition) bool {
	n := w.valueLength(0)
	if n == 0 {
		return false
	}
	sql := w.p.s.st.sql[w.t[0].pos:w.t[n-1].end]
	v, err := w.p.s.constant(w.p.s.ctx, sql)
	if err != nil {
		w.err = w.p.s.explain(err)
		return false
	}
	col := &w.p.r.columns[c.at]
	switch v.(type) {
	case string:
		if !col.isText() {
			return false
		}
	case int64, float64:
		if col.decl != "INTEGER" && col.decl != "REAL" && col.decl != declBool {
			return false
		}
	default:
		return false
	}
	w.t, c.vals = w.t[n:], append(c.vals, v)
	return true
}

// valueLength is how many tokens a value takes, 0 if there is none: a number, a text,
// or a function of such.
func (w *whereReader) valueLength(at int) int {
	t := w.t[at:]
	if n := numberLength(t); n > 0 || len(t) == 0 {
		return n
	}
	switch n := 0; {
	case t[0].kind == text:
		return 1
	case t[0].kind == word && slices.Contains(timely[:], strings.ToLower(t[0].text)) && len(t) > 2 && t[1].op("("):
		if at > 0 {
			return 0 // one inside another
		}
		for n = 2; ; {
			k := w.valueLength(at + n)
			if k == 0 || n+k >= len(t) {
				return 0
			}
			n += k + 1
			switch end := t[n-1]; {
			case end.kind != other:
				return 0
			case end.text == ")":
				return n
			case end.text != ",":
				return 0
			}
		}
	}
	return 0
}

// numberLength is how many tokens a number takes, with its sign: 0 if there is none.
func numberLength(t []token) int {
	n := 0
	if len(t) > 0 && (t[0].op("-") || t[0].op("+")) {
		n++
	}
	if n >= len(t) || t[n].kind != other || t[n].text[0] < '0' || t[n].text[0] > '9' {
		return 0
	}
	// 1, 1.5, 1e5, 1.5e-3: pieces that touch one another.
	for n++; n < len(t) && t[n].pos == t[n-1].end; n++ {
		last := t[n-1].text
		exponent := strings.HasSuffix(strings.ToLower(last), "e") && !strings.HasPrefix(strings.ToLower(last), "0x")
		digits := t[n].text[0] >= '0' && t[n].text[0] <= '9'
		if t[n].kind != other || t[n].text != "." && !digits && !(exponent && (t[n].text == "-" || t[n].text == "+")) {
			break
		}
	}
	return n
}
