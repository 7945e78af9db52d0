package jsonschema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	js "github.com/santhosh-tekuri/jsonschema/v6"
)

// foreign is a pattern that Go's engine cannot run, such as one that looks ahead.
// A schema may hold it, since the registry only stores it; a decoder cannot.
type foreign struct {
	pattern string
	err     error
}

// String is the pattern.
func (f *foreign) String() string { return f.pattern }

// MatchString is never reached: no decoder is made for such a schema.
func (f *foreign) MatchString(string) bool { return false }

// program is a pattern that Go's engine runs.
type program struct {
	*regexp.Regexp
	size int // instructions
}

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
	prog, err := instructions(text)
	spelled := text
	if err != nil {
		if again, e := instructions(translate(text)); e == nil {
			prog, err, spelled = again, nil, translate(text)
		}
	}
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			switch se.Code {
			case syntax.ErrInvalidPerlOp, syntax.ErrInvalidEscape, syntax.ErrInvalidRepeatSize, syntax.ErrLarge, syntax.ErrInvalidCharRange:
				return &foreign{text, err}, nil
			}
		}
		return nil, err
	}
	size := len(prog.Inst)
	if size > maxProgram {
		return &foreign{text, fmt.Errorf("it is %d instructions long with its repetitions written out, more than %d", size, maxProgram)}, nil
	}
	if p.size += size; p.size > maxPrograms {
		return &foreign{text, fmt.Errorf("the schema's patterns are more than %d instructions long with their repetitions written out", maxPrograms)}, nil
	}
	re, err := regexp.Compile(spelled)
	if err != nil {
		return nil, err
	}
	return &program{re, size}, nil
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
