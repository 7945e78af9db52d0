package wire

import (
	"math"
	"strconv"
	"strings"
)

// kind is what a field of a request is to the walker.
type kind int8

const (
	kindFixed      kind = iota // size bytes
	kindString                 // length int16 or compact
	kindBytes                  // length int32 or compact
	kindArray                  // of structures, each with its tags
	kindPlainArray             // of one kind, without tags
	kindNullable               // a structure, or not: int8 -1
	kindTag                    // a structure in tag number size
)

// field is one field of a layout, in versions from to to.
type field struct {
	kind     kind
	size     int
	from, to int16
	of       []field
}

// fixed are the letters of fields with a size of their own: c int8 or bool,
// h int16, i int32, l int64, u uuid.
const fixed = "chilu"

const closers = "])}>"

var fixedSizes = [len(fixed)]int{1, 2, 4, 8, 16}

// compile reads a layout: letters separated by spaces, each with versions behind
// it if it is not in all, such as 3+ or -12 or 2-5. Besides the fixed ones there
// are s string, b bytes, [ … ] array of structures, (x) array of plain x, { … }
// nullable structure, and <n … > a structure in tag n. It stops at the end or before a closing bracket.
func compile(text string) (fields []field, rest string, ok bool) {
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" || strings.IndexByte(closers, text[0]) >= 0 {
			return fields, text, true
		}
		f := field{to: math.MaxInt16}
		letter := text[0]
		text = text[1:]
		closing := byte(0)
		switch {
		case strings.IndexByte(fixed, letter) >= 0:
			f.size = fixedSizes[strings.IndexByte(fixed, letter)]
		case letter == 's':
			f.kind = kindString
		case letter == 'b':
			f.kind = kindBytes
		case letter == '[':
			f.kind, closing = kindArray, ']'
		case letter == '(':
			f.kind, closing = kindPlainArray, ')'
		case letter == '{':
			f.kind, closing = kindNullable, '}'
		case letter == '<' && text != "":
			f.kind, closing = kindTag, '>'
			f.size = int(text[0] - '0')
			text = text[1:]
		default:
			return nil, "", false
		}
		if closing != 0 {
			if f.of, text, ok = compile(text); !ok || text == "" || text[0] != closing || len(f.of) == 0 {
				return nil, "", false
			}
			text = text[1:]
		}
		if text, ok = f.versions(text); !ok {
			return nil, "", false
		}
		fields = append(fields, f)
	}
}

// versions reads the versions behind a field: nothing, 3+, -12 or 2-5.
func (f *field) versions(text string) (rest string, ok bool) {
	end := strings.IndexAny(text, " "+closers)
	if end < 0 {
		end = len(text)
	}
	word, rest := text[:end], text[end:]
	if word == "" {
		return rest, true
	}
	if from, found := strings.CutSuffix(word, "+"); found {
		n, err := strconv.ParseInt(from, 10, 16)
		f.from = int16(n)
		return rest, err == nil
	}
	from, to, found := strings.Cut(word, "-")
	if from != "" {
		n, err := strconv.ParseInt(from, 10, 16)
		if err != nil {
			return rest, false
		}
		f.from = int16(n)
	}
	n, err := strconv.ParseInt(to, 10, 16)
	f.to = int16(n)
	return rest, found && err == nil
}
