package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// A decimal of more digits than a float has is a text here, and SQLite sorts texts behind
// all numbers, letter by letter. So where such a column is sorted by, or its least or
// greatest value is wanted, SQLite is given it as a number, near enough: the order is
// right, and of the least and greatest the digits are as far as a float has them.

// asNumbers is a statement with columns of long decimals as numbers where their order
// counts.
func (s *session) asNumbers() string {
	w := &writer{sql: s.st.sql, tokens: s.st.tokens}
	long, others := map[string]bool{}, map[string]bool{}
	for _, r := range s.relations {
		for i := range r.columns {
			name := strings.ToLower(r.columns[i].name)
			if d, ok := r.columns[i].logical.(*arrow.Decimal128Type); ok && d.Precision > exactDigits && d.Scale > 0 {
				long[name] = true
			} else {
				others[name] = true
			}
		}
	}
	for i, t := range w.tokens {
		if i > 0 && t.named() && w.names(i-1) {
			others[strings.ToLower(t.text)] = true // it may be something else in this statement
		}
	}
	for name := range others {
		delete(long, name)
	}
	if len(long) == 0 {
		return s.st.sql
	}
	var b strings.Builder
	pos, depth := 0, 0
	var sorting []int // depths of the ORDER BY that the token is in
	for i, t := range w.tokens {
		switch {
		case w.at(i, "("):
			depth++
		case w.at(i, ")"):
			depth--
		case t.is("BY") && w.isWord(i-1, "ORDER") && !s.st.combines():
			sorting = append(sorting, depth)
		case t.is("LIMIT") || t.is("ROWS") || t.is("RANGE") || t.is("GROUPS"):
			sorting = slices.DeleteFunc(sorting, func(d int) bool { return d == depth })
		}
		for len(sorting) > 0 && sorting[len(sorting)-1] > depth {
			sorting = sorting[:len(sorting)-1]
		}
		if !t.named() || !long[strings.ToLower(t.text)] || w.at(i+1, ".") {
			continue
		}
		first := i
		for first >= 2 && w.at(first-1, ".") && w.tokens[first-2].named() {
			first -= 2
		}
		call := w.at(first-1, "(") && (w.isWord(first-2, "MIN") || w.isWord(first-2, "MAX")) && w.at(i+1, ")")
		term := len(sorting) > 0 && sorting[len(sorting)-1] == depth && (w.isWord(first-1, "BY") || w.at(first-1, ",")) &&
			(i+1 == len(w.tokens) || w.at(i+1, ",") || w.at(i+1, ")") || w.tokens[i+1].kind == word)
		if call || term && !w.isWord(i+1, "COLLATE") {
			from := w.tokens[first].pos
			fmt.Fprintf(&b, "%scast(%s as real)", w.sql[pos:from], w.sql[from:t.end])
			pos = t.end
		}
	}
	return b.String() + w.sql[pos:]
}

// combines reports whether the statement puts results together: what those are sorted by
// is a column of theirs, as it is.
func (s *statement) combines() bool {
	return s.has("UNION") || s.has("INTERSECT") || s.has("EXCEPT")
}
