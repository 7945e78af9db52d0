package jsonschema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tarn-io/tarn/schema"
)

// tree is a JSON value of a schema text. Objects keep their order, which is the
// order of columns, and numbers their text.
type tree struct {
	kind byte // '{', '[', '"', '0' for a number, 't', 'f', 'n'
	text string
	keys []string
	kids []*tree
}

// parseTree reads a whole schema text. Errors are a *schema.ParseError with line
// and column. lax lets the last of equal keys win, as stored texts may rely on.
func parseTree(text string, lax bool) (*tree, error) {
	p := treeParser{b: []byte(text), lax: lax}
	p.pos = skipSpace(p.b, 0)
	t := p.value(0)
	if p.err == nil {
		if p.pos = skipSpace(p.b, p.pos); p.pos < len(p.b) {
			p.fail(p.pos, "nothing may follow the schema")
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return t, nil
}

// maxObjects bounds the objects of a schema with its references: the library takes time that
// grows with their square, about a second here.
const maxObjects = 20_000

type treeParser struct {
	b       []byte
	pos     int
	lax     bool
	objects int
	err     *schema.ParseError
}

// fail keeps the first error, with its place as an editor counts it.
func (p *treeParser) fail(pos int, msg string) {
	if p.err != nil {
		return
	}
	before := p.b[:min(pos, len(p.b))]
	line, start := 1, 0
	for i, c := range before {
		if c == '\n' {
			line, start = line+1, i+1
		}
	}
	p.err = &schema.ParseError{Line: line, Column: utf8.RuneCount(before[start:]) + 1, Msg: msg}
}

// peek is the next byte, 0 at the end.
func (p *treeParser) peek() byte {
	if p.pos < len(p.b) {
		return p.b[p.pos]
	}
	return 0
}

func (p *treeParser) value(depth int) *tree {
	if depth > schema.MaxDepth {
		p.fail(p.pos, fmt.Sprintf("nested deeper than %d levels", schema.MaxDepth))
		return nil
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, _ := p.string()
		return &tree{kind: '"', text: s}
	case c == '-' || c >= '0' && c <= '9':
		v, end, ok := scanNumber(p.b, p.pos)
		if !ok {
			p.fail(end, "not a number")
		} else if v.tooBig() {
			p.fail(p.pos, fmt.Sprintf("number with an exponent beyond %d or more than %d characters", maxExponent, maxNumberBytes))
		}
		p.pos = end
		return &tree{kind: '0', text: string(v.text)}
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(string(p.b[p.pos:min(p.pos+len(word), len(p.b))]), word) {
			p.pos += len(word)
			return &tree{kind: word[0], text: word}
		}
	}
	if p.pos >= len(p.b) {
		p.fail(p.pos, "the text ends where a value should be")
	} else {
		p.fail(p.pos, "not a JSON value")
	}
	return nil
}

func (p *treeParser) string() (string, bool) {
	end, escaped := scanString(p.b, p.pos)
	if end < 0 {
		p.fail(-end-1, "string is not closed, not UTF-8, or holds a bad escape or control character")
		p.pos = len(p.b)
		return "", false
	}
	raw := p.b[p.pos+1 : end-1]
	p.pos = end
	if escaped {
		raw = unescape(nil, raw)
	}
	return string(raw), true
}

// next moves over white space and says whether another member follows; open is
// true before the first one.
func (p *treeParser) next(open bool, end byte) bool {
	p.pos = skipSpace(p.b, p.pos)
	c := p.peek()
	if c == end {
		p.pos++
		return false
	}
	if open {
		return true
	}
	if c != ',' {
		p.fail(p.pos, fmt.Sprintf("expected ',' or '%c'", end))
		return false
	}
	p.pos = skipSpace(p.b, p.pos+1)
	if p.peek() == end {
		p.fail(p.pos, "a comma with nothing after it")
		return false
	}
	return true
}

func (p *treeParser) array(depth int) *tree {
	t := &tree{kind: '['}
	p.pos++
	for first := true; p.err == nil && p.next(first, ']'); first = false {
		t.kids = append(t.kids, p.value(depth+1))
	}
	return t
}

func (p *treeParser) object(depth int) *tree {
	t := &tree{kind: '{'}
	if p.objects++; p.objects > maxObjects {
		p.fail(p.pos, fmt.Sprintf("more than %d objects", maxObjects))
		return t
	}
	seen := map[string]int{}
	p.pos++
	for first := true; p.err == nil && p.next(first, '}'); first = false {
		at := p.pos
		if p.peek() != '"' {
			p.fail(p.pos, "expected a key in quotes")
			return t
		}
		key, ok := p.string()
		if !ok {
			return t
		}
		p.pos = skipSpace(p.b, p.pos)
		if p.peek() != ':' {
			p.fail(p.pos, "expected ':' after the key")
			return t
		}
		p.pos = skipSpace(p.b, p.pos+1)
		kid := p.value(depth + 1)
		if i, twice := seen[key]; twice {
			if !p.lax {
				p.fail(at, fmt.Sprintf("the key %q stands twice in one object", key))
			}
			t.kids[i] = kid
			continue
		}
		seen[key] = len(t.keys)
		t.keys = append(t.keys, key)
		t.kids = append(t.kids, kid)
	}
	return t
}

// objects counts the objects in a text.
func (t *tree) objects() int {
	n := 0
	if t.kind == '{' {
		n = 1
	}
	for _, k := range t.kids {
		n += k.objects()
	}
	return n
}

// get is the member of an object, nil without one.
func (t *tree) get(key string) *tree {
	if t == nil || t.kind != '{' {
		return nil
	}
	if i := slices.Index(t.keys, key); i >= 0 {
		return t.kids[i]
	}
	return nil
}

// at follows a JSON pointer, its tokens still escaped; nil if it leads nowhere.
func (t *tree) at(pointer string) *tree {
	if pointer == "" {
		return t
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch {
		case t == nil:
			return nil
		case t.kind == '[':
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(t.kids) {
				return nil
			}
			t = t.kids[i]
		default:
			t = t.get(token)
		}
	}
	return t
}

// any is the value as the schema library takes it.
func (t *tree) any() any {
	switch t.kind {
	case '{':
		m := make(map[string]any, len(t.keys))
		for i, k := range t.keys {
			m[k] = t.kids[i].any()
		}
		return m
	case '[':
		a := make([]any, len(t.kids))
		for i, k := range t.kids {
			a[i] = k.any()
		}
		return a
	case '"':
		return t.text
	case '0':
		return json.Number(t.text)
	case 'n':
		return nil
	}
	return t.kind == 't'
}

// sorted appends the value as compact JSON with the keys of every object in
// order and the fewest escapes.
func (t *tree) sorted(b []byte) []byte {
	switch t.kind {
	case '{':
		order := make([]int, len(t.keys))
		for i := range order {
			order[i] = i
		}
		slices.SortFunc(order, func(x, y int) int { return strings.Compare(t.keys[x], t.keys[y]) })
		b = append(b, '{')
		for i, k := range order {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(quote(b, t.keys[k]), ':')
			b = t.kids[k].sorted(b)
		}
		return append(b, '}')
	case '[':
		b = append(b, '[')
		for i, k := range t.kids {
			if i > 0 {
				b = append(b, ',')
			}
			b = k.sorted(b)
		}
		return append(b, ']')
	case '"':
		return quote(b, t.text)
	}
	return append(b, t.text...)
}

// quote appends s as a JSON string with the fewest escapes.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\r':
			b = append(b, '\\', 'r')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < 0x20:
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// compact drops the white space between the tokens of a JSON text that
// parseTree accepted, and changes nothing else.
func compact(text string) string {
	src := []byte(text)
	b := make([]byte, 0, len(src))
	for i := 0; i < len(src); {
		switch src[i] {
		case ' ', '\n', '\r', '\t':
			i++
		case '"':
			end, _ := scanString(src, i)
			b = append(b, src[i:end]...)
			i = end
		default:
			b = append(b, src[i])
			i++
		}
	}
	return string(b)
}
