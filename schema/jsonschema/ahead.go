package jsonschema

import (
	"regexp"
	"strings"
)

// program is a pattern that Go's engine runs: by itself, or in several parts that
// are all asked at the text's start.
type program struct {
	text  string // as the schema has it
	rest  *regexp.Regexp
	ahead []assertion
	size  int // instructions of all
}

// assertion is one of the lookaheads that a pattern begins with.
type assertion struct {
	re  *regexp.Regexp // anchored at the text's start
	not bool
}

// String is the pattern as the schema has it.
func (p *program) String() string { return p.text }

// MatchString is Match for who has a string.
func (p *program) MatchString(s string) bool {
	for _, a := range p.ahead {
		if a.re.MatchString(s) == a.not {
			return false
		}
	}
	return p.rest.MatchString(s)
}

// Match reports whether the pattern is found in b.
func (p *program) Match(b []byte) bool {
	for _, a := range p.ahead {
		if a.re.Match(b) == a.not {
			return false
		}
	}
	return p.rest.Match(b)
}

// part is a piece of a pattern that stands for itself at the text's start.
type part struct {
	text string
	not  bool
}

// lookaheads cuts the assertions off a pattern such as ^(?=.*[0-9])(?!x).{8,}$,
// whose start is the text's: there each of them is a pattern of its own, which an
// engine without lookaheads runs. It reports false for other patterns, and those
// whose assertions belong to one alternative only.
func lookaheads(pattern string) (ahead []part, rest string, ok bool) {
	rest, ok = strings.CutPrefix(pattern, "^")
	if !ok {
		return nil, "", false
	}
	for strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!") {
		end, _ := group(rest)
		if end < 0 || end+1 < len(rest) && strings.ContainsRune("*+?{", rune(rest[end+1])) {
			return nil, "", false
		}
		ahead = append(ahead, part{"^(?:" + rest[3:end] + ")", rest[2] == '!'})
		rest = rest[end+1:]
	}
	_, alternatives := group("(" + rest)
	if len(ahead) == 0 || alternatives {
		return nil, "", false
	}
	return ahead, "^" + rest, true
}

// group finds the end of the group that a pattern begins with, -1 if it has none,
// and whether the group has alternatives.
func group(pattern string) (end int, alternatives bool) {
	depth, class := 0, false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case class:
			class = c != ']'
		case c == '[':
			class = true
		case c == '(':
			depth++
		case c == '|' && depth == 1:
			alternatives = true
		case c == ')':
			if depth--; depth == 0 {
				return i, alternatives
			}
		}
	}
	return -1, alternatives
}
