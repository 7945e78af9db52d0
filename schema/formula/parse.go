package formula

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Operations of nodes that are not called by their SQL name.
const (
	opName  = "name"
	opLong  = "long"
	opReal  = "double"
	opText  = "text"
	opBool  = "bool"
	opNull  = "null"
	opMinus = "minus"
	opCast  = "cast"
	opIs    = "is null"
	opIsNot = "is not null"
)

// node is an operation with what it is done to.
type node struct {
	op   string
	kids []*node
	text string   // of a text; the type of a cast
	path []string // of a name
	i    int64
	f    float64
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokQuoted // a name in double quotes: no keyword
	tokNumber
	tokText
	tokSign
)

type token struct {
	kind tokenKind
	text string
	at   int
}

type parser struct {
	text  string
	at    int
	tok   token
	nodes int
}

// signs are the operators, the longer ones first.
var signs = []string{"||", "<=", ">=", "<>", "!=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "."}

// next reads a token.
func (p *parser) next() error {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.tok = token{at: p.at}
	if p.at == len(p.text) {
		return nil
	}
	rest := p.text[p.at:]
	switch c := rest[0]; {
	case c == '\'' || c == '"':
		return p.quoted(c)
	case c >= '0' && c <= '9':
		n := 0
		for n < len(rest) && (isWord(rest[n]) || rest[n] == '.' || (rest[n] == '-' || rest[n] == '+') && (rest[n-1] == 'e' || rest[n-1] == 'E')) {
			n++
		}
		p.take(tokNumber, n)
		return nil
	case isWord(c) || c >= utf8.RuneSelf:
		n := 0
		for n < len(rest) && (isWord(rest[n]) || rest[n] >= utf8.RuneSelf) {
			n++
		}
		p.take(tokName, n)
		return nil
	}
	for _, s := range signs {
		if strings.HasPrefix(rest, s) {
			p.take(tokSign, len(s))
			return nil
		}
	}
	return fmt.Errorf("at %d: %q is not understood", p.at+1, rest[:1])
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *parser) take(k tokenKind, n int) {
	p.tok.kind, p.tok.text = k, p.text[p.at:p.at+n]
	p.at += n
}

// quoted reads a text, or a name in double quotes; the quote itself stands twice.
func (p *parser) quoted(quote byte) error {
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		if c := p.text[i]; c != quote {
			b.WriteByte(c)
			continue
		}
		if i+1 < len(p.text) && p.text[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		p.tok.kind, p.tok.text, p.at = tokText, b.String(), i+1
		if quote == '"' {
			p.tok.kind = tokQuoted
		}
		return nil
	}
	return fmt.Errorf("at %d: the closing %c is missing", p.at+1, quote)
}

func (p *parser) is(sign string) bool { return p.tok.kind == tokSign && p.tok.text == sign }

func (p *parser) word(word string) bool {
	return p.tok.kind == tokName && strings.EqualFold(p.tok.text, word)
}

func (p *parser) expected(what string) error {
	found := strconv.Quote(p.tok.text)
	if p.tok.kind == tokEnd {
		found = "the end"
	}
	return fmt.Errorf("at %d: expected %s, found %s", p.tok.at+1, what, found)
}

// levels are the binary operators, those that bind least first.
var levels = [][]string{{"or"}, {"and"}, nil, {"=", "<>", "!=", "<=", ">=", "<", ">"}, {"||"}, {"+", "-"}, {"*", "/", "%"}}

// levelNot is where not stands among them.
const levelNot = 2

func (p *parser) node(op string, kids ...*node) (*node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fmt.Errorf("an expression has at most %d parts", maxNodes)
	}
	return &node{op: op, kids: kids}, nil
}

func (p *parser) expr(depth int) (*node, error) { return p.level(0, depth) }

// level reads operators of one level and all that bind more.
func (p *parser) level(l, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("an expression is nested %d deep at most", maxDepth)
	}
	if l == len(levels) {
		return p.unary(depth)
	}
	if l == levelNot {
		if !p.word("not") {
			return p.level(l+1, depth)
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		kid, err := p.level(l, depth+1)
		if err != nil {
			return nil, err
		}
		return p.node("not", kid)
	}
	left, err := p.level(l+1, depth)
	for err == nil {
		op := p.operator(levels[l])
		if op == "" {
			break
		}
		if err = p.next(); err != nil {
			break
		}
		var right *node
		if right, err = p.level(l+1, depth); err == nil {
			left, err = p.node(op, left, right)
		}
	}
	if err == nil && l == levelNot+1 && p.word("is") {
		return p.isNull(left)
	}
	return left, err
}

// operator is the operator among these that comes next, "" for none.
func (p *parser) operator(among []string) string {
	for _, op := range among {
		if p.is(op) || p.word(op) {
			return op
		}
	}
	return ""
}

// isNull reads what follows "is".
func (p *parser) isNull(of *node) (*node, error) {
	op := opIs
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.word("not") {
		op = opIsNot
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	if !p.word("null") {
		return nil, p.expected("null")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return p.node(op, of)
}

func (p *parser) unary(depth int) (*node, error) {
	if !p.is("-") {
		return p.primary(depth)
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("an expression is nested %d deep at most", maxDepth)
	}
	kid, err := p.unary(depth + 1)
	if err != nil {
		return nil, err
	}
	return p.node(opMinus, kid)
}

// primary reads a value, a name, a call or an expression in parentheses.
func (p *parser) primary(depth int) (*node, error) {
	tok := p.tok
	switch {
	case p.is("("):
		if err := p.next(); err != nil {
			return nil, err
		}
		n, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		return n, p.close()
	case tok.kind == tokNumber:
		return p.number()
	case tok.kind == tokText:
		n, err := p.node(opText)
		if err == nil {
			n.text, err = tok.text, p.next()
		}
		return n, err
	case tok.kind != tokName && tok.kind != tokQuoted:
		return nil, p.expected("a column, a value or a function")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if tok.kind == tokName {
		switch low := strings.ToLower(tok.text); {
		case low == "true", low == "false":
			n, err := p.node(opBool)
			if err == nil && low == "true" {
				n.i = 1
			}
			return n, err
		case low == "null":
			return p.node(opNull)
		case p.is("("):
			return p.call(low, depth)
		}
	}
	n, err := p.node(opName)
	if err != nil {
		return nil, err
	}
	n.path = []string{tok.text}
	for p.is(".") {
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.tok.kind != tokName && p.tok.kind != tokQuoted {
			return nil, p.expected("a field's name")
		}
		n.path = append(n.path, p.tok.text)
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (p *parser) close() error {
	if !p.is(")") {
		return p.expected("a closing parenthesis, or an operator")
	}
	return p.next()
}

// call reads a function's arguments.
func (p *parser) call(name string, depth int) (*node, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	n, err := p.node(name)
	for err == nil && !p.is(")") {
		if len(n.kids) > 0 {
			if !p.is(",") {
				return nil, p.expected("a comma, an operator or a closing parenthesis")
			}
			if err = p.next(); err != nil {
				break
			}
		}
		var kid *node
		if kid, err = p.expr(depth + 1); err != nil {
			break
		}
		n.kids = append(n.kids, kid)
		if name == opCast {
			return p.cast(n)
		}
	}
	if err != nil {
		return nil, err
	}
	return n, p.close()
}

// cast reads what follows the value of a cast.
func (p *parser) cast(n *node) (*node, error) {
	if !p.word("as") {
		return nil, p.expected("as, and a type")
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokName {
		return nil, p.expected("a type")
	}
	n.text = strings.ToLower(p.tok.text)
	if err := p.next(); err != nil {
		return nil, err
	}
	return n, p.close()
}

func (p *parser) number() (*node, error) {
	n, err := p.node(opLong)
	if err != nil {
		return nil, err
	}
	if n.i, err = strconv.ParseInt(p.tok.text, 10, 64); err != nil {
		n.op = opReal
		if n.f, err = strconv.ParseFloat(p.tok.text, 64); err != nil {
			return nil, fmt.Errorf("at %d: %q is no number", p.tok.at+1, p.tok.text)
		}
	}
	return n, p.next()
}
