package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// A decimal of more digits than a float has is a text here, and SQLite sorts texts behind
// all numbers, letter by letter, and adds them up as floats. So what a statement sorts by
// such a column, and its least, greatest, sum and average, go through functions of ours
// (exact.go), if they are columns of the result as they are: there all digits are shown.
// Where a statement goes on to reckon or compare with them, they are floats.

// decimals gives the columns of decimals by name, in lower case, if all tables of the
// statement that have such a column agree: the longest type of each.
func (s *session) decimals() map[string]arrow.Decimal128Type {
	out, others := map[string]arrow.Decimal128Type{}, map[string]bool{}
	for _, r := range s.relations {
		for i := range r.columns {
			name := strings.ToLower(r.columns[i].name)
			if d, ok := r.columns[i].logical.(*arrow.Decimal128Type); ok {
				is := out[name]
				out[name] = arrow.Decimal128Type{Precision: max(is.Precision, d.Precision), Scale: max(is.Scale, d.Scale)}
			} else {
				others[name] = true
			}
		}
	}
	for name := range others {
		delete(out, name)
	}
	return out
}

// isLong reports whether a type has values that are texts.
func isLong(t arrow.Decimal128Type) bool {
	return t.Precision > exactDigits
}

// exacter writes aggregates of decimals so that they are exact.
type exacter struct {
	writer
	decimals map[string]arrow.Decimal128Type
	renamed  map[string]bool // names that the statement gives to something
	columns  map[string]bool // of all tables
}

// exactItem is a column of the result that is exact.
type exactItem struct {
	sql   string
	scale int32
	typed bool // it is a decimal, not an average
}

// exactly is the statement with aggregates of decimals exact that are columns of its
// result. types are those of the columns that are decimals, by their place.
func (s *session) exactly() (sql string, types map[int]string) {
	x := &exacter{writer: writer{sql: s.st.sql, tokens: s.st.tokens}, decimals: s.decimals(), columns: map[string]bool{}}
	types = map[int]string{}
	arms := s.st.arms()
	if len(x.decimals) == 0 || len(arms) == 0 {
		return s.st.sql, types
	}
	for _, r := range s.relations {
		for i := range r.columns {
			x.columns[strings.ToLower(r.columns[i].name)] = true
		}
	}
	var outer []int // places of tokens that name columns of the result
	var cut []*folder
	for _, arm := range arms {
		p := &folder{s: s, folding: &folding{}}
		if !p.clauses(arm) {
			return s.st.sql, types
		}
		if _, sorted := p.parts["order"]; sorted && len(arms) > 1 {
			return s.st.sql, types // all of it is sorted by its columns, as they are
		}
		if t := p.parts["select"]; len(t) > 0 && (t[0].is("DISTINCT") || t[0].is("ALL")) {
			p.parts["select"] = t[1:]
		}
		for _, one := range commas(p.parts["select"]) {
			it := itemOf(one)
			if it.alias != "" {
				outer = append(outer, one[len(one)-1].pos)
			}
			p.items = append(p.items, it)
		}
		cut = append(cut, p)
	}
	x.renamed = x.given(outer)
	for _, p := range cut {
		x.arm(p, len(cut) == 1, types)
	}
	if sql = x.edited(); len(sql) > maxSQL {
		return s.st.sql, map[int]string{}
	}
	return sql, types
}

// arm writes the columns of one SELECT, and what it is sorted by.
func (x *exacter) arm(p *folder, alone bool, types map[int]string) {
	order := p.parts["order"]
	if slices.ContainsFunc(order, func(t token) bool { return t.is("COLLATE") }) {
		return // likewise
	}
	items := make([]*exactItem, len(p.items))
	stars := false
	for i, it := range p.items {
		if n := len(it.tokens); n == 0 || it.tokens[n-1].op("*") {
			stars = true
		}
		if is, ok := x.item(it.tokens); ok && x.inlines(p, it, p.parts["having"]) {
			items[i] = is
			if is.typed && !stars && alone {
				types[i] = fmt.Sprintf("%s%d,%d)", decimalDecl, maxScale, is.scale)
			}
		}
	}
	type term struct {
		of   []token
		item int
	}
	var terms []term
	for _, t := range commas(order) {
		of := t
		for len(of) > 1 && (of[len(of)-1].is("ASC") || of[len(of)-1].is("DESC") || of[len(of)-1].is("FIRST") || of[len(of)-1].is("LAST") || of[len(of)-1].is("NULLS")) {
			of = of[:len(of)-1]
		}
		at := -1
		if len(of) == 1 {
			if n, err := strconv.Atoi(of[0].text); err == nil && of[0].kind == other {
				if at = n - 1; stars || at < 0 || at >= len(items) {
					clear(types)
					return // which one it is cannot be told
				}
			}
			for i, it := range p.items {
				if of[0].named() && it.alias != "" && strings.EqualFold(it.alias, of[0].text) {
					at = i
					break
				}
			}
		}
		if at >= 0 || len(of) == 0 {
			terms = append(terms, term{of, at})
			continue
		}
		if is, ok := x.item(of); ok && len(of) > 1 {
			x.replace(of, keyName+"("+is.sql+")")
		}
		for i, it := range p.items {
			if items[i] != nil && !x.inlines(p, it, of) {
				items[i] = nil
				delete(types, i)
			}
		}
	}
	for _, t := range terms {
		if t.item >= 0 && items[t.item] != nil {
			x.replace(t.of, keyName+"("+items[t.item].sql+")")
		}
	}
	for i, is := range items {
		if is != nil {
			x.replace(p.items[i].tokens, is.sql)
		}
	}
}

// inlines writes what a column of the result is where its name stands among tokens: what
// is reckoned and compared with stays a float. It returns false where the name may be
// something else.
func (x *exacter) inlines(p *folder, it item, t []token) bool {
	at := func(i int, text string) bool {
		return i >= 0 && i < len(t) && t[i].op(text)
	}
	var edits []token
	for i, tok := range t {
		if it.alias == "" || !tok.named() || !strings.EqualFold(tok.text, it.alias) {
			continue
		}
		plain := !slices.ContainsFunc(slices.Concat(p.parts["from"], t), func(t token) bool { return t.is("SELECT") })
		if !plain || x.isWord(0, "WITH") || x.columns[strings.ToLower(it.alias)] || at(i-1, ".") || at(i+1, ".") || at(i+1, "(") {
			return false
		}
		edits = append(edits, token{text: "(" + x.source(it.tokens) + ")", pos: tok.pos, end: tok.end})
	}
	x.edits = append(x.edits, edits...)
	return true
}

// replace writes text in the place of tokens.
func (x *exacter) replace(t []token, text string) {
	x.edit(token{pos: t[0].pos, end: t[len(t)-1].end}, text)
}

// source is what stands in the statement for tokens.
func (x *exacter) source(t []token) string {
	if len(t) == 0 {
		return ""
	}
	return x.sql[t[0].pos:t[len(t)-1].end]
}

// item is an aggregate of decimals, or coalesce of one and a number, as it is exact.
func (x *exacter) item(t []token) (*exactItem, bool) {
	if args, ok := called(t, "coalesce", "ifnull"); ok {
		is, ok := x.item(args[0])
		if !ok {
			return nil, false
		}
		text := is.sql
		for _, a := range args[1:] {
			next, ok := x.item(a)
			switch {
			case ok:
				is.scale, is.typed = max(is.scale, next.scale), is.typed && next.typed
				text += ", " + next.sql
			case isNumber(a):
				text += ", " + x.source(a)
			default:
				return nil, false
			}
		}
		return &exactItem{t[0].text + "(" + text + ")", is.scale, is.typed}, true
	}
	end := closing(t)
	if end < 0 || !isTail(t[end+1:]) {
		return nil, false
	}
	args, ok := called(t[:end+1], "sum", "avg", "min", "max")
	if !ok || len(args) != 1 {
		return nil, false
	}
	of, ok := x.decimal(args[0])
	if !ok {
		return nil, false
	}
	arg, rest := x.source(args[0]), ""
	if end < len(t)-1 {
		rest = " " + x.source(t[end+1:])
	}
	switch name := strings.ToLower(t[0].text); name {
	case "sum":
		return &exactItem{fmt.Sprintf("%s(%s, %d)%s", sumName, arg, of.Scale, rest), of.Scale, true}, true
	case "avg":
		return &exactItem{fmt.Sprintf("%s(%s, %d)%s", avgName, arg, of.Scale, rest), of.Scale, false}, true
	default:
		if !isLong(of) {
			return nil, false // it is exact as it is
		}
		return &exactItem{fmt.Sprintf("%s(%s(%s(%s))%s, %d)", backName, name, keyName, arg, rest, of.Scale), of.Scale, true}, true
	}
}

// isTail reports whether tokens are what may stand behind an aggregate's brackets, and
// nothing else: FILTER (…), OVER (…), OVER name.
func isTail(t []token) bool {
	if len(t) > 0 && t[0].is("FILTER") {
		end := closing(t)
		if end < 0 {
			return false
		}
		t = t[end+1:]
	}
	return len(t) == 0 || t[0].is("OVER") && (len(t) == 2 && t[1].named() || len(t) > 2 && closing(t) == len(t)-1)
}

// decimal reports whether tokens are a column of decimals, or choose one: CASE, coalesce.
// Of several, the type is the longest.
func (x *exacter) decimal(t []token) (of arrow.Decimal128Type, ok bool) {
	values := [][]token{t}
	if args, is := called(t, "coalesce", "ifnull"); is {
		values = args
	} else if len(t) > 0 && t[0].is("CASE") {
		if values, is = chosen(t); !is {
			return of, false
		}
	}
	for _, v := range values {
		d, is := x.column(v)
		switch {
		case is:
			of, ok = arrow.Decimal128Type{Precision: max(of.Precision, d.Precision), Scale: max(of.Scale, d.Scale)}, true
		case !isNumber(v) && (len(v) != 1 || !v[0].is("NULL")):
			return of, false
		}
	}
	return of, ok
}

// column reports whether tokens are the name of a column of decimals.
func (x *exacter) column(t []token) (of arrow.Decimal128Type, ok bool) {
	for i, tok := range t {
		if i%2 == 0 && !tok.named() || i%2 == 1 && !tok.op(".") {
			return of, false
		}
	}
	if len(t)%2 == 0 {
		return of, false
	}
	name := strings.ToLower(t[len(t)-1].text)
	of, ok = x.decimals[name]
	return of, ok && !x.renamed[name]
}

// isNumber reports whether tokens are a number that is written down: with a sign and a
// fraction perhaps, each of which is a token.
func isNumber(t []token) bool {
	if len(t) > 1 && (t[0].op("-") || t[0].op("+")) {
		t = t[1:]
	}
	for i, tok := range t {
		if tok.kind != other || i > 0 && t[i-1].end != tok.pos || tok.text != "." && strings.Trim(tok.text, "0123456789") != "" {
			return false
		}
	}
	return len(t) > 0 && len(t) <= 3
}

// called gives the arguments if tokens are a call of one of some functions and nothing
// else.
func called(t []token, names ...string) (args [][]token, ok bool) {
	if len(t) < 4 || t[0].kind != word || !slices.Contains(names, strings.ToLower(t[0].text)) || closing(t) != len(t)-1 {
		return nil, false
	}
	return commas(t[2 : len(t)-1]), true
}

// closing is where the bracket closes that the second token opens, -1 if it is none.
func closing(t []token) int {
	if len(t) < 2 || !t[1].op("(") {
		return -1
	}
	depth := 0
	for i, tok := range t {
		switch {
		case tok.op("("):
			depth++
		case tok.op(")"):
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// chosen gives what stands behind THEN and ELSE, if tokens are CASE … END alone.
func chosen(t []token) (values [][]token, ok bool) {
	from, depth := -1, 0
	for i, tok := range t {
		switch {
		case tok.is("CASE") || tok.op("("):
			depth++
			continue
		case depth > 1 && (tok.is("END") || tok.op(")")):
			depth--
			continue
		case depth != 1:
			continue
		case from >= 0 && (tok.is("WHEN") || tok.is("ELSE") || tok.is("END")):
			values, from = append(values, t[from:i]), -1
		}
		switch {
		case tok.is("THEN") || tok.is("ELSE"):
			from = i + 1
		case tok.is("END"):
			return values, i == len(t)-1
		}
	}
	return nil, false
}

// arms are the SELECTs whose rows are those of the result, as they are: one, or several
// that UNION ALL puts together. None if rows are compared between them.
func (s *statement) arms() [][]token {
	var out [][]token
	depth, from := 0, -1
	for i, t := range s.tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth > 0:
		case t.is("SELECT"):
			if from >= 0 {
				return nil
			}
			from = i
		case t.is("UNION"):
			if from < 0 || i+1 == len(s.tokens) || !s.tokens[i+1].is("ALL") {
				return nil
			}
			out, from = append(out, s.tokens[from:i]), -1
		case t.is("INTERSECT") || t.is("EXCEPT") || t.is("VALUES"):
			return nil
		}
	}
	if from < 0 {
		return nil
	}
	return append(out, s.tokens[from:])
}

// longDecimals are the columns of decimals that are texts in part, by name, where the name
// is no other thing's in the statement.
func (s *session) longDecimals() map[string]arrow.Decimal128Type {
	w := &writer{sql: s.st.sql, tokens: s.st.tokens}
	long := s.decimals()
	for name, d := range long {
		if !isLong(d) {
			delete(long, name)
		}
	}
	for name := range w.given(nil) {
		delete(long, name)
	}
	return long
}

// asNumbers is a statement with columns of long decimals in the order of numbers where it
// sorts by them, and as numbers where it asks the least or greatest of them.
func (s *session) asNumbers() string {
	w := &writer{sql: s.st.sql, tokens: s.st.tokens}
	long := s.longDecimals()
	if len(long) == 0 {
		return s.st.sql
	}
	key := keyName + "(%s)"
	if s.st.has("RANGE") {
		key = "cast(%s as real)" // a window's, which may be so far in numbers
	}
	depth := 0
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
		if !t.named() || w.at(i+1, ".") {
			continue
		}
		if _, there := long[strings.ToLower(t.text)]; !there {
			continue
		}
		first := w.head(i)
		span := token{pos: w.tokens[first].pos, end: t.end}
		term := len(sorting) > 0 && sorting[len(sorting)-1] == depth && (w.isWord(first-1, "BY") || w.at(first-1, ",")) &&
			(i+1 == len(w.tokens) || w.at(i+1, ",") || w.at(i+1, ")") || w.tokens[i+1].kind == word)
		call := w.at(first-1, "(") && (w.isWord(first-2, "MIN") || w.isWord(first-2, "MAX")) && w.at(i+1, ")")
		switch {
		case call && long[strings.ToLower(t.text)].Scale == 0:
			// As a float it would make floats of whole numbers that SQLite has.
			if !w.isWord(i+2, "FILTER") && !w.isWord(i+2, "OVER") {
				w.edit(token{pos: w.tokens[first-2].pos, end: w.tokens[i+1].end},
					fmt.Sprintf("cast(%s(%s(%s(%s)), 0) as numeric)", backName, w.tokens[first-2].text, keyName, w.sql[span.pos:span.end]))
			}
		case call:
			w.edit(span, fmt.Sprintf("cast(%s as real)", w.sql[span.pos:span.end]))
		case term && !w.isWord(i+1, "COLLATE"):
			w.edit(span, fmt.Sprintf(key, w.sql[span.pos:span.end]))
		}
	}
	return w.edited()
}

// combines reports whether the statement puts results together: what those are sorted by
// is a column of theirs, as it is.
func (s *statement) combines() bool {
	return s.has("UNION") || s.has("INTERSECT") || s.has("EXCEPT")
}
