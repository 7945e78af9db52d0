package schema

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxPreview bounds what an error repeats of a payload or of one name, in
// bytes: enough to recognise it, too little to leak or to flood a log.
const maxPreview = 40

// Refuse makes an Invalid at path "$". Decoders make it where they find the
// fault and add the path on their way out with In, At and Key, so that a good
// payload pays nothing for paths.
func Refuse(pos int, expected, found string) *Invalid {
	return &Invalid{Path: "$", Expected: expected, Found: found, Pos: pos}
}

// In puts the path below the field name and returns e.
func (e *Invalid) In(name string) *Invalid {
	e.Path = "$" + segment(name) + e.Path[1:]
	return e
}

// At puts the path below the i-th item and returns e.
func (e *Invalid) At(i int) *Invalid {
	e.Path = "$[" + strconv.Itoa(i) + "]" + e.Path[1:]
	return e
}

// Key puts the path below a map's key, shortened, and returns e.
func (e *Invalid) Key(key []byte) *Invalid {
	e.Path = "$[" + Preview(key) + "]" + e.Path[1:]
	return e
}

// Preview is b quoted, cut after a few bytes, with what is not UTF-8 escaped.
func Preview(b []byte) string {
	if len(b) <= maxPreview {
		return strconv.Quote(string(b))
	}
	cut := maxPreview
	for cut > maxPreview-utf8.UTFMax && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:cut], len(b))
}

// segment is .name, or ["name"] for a name that is no plain word.
func segment(name string) string {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
		default:
			return "[" + Preview([]byte(name)) + "]"
		}
	}
	if name == "" {
		return `[""]`
	}
	return "." + name
}
