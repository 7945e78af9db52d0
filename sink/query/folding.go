package query

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// folding is a statement over one table whose rows are put together before SQLite
// sees them: what it counts, sums and groups is worked out on columns of Arrow, and
// SQLite has a row for each group, on which the rest of the statement runs. A row
// costs SQLite a hundred times what it costs there.
type folding struct {
	r       *relation
	keys    []int // the columns of GROUP BY
	calls   []call
	where   *condition
	grouped bool // without groups there is one row, also of nothing
	// asCame says that groups stand in the order in which they came, as DISTINCT has
	// them; else in the order of their keys, as GROUP BY does.
	asCame bool
	sql    string // what runs over the groups
}

// groupsTable is what takes the groups in SQL.
const groupsTable = `"tarn groups"`

// read reads a statement "select … from table where … group by … having … order by …
// limit …". ok is false of all others, and where anything stands in it that is not
// understood to the last token.
func (s *session) folding() (f *folding, ok bool, err error) {
	t := s.st.tokens
	if s.collates || len(t) > maxFolded {
		return nil, false, nil
	}
	if s.st.explain {
		if len(t) < 3 || !t[1].is("QUERY") {
			return nil, false, nil
		}
		t = t[3:]
	}
	p := &folder{s: s, folding: &folding{}}
	if !p.clauses(t) || !p.from() || !p.group() {
		return nil, false, nil
	}
	if ok, err := p.whereClause(); !ok || err != nil {
		return nil, false, err
	}
	if !p.write() {
		return nil, false, nil
	}
	return p.folding, true, nil
}

// maxFolded bounds the statements that are looked at, in tokens: those that people
// write are far below.
const maxFolded = 2000

// folder reads a statement that may be folded.
type folder struct {
	*folding
	s        *session
	distinct bool
	items    []item
	parts    map[string][]token // by the clause's word
	alias    string             // of the table
}

// item is a column of the result.
type item struct {
	tokens []token
	alias  string
	column int // which column of the table it is and nothing else; -1
}

// clauseWords begin the clauses, in the order in which they may stand.
var clauseWords = [...]string{"select", "from", "where", "group", "having", "order", "limit"}

// clauses cuts the statement into its clauses.
func (p *folder) clauses(t []token) bool {
	p.parts = map[string][]token{}
	depth, at := 0, -1
	for i, tok := range t {
		switch {
		case tok.op("("):
			depth++
		case tok.op(")"):
			depth--
		}
		if tok.kind == word && depth == 0 {
			if n := slices.Index(clauseWords[:], strings.ToLower(tok.text)); n >= 0 && (i == 0 || t[i-1].text != ".") {
				if n <= at || i == 0 && n != 0 {
					return false
				}
				at = n
				p.parts[clauseWords[n]] = []token{}
				continue
			}
		}
		if at < 0 {
			return false
		}
		p.parts[clauseWords[at]] = append(p.parts[clauseWords[at]], tok)
	}
	for _, by := range []string{"group", "order"} {
		if part, there := p.parts[by]; there {
			if len(part) < 2 || !part[0].is("BY") {
				return false
			}
			p.parts[by] = part[1:]
		}
	}
	_, limited := p.parts["limit"]
	return len(p.parts["from"]) > 0 && (!limited || len(p.parts["limit"]) > 0)
}

// from finds the table.
func (p *folder) from() bool {
	t := p.parts["from"]
	schema := "main"
	if len(t) >= 3 && t[1].op(".") {
		if !t[0].named() {
			return false
		}
		schema, t = strings.ToLower(t[0].text), t[2:]
	}
	if !t[0].named() {
		return false
	}
	name := t[0].text
	p.alias = name
	if t = t[1:]; len(t) == 2 && t[0].is("AS") {
		t = t[1:]
	}
	if len(t) == 1 && t[0].named() {
		p.alias, t = t[0].text, nil
	}
	if len(t) > 0 {
		return false
	}
	for _, r := range p.s.relations {
		if r.schema == schema && strings.EqualFold(r.name, name) && r.refused == nil && r.columns != nil {
			p.r = r
		}
	}
	return p.r != nil
}

func (t token) named() bool { return t.kind == word || t.kind == quoted }

// column finds the column that stands at the beginning of tokens: its place, and how
// many tokens it takes; -1 if none does.
func (p *folder) column(t []token) (at, n int) {
	if len(t) == 0 || !t[0].named() {
		return -1, 0
	}
	name, n := t[0], 1
	if len(t) >= 2 && t[1].op(".") {
		if len(t) < 3 || !t[2].named() || !strings.EqualFold(t[0].text, p.alias) {
			return -1, 0
		}
		name, n = t[2], 3
	}
	for i := range p.r.columns {
		if strings.EqualFold(p.r.columns[i].name, name.text) {
			return i, n
		}
	}
	return -1, 0
}

// commas cuts tokens at commas that stand in no brackets.
func commas(t []token) [][]token {
	var out [][]token
	depth, from := 0, 0
	for i, tok := range t {
		if tok.kind != other {
			continue
		}
		switch tok.text {
		case "(":
			depth++
		case ")":
			depth--
		case ",":
			if depth == 0 {
				out, from = append(out, t[from:i]), i+1
			}
		}
	}
	return append(out, t[from:])
}

// group reads the columns of the result, and those of GROUP BY.
func (p *folder) group() bool {
	t := p.parts["select"]
	if len(t) > 0 && t[0].is("DISTINCT") {
		p.distinct, t = true, t[1:]
	}
	for _, one := range commas(t) {
		if len(one) == 0 || one[0].op("*") {
			return false
		}
		it := itemOf(one)
		if at, n := p.column(it.tokens); at >= 0 && n == len(it.tokens) {
			it.column = at
		}
		// A name that means one thing here and another there is left to SQLite.
		if at, _ := p.column([]token{{kind: quoted, text: it.alias}}); it.alias != "" && at >= 0 && at != it.column {
			return false
		}
		p.items = append(p.items, it)
	}
	by, there := p.parts["group"]
	p.grouped = there
	if !there {
		if p.distinct {
			return p.distinctItems()
		}
		return true
	}
	for _, one := range commas(by) {
		at := p.key(one)
		if at < 0 {
			return false
		}
		if !slices.Contains(p.keys, at) {
			p.keys = append(p.keys, at)
		}
	}
	return true
}

// itemOf cuts a column of the result into what it is and its name.
func itemOf(t []token) item {
	it := item{tokens: t, column: -1}
	if n := len(t); n > 2 && t[n-2].is("AS") && t[n-1].named() {
		it.alias, it.tokens = t[n-1].text, t[:n-2]
	} else if n > 1 && t[n-1].named() && !t[n-1].keyword() && t[n-2].ends() && !t[n-2].is("OVER") {
		it.alias, it.tokens = t[n-1].text, t[:n-1]
	}
	return it
}

// distinctItems makes groups of the rows of SELECT DISTINCT, if they are columns.
func (p *folder) distinctItems() bool {
	if _, there := p.parts["having"]; there {
		return false
	}
	for _, it := range p.items {
		if it.column < 0 || !p.groups(it.column) {
			return false
		}
		if !slices.Contains(p.keys, it.column) {
			p.keys = append(p.keys, it.column)
		}
	}
	p.grouped, p.asCame = true, true
	return true
}

// key is the column by which a term of GROUP BY groups, -1 if it is none.
func (p *folder) key(t []token) int {
	at, n := p.column(t)
	if at < 0 || n != len(t) {
		if at = -1; len(t) != 1 {
			return -1
		}
		if i, err := strconv.Atoi(t[0].text); err == nil && t[0].kind == other && i >= 1 && i <= len(p.items) {
			at = p.items[i-1].column
		}
		for _, it := range p.items {
			if t[0].named() && it.alias != "" && strings.EqualFold(it.alias, t[0].text) {
				at = it.column
			}
		}
	}
	if at < 0 || !p.groups(at) {
		return -1
	}
	return at
}

// groups reports whether rows can be grouped by a column. Of decimals, equal ones may
// have different forms.
func (p *folder) groups(at int) bool { return !p.r.columns[at].isDecimal() }

// write writes the statement that runs over the groups.
func (p *folder) write() bool {
	var b strings.Builder
	b.WriteString("SELECT ")
	if p.distinct {
		b.WriteString("DISTINCT ")
	}
	for i, it := range p.items {
		if i > 0 {
			b.WriteString(", ")
		}
		if !p.expression(&b, it.tokens, false) {
			return false
		}
		if it.alias != "" {
			b.WriteString(" AS " + quote(it.alias))
		}
	}
	b.WriteString(" FROM temp." + groupsTable)
	for _, c := range []struct{ name, text string }{{"having", " WHERE "}, {"order", " ORDER BY "}, {"limit", " LIMIT "}} {
		if t, there := p.parts[c.name]; there {
			b.WriteString(c.text)
			if !p.expression(&b, t, c.name != "limit") {
				return false
			}
		}
	}
	if len(p.calls) == 0 && !p.grouped {
		return false // without aggregates, rows are rows
	}
	p.sql = b.String()
	return true
}

// expression writes tokens with the groups' columns in the place of aggregates and
// columns. aliases says that names of the result's columns may stand there.
func (p *folder) expression(b *strings.Builder, t []token, aliases bool) bool {
	for i := 0; i < len(t); {
		tok := t[i]
		b.WriteByte(' ')
		called := i+1 < len(t) && t[i+1].op("(")
		if tok.kind == word && called && !tok.keyword() {
			name := strings.ToLower(tok.text)
			if slices.Contains(aggregates[:], name) {
				n, ok := p.call(b, name, t[i+2:])
				if !ok {
					return false
				}
				i += 2 + n
				continue
			}
			if !slices.Contains(scalars[:], name) {
				return false
			}
			b.WriteString(name)
			i++
			continue
		}
		if !tok.named() {
			// Together as they stood: ">" and "=" are one operator.
			b.WriteString(p.s.st.sql[tok.pos:tok.end])
			for i++; i < len(t) && t[i].kind == other && t[i].pos == t[i-1].end; i++ {
				b.WriteString(p.s.st.sql[t[i].pos:t[i].end])
			}
			continue
		}
		at, n := p.column(t[i:])
		switch {
		case at >= 0 && tok.keyword():
			return false // it could be either
		case at >= 0:
			k := slices.Index(p.keys, at)
			if k < 0 {
				return false
			}
			fmt.Fprintf(b, `"g%d"`, k)
			i += n
		case tok.keyword():
			b.WriteString(tok.text)
			i++
		case aliases && p.aliased(tok.text):
			b.WriteString(quote(tok.text))
			i++
		default:
			return false
		}
	}
	return true
}

func (p *folder) aliased(name string) bool {
	return slices.ContainsFunc(p.items, func(it item) bool { return it.alias != "" && strings.EqualFold(it.alias, name) })
}

// call reads what stands behind the bracket of an aggregate; n is how many tokens.
func (p *folder) call(b *strings.Builder, name string, t []token) (n int, ok bool) {
	c := call{name: name, at: -1}
	if name == "count" && len(t) >= 2 && t[0].op("*") {
		n = 1
	} else {
		if len(t) > 0 && t[0].is("DISTINCT") {
			c.distinct = true
			n++
		}
		if c.key = len(t) > 2 && t[0].is(keyName); c.key {
			n = 2
		}
		at, k := p.column(t[n:])
		if at < 0 || !p.takes(name, c.distinct, at) || c.key && name != "min" && name != "max" {
			return 0, false
		}
		c.at, c.decimal = at, p.r.columns[at].isDecimal()
		n += k
		switch rest := t[n:]; {
		case c.key && len(rest) > 0 && rest[0].op(")"):
			n++
		case (name == sumName || name == avgName) && len(rest) > 1 && rest[0].text == ",":
			scale, err := strconv.Atoi(rest[1].text)
			if c.scale = scale; err != nil || rest[1].kind != other {
				return 0, false
			}
			n += 2
		case c.key || name == sumName || name == avgName:
			return 0, false
		}
	}
	if n >= len(t) || !t[n].op(")") {
		return 0, false
	}
	if n++; n < len(t) && (t[n].is("OVER") || t[n].is("FILTER")) {
		return 0, false
	}
	if c.distinct && (name == "min" || name == "max") {
		c.distinct = false // the same
	}
	at := slices.Index(p.calls, c)
	if at < 0 {
		at = len(p.calls)
		p.calls = append(p.calls, c)
	}
	fmt.Fprintf(b, `(+"a%d")`, at) // with the sign it has no affinity, as a result has none
	return n, true
}

// takes reports whether an aggregate takes a column as SQLite does. Sums of texts and
// of blobs are SQLite's own.
func (p *folder) takes(name string, distinct bool, at int) bool {
	decl, isDecimal := p.r.columns[at].decl, p.r.columns[at].isDecimal()
	switch name {
	case "count":
		return !distinct || !isDecimal
	case "min", "max":
		return true
	case sumName, avgName:
		return !distinct && isDecimal
	}
	return !distinct && (decl == "INTEGER" || decl == "REAL" || decl == declBool || isDecimal)
}

var (
	aggregates = [...]string{"count", "sum", "total", "avg", "min", "max", sumName, avgName}
	// scalars are functions that may stand around aggregates.
	scalars = [...]string{"round", "abs", "coalesce", "ifnull", "nullif", "lower", "upper", "printf", "format", "iif", "substr", "length", keyName, backName}
	// keywords may stand in expressions.
	keywords = [...]string{
		"and", "or", "not", "case", "when", "then", "else", "end", "is", "null", "between", "in", "like",
		"asc", "desc", "nulls", "first", "last", "offset", "true", "false",
	}
)

func (t token) keyword() bool {
	return t.kind == word && slices.Contains(keywords[:], strings.ToLower(t.text))
}

// ends reports whether an expression may end with the token.
func (t token) ends() bool {
	return t.kind == text || t.named() && !t.keyword() || t.is("END") || t.kind == other && (t.text == ")" || t.text[0] >= '0' && t.text[0] <= '9')
}

// explainFolding says what is worked out before SQLite, for EXPLAIN QUERY PLAN.
func (f *folding) explain() string {
	var calls, keys []string
	for _, c := range f.calls {
		of := "*"
		if c.at >= 0 {
			if of = f.r.columns[c.at].name; c.distinct {
				of = "distinct " + of
			}
		}
		calls = append(calls, c.name+"("+of+")")
	}
	for _, k := range f.keys {
		keys = append(keys, f.r.columns[k].name)
	}
	name := f.r.name
	if f.r.schema != "main" {
		name = f.r.schema + "." + name
	}
	used := 0
	for _, u := range f.bounds().used {
		if u {
			used++
		}
	}
	out := fmt.Sprintf("FOLD %s BEFORE SQL: %s; %d of %d columns", name, strings.Join(calls, ", "), used, len(f.r.columns))
	if len(calls) == 0 {
		out = fmt.Sprintf("FOLD %s BEFORE SQL: %d of %d columns", name, used, len(f.r.columns))
	}
	if f.where != nil {
		out += "; rows that fulfil WHERE"
	}
	if len(keys) > 0 {
		out += "; a row for each " + strings.Join(keys, ", ")
	}
	return out
}

// constant works out an expression without columns.
func (s *session) constant(ctx context.Context, text string) (v any, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT "+text).Scan(&v)
	return v, err
}

// isText reports whether a column's comparisons are those of texts.
func (c *column) isText() bool {
	return strings.HasSuffix(c.decl, "TEXT") && (c.from != fromField || spanOf(c.logical) != nil || c.logical.ID() == arrow.STRING)
}
