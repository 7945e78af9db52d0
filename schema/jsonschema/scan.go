package jsonschema

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// This file reads JSON tokens (RFC 8259) from raw bytes. It is stricter than the
// RFC asks of parsers where leniency would change data silently: invalid UTF-8,
// lone surrogates and control characters in strings are errors.

// scanString reads the string whose opening quote is at b[pos]. It returns the
// position after the closing quote and whether the text between the quotes holds
// escapes. end < 0 says that the string is broken, at -end-1.
func scanString(b []byte, pos int) (end int, escaped bool) {
	start := pos + 1
	i := start
	wide := false
	for {
		i = skipPlain(b, i)
		if i >= len(b) {
			return -len(b) - 1, escaped
		}
		switch c := b[i]; {
		case c == '"':
			if wide {
				if bad := firstBadRune(b[start:i]); bad >= 0 {
					return -(start + bad) - 1, escaped
				}
			}
			return i + 1, escaped
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return -i - 1, escaped
			}
			escaped = true
			i += n
		case c < 0x20:
			return -i - 1, escaped
		default: // at or above 0x80
			wide = true
			i++
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special has the high bit of bytes of x that are a quote, a backslash, a control
// character or not ASCII. A byte is found by the borrow that subtracting from it
// causes, and the lowest one found is always real.
func special(x uint64) uint64 {
	quote := x ^ ones*'"'
	slash := x ^ ones*'\\'
	return ((quote-ones)&^quote | (slash-ones)&^slash | (x-ones*0x20)&^x | x) & highs
}

// skipPlain returns the position of the first byte from i on that special finds,
// eight at a time.
func skipPlain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 && b[i] < 0x80 {
		i++
	}
	return i
}

// firstBadRune returns where b stops being UTF-8, or -1.
func firstBadRune(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// escapeLen is the length of the escape at the start of b, surrogate pairs as
// one; 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		u, ok := hex4(b[2:])
		switch {
		case !ok, u >= 0xDC00 && u < 0xE000:
			return 0
		case u < 0xD800 || u >= 0xE000:
			return 6
		}
		if len(b) < 12 || b[6] != '\\' || b[7] != 'u' {
			return 0
		}
		if low, ok := hex4(b[8:]); ok && low >= 0xDC00 && low < 0xE000 {
			return 12
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	var u rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}

// unescape appends the text that raw, which scanString accepted, stands for.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		n := escapeLen(raw[i:])
		switch n {
		case 2:
			c := raw[i+1]
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			dst = append(dst, c)
		case 6:
			u, _ := hex4(raw[i+2:])
			dst = utf8.AppendRune(dst, u)
		case 12:
			high, _ := hex4(raw[i+2:])
			low, _ := hex4(raw[i+8:])
			dst = utf8.AppendRune(dst, 0x10000+(high-0xD800)<<10+(low-0xDC00))
		default:
			return dst
		}
		i += n
	}
	return dst
}

// runeLen counts the characters of a JSON string's text between its quotes, as
// minLength and maxLength do: code points, an escape as one.
func runeLen(raw []byte, escaped bool) int {
	if !escaped {
		return utf8.RuneCount(raw)
	}
	n := 0
	for i := 0; i < len(raw); n++ {
		if raw[i] == '\\' {
			i += max(escapeLen(raw[i:]), 1)
			continue
		}
		_, size := utf8.DecodeRune(raw[i:])
		i += size
	}
	return n
}

// skipSpace returns the position of the first byte from pos on that is no JSON
// white space.
func skipSpace(b []byte, pos int) int {
	for pos < len(b) && (b[pos] == ' ' || b[pos] == '\n' || b[pos] == '\r' || b[pos] == '\t') {
		pos++
	}
	return pos
}
