package query

import (
	"slices"
	"strconv"
	"strings"
)

// A long decimal is a float in SQLite's comparisons, so 1.000000000000000001 is not more
// than 1. Here both sides of a comparison become bytes in the order of numbers (exact.go),
// if one is such a column and the other is one, too, or a number that is written down.

// comparer writes comparisons of long decimals.
type comparer struct {
	writer
	long   map[string]bool // columns, in lower case
	prefix string          // of the names of columns that have all digits of those; empty: they have them themselves
}

// operand is one side of a comparison.
type operand struct {
	first, last int    // tokens
	sql         string // it, or what it is for tarn_order to take
	column      bool
}

func newComparer(s *session) *comparer {
	c := &comparer{writer: writer{sql: s.st.sql, tokens: s.st.tokens}, long: map[string]bool{}}
	for name := range s.longDecimals() {
		c.long[name] = true
	}
	return c
}

// comparisons is the statement with comparisons of long decimals by all their digits.
func (s *session) comparisons() string {
	c := newComparer(s)
	if len(c.long) == 0 {
		return s.st.sql
	}
	return c.rewritten()
}

// rewritten is the statement with what was compared.
func (c *comparer) rewritten() string {
	for i := range c.tokens {
		if c.compares(i) && !c.compares(i-1) {
			c.sides(i)
			continue
		}
		if at, ok := c.column(i); ok && !c.begins(at.first-1) {
			c.among(at)
		}
	}
	if sql := c.edited(); len(sql) <= maxSQL {
		return sql
	}
	return c.sql
}

// any reports whether one of some keywords stands at i.
func (c *comparer) any(i int, keywords ...string) bool {
	return slices.ContainsFunc(keywords, func(w string) bool { return c.isWord(i, w) })
}

// begins reports whether what stands at i takes the side of a comparison behind it for
// something else: it binds more, or is a comparison itself.
func (c *comparer) begins(i int) bool {
	return c.binds(i) || c.compares(i) || c.any(i, "BETWEEN", "IS", "LIKE", "GLOB", "CASE") || c.isWord(i, "NOT") && c.isWord(i-1, "IS") || c.isWord(i, "AND") && c.ranges(i)
}

// ends is begins for what stands behind.
func (c *comparer) ends(i int) bool {
	return c.binds(i) || c.compares(i) || c.any(i, "IS", "IN", "BETWEEN", "LIKE", "GLOB", "ISNULL", "NOTNULL", "NOT") || c.at(i, "(")
}

// ranges reports whether the AND at i is that of a BETWEEN.
func (c *comparer) ranges(i int) bool {
	depth := 0
	for i--; i >= 0 && depth >= 0; i-- {
		switch {
		case c.at(i, ")") || c.isWord(i, "END"):
			depth++
		case c.at(i, "(") || c.isWord(i, "CASE"):
			depth--
		case depth > 0:
		case c.isWord(i, "BETWEEN"):
			return true
		case c.any(i, "AND", "OR", "WHERE", "ON", "WHEN", "HAVING", "SELECT"):
			return false
		}
	}
	return false
}

// sides reads "side > side", whose operator begins at i.
func (c *comparer) sides(i int) {
	left, ok := c.operandTo(i - 1)
	if !ok || c.begins(left.first-1) {
		return
	}
	for from := i; c.compares(i); i++ {
		if i > from && c.tokens[i].text == c.tokens[from].text && !c.at(i, "=") {
			return // << or >>
		}
	}
	right, ok := c.operandFrom(i)
	if ok && !c.ends(right.last+1) && (left.column || right.column) {
		c.wrap(left, right)
	}
}

// among reads "column between value and value", "column in (value, …)" and "column is
// value".
func (c *comparer) among(column operand) {
	i := column.last + 1
	if c.isWord(i, "IS") {
		if i++; c.isWord(i, "NOT") {
			i++
		}
		if v, ok := c.operandFrom(i); ok && !c.ends(v.last+1) {
			c.wrap(column, v)
		}
		return
	}
	if c.isWord(i, "NOT") {
		i++
	}
	switch {
	case c.isWord(i, "BETWEEN"):
		low, ok := c.operandFrom(i + 1)
		if !ok || !c.isWord(low.last+1, "AND") {
			return
		}
		if high, ok := c.operandFrom(low.last + 2); ok && !c.ends(high.last+1) {
			c.wrap(column, low, high)
		}
	case c.isWord(i, "IN") && c.at(i+1, "("):
		all := []operand{column}
		for i += 2; ; {
			v, ok := c.operandFrom(i)
			if !ok {
				return
			}
			all = append(all, v)
			if i = v.last + 2; c.at(i-1, ")") {
				c.wrap(all...)
				return
			} else if !c.at(i-1, ",") {
				return
			}
		}
	}
}

// wrap writes operands as their keys.
func (c *comparer) wrap(all ...operand) {
	for _, o := range all {
		c.edit(token{pos: c.tokens[o.first].pos, end: c.tokens[o.last].end}, keyName+"("+o.sql+")")
	}
}

// column is the column of long decimals whose name ends at i.
func (c *comparer) column(i int) (operand, bool) {
	if i < 0 || i >= len(c.tokens) || !c.tokens[i].named() || !c.long[strings.ToLower(c.tokens[i].text)] || c.at(i+1, ".") || c.at(i+1, "(") {
		return operand{}, false
	}
	first := c.head(i)
	sql := c.sql[c.tokens[first].pos:c.tokens[i].end]
	if c.prefix != "" {
		sql = quote(c.prefix + c.tokens[i].text)
	}
	return operand{first, i, sql, true}, true
}

// operandFrom reads a side that begins at i.
func (c *comparer) operandFrom(i int) (operand, bool) {
	if i >= len(c.tokens) {
		return operand{}, false
	}
	last := i
	for c.tokens[last].named() && c.at(last+1, ".") && last+2 < len(c.tokens) {
		last += 2
	}
	if o, ok := c.column(last); ok {
		return o, true
	}
	if n := numberLength(c.tokens[i:]); n > 0 {
		return c.number(i, i+n-1)
	}
	return c.number(i, i)
}

// operandTo reads a side that ends at i.
func (c *comparer) operandTo(i int) (operand, bool) {
	if o, ok := c.column(i); ok {
		return o, true
	}
	for first := max(i-maxNumberTokens, 0); first <= i; first++ {
		if numberLength(c.tokens[first:]) != i-first+1 {
			continue
		}
		if signed := first < i && (c.at(first, "-") || c.at(first, "+")); signed && !c.opens(first-1) {
			continue // it takes away from what stands before it
		}
		return c.number(first, i)
	}
	return c.number(i, i)
}

// opens reports whether an expression begins behind what stands at i.
func (c *comparer) opens(i int) bool {
	return i < 0 || c.at(i, "(") || c.at(i, ",") || c.any(i, "AND", "OR", "NOT", "WHERE", "ON", "HAVING", "WHEN", "THEN", "ELSE", "SELECT")
}

// number is a number, or a text that is one, at some tokens.
func (c *comparer) number(first, last int) (operand, bool) {
	if first < 0 {
		return operand{}, false
	}
	o := operand{first: first, last: last}
	var digits string
	switch t := c.tokens[first]; {
	case t.kind == text && first == last:
		digits = t.text
	case numberLength(c.tokens[first:]) == last-first+1:
		o.sql = c.sql[t.pos:c.tokens[last].end]
		digits = strings.TrimPrefix(o.sql, "+")
		if _, err := strconv.ParseFloat(digits, 64); err != nil {
			return o, false
		}
		digits = strings.TrimSuffix(digits, ".")
	default:
		return o, false
	}
	if _, ok := digitsOf(digits, nil); ok {
		o.sql = "'" + digits + "'" // a number of so many digits were a float
	}
	return o, o.sql != ""
}

// maxNumberTokens is how many tokens a number has: -1.5e-3.
const maxNumberTokens = 6

// inexactly reports whether the column of long decimals at i is compared as SQLite does.
func (c *comparer) inexactly(i int) bool {
	at, ok := c.column(i)
	if !ok {
		return false
	}
	before, behind := at.first-1, at.last+1
	if c.isWord(behind, "IS") {
		return !c.isWord(behind+1, "NULL") && !(c.isWord(behind+1, "NOT") && c.isWord(behind+2, "NULL"))
	}
	if c.isWord(behind, "NOT") {
		behind++
	}
	return c.compares(before) || c.compares(behind) || c.any(behind, "BETWEEN", "IN") || c.any(before, "BETWEEN", "CASE", "IS") || c.isWord(before, "AND") && c.ranges(before)
}
