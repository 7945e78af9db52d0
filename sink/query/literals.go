package query

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
)

// Points in time are texts here, and SQLite compares texts letter by letter: a T where
// the column has a space, a zone, or zeros behind the seconds would make an answer that
// is wrong and looks right. So values that are compared with such columns are written
// as the columns have them before SQLite sees the statement; likewise 'true' and
// 'false', which are 1 and 0 in columns of booleans.

// literal is what a column wants of the values that it is compared with.
type literal uint8

const (
	anyLiteral   literal = iota
	stampLiteral         // points in time
	boolLiteral
)

// literals says of each column's name, in lower case, what it wants, if all tables of
// the statement that have such a column agree.
func (s *session) literals() map[string]literal {
	out := map[string]literal{}
	for _, r := range s.relations {
		for i := range r.columns {
			c := &r.columns[i]
			want := anyLiteral
			switch {
			case c.from == fromTimestamp || c.logical != nil && c.logical.ID() == arrow.TIMESTAMP:
				want = stampLiteral
			case c.logical != nil && c.logical.ID() == arrow.BOOL:
				want = boolLiteral
			}
			name := strings.ToLower(c.name)
			if before, there := out[name]; there && before != want {
				want = anyLiteral
			}
			out[name] = want
		}
	}
	return out
}

// writer writes a statement with its values as its columns have them.
type writer struct {
	sql    string
	tokens []token
	wants  map[string]literal
	edits  []token // what to write where
}

// asColumnsHave is the statement with values that are compared with a column in the
// form that the column has. The error says which value can be none.
func asColumnsHave(sql string, tokens []token, wants map[string]literal) (string, error) {
	w := &writer{sql: sql, tokens: tokens, wants: wants}
	for name := range w.given(nil) {
		delete(wants, name)
	}
	for i, t := range tokens {
		if !t.named() || w.at(i+1, ".") || w.at(i+1, "(") {
			continue
		}
		want := wants[strings.ToLower(t.text)]
		if want == anyLiteral {
			continue
		}
		first := w.head(i)
		if err := w.behind(i+1, t.text, want, first); err != nil {
			return "", err
		}
		if err := w.before(first-1, i+1, t.text, want); err != nil {
			return "", err
		}
	}
	return w.edited(), nil
}

// edited is the statement with what was written.
func (w *writer) edited() string {
	slices.SortStableFunc(w.edits, func(a, b token) int { return a.pos - b.pos })
	var b strings.Builder
	pos := 0
	for _, e := range w.edits {
		if e.pos < pos {
			continue // two columns compared with one value
		}
		b.WriteString(w.sql[pos:e.pos] + e.text)
		pos = e.end
	}
	return b.String() + w.sql[pos:]
}

// at reports whether an operator or a bracket stands at a place.
func (w *writer) at(i int, text string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].op(text)
}

func (w *writer) isWord(i int, keyword string) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].is(keyword)
}

// names reports whether what stands behind the token at i is a name for it: AS, or
// what an expression ends with.
func (w *writer) names(i int) bool {
	t := w.tokens[i]
	return t.is("AS") || t.ends() && !(t.kind == word && slices.Contains(leading[:], strings.ToLower(t.text)))
}

// given are the names, in lower case, that the statement gives to something, but for those
// at some places: what stands under them may be no column.
func (w *writer) given(but []int) map[string]bool {
	out := map[string]bool{}
	for i, t := range w.tokens {
		if i > 0 && t.named() && w.names(i-1) && !slices.Contains(but, t.pos) {
			out[strings.ToLower(t.text)] = true
		}
	}
	return out
}

// head is where the name of a column begins that ends at i: with its table's before it.
func (w *writer) head(i int) int {
	for i >= 2 && w.at(i-1, ".") && w.tokens[i-2].named() {
		i -= 2
	}
	return i
}

// leading are keywords that an expression may follow, beside those that stand in one.
var leading = [...]string{
	"select", "distinct", "all", "where", "on", "by", "having", "from", "join", "limit", "values", "using", "glob", "escape", "collate", "filter", "over", "set",
}

// compares is whether a token is part of a comparison: <, <=, =, ==, <>, !=, >, >=.
func (w *writer) compares(i int) bool {
	return i >= 0 && i < len(w.tokens) && w.tokens[i].kind == other && strings.Contains("<>=!", w.tokens[i].text)
}

// binds reports whether an operator stands there that binds more than a comparison
// does: then the column, or the value, is a part of something else.
func (w *writer) binds(i int) bool {
	return i >= 0 && i < len(w.tokens) && (w.tokens[i].kind == other && strings.Contains("+-*/%|&~", w.tokens[i].text) || w.tokens[i].is("COLLATE"))
}

// behind reads "column > value", "column between value and value" and
// "column in (value, …)" from i on.
func (w *writer) behind(i int, column string, want literal, first int) error {
	if w.binds(first - 1) {
		return nil
	}
	switch {
	case w.compares(i):
		for n := 0; n < 2 && w.compares(i); n++ {
			i++
		}
		return w.value(i, column, want)
	case w.isWord(i, "IS"):
		if i++; w.isWord(i, "NOT") {
			i++
		}
		return w.value(i, column, want)
	case w.isWord(i, "NOT"):
		i++
	}
	switch {
	case w.isWord(i, "BETWEEN"):
		if err := w.value(i+1, column, want); err != nil {
			return err
		}
		for j, depth := i+1, 0; j < len(w.tokens); j++ {
			switch {
			case w.at(j, "("):
				depth++
			case w.at(j, ")"):
				depth--
			case depth == 0 && w.isWord(j, "AND"):
				return w.value(j+1, column, want)
			}
			if depth < 0 {
				return nil
			}
		}
	case w.isWord(i, "IN") && w.at(i+1, "("):
		for j := i + 2; j < len(w.tokens); j += 2 {
			if err := w.value(j, column, want); err != nil {
				return err
			}
			if !w.at(j+1, ",") {
				return nil
			}
		}
	}
	return nil
}

// before reads "value < column", the operator ending at i; next is behind the column.
func (w *writer) before(i, next int, column string, want literal) error {
	if !w.compares(i) || w.binds(next) {
		return nil
	}
	for n := 0; n < 2 && w.compares(i); n++ {
		i--
	}
	if w.binds(i-1) && !w.at(i-1, "-") {
		return nil
	}
	return w.value(i, column, want)
}

// value writes the value at i as a column has it.
func (w *writer) value(i int, column string, want literal) error {
	if i < 0 || i >= len(w.tokens) || w.binds(i+1) {
		return nil
	}
	t := w.tokens[i]
	switch {
	case t.kind == text && want == boolLiteral:
		switch strings.ToLower(t.text) {
		case "true", "t":
			w.edit(t, "1")
		case "false", "f":
			w.edit(t, "0")
		}
	case t.kind == text && want == stampLiteral:
		stamp, ok := canonicalStamp(t.text)
		if ok {
			w.edit(t, "'"+stamp+"'")
		} else if t.text != "" && (t.text[0] < '0' || t.text[0] > '9') {
			return invalid(w.sql, t.pos, "'%s' is no point in time, as %s is: write '2026-01-31 12:00:00', or datetime('now', '-5 minutes')", t.text, column)
		}
	case want == stampLiteral && t.kind == other && (t.text[0] >= '0' && t.text[0] <= '9'):
		if ms, ok := epochMs(t.text); ok && !w.at(i-1, "-") {
			w.edit(t, "'"+stampText(time.UnixMilli(ms))+"'")
			return nil
		}
		return invalid(w.sql, t.pos, "%s is a point in time, a text such as '2026-01-31 12:00:00': compare it with one, or with datetime(%s, 'unixepoch') for seconds since 1970", column, t.text)
	}
	return nil
}

// edit writes text in the place of a token.
func (w *writer) edit(t token, text string) {
	w.edits = append(w.edits, token{text: text, pos: t.pos, end: t.end})
}

// epochMs reads milliseconds since 1970, as Kafka has them: so many digits that they
// can be no seconds and no microseconds that anybody means.
func epochMs(digits string) (ms int64, ok bool) {
	if len(digits) < 12 || len(digits) > 14 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		ms = ms*10 + int64(d-'0')
	}
	return ms, true
}

// stampPattern is a point in time as people and programs write it: ISO 8601, and what
// SQLite writes.
var stampPattern = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(\.\d{1,9})?(?: ?([Zz]|[+-]\d\d(?::?\d\d)?))?)?$`)

// canonicalStamp is a point in time as columns have it, in UTC.
func canonicalStamp(s string) (string, bool) {
	m := stampPattern.FindStringSubmatch(s)
	if m == nil || m[4] != "" && m[3] == "" {
		return "", false
	}
	day, clock, seconds, part, zone := m[1], m[2], m[3], m[4], strings.ToUpper(m[5])
	if clock == "" {
		clock = "00:00"
	}
	if seconds == "" {
		seconds = ":00"
	}
	switch {
	case zone == "" || zone == "Z":
		zone = "+0000"
	case len(zone) == 3:
		zone += "00"
	}
	t, err := time.Parse("2006-01-02 15:04:05-0700", day+" "+clock+seconds+part+strings.Replace(zone, ":", "", 1))
	if err != nil {
		return "", false
	}
	return stampText(t), true
}
