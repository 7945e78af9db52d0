package jsonschema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// foreign is a pattern that Go's engine cannot run, such as one that looks back.
// A schema may hold it, since the registry only stores it; a decoder cannot.
type foreign struct {
	pattern string
	err     error
}

// String is the pattern.
func (f *foreign) String() string { return f.pattern }

// MatchString is never reached: no decoder is made for such a schema.
func (f *foreign) MatchString(string) bool { return false }

// patterns are those of one schema with its references, each compiled once.
type patterns struct {
	known map[string]js.Regexp
	size  int // instructions of all
}

// compile reads a pattern of ECMA 262 with Go's linear-time engine. One that this
// cannot run, or that is too long once its repetitions are written out, makes no
// error yet.
func (p *patterns) compile(text string) (js.Regexp, error) {
	if re, ok := p.known[text]; ok {
		return re, nil
	}
	re, err := p.read(text)
	if err == nil {
		p.known[text] = re
	}
	return re, err
}

func (p *patterns) read(text string) (js.Regexp, error) {
	rest, size, err := engine(text)
	out := &program{text: text, rest: rest, size: size}
	if err != nil && isForeign(err) {
		if ahead, remains, ok := lookaheads(text); ok {
			out, err = assembled(text, ahead, remains)
		}
	}
	if err != nil {
		if isForeign(err) {
			return &foreign{text, err}, nil
		}
		return nil, err
	}
	if out.size > maxProgram {
		return &foreign{text, fmt.Errorf("it is %d instructions long with its repetitions written out, more than %d", out.size, maxProgram)}, nil
	}
	if p.size += out.size; p.size > maxPrograms {
		return &foreign{text, fmt.Errorf("the schema's patterns are more than %d instructions long with their repetitions written out", maxPrograms)}, nil
	}
	return out, nil
}

// assembled is a pattern of lookaheads and what remains behind them.
func assembled(text string, ahead []part, remains string) (*program, error) {
	rest, size, err := engine(remains)
	if err != nil {
		return nil, err
	}
	out := &program{text: text, rest: rest, size: size}
	for _, a := range ahead {
		re, size, err := engine(a.text)
		if err != nil {
			return nil, err
		}
		out.ahead, out.size = append(out.ahead, assertion{re, a.not}), out.size+size
	}
	return out, nil
}

// engine compiles a pattern, in ECMA's spelling if it is none of Go's. What is
// longer than maxProgram is counted and not compiled.
func engine(text string) (*regexp.Regexp, int, error) {
	prog, err := instructions(text)
	if err != nil {
		again, e := instructions(translate(text))
		if e != nil {
			return nil, 0, err
		}
		prog, text = again, translate(text)
	}
	if len(prog.Inst) > maxProgram {
		return nil, len(prog.Inst), nil
	}
	re, err := regexp.Compile(text)
	return re, len(prog.Inst), err
}

// isForeign tells what other engines run from what is no pattern at all.
func isForeign(err error) bool {
	se, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		return false
	}
	switch se.Code {
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrInvalidCharRange:
		return true
	case syntax.ErrInvalidNamedCapture: // a look back is read as one
		return strings.HasPrefix(se.Expr, "(?<=") || strings.HasPrefix(se.Expr, "(?<!")
	case syntax.ErrInvalidRepeatOp: // Java's possessive repetitions
		return len(se.Expr) > 1 && strings.HasSuffix(se.Expr, "+")
	}
	return false
}

// instructions are a pattern as regexp.Compile reads it.
func instructions(text string) (*syntax.Prog, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	return syntax.Compile(re.Simplify())
}

// translate rewrites what ECMA 262 spells otherwise than RE2: \uXXXX, \cX.
func translate(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '\\' || i+1 == len(pattern) {
			b.WriteByte(pattern[i])
			continue
		}
		rest := pattern[i+1:]
		switch {
		case rest[0] == 'u' && len(rest) >= 5:
			fmt.Fprintf(&b, `\x{%s}`, rest[1:5])
			i += 5
		case rest[0] == 'c' && len(rest) >= 2:
			fmt.Fprintf(&b, `\x%02x`, rest[1]&0x1f)
			i += 2
		default:
			b.WriteByte('\\')
			b.WriteByte(rest[0])
			i++
		}
	}
	return b.String()
}
