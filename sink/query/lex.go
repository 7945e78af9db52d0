package query

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a token of SQL is.
type kind uint8

const (
	word   kind = iota // a keyword or a bare name
	quoted             // a name in "", `` or []
	text               // a string literal
	other              // a number, an operator, a bracket
)

// token is a piece of a statement, as SQLite's tokenizer would cut it. text of a
// name is without its quotes.
type token struct {
	kind kind
	text string
	pos  int // in bytes
	end  int // behind it
}

// is reports whether t is a keyword.
func (t token) is(keyword string) bool {
	return t.kind == word && strings.EqualFold(t.text, keyword)
}

// op reports whether t is an operator or a bracket.
func (t token) op(text string) bool { return t.kind == other && t.text == text }

// lex cuts a statement into tokens, without spaces and comments. The error says
// where a quote or a parameter stands that cannot be.
func lex(sql string) ([]token, error) {
	var out []token
	for pos := 0; pos < len(sql); {
		c := sql[pos]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			pos++
		case strings.HasPrefix(sql[pos:], "--"):
			pos += lengthTo(sql[pos:], "\n")
		case strings.HasPrefix(sql[pos:], "/*"):
			pos += 2 + lengthTo(sql[pos+2:], "*/")
		case c == '\'' || c == '"' || c == '`' || c == '[':
			t, n := quotation(sql, pos)
			if n == 0 {
				return nil, invalid(sql, pos, "the quote %c is not closed", c)
			}
			out, pos = append(out, t), pos+n
		case strings.HasPrefix(sql[pos:], "::"):
			return nil, invalid(sql, pos, ":: is no cast here: write cast(x as integer), real or text")
		case c == '?' || (c == ':' || c == '@' || c == '$' || c == '#') && pos+1 < len(sql) && isWord(rune(sql[pos+1])):
			return nil, invalid(sql, pos, "there are no parameters to bind %c to: write the value", c)
		default:
			n := wordLength(sql[pos:])
			if n == 0 {
				_, size := utf8.DecodeRuneInString(sql[pos:])
				out, pos = append(out, token{other, sql[pos : pos+size], pos, pos + size}), pos+size
				continue
			}
			k := word
			if c >= '0' && c <= '9' {
				k = other
			}
			out, pos = append(out, token{k, sql[pos : pos+n], pos, pos + n}), pos+n
		}
	}
	return out, nil
}

// lengthTo is how many bytes there are up to and with end, or to the end of s.
func lengthTo(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// quotation reads what stands in quotes at pos; n is 0 if they do not close.
func quotation(sql string, pos int) (t token, n int) {
	open := sql[pos]
	end := string(open)
	if open == '[' {
		end = "]"
	}
	var b strings.Builder
	for at := pos + 1; ; {
		i := strings.Index(sql[at:], end)
		if i < 0 {
			return token{}, 0
		}
		b.WriteString(sql[at : at+i])
		at += i + 1
		if open != '[' && strings.HasPrefix(sql[at:], end) { // doubled: the quote itself
			b.WriteString(end)
			at++
			continue
		}
		t = token{quoted, b.String(), pos, at}
		if open == '\'' {
			t.kind = text
		}
		return t, at - pos
	}
}

func isWord(r rune) bool {
	return r == '_' || r == '$' || r >= utf8.RuneSelf || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func wordLength(s string) int {
	for i, r := range s {
		if !isWord(r) {
			return i
		}
	}
	return len(s)
}

// Statements cuts a script at the semicolons between statements, each without its own:
// what is in quotes and comments is no semicolon. A text that cannot be read is one
// statement, as is one without any, so that whoever runs it hears why.
func Statements(script string) []string {
	tokens, err := lex(script)
	if err != nil {
		return []string{script}
	}
	var out []string
	from, some := 0, false
	for _, t := range append(tokens, token{other, ";", len(script), len(script)}) {
		if !t.op(";") {
			some = true
			continue
		}
		if some {
			out = append(out, strings.TrimSpace(script[from:t.pos]))
		}
		from, some = t.end, false
	}
	if len(out) == 0 {
		return []string{script}
	}
	return out
}

// statement is a query that may be run.
type statement struct {
	sql     string // without a semicolon at its end
	tokens  []token
	explain bool
}

// parse checks that sql is one query, which changes nothing. The error says what
// stands where.
func parse(sql string) (*statement, error) {
	if len(sql) > maxSQL {
		return nil, fmt.Errorf("%w: the statement has %d bytes, more than %d", ErrInvalid, len(sql), maxSQL)
	}
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return nil, invalid(sql, i, "a zero byte")
	}
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	for n := len(tokens); n > 0 && tokens[n-1].op(";"); n = len(tokens) {
		sql, tokens = sql[:tokens[n-1].pos], tokens[:n-1]
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%w: there is no statement", ErrInvalid)
	}
	if i := slices.IndexFunc(tokens, func(t token) bool { return t.op(";") }); i >= 0 {
		return nil, invalid(sql, tokens[i].pos, "one statement at a time")
	}
	s := &statement{sql: sql, tokens: tokens}
	first := tokens
	if first[0].is("EXPLAIN") {
		s.explain, first = true, first[1:]
		if len(first) > 1 && first[0].is("QUERY") && first[1].is("PLAN") {
			first = first[2:]
		}
	}
	if len(first) == 0 || !first[0].is("SELECT") && !first[0].is("VALUES") && !first[0].is("WITH") {
		at := tokens[len(tokens)-len(first)-min(1, max(0, 1-len(first)))]
		return nil, invalid(sql, at.pos, "%q begins no query: SELECT, VALUES, WITH … SELECT, EXPLAIN, DESCRIBE and SHOW TABLES are taken, and nothing that changes anything", at.text)
	}
	depth := 0
	for _, t := range first {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && (t.is("INSERT") || t.is("UPDATE") || t.is("DELETE")):
			return nil, invalid(sql, t.pos, "%s is not taken: queries change nothing", strings.ToUpper(t.text))
		}
	}
	return s, nil
}

// has reports whether a keyword stands in the statement.
func (s *statement) has(keyword string) bool {
	for _, t := range s.tokens {
		if t.is(keyword) {
			return true
		}
	}
	return false
}

// alone reports whether the statement asks one table, so that what its columns are
// compared with are values of the statement, and no other columns.
func (s *statement) alone() bool {
	selects, from := 0, false
	for _, t := range s.tokens {
		switch {
		case t.is("SELECT"):
			selects++
		case t.is("JOIN"), t.is("CAST"):
			return false
		case t.is("FROM"):
			from = true
		case t.is("WHERE"), t.is("GROUP"), t.is("ORDER"), t.is("LIMIT"):
			from = false
		case from && t.op(","):
			return false
		}
	}
	return selects == 1
}

// names are all words and quoted names of the statement, in lower case, with the
// forms in which they stand.
func (s *statement) names() map[string][]string {
	out := map[string][]string{}
	for _, t := range s.tokens {
		if t.kind == word || t.kind == quoted {
			low := strings.ToLower(t.text)
			out[low] = append(out[low], t.text)
		}
	}
	return out
}

// meant are the names in lower case that may be tables, with the schemas that they may be
// in: what stands behind a schema's name and a dot is there, and what has a dot behind it
// names no table, but says of which one a column is.
func (s *statement) meant() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	w := &writer{sql: s.sql, tokens: s.tokens}
	for i, t := range s.tokens {
		if !t.named() {
			continue
		}
		schema := ""
		switch {
		case w.at(i-1, ".") && i >= 2:
			schema = strings.ToLower(s.tokens[i-2].text)
			if schema == "main" {
				schema = ""
			}
		case w.at(i+1, "."):
			continue
		}
		low := strings.ToLower(t.text)
		if out[low] == nil {
			out[low] = map[string]bool{}
		}
		out[low][schema] = true
	}
	return out
}

// qualified says where schema.name stands in the statement, if it does.
func (s *statement) qualified(schema, name string) (pos int, there bool) {
	for i := 2; i < len(s.tokens); i++ {
		in, dot, of := s.tokens[i-2], s.tokens[i-1], s.tokens[i]
		if in.kind != text && of.kind != text && dot.text == "." && strings.EqualFold(in.text, schema) && strings.EqualFold(of.text, name) {
			return in.pos, true
		}
	}
	return 0, false
}

// invalid says where in sql something is wrong.
func invalid(sql string, pos int, format string, args ...any) error {
	line := 1 + strings.Count(sql[:pos], "\n")
	column := 1 + utf8.RuneCountInString(sql[1+strings.LastIndexByte(sql[:pos], '\n'):pos])
	return fmt.Errorf("%w: line %d, column %d: %s", ErrInvalid, line, column, fmt.Sprintf(format, args...))
}

// place adds to an error of SQLite where the thing stands that it names, if that
// can be told.
// hint follows the message.
func (s *statement) place(message, hint string) error {
	name := ""
	if _, rest, ok := strings.Cut(message, `near "`); ok {
		name, _, _ = strings.Cut(rest, `"`)
	} else if _, rest, ok := strings.Cut(message, ": "); ok && strings.HasPrefix(message, "no such") {
		name, _, _ = strings.Cut(rest[1+strings.LastIndexByte(rest, '.'):], " ")
		name = strings.Trim(name, `"`)
	}
	at := -1
	for _, t := range s.tokens {
		if name != "" && strings.EqualFold(t.text, name) {
			if at >= 0 {
				return fmt.Errorf("%w: %s%s", ErrInvalid, message, hint) // it could be either
			}
			at = t.pos
		}
	}
	if at < 0 {
		return fmt.Errorf("%w: %s%s", ErrInvalid, message, hint)
	}
	return invalid(s.sql, at, "%s%s", message, hint)
}
