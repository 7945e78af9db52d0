package query

import (
	"unicode"

	"golang.org/x/text/width"
)

// Width is how many columns of a terminal a text takes: wide characters, as those of
// Chinese, Japanese and Korean (UAX #11) and most emoji, take two, marks that join the
// character before them none.
func Width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x300: // most, and none of them wide
			n++
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		default:
			n++
			if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
				n++
			}
		}
	}
	return n
}
